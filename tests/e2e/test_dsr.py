# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""DSR with real connections: backends of another node answer the client themselves, and any node goes on with a
connection that another one has forwarded.
"""
import contextlib
import ipaddress
import json
import subprocess

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab
from test_changes import Traffic
from wait import until

SIZE = 1000000
STREAMS = 150
MODES = ("xdp", "tc")
VIP = cells.vip(10)
# the router sends VIPs of Service 10 to node-1
NETWORKS = {4: "203.0.113.0/28", 6: "2001:db8:113::/124"}


def write_nodes(lab, more=""):
    """A configuration file that names all nodes, with further settings; its path."""
    path = f"{lab.directory}/nodes.yaml"
    addresses = ", ".join(f'"{node[family]}"' for node in (*topology.NODES.values(), topology.EDGE) for family in (4, 6))
    with open(path, "w", encoding="utf-8") as file:
        file.write("apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n"
                   f"nodeAddresses: [{addresses}]\n{more}")
    return path


def restart(lab, more=""):
    path = write_nodes(lab, more)
    for node in lab.nodes.values():
        node.stop()
        node.start(mode=lab.hook, extra=["--config", path])


@pytest.fixture(scope="module", params=MODES)
def dsr_lab(request):
    lab = make_lab(mode=request.param)
    lab.hook = request.param
    restart(lab)
    want_mode(lab, "dsr")
    yield lab
    close_lab(lab)


def only(lab, *pods):
    lab.manifests.set_backends("web", pods)
    lab.settle()


def counter(lab, node, name):
    return lab.nodes[node].json("status")["counters"][name]


def want_mode(lab, mode):
    tree = lab.manifests.service("web", 10)
    tree["metadata"]["annotations"] = {"fairlead.dev/forwarding-mode": mode}
    lab.manifests.write("web.yaml", lab.manifests.documents(tree))
    lab.settle()


def go_by(lab, about):
    """The router sends the Service's addresses to this node."""
    for family, network in NETWORKS.items():
        lab["router"].script(f"ip -{family} route replace {network} via {about[family]}")


@contextlib.contextmanager
def by_node_2(lab):
    """It does so with the other one, for a while."""
    go_by(lab, topology.NODES["node-2"])
    try:
        yield
    finally:
        go_by(lab, topology.NODES["node-1"])


def expect_no_failure(ledgers):
    bad = {key: (ledger["failures"], ledger["events"][:5]) for key, ledger in ledgers.items()
           if ledger["failed"] or ledger["moved"]}
    assert not bad, bad


@FAMILIES
def test_backend_answers_the_client_itself(dsr_lab, family):
    only(dsr_lab, "web-2a")
    sent, taken = counter(dsr_lab, "node-1", "flows-tunnelled"), counter(dsr_lab, "node-2", "flows-unpacked")
    report = dsr_lab["client"].http(VIP[family], 80, 5)
    assert not report["failed"], report
    assert counter(dsr_lab, "node-1", "flows-tunnelled") >= sent + 5
    assert counter(dsr_lab, "node-2", "flows-unpacked") >= taken + 5
    flows = [flow for flow in dsr_lab.nodes["node-1"].json("flow", "list")["items"]
             if flow["backend"].endswith(":8080") and flow["tunnelled"]]
    assert flows and not any(flow["masqueraded"] or flow["paired"] for flow in flows), flows
    # nothing that answers has come by here
    assert not any(flow["replyPackets"] for flow in flows)


@FAMILIES
def test_a_megabyte_each_way(dsr_lab, family):
    only(dsr_lab, "web-2a")
    moved = dsr_lab["client"].bulk(VIP[family], 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)


def take_over_and_back(lab):
    """Connections go by the other node in their middle, and by the first again."""
    only(lab, *cells.ALL)
    traffic = Traffic(lab, {"client": VIP}, ("long", "short"), streams=16)
    try:
        traffic.round()
        with by_node_2(lab):
            traffic.round()
            assert counter(lab, "node-2", "flows-taken-over") > 0
        traffic.round()
    finally:
        ledgers = traffic.stop()
    expect_no_failure(ledgers)


