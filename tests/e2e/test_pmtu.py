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


def move(lab, place, address):
    moved = lab[place].bulk(address, 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)


UPLOAD = """
import socket, sys
sock = socket.create_connection((sys.argv[1], 80), timeout=5)
sock.settimeout(1)
sock.sendall(b"POST / HTTP/1.1\\r\\nContent-Length: 9999\\r\\n\\r\\n" + b"x" * 5000)
try:
    sock.recv(1)
except TimeoutError:
    pass
"""


@FAMILIES
@FORWARDING
def test_narrow_between_the_nodes(pmtu_lab, forwarding, family):
    """Neither end knows of it; routers tell the node, about what it has encapsulated, and that tells the client."""
    lab = pmtu_lab
    want_mode(lab, forwarding)
    only(lab, "web-2b")
    with narrow_behind(lab, family), narrow_back(lab, family):
        forget_sizes(lab, family)
        if family == 6 and forwarding != "snat":
            # no sender of IPv6 makes packets of less than 1280 bytes, and the outer header comes on top: of
            # the first connection the node learns what the way takes, and the next ones are told in time
            lab["client"].run(["python3", "-c", UPLOAD, VIP[family]])
        move(lab, "client", VIP[family])


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
    with narrow_before(lab, family):
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
