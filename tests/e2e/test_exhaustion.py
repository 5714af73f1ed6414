# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Full flow tables, source ports that are used up, full service maps (B1, B2, B4, G16, G17): what does not fit is refused
as a whole, named and counted, the alert rules fire on what the agent says then, what was there goes on, and all
heals by itself when there is room again.
"""
import collections
import contextlib
import os

import pytest

import cells
import topology
from test_metrics import RULES, promtool, samples, scrape
from wait import until

SETTINGS = "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n"
VIP = cells.vip(10)[4]
FIRST_PORT, LAST_PORT = 29951, 29999  # of all those for masquerading only these are not reserved
PORTS = LAST_PORT - FIRST_PORT + 1
MORE_ADDRESSES = ("172.18.0.111", "172.18.0.112")


def start(lab, settings="", extra=()):
    """Fresh agents with these settings."""
    for node in lab.nodes.values():
        node.stop()
        assert node.cleanup().returncode == 0
        path = f"{lab.directory}/{node.name}-exhaustion.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(SETTINGS + settings)
        node.start(extra=["--config", path, *extra])
    lab.settle()


@contextlib.contextmanager
def load(client, name, streams, timeout):
    """So many connections that go on, to the Service by one address."""
    client.call("load_start", name=name, timeout=timeout, interval=0.1, targets=[
        {"kind": "long", "host": VIP, "port": 80, "streams": streams, "label": name}])
    try:
        yield
    finally:
        client.call("load_stop", name=name)


def look(client, name):
    return client.call("load_look", name=name)[name]


def goes_on(client, name):
    """Every stream gets answers, and none ever failed or moved."""
    before = look(client, name)
    try:
        until(lambda: look(client, name)["answered"] >= before["answered"] + 2 * before["streams"], f"{name} goes on")
    except AssertionError as late:
        raise AssertionError(f"{late}: {before}, then {look(client, name)}") from late
    now = look(client, name)
    assert (now["failed"], now["moved"]) == (0, 0), now


def conditions(node, kind):
    return [c for c in node.api("/v1/status")["conditions"] if c["kind"] == kind]


def is_firing(directory, alert, before, now):
    """Whether the alert fires where things stay as a scrape says, and counters go on as between two of them."""
    series = []
    for line in now.splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        labels = name[name.index("{") + 1:-1] + ", " if "{" in name else ""
        bare, value = name.split("{")[0], float(value)
        key = next(iter(samples(line)))
        step = value - samples(before).get(key, 0.0) if bare.endswith("_total") else 0.0
        series.append(f"      - series: '{bare}{{{labels}job=\"fairlead\", instance=\"a\"}}'\n"
                      f"        values: '{value}+{step}x60'\n")
    path = f"{directory}/{alert}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"rule_files: [{os.path.abspath(RULES)}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n"
                   "    input_series:\n" + "".join(series) +
                   f"    alert_rule_test:\n      - alertname: {alert}\n        eval_time: 40m\n        exp_alerts: []\n")
    done = promtool("test", "rules", path)
    assert done.returncode == 0 or "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


def test_a_full_flow_table(own_lab, tmp_path):
    """B1: 128 flows at most."""
    lab, node = own_lab, own_lab.nodes["node-1"]
    start(lab, "maps: {flowBuckets4: 64, flowBuckets6: 64}\n")
    client, quiet = lab["client"], scrape(node)
    assert not is_firing(tmp_path, "FairleadFlowTableNearlyFull", quiet, quiet)
    with load(client, "first", 60, 10):
        goes_on(client, "first")
        with load(client, "more", 120, 1.5):
            until(lambda: [c for c in conditions(node, "drops") if c["subject"] == "flow-table-full"],
                  "the drops are a condition")
            assert samples(scrape(node))["fairlead_not_forwarded_packets_total", "flow-table-full"] > 0
            # what the table holds is counted every six seconds
            until(lambda: is_firing(tmp_path, "FairleadFlowTableNearlyFull", quiet, scrape(node)),
                  "the table is nearly full for the alert, too", 20, 1)
            assert is_firing(tmp_path, "FairleadPacketsDropped", quiet, scrape(node))
            # refused as a whole
            flows = node.json("flow", "list", "--limit", "100000")["items"]
            assert flows and all(flow["paired"] for flow in flows), flows
            goes_on(client, "first")
            assert look(client, "more")["failures"].keys() <= {"timeout"}
        until(lambda: client.http(VIP, 80, 3, timeout=3)["failed"] == 0, "there is room again")
        until(lambda: not is_firing(tmp_path, "FairleadFlowTableNearlyFull", quiet, scrape(node)),
              "the table is not nearly full any more", 20, 1)
        goes_on(client, "first")


@pytest.fixture
def few_ports(own_lab):
    node = own_lab.nodes["node-1"]
    reserve = "/proc/sys/net/ipv4/ip_local_reserved_ports"
    node.place.script(f"echo 1024-{FIRST_PORT - 1},61000-65535 > {reserve}")
    own_lab.manifests.set_backends("web", ("web-2a",))
    yield own_lab
    node.place.script(f"echo > {reserve}")
    for address in MORE_ADDRESSES:
        node.place.run(["ip", "address", "del", f"{address}/24", "dev", "eth0"])
    own_lab.manifests.reset()


def test_used_up_source_ports(few_ports, tmp_path):
    """B2, G17: at least 95 of 100 are usable; none is used twice or is another's."""
    lab, node, client = few_ports, few_ports.nodes["node-1"], few_ports["client"]
    # ports of connections that are over are free when that is
    start(lab, "timeouts: {tcpTimeWait: 2s}\n")
    assert node.api("/v1/status")["sourcePorts"] == PORTS
    quiet = scrape(node)
    backend = f"{topology.pod_addresses('web-2a')[4]}:8080"

    def used():
        return next(row for row in node.json("backend", "list")["items"] if row["address"] == backend)["sourcePortsUsed"]

    with load(client, "first", PORTS // 2, 10):
        goes_on(client, "first")
        with load(client, "more", PORTS, 1.5):
            until(lambda: used() >= 0.95 * PORTS, "nearly all ports are in use")
            until(lambda: [c for c in conditions(node, "drops") if c["subject"] == "no-source-port"],
                  "the drops are a condition")
            until(lambda: [c["subject"] for c in conditions(node, "backend-ports")] == [backend],
                  "the backend is named", 40)
            assert node.cli("status").returncode == 1
            assert samples(scrape(node))["fairlead_not_forwarded_packets_total", "no-source-port"] > 0
            # counted with the flows, every six seconds
            until(lambda: is_firing(tmp_path, "FairleadSourcePortsNearlyUsedUp", quiet, scrape(node)),
                  "the alert fires", 20, 1)
            assert is_firing(tmp_path, "FairleadPacketsDropped", quiet, scrape(node))
            flows = node.json("flow", "list", "--backend", backend)["items"]
            sources = collections.Counter(flow["source"] for flow in flows)
            assert set(sources.values()) == {1}, sources
            assert all(FIRST_PORT <= int(source.rpartition(":")[2]) <= LAST_PORT for source in sources), sources
            goes_on(client, "first")
            assert look(client, "more")["failures"].keys() <= {"timeout"}
        until(lambda: client.http(VIP, 80, 3, timeout=3)["failed"] == 0, "there are ports again")
        until(lambda: not conditions(node, "backend-ports"), "the condition is over", 60, 1)
        until(lambda: not is_firing(tmp_path, "FairleadSourcePortsNearlyUsedUp", quiet, scrape(node)),
              "the alert is over", 20, 1)
        goes_on(client, "first")


def test_several_masquerade_addresses_multiply_the_ports(few_ports):
    """B2, 5.3.4: with three addresses there are ports for more connections than one has ports.

    Each connection's address is by chance, so they are as few as keep each address, but for one run in a million, from
    getting more than it has ports, or none."""
    first, more = 30, 40
    assert first + more > PORTS
    lab, node, client = few_ports, few_ports.nodes["node-1"], few_ports["client"]
    pool = [topology.NODES["node-1"][4], *MORE_ADDRESSES]
    node.place.script(f"ip addr add {pool[1]}/24 dev eth0")
    start(lab, f"timeouts: {{tcpTimeWait: 2s}}\nmasqueradeAddresses: [{', '.join(pool)}]\n")
    backend = f"{topology.pod_addresses('web-2a')[4]}:8080"

    def sources():
        flows = node.json("flow", "list", "--backend", backend)["items"]
        counted = collections.Counter(flow["source"] for flow in flows)
        assert set(counted.values()) <= {1}, counted
        return collections.Counter(source.rpartition(":")[0] for source in counted)

    assert [c["subject"] for c in conditions(node, "masquerade-address")] == [pool[2]]
    with load(client, "first", first, 10):
        goes_on(client, "first")
        assert set(sources()) == set(pool[:2])
        node.place.script(f"ip addr add {pool[2]}/24 dev eth0")
        until(lambda: not conditions(node, "masquerade-address"), "the third one is used", 20, 0.1)
        assert samples(scrape(node))["fairlead_masquerade_addresses", "IPv4"] == len(pool)
        with load(client, "more", more, 10):
            goes_on(client, "more")
            assert set(sources()) == set(pool)
            assert sum(sources().values()) >= first + more
            assert not conditions(node, "backend-ports")
            goes_on(client, "first")
        # an address that goes: the node takes the others, once what has ended there is forgotten
        until(lambda: sum(sources().values()) <= first, "connections that have ended are gone", 20, 0.1)
        node.place.script(f"ip addr del {pool[2]}/24 dev eth0")
        until(lambda: conditions(node, "masquerade-address"), "it says so", 20, 0.1)
        report = client.http(VIP, 80, 20)
        assert report["failed"] == 0, report
        goes_on(client, "first")
        # without the setting: all goes by one address again, and what was begun with others goes on
        path = f"{lab.directory}/{node.name}-exhaustion.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(SETTINGS + "timeouts: {tcpTimeWait: 2s}\n")
        assert node.cli("reload").returncode == 0
        until(lambda: not conditions(node, "masquerade-address"), "the setting is read again", 20, 0.1)
        assert set(client.http(VIP, 80, 5)["clients"]) == {pool[0]}
        goes_on(client, "first")


def ask_for_more(lab, name, number):
    """A Service that takes some of every service map: backends of its own, affinity, source ranges."""
    m = lab.manifests
    # its endpoints first: it might be seen before them, and be served as one without any
    m.set_backends(name, ("web-1a", "web-2a"), ports=[("http", "TCP", 9000 + number), ("echo", "UDP", 9000 + number)])
    m.add(name, m.service(name, number, spec={
        "sessionAffinity": "ClientIP", "loadBalancerSourceRanges": ["198.51.100.0/24", "2001:db8:f::/48"]}))


NEEDS = 12  # frontends that such a Service has at least


def fill(lab, room):
    """Sizes of that map are rounded up: external IPs take what is left, but for less than one of them needs."""
    m = lab.manifests

    def ask(n):
        m.add("filler", m.service("filler", 9, vips=False, v6=False,
                                  spec={"externalIPs": [f"192.0.2.{100 + i}" for i in range(n)]}))
        lab.settle()

    if room() >= NEEDS:
        ask(1)
        before = room()
        ask(2)
        each = before - room()
        ask(2 + room() // each)
        assert room() < each < NEEDS


@pytest.fixture(scope="module")
def sized(own_lab):
    """What each map holds with one such Service."""
    ask_for_more(own_lab, "one", 14)
    start(own_lab)
    used = {m["name"]: m["used"] for m in own_lab.nodes["node-1"].api("/v1/status")["maps"]}
    own_lab.manifests.reset()
    return used


@pytest.mark.parametrize("name,setting", [("frontends", "frontends"), ("backends", "backends"), ("lines", "lines"),
                                          ("ranges", "sourceRanges"), ("members", "members")])
def test_a_full_service_map(own_lab, sized, tmp_path, name, setting):
    """G16: no half Service, an exact gauge, healing by itself."""
    lab, node = own_lab, own_lab.nodes["node-1"]
    ask_for_more(lab, "one", 14)
    # element 0 of these two is not used
    start(lab, f"maps: {{{setting}: {sized[name] + (name in ('backends', 'lines'))}}}\n")

    def use():
        return next((m["used"], m["size"]) for m in node.api("/v1/status")["maps"] if m["name"] == name)

    def ports(service):
        return [item for item in node.json("service", "list", "-n", "default")["items"] if item["name"] == service]

    try:
        assert use()[0] == sized[name]
        if name == "frontends":
            size = use()[1]
            fill(lab, lambda: size - node.api("/v1/status")["programmed"]["frontends"])
            # which is looked at every five seconds
            until(lambda: size - use()[0] < NEEDS, "the gauge follows", 10)
        quiet, before = scrape(node), use()
        ask_for_more(lab, "two", 15)
        until(lambda: conditions(node, "refused"), "the ports of the newcomer are refused")
        refused = conditions(node, "refused")
        assert all("default/two" in c["text"] and f"map {name}: full" in c["text"] for c in refused), refused
        assert {c["level"] for c in refused} == {"error"} and node.cli("status").returncode == 1
        text = scrape(node)
        assert samples(text)["fairlead_refused_service_ports",] == len(refused)
        assert is_firing(tmp_path, "FairleadServicePortsRefused", quiet, text)
        assert is_firing(tmp_path, "FairleadMapNearlyFull", quiet, text)
        # those of its ports that fit are there whole, the others not at all
        assert len(ports("two")) + len(refused) == 4 and len(ports("one")) == 4
        assert lab["client"].http(VIP, 80, 3)["failed"] == 0
        for file in ("one.yaml", "one-endpointslices.yaml"):
            lab.manifests.remove(file)
        until(lambda: not conditions(node, "refused") and len(ports("two")) == 4, "the newcomer is served", 10)
        assert node.cli("status").returncode == 0
        # a second later what the other left is free
        until(lambda: use()[0] == before[0], f"the gauge is exact again: {before}", 10)
    finally:
        lab.manifests.reset()
