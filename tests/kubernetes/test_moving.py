# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Moving over from kube-proxy on live nodes, and back: what has begun lives on, with the same backend."""
import json
import re

import pytest

import chart
from conftest import REPO
from control_plane import ADMIN
from kube_proxy import KubeProxy, has_legacy
from test_api import PODS, outside, serve, vip
from wait import until

KEEPER = "fairlead-keeps-nat"
MODES = pytest.mark.parametrize("mode", ["iptables", "nftables", pytest.param("iptables-legacy", marks=pytest.mark.skipif(
    not has_legacy(), reason="SKIP: needs iptables-legacy, and a kernel that has its tables"))])


def targets(back):
    """Numbered connections of each kind: local and remote backends, masqueraded or not."""
    found = {"client": [], "cli-1": []}
    for family in (4, 6):
        node = {4: "172.18.0.11", 6: "fd00:18::11"}[family]
        for label, host, tcp, udp in (
                ("cluster", outside(12, family), 80, 5353), ("local", outside(11, family), 80, 5353),
                ("node-port", node, 30012, 31012), ("cluster-ip", vip(12, family), 80, 5353)):
            for kind, port in (("long", tcp), ("udp", udp)):
                found["client"].append({"kind": kind, "host": host, "port": port, "streams": 6,
                                        "label": f"{kind} {label} {family}"})
        for kind, port in (("long", 80), ("udp", 5353)):
            # a socket that was translated is shown its Service as long as Fairlead is there
            found["cli-1"].append({"kind": kind, "host": vip(12, family), "port": port, "streams": 6,
                                   "label": f"{kind} pod {family}", "anywhere": back})
    return found


class Load:
    def __init__(self, lab, back=False):
        self.lab = lab
        self.of = targets(back)
        for place, its in self.of.items():
            lab[place].call("load_start", name="moving", targets=its, interval=0.05)

    def look(self, what="load_look"):
        return {(place, label): ledger for place in self.of
                for label, ledger in self.lab[place].call(what, name="moving").items()}

    def round(self, answers=5):
        """Until each has been answered so much more often."""
        before = self.look()

        def on():
            now = self.look()
            self.check(now)
            return all(now[key]["answered"] >= before[key]["answered"] + answers * before[key]["streams"]
                       for key in now)
        until(on, "every connection goes on", 60, 0.2)

    @staticmethod
    def check(ledgers):
        failed = {key: ledger["failures"] for key, ledger in ledgers.items() if ledger["failed"]}
        moved = {key: ledger["moved"] for key, ledger in ledgers.items() if ledger["moved"]}
        assert (failed, moved) == ({}, {})

    def pods(self):
        """Which pods have answered each kind."""
        return {key: set(ledger["answers"]) for key, ledger in self.look().items()}

    def stop(self):
        ledgers = self.look("load_stop")
        self.check(ledgers)
        return ledgers


def kernel_flows(node, *options):
    """Flows of the table that are left to the kernel."""
    return [flow for flow in node.json("flow", "list", "--limit", "5000", *options)["items"] if flow["kernel"]]


def forget_soon(lab):
    """What has ended is over soon, for the kernel."""
    for node in lab.nodes.values():
        node.place.script("for f in tcp_timeout_time_wait tcp_timeout_close udp_timeout udp_timeout_stream; do "
                          "echo 5 > /proc/sys/net/netfilter/nf_conntrack_$f; done")


