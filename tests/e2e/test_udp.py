# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""UDP clients follow their frontend (7.1 to 7.7), and what sockets are told when nobody serves them (5.7.4, 2.22)."""
import pytest

import cells
from conftest import FAMILIES
from wait import until

PORT = 5353
VIP, NODE_PORT, CLUSTER_IP = "load balancer address", "node port", "cluster IP"


def frontend(kind, family):
    """Address and port of service web."""
    return {VIP: (cells.vip(10)[family], PORT), NODE_PORT: (cells.node_ip("node-1")[family], 30053),
            CLUSTER_IP: (cells.WEB[family], PORT)}[kind]


def answer(lab, kind, family, port, timeout=2):
    """Who answers a datagram from this source port, so that each is of the same flow."""
    host, number = frontend(kind, family)
    report = lab["client"].udp(host, number, 1, timeout=timeout, source_port=port)
    return next(iter(report["answers"]), None)


def none_then_another(lab):
    """{1a} -> {} -> {2b}"""
    lab.manifests.set_backends("web", ())
    lab.settle()
    lab.manifests.set_backends("web", ("web-2b",))
    lab.settle()
    return "web-2b"


def deleted(lab):
    lab.manifests.remove("web.yaml")
    lab.settle()


def another_services(lab):
    """The Service goes, and another one with other endpoints has its addresses and node port."""
    echo = {"name": "echo", "nodePort": 30053, "port": PORT, "protocol": "UDP", "targetPort": PORT}
    lab.manifests.remove("web.yaml")
    lab.settle()
    lab.manifests.add("other", lab.manifests.service("other", 10, ports=[echo]))
    lab.manifests.set_backends("other", ("web-2a",))
    lab.settle()
    return "web-2a"


@FAMILIES
@pytest.mark.parametrize("kind", [VIP, NODE_PORT])
@pytest.mark.parametrize("event", [none_then_another, deleted, another_services])
def test_a_flow_follows_its_frontend(lab, event, kind, family):
    """7.5, 7.7: another Service keeps the endpoint, which goes on answering whoever is still sent there."""
    lab.manifests.set_backends("web", ("web-1a",))
    lab.settle()
    # a flow of the test before may still be there, and is looked for after the maps have changed
    until(lambda: answer(lab, kind, family, 40123) == "web-1a", "web-1a answers", 10)
    assert answer(lab, kind, family, 40123, 10) == "web-1a"
    wanted = event(lab)
    until(lambda: answer(lab, kind, family, 40123) == wanted, f"{wanted} answers the same flow", 10)


CONNECT = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], %d))
print("connected to", s.getpeername()[0])
s.send(b"x")
try:
    s.recv(1)
except ConnectionRefusedError:
    print("refused")
""" % PORT


@FAMILIES
@pytest.mark.parametrize("source", ["cli-1", "node-1"])
@pytest.mark.parametrize("ports", [False, True], ids=["TCP-only", "no-endpoint"])
def test_datagrams_that_nobody_serves(lab, ports, source, family):
    """5.7.4, 2.22: connect() of a datagram socket is not refused; what it sends is, by ICMP."""
    http = {"name": "http", "nodePort": 30014, "port": 80, "protocol": "TCP", "targetPort": 8080}
    lab.manifests.add("probe", lab.manifests.service("probe", 14, ports=None if ports else [http]))
    lab.settle()
    host = cells.cluster_ip(14)[family]
    result = lab[source].run(["python3", "-c", CONNECT, host])
    assert result.stdout.splitlines() == [f"connected to {host}", "refused"], result
