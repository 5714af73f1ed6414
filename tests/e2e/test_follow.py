# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the node changes under running programs is followed by the agent that serves, and flows live on (10.13)."""
import os
import re

import pytest

import cells
import topology
from conftest import FAMILIES
from test_changes import Traffic, failures
from wait import until

PORTS = 100  # source ports that a node has here
FIRST = {"few": 62000, "other": 64000}


def write(path, text):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


def configuration(lab, *lines):
    path = f"{lab.directory}/follow.yaml"
    write(path, "\n".join(["apiVersion: fairlead.dev/v1", "kind: FairleadConfiguration",
                           "systemCallFilter: kill", "masqueradeLocal: true",
                           # where the answers of this node's pods to its own address come by
                           "podDevices: [veth-*]", *lines]) + "\n")
    return path


def nodes_with(lab, *cidrs):
    """The Nodes' manifest, in which node-1, the first, has these podCIDRs."""
    with open(lab.manifests.path("nodes.yaml"), encoding="utf-8") as file:
        text = file.read()
    pattern = r"podCIDR: \S+\n    podCIDRs:\n(    - \S+\n)+"
    have = "".join(f"    - {cidr}\n" for cidr in cidrs)
    return re.sub(pattern, f"podCIDR: {cidrs[0]}\n    podCIDRs:\n{have}" if cidrs else "unschedulable: false\n",
                  text, count=1)


def seen(lab, family, host=cells.WEB):
    """As whom a pod of node-1 sees the client that asks by node-1; "both" while that changes."""
    report = lab["client"].http(host[family], 80, 4)
    assert not report["failed"], report
    assert set(report["answers"]) == {"web-1a"}, report
    if len(report["clients"]) > 1:
        return "both"
    (address,) = report["clients"]
    return cells.name_of(lab, cells.CELLS[0]._replace(source="client"), family, address)


@pytest.fixture
def node(own_lab):
    """Node-1, whose agent is stopped: a test starts it with its configuration. All requests end at web-1a."""
    lab = own_lab
    for each in lab.nodes.values():
        each.stop()
    lab.manifests.set_backends("web", ["web-1a"])
    yield lab.nodes["node-1"]
    lab.nodes["node-1"].stop()
    lab.manifests.reset()
    lab.nodes["node-1"].place.script("echo > /proc/sys/net/ipv4/ip_local_reserved_ports")


def test_10_13_pod_cidrs(own_lab, node):
    """NodeCIDR: what is in the podCIDRs is a pod, and so not masqueraded; those that change change that at once."""
    lab = own_lab
    node.start(cluster_cidr=None, extra=["--config", configuration(lab, "detectLocalMode: NodeCIDR")])
    pid = node.pid()
    traffic = Traffic(lab, {"client": cells.WEB}, ("short", "long", "udp"))
    for family in (4, 6):
        assert seen(lab, family) == "node-1"
    lab.manifests.write("nodes.yaml", nodes_with(lab, "198.51.100.0/24", "2001:db8:51::/64"))
    for family in (4, 6):
        until(lambda f=family: seen(lab, f) == "itself", "the client is a pod", 10, 0.1)
    traffic.round()
    # one family alone is told by a range; in the other nobody is known to be a pod, or not to be one (5.3.2)
    lab.manifests.write("nodes.yaml", nodes_with(lab, "10.244.1.0/24"))
    until(lambda: seen(lab, 4) == "node-1", "the client is no pod", 10, 0.1)
    until(lambda: seen(lab, 6) == "itself", "nobody is told by an address", 10, 0.1)
    lab.manifests.write("nodes.yaml", nodes_with(lab, "10.244.1.0/24", "fd00:244:1::/64"))
    for family in (4, 6):
        until(lambda f=family: seen(lab, f) == "node-1", "the client is no pod", 10, 0.1)
    # what is not known any more is no reason to change anything
    lab.manifests.write("nodes.yaml", nodes_with(lab))
    node.settle()
    traffic.round()
    for family in (4, 6):
        assert seen(lab, family) == "node-1"
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert not any(ledger["moved"] for ledger in ledgers.values())
    assert node.pid() == pid and node.agent.poll() is None
    node.wait_status(0)


