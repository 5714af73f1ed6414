# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""DSR with packets that are not the usual ones: fragments both ways (robustness D3), and what is said about packets that do
not arrive (rules 5.1.5, 2.22; robustness D4, D7).
"""
import contextlib
import itertools

import pytest

import topology
from conftest import FAMILIES
from test_dsr import VIP, counter, dsr_lab, only, want_mode  # noqa: F401
from test_fragments import ORDER, PORT, forget_neighbours
from test_icmp import to_pods_of_node_2
from wait import until

FORWARDING = pytest.mark.parametrize("forwarding", ["dsr", "hybrid"])
PROTOS = pytest.mark.parametrize("proto, port", [("udp", PORT), ("tcp", 80)], ids=["UDP", "TCP"])
source_ports = itertools.count(43000)


@contextlib.contextmanager
def forwarded(lab, mode):
    want_mode(lab, mode)
    try:
        yield
    finally:
        want_mode(lab, "dsr")


def send_large_datagrams(lab, size, family):
    """Both ways in fragments. Those of IPv4 are sent in smaller ones, the sender of IPv6 has to be told first."""
    only(lab, "web-2a")

    def ask(n, timeout=10.0):
        return lab["client"].udp(VIP[family], PORT, n, size=size, timeout=timeout, source_port=next(source_ports))

    if family == 6:
        until(lambda: not ask(1, 1.0)["failed"], "the sender knows what fits", 10)
    before = {name: counter(lab, node, name) for node, name in
              (("node-1", "flows-tunnelled"), ("node-2", "flows-unpacked"), ("node-2", "fragments"))}
    report = ask(20)
    assert report["failed"] == 0 and set(report["answers"]) == {"web-2a"}, report
    assert counter(lab, "node-1", "flows-tunnelled") > before["flows-tunnelled"]
    assert counter(lab, "node-2", "flows-unpacked") > before["flows-unpacked"]
    assert counter(lab, "node-2", "fragments") >= before["fragments"] + 40


@FAMILIES
@pytest.mark.parametrize("size", [3000, 8000])
def test_d3_large_datagrams(dsr_lab, size, family):
    send_large_datagrams(dsr_lab, size, family)


def refused(lab):
    return lab.nodes["node-1"].json("status")["notForwarded"]["fragment-overlap"]


def send_in_order(lab, order, family):
    """Those that come before the first one wait for it, at both nodes."""
    only(lab, "web-2a")
    forget_neighbours(lab)
    before, overlap = counter(lab, "node-1", "fragments-held"), refused(lab)
    result = lab["client"].run(["python3", "-c", ORDER, VIP[family], str(PORT), order, str(next(source_ports))])
    assert result.stdout.split() == ["answered"], result
    assert counter(lab, "node-1", "fragments-held") > before
    # what waits has not gone on as well, and come back by the router
    assert refused(lab) == overlap


@FAMILIES
@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_d3_any_order(dsr_lab, order, family):
    send_in_order(dsr_lab, order, family)


@FAMILIES
@PROTOS
@FORWARDING
def test_d7_traceroute(dsr_lab, forwarding, proto, port, family):
    """Router, node-1, node-2, and then the pod: each hop is heard of under an address that the client knows."""
    lab = dsr_lab
    only(lab, "web-2a")
    with forwarded(lab, forwarding):
        heard = [lab["client"].call("probe", host=VIP[family], port=port, ttl=ttl, proto=proto) for ttl in (1, 2, 3, 4)]
    assert [one.get("from") for one in heard] == [topology.OUTSIDE["router"][family], VIP[family], VIP[family], None], heard
    assert [one.get("expired", False) for one in heard] == [True, True, True, False]
    assert heard[3].get("answered"), heard


@FAMILIES
@PROTOS
@FORWARDING
def test_2_22_closed_port_of_a_service(dsr_lab, forwarding, proto, port, family):
    lab = dsr_lab
    only(lab, "web-2a")
    with forwarded(lab, forwarding):
        heard = lab["client"].call("probe", host=VIP[family], port=port + 1, ttl=64, proto=proto)
    assert heard.get("from") == VIP[family], heard
    assert (heard["type"], heard["code"]) == {4: (3, 3), 6: (1, 4)}[family]


@FAMILIES
@FORWARDING
def test_5_1_5_closed_port_of_a_backend(dsr_lab, forwarding, family):
    """The pod's "port unreachable" goes straight to the client, as that of the address that was asked."""
    lab = dsr_lab
    only(lab, "web-2a")
    with forwarded(lab, forwarding):
        lab.stop_serving("web-2a")
        try:
            heard = lab["client"].call("probe", host=VIP[family], port=PORT, ttl=64)
        finally:
            lab.serve("web-2a")
    assert heard.get("from") == VIP[family], heard
    assert (heard["type"], heard["code"]) == {4: (3, 3), 6: (1, 4)}[family]


@contextlib.contextmanager
def cut_behind(lab, family):
    """node-1 reaches the pods of node-2 by the router, which has no way there."""
    there, node = to_pods_of_node_2(family), topology.NODES["node-2"][family]
    lab["router"].script(f"ip -{family} route replace unreachable {there}")
    lab["node-1"].script(f"ip -{family} route replace {there} via {topology.SEGMENT_ROUTER[family]}")
    lab.nodes["node-1"].notice()
    try:
        yield
    finally:
        lab["router"].script(f"ip -{family} route del unreachable {there}; ip -{family} route replace {there} via {node}")
        lab["node-1"].script(f"ip -{family} route replace {there} via {node}")
        lab.nodes["node-1"].notice()


@FAMILIES
@PROTOS
def test_5_1_5_router_between_the_nodes(dsr_lab, proto, port, family):
    """What it says of an encapsulated packet is told to the client about its own, from the address that was asked."""
    lab = dsr_lab
    only(lab, "web-2a")
    with cut_behind(lab, family):
        heard = lab["client"].call("probe", host=VIP[family], port=port, ttl=64, proto=proto)
    assert heard.get("from") == VIP[family], heard
    assert (heard["type"], heard["code"]) == {4: (3, 1), 6: (1, 3)}[family]
