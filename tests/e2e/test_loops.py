# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""D7, G15: nothing goes round. Two nodes whose default routes point at each other, so that whatever one of them leaves to its
stack and neither has comes back until its TTL is used up; and frontends that echo, asked in one another's name.
"""
import contextlib
import json

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab
from wait import until

SENT = 100
MOST = 10  # frames for each packet: to a node, on to the other one, answered, and some to spare
NOISE = 200  # neighbours that ask for one another
MODES = ("xdp", "tc")
VIP, OTHER_VIP = cells.vip(10), cells.vip(11)
NOBODY = {4: "203.0.113.14", 6: "2001:db8:113::e"}  # the router sends it to node-1
NODE_1, NODE_2 = cells.node_ip("node-1"), cells.node_ip("node-2")
CLIENT = topology.OUTSIDE["client"]
ECHO, ECHO_NODE_PORT = 5353, 30053

SEND = """
import ipaddress, socket, struct, sys
source, dest, sport, dport, proto, count = sys.argv[1:7]
source, dest = ipaddress.ip_address(source), ipaddress.ip_address(dest)
sport, dport, proto = int(sport), int(dport), int(proto)

def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def packet(sport):
    if proto == 17:
        l4, at = struct.pack("!HHHH", sport, dport, 12, 0) + b"echo", 6
    else:
        l4, at = struct.pack("!HHIIBBHHH", sport, dport, 1000, 0, 0x50, 2, 8192, 0, 0), 16
    pseudo = source.packed + dest.packed + struct.pack("!IBBBB", len(l4), 0, 0, 0, proto)
    l4 = l4[:at] + struct.pack("!H", checksum(pseudo + l4)) + l4[at + 2:]
    if source.version == 4:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 0, 0, 64, proto, 0) + source.packed + dest.packed + l4
    return struct.pack("!IHBB", 6 << 28, len(l4), proto, 64) + source.packed + dest.packed + l4

if source.version == 4:
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
else:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
for i in range(int(count)):
    sock.sendto(packet(sport or 20000 + i), (str(dest), 0))
"""

# what is sent: source, its port (0: one each), destination, its port, TCP
ROWS = {
    "unknown-port-TCP": (CLIENT, 0, VIP, 81, True),
    "unknown-port-UDP": (CLIENT, 0, VIP, 81, False),
    "no-endpoint-TCP": (CLIENT, 0, VIP, 80, True),
    "no-endpoint-UDP": (CLIENT, 0, VIP, ECHO, False),
    "frontend-to-itself": (VIP, ECHO, VIP, ECHO, False),
    "frontend-to-another": (OTHER_VIP, ECHO, VIP, ECHO, False),
    "frontend-to-a-node-port": (VIP, ECHO, NODE_1, ECHO_NODE_PORT, False),
    "node-port-of-another-node-to-a-frontend": (NODE_2, ECHO_NODE_PORT, VIP, ECHO, False),
    "frontend-to-an-unknown-port": (OTHER_VIP, ECHO, VIP, 81, False),
}


@pytest.fixture(scope="module", params=MODES)
def loop_lab(request):
    lab = make_lab(mode=request.param)
    with defaults_at_each_other(lab):
        yield lab
    close_lab(lab)


@contextlib.contextmanager
def defaults_at_each_other(lab):
    for family in (4, 6):
        for node, other in (("node-1", "node-2"), ("node-2", "node-1")):
            lab[node].script(f"ip -{family} route replace default via {topology.NODES[other][family]}")
    for node in lab.nodes.values():
        node.notice()
    yield


def frames(lab):
    """That nodes and router have received from each other."""
    total = 0
    for place, device in (("node-1", "eth0"), ("node-2", "eth0"), ("router", "port1"), ("router", "port2")):
        link = json.loads(lab[place].run(["ip", "-j", "-s", "link", "show", device], check=True).stdout)
        total += link[0]["stats64"]["rx"]["packets"]
    return total


def frames_of(lab, source, sport, dest, dport, tcp, family):
    """How many there are until all is quiet again."""
    before = frames(lab)
    seen = [before]
    done = lab["client"].run(["python3", "-c", SEND, source[family], dest[family], str(sport), str(dport),
                              "6" if tcp else "17", str(SENT)])
    assert done.returncode == 0, done.stderr

    def quiet():
        seen.append(frames(lab))
        return seen[-1] - before >= SENT and seen[-1] - seen[-2] < 5

    until(quiet, "no frames are under way", 10, 0.3)
    return seen[-1] - before


@FAMILIES
def test_what_nobody_has_goes_round(loop_lab, family):
    """Or the others would show nothing."""
    before = frames(loop_lab)
    frames_of(loop_lab, CLIENT, 0, NOBODY, 80, True, family)
    # on a busy machine they may pause
    until(lambda: frames(loop_lab) - before > SENT * MOST * 2, "they have gone round", 10, 0.3)


@FAMILIES
@pytest.mark.parametrize("row", ROWS)
def test_what_is_a_services_does_not(loop_lab, row, family):
    lab = loop_lab
    pods = () if row.startswith("no-endpoint") else cells.ALL
    lab.manifests.set_backends("web", pods)
    lab.settle()
    assert frames_of(lab, *ROWS[row], family) < SENT * MOST + NOISE
