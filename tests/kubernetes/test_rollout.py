# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent's pods come, with no more than a node's name, and are replaced by others while connections are made and held."""
import re

import pytest

import chart
import topology
from control_plane import PORT
from test_api import outside, vip
from test_install import KUBEADM, LAB, PATHS, PODS, Installation, image_root, lab, serves  # noqa: F401
from wait import until

ARGV = ["/usr/sbin/fairleadd", "--node", "node-1"]


def bare(node, config_map):
    """A pod of nothing but the agent and its node's name. What it finds where it looks by itself: the node's BPF file
    system and cgroups, its ServiceAccount, and kube-proxy's ConfigMap."""
    host = (("bpf", "/sys/fs/bpf", "Directory"), ("cgroup", "/sys/fs/cgroup", "Directory"),
            ("run", "/run/fairlead", "DirectoryOrCreate"))
    mounts = [{"name": name, "mountPath": path} for name, path, _ in host]
    return {"metadata": {"namespace": chart.NAMESPACE}, "spec": {"template": {"spec": {
        "hostNetwork": True, "serviceAccountName": "fairlead",
        "volumes": [{"name": name, "hostPath": {"path": path, "type": kind}} for name, path, kind in host]
        + [{"name": "kube-proxy", "configMap": {"name": config_map}}],
        "containers": [{
            "name": "fairleadd", "command": [ARGV[0]], "args": ["--node", node],
            # as the chart does: the address that pods are told is a Service's
            "env": [{"name": "KUBERNETES_SERVICE_HOST", "value": topology.SEGMENT_ROUTER[4]},
                    {"name": "KUBERNETES_SERVICE_PORT", "value": str(PORT)}],
            "startupProbe": {"httpGet": {"host": "127.0.0.1", "port": 10256, "path": "/livez"}},
            "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]}},
            "volumeMounts": mounts + [{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy", "readOnly": True}]}]}}}}


@pytest.mark.parametrize("kubeconfig", [True, False], ids=["as kubeadm writes it", "without a kubeconfig"])
def test_11_1_no_option_but_the_node(lab, kubeconfig):  # noqa: F811
    """9.1, 11.1: `fairleadd --node NAME` in a pod is all that it takes: credentials, API server, settings, node addresses,
    pod CIDRs, zone and devices are found."""
    cluster, name = lab.cluster, "kube-proxy" if kubeconfig else "kube-proxy-in-cluster"
    data = KUBEADM if kubeconfig else {"config.conf": re.sub("kubeconfig: .*", 'kubeconfig: ""', KUBEADM["config.conf"])}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
                   "metadata": {"name": name, "namespace": chart.NAMESPACE}})
    for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"):
        for tree in chart.objects(chart.render())[kind]:
            cluster.apply(tree)
    for node, kubelet in cluster.kubelets.items():
        kubelet.run(bare(node, name))
    try:
        (pid,) = {cluster.kubelets["node-1"].running["fairleadd"].pid()}
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
            assert line.read().split("\0")[:-1] == ARGV
        serves(lab)
        for family in (4, 6):
            assert lab["client"].http(outside(12, family), 80, 24)["failed"] == 0
        for number, node in enumerate(lab.nodes.values()):
            node.wait_status(0)
            assert f"zone-{'ab'[number]}" in node.cli("status").stdout
            settings = node.place.run(["curl", "-s", "http://127.0.0.1:10249/configz"]).stdout
            assert topology.CLUSTER_CIDR.split(",")[0] in settings, settings
    finally:
        for node, kubelet in cluster.kubelets.items():
            kubelet.stop()
            lab.nodes[node].cleanup()


class Load:
    """Numbered requests of each kind, from outside and from a pod of each node, that must all be answered."""

    def __init__(self, lab):  # noqa: F811
        self.lab = lab
        node = topology.NODES["node-1"]
        self.places = {}
        for place in ("client", "cli-1", "cli-2"):
            self.places[place] = []
            for family in (4, 6):
                at = {"vip": (outside(12, family), 80, 5353), "node-port": (node[family], 30012, 31012)} \
                    if place == "client" else {"cluster-ip": (vip(12, family), 80, 5353)}
                self.places[place] += [
                    {"kind": kind, "host": host, "port": udp if kind == "udp" else tcp, "streams": 2,
                     "label": f"{kind} {word} {family}"}
                    for word, (host, tcp, udp) in at.items() for kind in ("short", "long", "udp")]

    def __enter__(self):
        for place, targets in self.places.items():
            self.lab[place].call("load_start", name="rollout", targets=targets, interval=0.02)
        return self

    def __exit__(self, *_):
        for place in self.places:
            self.lab[place].call("load_stop", name="rollout")

    def look(self):
        return {(place, label): ledger for place in self.places
                for label, ledger in self.lab[place].call("load_look", name="rollout").items()}

    @staticmethod
    def check(ledgers):
        failed = {key: (ledger["failures"], ledger["events"]) for key, ledger in ledgers.items() if ledger["failed"]}
        moved = {key: ledger["moved"] for key, ledger in ledgers.items() if ledger["moved"]}
        assert (failed, moved) == ({}, {})

    def go_on(self, answers=10):
        """Until each has been answered so much more often."""
        before = self.look()

        def on():
            now = self.look()
            self.check(now)
            return all(now[key]["answered"] >= before[key]["answered"] + answers for key in now)
        until(on, "every kind of request is answered", 60, 0.2)


def template(daemonset):
    return daemonset["spec"]["template"]


def test_an_upgrade_loses_no_request(lab):  # noqa: F811
    """An upgrade to another image and other settings, one node after the other: no request fails while a pod ends, while
    none is there, and while the next takes over; connections keep their backends."""
    cluster = lab.cluster
    old = cluster.install(*LAB, "--set", "image.tag=1")
    serves(lab)
    maps = {name: [pin for pin in node.pins() if "/maps/" in pin] for name, node in lab.nodes.items()}
    with Load(lab) as load:
        load.go_on()
        objects = chart.objects(chart.render(*LAB, "--set", "image.tag=2,debug.enabled=true,nodePort.range=30000-32000"))
        for trees in objects.values():
            for tree in trees:
                cluster.apply(tree)
        new = cluster.request("GET", PATHS["DaemonSet"].format(chart.NAMESPACE) + "/fairlead")
        # so that the DaemonSet's controller replaces the pods, two agents never being on one node
        assert template(new)["spec"]["containers"][0]["image"] != template(old)["spec"]["containers"][0]["image"]
        assert template(new)["metadata"]["annotations"] != template(old)["metadata"]["annotations"]
        assert new["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0
        root = image_root(f"{cluster.directory}/image-2")
        for name, kubelet in cluster.kubelets.items():
            node = lab.nodes[name]
            assert kubelet.stop() == {"fairleadd": 0}
            load.go_on()
            assert [pin for pin in node.pins() if "/maps/" in pin] == maps[name]
            kubelet.root, size = root, len(open(kubelet.log, "rb").read())
            kubelet.run(new)
            node.wait_status(0, 60)
            load.go_on()
            with open(kubelet.log, encoding="utf-8", errors="replace") as log:
                said = log.read()[size:]
            assert " debug " in said and "taken over from an earlier agent" in said, said
        load.go_on()
        load.check(load.look())
    serves(lab)