@MODES
def test_12_4_moving_over(own_lab, mode):
    """12.4, 12.5, 12.6: kube-proxy, then both, then Fairlead alone; nothing fails and nobody moves."""
    lab = own_lab
    serve(lab, "both", 12)
    serve(lab, "local", 11, spec={"externalTrafficPolicy": "Local"})
    forget_soon(lab)
    proxies = [KubeProxy(lab.cluster, node, mode) for node in lab.nodes.values()]
    load = None
    try:
        for proxy in proxies:
            proxy.wait([outside(12, 4), outside(12, 6), outside(11, 4), outside(11, 6), "31012"])
        load = Load(lab)
        load.round()
        pods = load.pods()
        assert set().union(*pods.values()) == set(PODS)
        planned = plan(lab)
        lab.start_agents(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])
        load.round()
        node = lab.nodes["node-1"]
        flows = kernel_flows(node)
        assert {flow["protocol"] for flow in flows} == {"TCP", "UDP"}
        assert any(flow["masqueraded"] for flow in flows) and not all(flow["masqueraded"] for flow in flows)
        assert node.api("/v1/plan")["items"] == planned, "as was shown before"
        shown = node.cli(*command(LIVE, "flow list"))
        assert "KERNEL" in shown.stdout.splitlines()[0] and re.search(r"\byes\b", shown.stdout), shown
        for proxy in proxies:
            proxy.stop()
        remove_rules(lab, proxies)
        load.round(10)
        # the agent is not needed for them
        node.kill()
        load.round()
        node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])
        load.round()
        # what begins now is Fairlead's
        for family in (4, 6):
            report = lab["client"].http(outside(12, family), 80, 24)
            assert report["failed"] == 0, report
        load.stop()
        load = None
        ends(lab)
    finally:
        if load:
            load.look("load_stop")
        for proxy in proxies:
            proxy.stop()
        for node in lab.nodes.values():
            node.stop()
            node.cleanup()
            node.cli("cleanup", "--kube-proxy")


@MODES
def test_12_4_moving_back(own_lab, mode):
    """12.4 the other way: Fairlead, then kube-proxy alone; nothing fails and nobody moves."""
    lab = own_lab
    serve(lab, "both", 12)
    serve(lab, "local", 11, spec={"externalTrafficPolicy": "Local"})
    node = lab.nodes["node-1"]
    forget_soon(lab)
    proxies, load = [], None
    try:
        lab.start_agents(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])
        for each in lab.nodes.values():
            each.wait_status(0)
        load = Load(lab, back=True)
        load.round()
        assert set().union(*load.pods().values()) == set(PODS)
        refused(node, "an agent runs")
        for each in lab.nodes.values():
            each.stop()
        refused(node, "kube-proxy has no rules here")
        load.round()
        proxies = [KubeProxy(lab.cluster, each, mode) for each in lab.nodes.values()]
        for proxy in proxies:
            proxy.wait([outside(12, 4), outside(12, 6), outside(11, 4), outside(11, 6), "31012"])
        load.round()
        for each in lab.nodes.values():
            done = each.cli(*command(BACK, "--hand-over"))
            assert (done.returncode, done.stderr) == (0, ""), done
            given = int(re.match(r"(\d+) connections handed over", done.stdout)[1])
            # as many as come from outside, of which the pod's are none: a socket has no flow
            assert given >= (streams(load.of["client"]) if each is node else 0), done.stdout
        load.round(10)
        for family in (4, 6):
            report = lab["client"].http(outside(12, family), 80, 24)
            assert report["failed"] == 0, report
        load.stop()
        load = None
    finally:
        if load:
            load.look("load_stop")
        for proxy in proxies:
            proxy.stop()
        for each in lab.nodes.values():
            each.stop()
            each.cleanup()
            each.cli("cleanup", "--kube-proxy")


def page(section):
    """The commands of a section of docs/kube-proxy-migration.md, as they are typed."""
    with open(f"{REPO}/docs/kube-proxy-migration.md", encoding="utf-8") as file:
        text = file.read().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line[7:].split("  #")[0].strip() for line in text.splitlines() if line.startswith("       ")]


def command(section, words):
    """That of them with these words; without the program's name, as it is given to the lab's."""
    (found,) = (line for line in page(section) if words in line)
    program, *rest = found.split()
    assert program == "fairlead", found
    return rest


