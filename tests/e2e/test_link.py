# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Below IP: frames that a switch floods to everybody, and devices that are stacked on one another."""
import contextlib
import json

import pytest

import cells
from conftest import opened_at_once, outside_of_its_cgroup
from test_modes import fresh

VIP = cells.vip(10)


@contextlib.contextmanager
def switch_without_memory(lab):
    """The router's bridge knows no station, so each frame to one node reaches the other one too."""
    router = lab["router"]
    router.script("for p in port1 port2; do ip link set $p type bridge_slave learning off; done\n"
                  "ip link set br0 type bridge fdb_flush")
    try:
        yield
    finally:
        router.script("for p in port1 port2; do ip link set $p type bridge_slave learning on; done")


def received(node):
    """Frames that have come in by its device."""
    link = json.loads(node.place.run(["ip", "-j", "-s", "link", "show", "eth0"], check=True).stdout)
    return link[0]["stats64"]["rx"]["packets"]


def flows_of(node, address):
    frontend = f"[{address}]:80" if ":" in address else f"{address}:80"
    return [flow for flow in node.json("flow", "list")["items"] if flow["frontend"] == frontend]


@pytest.mark.parametrize("mode", ["xdp", "tc"])
def test_flooded_frames_are_left_to_the_node_they_are_for(own_lab, mode):
    fresh(own_lab, mode=mode)
    node_1, node_2 = own_lab.nodes["node-1"], own_lab.nodes["node-2"]
    with switch_without_memory(own_lab):
        for family in (4, 6):
            before = received(node_2)
            with opened_at_once(own_lab["client"]):
                report = own_lab["client"].http(VIP[family], 80, requests=200, parallel=4)
            assert report["failed"] == 0, report
            report = own_lab["client"].udp(VIP[family], 5353, requests=50)
            assert report["failed"] == 0, report
            # it saw them all, and took none for its own
            assert received(node_2) - before > 1000
            assert flows_of(node_1, VIP[family])
            assert not flows_of(node_2, VIP[family])


BRIDGED = """
ip link add cni0 address ee:ee:ee:ee:ee:ee type bridge
ip link set cni0 up
for pod in web-1a cli-1; do ip link set veth-$pod master cni0; done
ip route replace 10.244.1.10/32 dev cni0 src 172.18.0.11
ip route replace 10.244.1.100/32 dev cni0 src 172.18.0.11
"""
UNBRIDGED = """
ip link del cni0
ip route replace 10.244.1.10/32 dev veth-web-1a src 172.18.0.11
ip route replace 10.244.1.100/32 dev veth-cli-1 src 172.18.0.11
"""


@contextlib.contextmanager
def pods_on_a_bridge(lab):
    """A client and a backend beside each other: the backend's answers pass the node's stack by."""
    lab["node-1"].script(BRIDGED)
    lab["web-1a"].script("ip route replace 10.244.1.100/32 dev eth0")
    try:
        yield
    finally:
        lab["web-1a"].script("ip route del 10.244.1.100/32 dev eth0")
        lab["node-1"].script(UNBRIDGED)


@pytest.mark.parametrize("devices", [("cni0",), ("cni0", "veth-*")], ids=["bridge", "bridge-and-ports"])
def test_pods_on_a_bridge_are_served_at_its_ports(own_lab, devices):
    extra = [word for device in devices for word in ("--pod-devices", device)]
    with pods_on_a_bridge(own_lab):
        fresh(own_lab, mode="tc", extra=extra)
        node = own_lab.nodes["node-1"]
        attached = node.attached()
        assert "veth-cli-1 t" in attached and "cni0 t" not in attached, attached
        with outside_of_its_cgroup(own_lab, "cli-1") as client:
            with opened_at_once(client):
                report = client.http(cells.WEB[4], 80, requests=cells.REQUESTS)
            assert (report["answered"], report["failed"]) == (cells.REQUESTS, 0), report
            assert report["answers"].get("web-1a"), "its answers are what is asked for"
            report = client.udp(cells.WEB[4], 5353, requests=60)
            assert report["failed"] == 0, report
