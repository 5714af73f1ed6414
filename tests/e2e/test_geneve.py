# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""DSR by Geneve with real connections, where pods' addresses are routed nowhere between the nodes; and where an overlay
takes to them what is masqueraded.
"""
import contextlib

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab
from test_changes import Traffic
from test_dsr import MODES, by_node_2, counter, expect_no_failure, only, shown, take_over_and_back, want_mode
from test_dsr_packets import send_in_order, send_large_datagrams
from test_icmp import NARROW, SIZE, forget_sizes, narrow_before
from test_pmtu import as_routes_say
from wait import until

VIP = cells.vip(10)


def restart(lab, more=""):
    path = f"{lab.directory}/geneve.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ndsr:\n  dispatch: geneve\n{more}")
    for node in lab.nodes.values():
        node.stop()
        node.start(mode=lab.hook, extra=["--config", path])


def make_geneve_lab(hook, network, **options):
    lab = make_lab(mode=hook, network=network, **options)
    lab.hook = hook
    restart(lab)
    want_mode(lab, "dsr")
    return lab


@pytest.fixture(scope="module", params=MODES)
def geneve_lab(request):
    lab = make_geneve_lab(request.param, "unrouted")
    yield lab
    close_lab(lab)


@FAMILIES
def test_backend_answers_the_client_itself(geneve_lab, family):
    """Nobody between the nodes could bring it a packet by its own address."""
    lab = geneve_lab
    only(lab, "web-2a")
    pod = topology.pod_addresses("web-2a")[family]
    assert "unreachable" in lab["node-1"].run(["ip", f"-{family}", "route", "show", "match", pod]).stdout
    sent, taken = counter(lab, "node-1", "flows-tunnelled"), counter(lab, "node-2", "flows-unpacked")
    report = lab["client"].http(VIP[family], 80, 5)
    assert not report["failed"], report
    assert counter(lab, "node-1", "flows-tunnelled") >= sent + 5
    assert counter(lab, "node-2", "flows-unpacked") >= taken + 5
    flows = [flow for flow in lab.nodes["node-1"].json("flow", "list")["items"] if flow["tunnelled"]]
    assert flows and not any(flow["replyPackets"] for flow in flows), flows
    assert lab.nodes["node-1"].json("status")["dsrDispatch"] == "geneve"


@FAMILIES
def test_a_megabyte_each_way(geneve_lab, family):
    only(geneve_lab, "web-2a")
    moved = geneve_lab["client"].bulk(VIP[family], 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)


@FAMILIES
@pytest.mark.parametrize("size", [3000, 8000])
def test_d3_large_datagrams(geneve_lab, size, family):
    send_large_datagrams(geneve_lab, size, family)


@FAMILIES
@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_d3_any_order(geneve_lab, order, family):
    send_in_order(geneve_lab, order, family)


def test_another_node_takes_connections_over(geneve_lab):
    take_over_and_back(geneve_lab)


def test_a_restart_cuts_nothing(geneve_lab):
    """Where the nodes of backends are is found in the maps before anybody has said so."""
    lab = geneve_lab
    only(lab, "web-2a", "web-2b")
    traffic = Traffic(lab, {"client": VIP}, ("long",), streams=8)
    try:
        traffic.round()
        restart(lab)
        traffic.round()
    finally:
        ledgers = traffic.stop()
    expect_no_failure(ledgers)


@FAMILIES
@pytest.mark.parametrize("pod", ["web-1a", "web-2a"], ids=["local", "remote"])
def test_g23_narrow_before_the_client(geneve_lab, pod, family):
    """What a router says of a backend's answers goes to the backend by Geneve, too. Before the test that narrows the
    way between the nodes, which is remembered for SYNs."""
    lab = geneve_lab
    only(lab, pod)
    with as_routes_say(lab, restart, "  ipv6PathMTU: 0\n"), narrow_before(lab, family):
        forget_sizes(lab, family)
        before = sum(counter(lab, node, "icmp-errors") for node in lab.nodes)
        moved = lab["client"].bulk(VIP[family], 80, SIZE)
        assert (moved["down"], moved["up"]) == (SIZE, SIZE)
        assert sum(counter(lab, node, "icmp-errors") for node in lab.nodes) > before


@contextlib.contextmanager
def narrow_between(lab, family):
    """node-1 reaches node-2 by the router, whose way there is narrow."""
    node = topology.NODES["node-2"][family]
    lock = "mtu lock" if family == 4 else "mtu"
    via = f"via {topology.SEGMENT_ROUTER[family]}"
    lab["router"].script(f"ip -{family} route add {node} dev br0 {lock} {NARROW}")
    lab["node-1"].script(f"ip -{family} route add {node} {via}")
    lab.nodes["node-1"].notice()
    try:
        yield
    finally:
        lab["router"].script(f"ip -{family} route del {node} dev br0")
        lab["node-1"].script(f"ip -{family} route del {node} {via}")
        lab.nodes["node-1"].notice()


@FAMILIES
def test_g23_narrow_between_the_nodes(geneve_lab, family):
    """The router tells the node, about what that has encapsulated, and that the client. Of IPv6 the SYN has told it: no sender
    makes packets of less than 1280 bytes."""
    lab = geneve_lab
    only(lab, "web-2b")
    with narrow_between(lab, family):
        forget_sizes(lab, family)
        before = counter(lab, "node-1", "icmp-errors")
        moved = lab["client"].bulk(VIP[family], 80, SIZE)
        assert (moved["down"], moved["up"]) == (SIZE, SIZE)
        assert (counter(lab, "node-1", "icmp-errors") > before) == (family == 4)


@FAMILIES
def test_strangers_are_not_unpacked(geneve_lab, family):
    """A node that is not known (any more): its packets are dropped under their name."""
    lab, node = geneve_lab, geneve_lab.nodes["node-2"]
    only(lab, "web-2a")
    assert not lab["client"].http(VIP[family], 80, 1)["failed"]
    lab.manifests.remove("nodes.yaml")
    lab.settle()
    try:
        # node-1 still knows where the pod is, and says that it is not told any more
        report = lab["client"].http(VIP[family], 80, 1)
        assert report["failed"] == 1, report
        until(lambda: node.json("status")["notForwarded"]["tunnel-source"] > 0, "a named drop", 5)
        said = [one["text"] for one in lab.nodes["node-1"].api("/v1/status")["conditions"]]
        assert any("DSR by Geneve cannot reach them" in text for text in said), said
        lab.manifests.restore("nodes.yaml")
        until(lambda: not lab["client"].http(VIP[family], 80, 1)["failed"], "the node is known", 10)
    finally:
        lab.manifests.restore("nodes.yaml")
        lab.settle()


@FAMILIES
def test_segments_that_devices_divide(family):
    """With every offload on, what is put into Geneve may be many segments, and unfinished checksums."""
    lab = make_geneve_lab("tc", "unrouted", devices="raw")
    try:
        only(lab, "web-2a")
        for _ in range(3):
            moved = lab["client"].bulk(VIP[family], 80, SIZE)
            assert (moved["down"], moved["up"]) == (SIZE, SIZE)
        assert not lab["client"].http(VIP[family], 80, 5)["failed"]
    finally:
        close_lab(lab)


@pytest.mark.parametrize("hook", MODES)
def test_hybrid_over_an_overlay(hook):
    """TCP is sent to the node, by its own address; UDP to the pod, masqueraded, by the overlay."""
    lab = make_geneve_lab(hook, "calico")
    try:
        only(lab, "web-2a")
        want_mode(lab, "hybrid")
        assert {word for _, word in shown(lab)} == {"dsr", "snat"}
        traffic = Traffic(lab, {"client": VIP}, ("long", "short"), streams=4)
        try:
            traffic.round()
        finally:
            ledgers = traffic.stop()
        expect_no_failure(ledgers)
        flows = lab.nodes["node-1"].json("flow", "list")["items"]
        assert {flow["protocol"] for flow in flows if flow["tunnelled"]} == {"TCP"}, flows
        for family in (4, 6):
            assert lab["client"].call("probe", host=VIP[family], port=5353, ttl=64).get("answered")
        flows = lab.nodes["node-1"].json("flow", "list")["items"]
        assert any(flow["protocol"] == "UDP" and flow["masqueraded"] for flow in flows), flows
    finally:
        close_lab(lab)