def plan(lab):
    """What node-1 would do, by what the API server has."""
    listing, planning = page(LIVE)[:2]
    cluster = lab.cluster
    done = cluster.place.run(["env", f"KUBECONFIG={cluster.kubeconfig('admin.conf', ADMIN)}", f"HOME={cluster.directory}",
                              f"PATH={chart.programs()}:/usr/bin:/bin", "sh", "-c", f"cd {cluster.directory} && {listing}"],
                             timeout=60)
    assert done.returncode == 0, (listing, done.stderr)
    words = planning.replace('"$NAME"', "node-1").replace("objects.yaml", cluster.path("objects.yaml")).split()
    done = lab.nodes["node-1"].cli(*words[1:], "-o", "json")
    assert (words[0], done.returncode, done.stderr) == ("fairlead", 0, ""), done
    return json.loads(done.stdout)["items"]


LIVE, BACK = "One node, while it works", "Back"


def streams(targets):
    return sum(target["streams"] for target in targets)


def refused(node, why):
    done = node.cli("cleanup", "--hand-over")
    assert done.returncode == 1 and why in done.stderr, done


def everything(place):
    """The rules of all programs, without their counters; iptables alone shows its comments."""
    rules = "".join(place.run(command).stdout for command in (
        ["nft", "list", "ruleset"], ["iptables-nft-save"], ["ip6tables-nft-save"], ["iptables-legacy-save"],
        ["ip6tables-legacy-save"]))
    return re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+|^#.*$", "", rules, flags=re.M)


def remove_rules(lab, proxies):
    """Dry run first; then kube-proxy's are gone and those of others are there, also the second time."""
    for proxy in proxies:
        place, program = proxy.node.place, proxy.program
        # kube-proxy makes the second as well, and leaves it (12.5)
        place.script(f"{program} -t mangle -N KUBE-KUBELET-CANARY || :; {program} -N KUBE-FIREWALL || :; "
                     f"{program} -A INPUT -j KUBE-FIREWALL; nft add table ip others")
        # only node-1 has connections that need the kernel's NAT
        needed = proxy.node.name == "node-1"
        before = everything(place)
        dry = command(LIVE, "--dry-run")
        done = proxy.node.cli(*dry)
        assert done.returncode == 0, done.stderr
        assert ("delete table ip6 kube-proxy" if proxy.mode == "nftables" else "-X KUBE-SERVICES") in done.stdout
        assert proxy.mode == "nftables" or f"# {program}-restore\n" in done.stdout
        assert everything(place) == before, "a dry run changes nothing"
        assert page(LIVE)[-1] == f"fairlead {' '.join(dry[:-1])}"
        done = proxy.node.cli(*dry[:-1])
        assert done.returncode == 0, done.stderr
        rules = everything(place)
        assert before != rules
        for gone in ("KUBE-SVC-", "KUBE-SEP-", "KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-FORWARD",
                     "KUBE-PROXY-CANARY", "table ip kube-proxy", "table ip6 kube-proxy"):
            assert gone in before or proxy.mode == "nftables" or "table" in gone
            assert gone not in rules, rules
        own = place.run([f"{program}-save"]).stdout
        for stays in (":KUBE-KUBELET-CANARY ", "-A INPUT -j KUBE-FIREWALL"):
            assert stays in own, rules
        assert "table ip others" in rules, rules
        assert (KEEPER in rules, KEEPER in done.stdout) == (needed, needed), rules
        again = proxy.node.cli(*dry[:-1])
        assert again.returncode == 0, again.stderr
        assert f"nothing of kube-proxy is {'left' if needed else 'here'}" in again.stdout, again.stdout


def ends(lab):
    """Connections that have ended leave the table; when the kernel has none, the rule that kept its NAT goes."""
    for node in lab.nodes.values():
        until(lambda: not kernel_flows(node, "--proto", "tcp"), "TCP flows that ended are forgotten", 60, 0.5)
        def keeper_goes():
            assert node.cli("cleanup", "--kube-proxy").returncode == 0
            return KEEPER not in everything(node.place)
        until(keeper_goes, "the rule that kept NAT on goes", 150, 1)
        until(lambda: not kernel_flows(node), "UDP flows that ended are forgotten", 60, 0.5)
