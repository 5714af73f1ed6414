# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""G23: a megabyte each way passes a hop of 1280 bytes, in every mode, wherever the hop is."""
import contextlib

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab
from test_dsr import restart, want_mode
from test_icmp import (MODES, NARROW, SIZE, counter, forget_sizes, narrow_before, narrow_behind, only,
                       to_pods_of_node_2)
from wait import until

VIP = cells.vip(10)
FORWARDING = pytest.mark.parametrize("forwarding", ["snat", "dsr", "hybrid"])


@pytest.fixture(scope="module", params=MODES)
def pmtu_lab(request):
    lab = make_lab(mode=request.param)
    lab.hook = request.param
    restart(lab)
    yield lab
    close_lab(lab)


@contextlib.contextmanager
def narrow_back(lab, family):
    """node-2's way to node-1 and its pods is by the router, and narrow there."""
    node = topology.NODES["node-1"][family]
    pods = {4: "10.244.1.0/24", 6: "fd00:244:1::/64"}[family]
    lock = "mtu lock" if family == 4 else "mtu"
    via = f"via {topology.SEGMENT_ROUTER[family]}"
    lab["router"].script(f"ip -{family} route replace {pods} via {node} {lock} {NARROW}\n"
                         f"ip -{family} route add {node} dev br0 {lock} {NARROW}")
    lab["node-2"].script(f"ip -{family} route replace {pods} {via}\nip -{family} route add {node} {via}")
    lab.nodes["node-2"].notice()
    try:
        yield
    finally:
        lab["router"].script(f"ip -{family} route del {node} dev br0\nip -{family} route replace {pods} via {node}")
        lab["node-2"].script(f"ip -{family} route del {node} {via}\nip -{family} route replace {pods} via {node}")
        lab.nodes["node-2"].notice()


@contextlib.contextmanager
def as_routes_say(lab, restart_with, settings):
    """Over IPv6, SYNs of DSR are told of 1280 bytes only where a route says so: else segments are too small for a router to say
    anything about."""
    restart_with(lab, settings)
    try:
        yield
    finally:
        restart_with(lab)


def move(lab, place, address):
    moved = lab[place].bulk(address, 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)


@FAMILIES
@FORWARDING
def test_narrow_between_the_nodes(pmtu_lab, forwarding, family):
    """Neither end knows of it. The first connection passes: routers tell the node, and that tells the client, about what it
    has encapsulated; by DSR over IPv6 there would be nothing to tell, and SYNs name what every way takes.
    """
    lab = pmtu_lab
    want_mode(lab, forwarding)
    # what the way to a backend takes is remembered for SYNs
    only(lab, {"snat": "web-2b", "dsr": "web-2b", "hybrid": "web-2a"}[forwarding])
    with narrow_behind(lab, family), narrow_back(lab, family):
        forget_sizes(lab, family)
        heard, sent = counter(lab, "icmp-errors"), counter(lab, "flows-tunnelled")
        move(lab, "client", VIP[family])
        assert (counter(lab, "flows-tunnelled") > sent) == (forwarding != "snat")
        if family == 6 and forwarding != "snat":
            assert counter(lab, "icmp-errors") == heard, "the client was told by its SYN"
        else:
            assert counter(lab, "icmp-errors") > heard, "no router has said that a packet is too big"


@FAMILIES
@FORWARDING
def test_narrow_between_the_nodes_and_known(pmtu_lab, forwarding, family):
    """By the node's own route: SYNs say what fits, and no packet is too big."""
    lab, there = pmtu_lab, to_pods_of_node_2(family)
    want_mode(lab, forwarding)
    only(lab, "web-2a")
    with narrow_behind(lab, family):
        looked = counter(lab, "fib-lookups")
        lab["node-1"].script(f"ip -{family} route replace {there} via {topology.SEGMENT_ROUTER[family]} "
                             f"mtu lock {NARROW}")
        until(lambda: not lab["client"].http(VIP[family], 80, 1)["failed"] and counter(lab, "fib-lookups") > looked,
              "a look at the new route", 10)
        forget_sizes(lab, family)
        before = lab.nodes["node-1"].json("status")["notForwarded"]["too-big"]
        move(lab, "client", VIP[family])
        if forwarding != "snat":
            assert lab.nodes["node-1"].json("status")["notForwarded"]["too-big"] == before


@FAMILIES
@FORWARDING
@pytest.mark.parametrize("pod", ["web-1a", "web-2a"], ids=["local", "remote"])
def test_narrow_before_the_client(pmtu_lab, pod, forwarding, family):
    """The router tells the Service's address, and a backend that answers by itself hears of it too."""
    lab = pmtu_lab
    want_mode(lab, forwarding)
    only(lab, pod)
    # agents that begin anew have forgotten what the way took that was narrow in the tests before
    told = forwarding != "snat" and pod == "web-2a"
    with as_routes_say(lab, restart, "dsr: {ipv6PathMTU: 0}\n") if told else contextlib.nullcontext(), \
            narrow_before(lab, family):
        forget_sizes(lab, family)
        before = sum(node.json("status")["counters"]["icmp-errors"] for node in lab.nodes.values())
        move(lab, "client", VIP[family])
        after = sum(node.json("status")["counters"]["icmp-errors"] for node in lab.nodes.values())
        assert after > before, "no router has said that a packet is too big"


@FAMILIES
@pytest.mark.parametrize("place", ["cli-1", "node-1"])
def test_narrow_for_sockets(pmtu_lab, place, family):
    """A connection that was translated at connect() is the kernel's own."""
    lab = pmtu_lab
    only(lab, "web-2a")
    with narrow_behind(lab, family), narrow_back(lab, family):
        forget_sizes(lab, family)
        lab[place].script(f"ip -{family} route flush cache")
        move(lab, place, cells.WEB[family])