def test_cluster_cidr_by_reload(own_lab, node):
    """A configuration that is read again changes clusterCIDR; settings that cannot be followed are named."""
    lab = own_lab
    extra = ["--config", configuration(lab, "clusterCIDR: 10.244.0.0/16,fd00:244::/32")]
    node.start(cluster_cidr=None, extra=extra)
    assert seen(lab, 4) == "node-1"
    configuration(lab, "clusterCIDR: [198.51.100.0/24, '2001:db8:51::/64']", "maglev: {ratio: 100}")
    assert node.cli("reload").returncode == 0
    for family in (4, 6):
        until(lambda f=family: seen(lab, f) == "itself", "the client is a pod", 10, 0.1)
    assert "wait until the agent is started again: maglev.ratio" in node.cli("status").stdout
    # a file that says nothing changes nothing
    write(extra[1], "kind: nonsense\n")
    assert node.cli("reload").returncode == 0
    assert "the configuration cannot be read again" in node.cli("status").stdout
    assert seen(lab, 4) == "itself"
    configuration(lab, "clusterCIDR: 10.244.0.0/16,fd00:244::/32")
    # and without a word a change is seen within ten seconds
    until(lambda: seen(lab, 4) == "node-1", "the client is no pod", 30, 0.1)
    until(lambda: "settings" not in node.cli("status").stdout, "nothing is amiss with the settings", 10, 0.1)


def leave(node, first):
    """Have the kernel's settings leave PORTS ports."""
    node.place.script(f"echo 1024-{first - 1},{first + PORTS}-65535 > /proc/sys/net/ipv4/ip_local_reserved_ports")


def source_ports(node, family):
    """The source ports of the client's flows."""
    items = node.json("flow", "list", "--limit", "100000")["items"]
    return {int(item["source"].rsplit(":", 1)[1]) for item in items
            if item["family"] == f"IPv{family}" and item["masqueraded"]}


def forget(node):
    """Flows of tests before."""
    for client in ("198.51.100.0/24", "2001:db8:51::/64"):
        assert node.cli("flow", "flush", "--client", client).returncode == 0


@FAMILIES
def test_source_ports(own_lab, node, family):
    """The ports that ip_local_reserved_ports leaves are followed; what has another goes on with it."""
    lab = own_lab
    leave(node, FIRST["few"])
    node.start(extra=["--config", configuration(lab)])
    forget(node)
    traffic = Traffic(lab, {"client": cells.WEB}, ("long",))
    traffic.round()
    before = source_ports(node, family)
    assert before and all(0 <= port - FIRST["few"] < PORTS for port in before), before
    leave(node, FIRST["other"])
    node.wait_log(f"source ports for masquerading: {FIRST['other']}-{FIRST['other'] + PORTS - 1}")
    assert node.json("status")["sourcePorts"] == PORTS
    before |= source_ports(node, family)
    assert seen(lab, family) == "node-1"
    after = source_ports(node, family) - before
    assert after and all(0 <= port - FIRST["other"] < PORTS for port in after), after
    traffic.round()
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert not any(ledger["moved"] for ledger in ledgers.values())
    assert "source-ports" not in node.cli("status").stdout


def test_node_port_range_by_reload(own_lab, node):
    """nodePortRange is kept out of the source ports, and may be another by a reload."""
    lab = own_lab
    leave(node, FIRST["few"])
    half = PORTS // 2
    node.start(extra=["--config", configuration(lab)])
    forget(node)
    assert node.json("status")["sourcePorts"] == PORTS
    configuration(lab, f"nodePortRange: {FIRST['few']}-{FIRST['few'] + half - 1}")
    assert node.cli("reload").returncode == 0
    until(lambda: node.json("status")["sourcePorts"] == half, "the ports follow", 10, 0.1)
    assert seen(lab, 4) == "node-1"
    assert all(FIRST["few"] + half <= port < FIRST["few"] + PORTS for port in source_ports(node, 4))
    # a range that leaves nothing: what was in use stays so
    configuration(lab, f"nodePortRange: {FIRST['few']}-{FIRST['few'] + PORTS - 1}")
    assert node.cli("reload").returncode == 0
    until(lambda: "leave no source port for masquerading" in node.cli("status").stdout, "it says so", 10, 0.1)
    assert node.json("status")["sourcePorts"] == half
    assert seen(lab, 4) == "node-1"


def test_9_6_address_to_masquerade_with(own_lab, node):
    """9.6: the node's address, which is masqueraded with where the way out has none, is followed."""
    lab = own_lab
    other = {"old": topology.NODES["node-1"][4], "new": "172.18.0.111"}

    def masqueraded_with():
        return set(lab["client"].http(cells.WEB[4], 80, 2)["clients"])

    node.start(extra=["--config", configuration(lab)])
    assert masqueraded_with() == {other["old"]}
    node.place.script(f"ip addr add {other['new']}/24 dev eth0")
    try:
        text = open(lab.manifests.path("nodes.yaml"), encoding="utf-8").read()
        lab.manifests.write("nodes.yaml", text.replace(f"address: {other['old']}\n", f"address: {other['new']}\n"))
        until(lambda: masqueraded_with() == {other["new"]}, "the other address", 10, 0.1)
    finally:
        node.place.script(f"ip addr del {other['new']}/24 dev eth0")
    until(lambda: masqueraded_with() == {other["old"]}, "an address that is there", 10, 0.1)