def test_another_node_takes_connections_over(dsr_lab):
    take_over_and_back(dsr_lab)


def test_others_stay_when_a_backend_goes_meanwhile(dsr_lab):
    """Those of the backend that is gone go on too, where they are known: at its own node."""
    only(dsr_lab, *cells.ALL)
    traffic = Traffic(dsr_lab, {"client": VIP}, ("long",), streams=16)
    try:
        traffic.round()
        with by_node_2(dsr_lab):
            traffic.round()
            dsr_lab.manifests.set_backends("web", [pod for pod in cells.ALL if pod != "web-1b"])
            dsr_lab.settle()
            traffic.round()
    finally:
        ledgers = traffic.stop()
    expect_no_failure(ledgers)


def passed_on(lab):
    return sum(counter(lab, node, "segments-passed-on") for node in lab.nodes)


@pytest.fixture(scope="module")
def edge(dsr_lab):
    """A node that has no pods, so that of all connections that it takes over it knows none."""
    node = dsr_lab.add_edge_node("node-3")
    node.start(mode=dsr_lab.hook, extra=["--config", write_nodes(dsr_lab)])
    yield topology.EDGE
    node.stop()
    del dsr_lab.nodes["node-3"]


def change_and_move(lab, first, second, change):
    """Connections begin by one node, the table changes, and only then they go by another one, which has never seen them."""
    only(lab, *cells.ALL)
    go_by(lab, first)
    try:
        traffic = Traffic(lab, {"client": VIP}, ("long",), streams=STREAMS)
        try:
            traffic.round()
            change()
            go_by(lab, second)
            traffic.round()
            traffic.round()
        finally:
            # one that waits in vain has failed then
            ledgers = traffic.stop()
    finally:
        go_by(lab, topology.NODES["node-1"])
    expect_no_failure(ledgers)


def test_the_table_changes_and_then_another_node_takes_over(dsr_lab):
    """By a node that has half of the pods, and back: whatever places the table moves, nothing is cut."""
    one, two = topology.NODES["node-1"], topology.NODES["node-2"]
    for first, second, gone in ((one, two, "web-2b"), (two, one, "web-2b"), (one, two, "web-1a"), (two, one, "web-1a")):
        change_and_move(dsr_lab, first, second,
                        lambda gone=gone: only(dsr_lab, *(pod for pod in cells.ALL if pod != gone)))


@pytest.mark.parametrize("left", [("web-1a", "web-2a"), ("web-1b",), ("web-2a", "web-2b")], ids="-".join)
def test_a_node_without_pods_takes_over(dsr_lab, edge, left):
    """The pods that leave go on with what they have. All that began at them have other places now, so the table leads to a
    pod that does not know them, whose node sends them on: with those by chance, no port need be chosen for it."""
    before = passed_on(dsr_lab)
    change_and_move(dsr_lab, topology.NODES["node-1"], edge, lambda: only(dsr_lab, *left))
    assert passed_on(dsr_lab) > before


def test_three_changes_before_a_node_takes_over(dsr_lab, edge):
    def change():
        for left in (("web-1a", "web-1b", "web-2a"), ("web-1b", "web-2a"), ("web-2a",)):
            only(dsr_lab, *left)

    for first, second in ((topology.NODES["node-2"], edge), (edge, topology.NODES["node-1"])):
        change_and_move(dsr_lab, first, second, change)


def shown(lab):
    """The mode of each protocol of the Service."""
    items = lab.nodes["node-1"].json("service", "get", "default/web")["items"]
    return {(item["protocol"], item["forwarding"]) for item in items}


