# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Datagrams larger than the MTU, between real stacks: asked and answered in fragments (robustness D3, rule 5.1.5)."""
import itertools

import pytest

import cells
from conftest import FAMILIES

SIZE = 4000  # bytes; the answer is larger
PORT = 5353
# one for each test: a flow of an earlier one may still lead to the backend of that for a moment (7.5)
source_ports = itertools.count(41000)


def frontend(kind, family):
    """Address and port of service web."""
    return {"load balancer address": (cells.vip(10)[family], PORT), "node port": (cells.node_ip("node-1")[family], 30053),
            "cluster IP": (cells.WEB[family], PORT)}[kind]


@FAMILIES
@pytest.mark.parametrize("kind", ["load balancer address", "node port", "cluster IP"])
@pytest.mark.parametrize("backend", ["web-1a", "web-2a"], ids=["local", "masqueraded"])
def test_large_datagrams(lab, backend, kind, family):
    """Each comes whole, and so does its answer, from the address that was asked."""
    lab.manifests.set_backends("web", (backend,))
    lab.settle()
    host, port = frontend(kind, family)
    report = lab["client"].udp(host, port, 20, size=SIZE, source_port=next(source_ports))
    assert report["failed"] == 0 and set(report["answers"]) == {backend}, report


@FAMILIES
def test_large_and_small_ones_of_one_flow(lab, family):
    """The first fragment is a packet of the flow that small datagrams have made."""
    lab.manifests.set_backends("web", ("web-1a", "web-2a"))
    lab.settle()
    host, port = frontend("load balancer address", family)
    answers, source_port = set(), next(source_ports)
    for size in (10, SIZE, 10, 20 * SIZE // 2):
        report = lab["client"].udp(host, port, 1, size=size, source_port=source_port)
        assert report["failed"] == 0, (size, report)
        answers |= set(report["answers"])
    assert len(answers) == 1, answers


ORDER = """
import random, socket, struct, sys
host, port, order = sys.argv[1], int(sys.argv[2]), sys.argv[3]
v6 = ":" in host
family = socket.AF_INET6 if v6 else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.settimeout(30)
sock.bind(("", int(sys.argv[4])))
sock.connect((host, port))
me, to = socket.inet_pton(family, sock.getsockname()[0]), socket.inet_pton(family, host)
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
if v6:
    raw.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL

def summed(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total

def whole(payload):
    head = struct.pack("!HHHH", sock.getsockname()[1], port, 8 + len(payload), 0)
    pseudo = me + to + struct.pack("!II", 8 + len(payload), socket.IPPROTO_UDP)
    return head[:6] + struct.pack("!H", ~summed(pseudo + head + payload) & 0xffff) + payload

def send(number, data, at, size):
    part, more = data[at:at + size], at + size < len(data)
    if v6:
        header = struct.pack("!IHBB16s16sBBHI", 6 << 28, 8 + len(part), 44, 64, me, to, 17, 0, at | more, number)
    else:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), number & 0xffff, at // 8 | more << 13, 64, 17, 0, me, to)
    raw.sendto(header + part, (host, 0))

for number in range(20):
    word = f"{number:04}" * (%d // 4)
    data = whole(word.encode())
    places = list(range(0, len(data), 1200))
    if order == "backwards":
        places.reverse()
    else:
        random.Random(number).shuffle(places)
    for at in places:
        send(0x10000 * 7 + number + 1, data, at, 1200)
    answer = sock.recv(65535)
    assert word.encode() in answer, answer[:200]
print("answered")
""" % SIZE


def forget_neighbours(lab):
    """Nobody knows the MAC address of anybody, so that the first datagram has to wait on its way."""
    for node in lab.nodes.values():
        node.place.script("ip -4 neigh flush all 2>/dev/null; ip -6 neigh flush all 2>/dev/null")
        node.notice()


def refused(lab):
    return lab.nodes["node-1"].json("status")["notForwarded"]["fragment-overlap"]


@FAMILIES
@pytest.mark.parametrize("order", ["backwards", "shuffled"])
@pytest.mark.parametrize("backend", ["web-1a", "web-2a"], ids=["local", "masqueraded"])
def test_any_order(lab, backend, order, family):
    """Fragments that come before the first one wait for it."""
    lab.manifests.set_backends("web", (backend,))
    lab.settle()
    host, port = frontend("load balancer address", family)
    forget_neighbours(lab)
    before = refused(lab)
    result = lab["client"].run(["python3", "-c", ORDER, host, str(port), order, str(next(source_ports))])
    assert result.stdout.split() == ["answered"], result
    # what waits has not gone on as well, and come back by the router
    assert refused(lab) == before
