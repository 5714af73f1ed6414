# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""ICMP on the way of real connections (rules 5.1.5, 2.24; robustness D4, D7, D10, G23): what routers say of a
translated packet reaches the end that sent it, few hops to live are answered, and so is a ping.
"""
import contextlib

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab

SIZE = 1000000
NARROW = 1280
MODES = ("xdp", "tc")
PODS = pytest.mark.parametrize("pod", ["web-1a", "web-2a"], ids=["local", "remote"])
# node-1 serves this address; a backend on node-2 is reached by masquerading
VIP = cells.vip(10)


@pytest.fixture(scope="module", params=MODES)
def icmp_lab(request):
    lab = make_lab(mode=request.param)
    yield lab
    close_lab(lab)


def only(lab, pod):
    lab.manifests.set_backends("web", (pod,))
    lab.settle()


def counter(lab, name):
    return lab.nodes["node-1"].json("status")["counters"][name]


def to_pods_of_node_2(family):
    return {4: "10.244.2.0/24", 6: "fd00:244:2::/64"}[family]


@contextlib.contextmanager
def narrow_behind(lab, family):
    """node-1 reaches the pods of node-2 by the router, whose way there is narrow."""
    there, node = to_pods_of_node_2(family), topology.NODES["node-2"][family]
    lock = "mtu lock" if family == 4 else "mtu"
    lab["router"].script(f"ip -{family} route replace {there} via {node} {lock} {NARROW}")
    lab["node-1"].script(f"ip -{family} route replace {there} via {topology.SEGMENT_ROUTER[family]}")
    lab.nodes["node-1"].notice()
    try:
        yield
    finally:
        lab["router"].script(f"ip -{family} route replace {there} via {node}")
        lab["node-1"].script(f"ip -{family} route replace {there} via {node}")
        lab.nodes["node-1"].notice()


@contextlib.contextmanager
def narrow_before(lab, family):
    """The router's way to the client is narrow."""
    client = topology.OUTSIDE["client"][family]
    lock = "mtu lock" if family == 4 else "mtu"
    lab["router"].script(f"ip -{family} route add {client} dev out0 {lock} {NARROW}")
    try:
        yield
    finally:
        lab["router"].script(f"ip -{family} route del {client} dev out0")


def forget_sizes(lab, family):
    """What routers have said of earlier connections."""
    for place in ("client", "web-1a", "web-2a"):
        lab[place].script(f"ip -{family} route flush cache")


def move(lab, family):
    forget_sizes(lab, family)
    before = counter(lab, "icmp-errors")
    moved = lab["client"].bulk(VIP[family], 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)
    assert counter(lab, "icmp-errors") > before, "no router has said that a packet is too big"


@FAMILIES
def test_g23_narrow_way_behind_the_node(icmp_lab, family):
    """The client hears of a hop that it cannot know, between the node and the backend."""
    only(icmp_lab, "web-2a")
    with narrow_behind(icmp_lab, family):
        move(icmp_lab, family)


@FAMILIES
@PODS
def test_g23_narrow_way_to_the_client(icmp_lab, pod, family):
    """So does the backend, of one between the node and the client."""
    only(icmp_lab, pod)
    with narrow_before(icmp_lab, family):
        move(icmp_lab, family)


@FAMILIES
@pytest.mark.parametrize("proto, port", [("udp", 5353), ("tcp", 80)], ids=["UDP", "TCP"])
def test_d7_traceroute_through_the_node(icmp_lab, proto, port, family):
    """Router, node-1, node-2, and then the pod: each hop is heard of, though the client sees no pod's address."""
    only(icmp_lab, "web-2a")
    heard = [icmp_lab["client"].call("probe", host=VIP[family], port=port, ttl=ttl, proto=proto)
             for ttl in (1, 2, 3, 4)]
    assert [one.get("from") for one in heard] == [topology.OUTSIDE["router"][family], VIP[family], VIP[family], None]
    assert [one.get("expired", False) for one in heard] == [True, True, True, False]
    assert heard[3].get("answered"), heard


@FAMILIES
@PODS
def test_5_1_5_a_closed_port_of_a_backend(icmp_lab, pod, family):
    """The pod's "port unreachable" arrives as that of the address that was asked."""
    only(icmp_lab, pod)
    icmp_lab.stop_serving(pod)
    try:
        heard = icmp_lab["client"].call("probe", host=VIP[family], port=5353, ttl=64)
    finally:
        icmp_lab.serve(pod)
    assert heard.get("from") == VIP[family] and (heard["type"], heard["code"]) == {4: (3, 3), 6: (1, 4)}[family]


@FAMILIES
@pytest.mark.parametrize("place, address", [
    ("client", VIP), ("client", cells.EXTERNAL), ("client", cells.WEB), ("cli-1", cells.WEB), ("node-1", cells.WEB),
], ids=["client-load-balancer", "client-external", "client-cluster-IP", "pod-cluster-IP", "node-cluster-IP"])
def test_2_24_ping_of_a_service(icmp_lab, place, address, family):
    before = counter(icmp_lab, "echo-answers")
    assert icmp_lab[place].call("ping", host=address[family])
    assert counter(icmp_lab, "echo-answers") == before + 1


@FAMILIES
def test_2_24_other_addresses_are_not_answered_for(icmp_lab, family):
    """Nobody has these; and a backend answers itself."""
    before = counter(icmp_lab, "echo-answers")
    assert not icmp_lab["client"].call("ping", host=cells.cluster_ip(250)[family], timeout=0.5)
    assert icmp_lab["client"].call("ping", host=topology.pod_addresses("web-1a")[family])
    assert icmp_lab["client"].call("ping", host=cells.node_ip("node-1")[family])
    assert counter(icmp_lab, "echo-answers") == before