def test_the_mode_changes_under_running_connections(dsr_lab):
    """By the annotation; each connection keeps its way."""
    lab = dsr_lab
    only(lab, "web-2a", "web-2b")
    want_mode(lab, "snat")
    traffic = Traffic(lab, {"client": VIP}, ("long", "short"), streams=4)
    try:
        traffic.round()
        assert ("TCP", "snat") in shown(lab)
        for mode, both in (("dsr", {"dsr"}), ("snat", {"snat"}), ("hybrid", {"dsr", "snat"})):
            want_mode(lab, mode)
            traffic.round()
            before = counter(lab, "node-1", "flows-tunnelled")
            traffic.round()
            assert {word for _, word in shown(lab)} == both, (mode, shown(lab))
            assert (counter(lab, "node-1", "flows-tunnelled") > before) == ("dsr" in both)
    finally:
        ledgers = traffic.stop()
        want_mode(lab, "dsr")
    expect_no_failure(ledgers)


@FAMILIES
def test_strangers_are_not_unpacked(dsr_lab, family):
    """A node that is not known (any more): its packets are dropped under their name."""
    lab, node = dsr_lab, dsr_lab.nodes["node-2"]
    only(lab, "web-2a")
    lab.manifests.remove("nodes.yaml")
    lab.settle()
    node.stop()
    node.start(mode=lab.hook)
    try:
        report = lab["client"].http(VIP[family], 80, 1)
        assert report["failed"] == 1, report
        until(lambda: node.json("status")["notForwarded"]["tunnel-source"] > 0, "a named drop", 5)
        # its Node object says who it is
        lab.manifests.restore("nodes.yaml")
        until(lambda: not lab["client"].http(VIP[family], 80, 1)["failed"], "the node is known", 10)
    finally:
        lab.manifests.restore("nodes.yaml")
        restart(lab)


RANGES = {4: "198.18.0.0/16", 6: "fd00:198::/112"}
CONNECTIONS = 20
# outer sources of what node-1 sends, by the port of the client inside, of so many connections
LISTEN = """
import ipaddress, json, socket, sys
v6, count = sys.argv[1] == "6", int(sys.argv[2])
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind(("port1", 0))
kind, size, protocol, at = (b"\\x86\\xdd", 40, 41, 20) if v6 else (b"\\x08\\x00", 20, 4, 23)
print("ready", flush=True)
seen = {}
while len(seen) < count:
    frame = sock.recv(65535)
    if len(frame) < 14 + 2 * size + 2 or frame[12:14] != kind or frame[at] != protocol:
        continue
    source = frame[22:38] if v6 else frame[26:30]
    port = int.from_bytes(frame[14 + 2 * size:16 + 2 * size], "big")
    seen.setdefault(port, set()).add(str(ipaddress.ip_address(source)))
print(json.dumps({port: sorted(sources) for port, sources in seen.items()}), flush=True)
"""


@FAMILIES
def test_outer_sources_are_spread(dsr_lab, family):
    """tunnelSources: each connection has an outer source of its own, by which network cards and equal paths are told apart."""
    lab = dsr_lab
    only(lab, "web-2a")
    restart(lab, f'tunnelSources: ["{RANGES[4]}", "{RANGES[6]}"]\n')
    listener = lab["router"].popen(["python3", "-c", LISTEN, str(family), str(CONNECTIONS)], stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == "ready\n"
        taken = counter(lab, "node-2", "flows-unpacked")

        def heard():
            report = lab["client"].http(VIP[family], 80, 5)
            assert not report["failed"], report
            return listener.poll() is not None

        until(heard, "connections are seen on the wire", 10)
        sources = list(json.loads(listener.stdout.read()).values())
        assert counter(lab, "node-2", "flows-unpacked") >= taken + CONNECTIONS
    finally:
        listener.kill()
        listener.wait()
        restart(lab)
    assert all(len(one) == 1 for one in sources), "packets of one connection stay together"
    assert all(ipaddress.ip_address(one[0]) in ipaddress.ip_network(RANGES[family]) for one in sources)
    # of 65,536 addresses; with one source for all there would be one
    assert len({one[0] for one in sources}) >= CONNECTIONS - 2
