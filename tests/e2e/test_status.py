# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`fairlead status` tells the truth: what keeps traffic from being served is a condition, and exit 1."""
import contextlib

import pytest

import cells
import topology
from wait import until

# samples are taken every 5 seconds; two are needed to see a number rise
SEEN_S = 15


def conditions(node, kind):
    status = node.api("/v1/status")
    return {c["subject"]: c for c in status["conditions"] if c["kind"] == kind} if status else {}


def level(node, kind, subject):
    return conditions(node, kind).get(subject, {}).get("level")


def fresh(lab, **options):
    """node-1's agent with a datapath of its own making, told only what `options` say."""
    node = lab.nodes["node-1"]
    node.stop()
    node.cleanup()
    node.start(**options)
    return node


def serve_only(lab, pod):
    """Service probe has this backend only."""
    m = lab.manifests
    m.add("probe", m.service("probe", 13), m.slice("probe", 4, (pod,)), m.slice("probe", 6, (pod,)))
    for node in lab.nodes.values():
        if node.agent:
            node.settle()


@contextlib.contextmanager
def during(place, words):
    """`ip KIND add ...` before, and the same with del after."""
    kind, *what = words
    place.run(["ip", kind, "add", *what], check=True)
    try:
        yield
    finally:
        place.run(["ip", kind, "del", *what], check=True)


def test_a_healthy_node_says_so(own_lab):
    node = fresh(own_lab)
    answer = node.cli("status")
    assert answer.returncode == 0, answer.stdout
    assert not [c for c in node.api("/v1/status")["conditions"] if c["level"] == "error"]


@pytest.mark.parametrize("device, words", [("nope0", "there is no device nope0"),
                                           ("lo", "lo is the loopback device")])
def test_a_named_device_that_cannot_be_served(own_lab, device, words):
    node = fresh(own_lab, extra=["--devices", f"eth0,{device}"])
    answer = node.cli("status")
    assert answer.returncode == 1
    assert words in answer.stdout
    assert level(node, "device", device) == "error"


def test_mode_xdp_with_a_device_that_is_not_there(own_lab):
    node = fresh(own_lab, mode="xdp", extra=["--devices", "nope0"])
    answer = node.cli("status")
    assert answer.returncode == 1
    assert level(node, "device", "nope0") == "error"


@contextlib.contextmanager
def device_down(place, device):
    """The device goes down and comes back with what went with it: addresses of IPv6, all routes."""
    again = [f"ip link set {device} up"]
    for family in (4, 6):
        if family == 6:
            addresses = place.run(["ip", "-6", "-br", "addr", "show", "dev", device]).stdout.split()[2:]
            again += [f"ip -6 addr add {a} dev {device} nodad" for a in addresses if a[:4] != "fe80"]
        routes = place.run(["ip", f"-{family}", "route", "show", "dev", device]).stdout.splitlines()
        again += [f"ip -{family} route add {r} dev {device}" for r in routes if "proto kernel" not in r]
    place.run(["ip", "link", "set", device, "down"], check=True)
    try:
        yield
    finally:
        place.run(["sh", "-ec", "\n".join(again)], check=True)


def test_a_device_that_goes_down(own_lab):
    node = fresh(own_lab)
    with device_down(node.place, "eth0"):
        until(lambda: node.cli("status").returncode == 1, "the device that is down counts", 5)
        assert level(node, "device", "eth0") == "error"
    until(lambda: node.cli("status").returncode == 0, "status is well again", 5)


@pytest.mark.parametrize("kind, words", [("route", ["unreachable"]), ("rule", ["unreachable", "to"]),
                                         ("rule", ["prohibit", "to"]), ("rule", ["blackhole", "to"])],
                         ids=["route", "unreachable", "prohibit", "blackhole"])
def test_packets_without_a_route(own_lab, kind, words):
    """The counter that rises is a condition with its reason, until a minute after; a rule that forbids is
    as good as a route that does.
    """
    node = fresh(own_lab)
    serve_only(own_lab, "web-2a")
    with during(node.place, [kind, *words, topology.pod_addresses("web-2a")[4]]):
        report = own_lab["client"].http(cells.vip(13)[4], 80, 20, parallel=20, timeout=1.0)
        assert report["failed"] == 20, report
        until(lambda: level(node, "drops", "no-route") == "error", "no-route is an error", SEEN_S)
        answer = node.cli("status")
        assert answer.returncode == 1
        assert "no route to the backend" in answer.stdout


def test_flows_that_never_get_a_reply(own_lab):
    """Packets that leave and are lost beyond the node."""
    node = fresh(own_lab)
    serve_only(own_lab, "web-2b")
    lost = ["rule", "to", topology.pod_addresses("web-2b")[4], "blackhole"]
    with during(own_lab["node-2"], lost):
        report = own_lab["client"].http(cells.vip(13)[4], 80, 40, parallel=40, timeout=1.0)
        assert report["failed"] == 40, report
        until(lambda: level(node, "replies", "") == "error", "they are an error", SEEN_S)
        answer = node.cli("status")
        assert answer.returncode == 1
        assert "have got no reply" in answer.stdout


def test_a_service_whose_ports_no_slice_has(own_lab):
    node = fresh(own_lab)
    m = own_lab.manifests
    m.add("odd", m.service("odd", 14), m.slice("odd", 4, ("web-1a",), ports=(("htpp", "TCP", 8080),)))
    try:
        until(lambda: level(node, "service", "default/odd") == "error", "the Service is an error", 5)
        answer = node.cli("status")
        assert answer.returncode == 1
        assert 'no EndpointSlice has a port "http"' in answer.stdout
        check = node.place.run([*node.agent_command(), "--check"])
        assert 'warning: Service default/odd: no EndpointSlice has a port "http"' in check.stderr
    finally:
        m.remove("odd.yaml")
    until(lambda: node.cli("status").returncode == 0, "status is well again", 5)


def test_slices_without_a_service_and_a_node_nobody_knows(own_lab):
    """Both are shown and serve nobody less, so that the node is healthy."""
    m = own_lab.manifests
    m.add("stray", m.slice("stray", 4, ("web-1a",)))
    try:
        node = fresh(own_lab, extra=["--node", "nobody"])
        answer = node.cli("status")
        assert "Service default/stray, which is not there" in answer.stdout
        assert "no endpoint has this node's name, nobody" in answer.stdout
        assert answer.returncode == 0
    finally:
        m.remove("stray.yaml")


@contextlib.contextmanager
def way_without_ethernet(node, pod):
    """The way to `pod` is by device far0, whose packets have no Ethernet header."""
    node.place.run(["sh", "-ec", "ip tuntap add far0 mode tun; ip link set far0 up; "
                                 "ip addr add 192.0.2.1/24 dev far0; "
                                 f"ip route add {pod} via 192.0.2.2 dev far0"], check=True)
    try:
        yield
    finally:
        node.place.run(["ip", "link", "del", "far0"], check=True)


@contextlib.contextmanager
def second_card(node):
    """The node has a card far0 that nobody named."""
    node.place.run(["sh", "-ec", "ip link add far0 type veth peer name far1; ip link set far0 up; "
                                 "ip link set far1 up; ip addr add 192.0.2.1/24 dev far0"], check=True)
    try:
        yield
    finally:
        node.place.run(["ip", "link", "del", "far0"], check=True)


def counter(node, name):
    return node.json("status")["counters"][name]


def test_backends_behind_a_device_that_cannot_be_served(own_lab):
    node = fresh(own_lab)
    pod = topology.pod_addresses("web-2a")[4]
    with way_without_ethernet(node, pod):
        until(lambda: level(node, "egress", "far0") == "error", "the device is named", 5)
        answer = node.cli("status")
        assert answer.returncode == 1
        assert f"{pod} among them, are reached by device far0, which is not served" in answer.stdout
        assert "its packets have no Ethernet header" in answer.stdout
    until(lambda: node.cli("status").returncode == 0, "status is well again", 5)


def test_flows_that_leave_by_a_device_that_is_not_served(own_lab):
    """Counted where it happens."""
    node = fresh(own_lab)
    serve_only(own_lab, "web-2a")
    before = counter(node, "flows-unserved-exit")
    with way_without_ethernet(node, topology.pod_addresses("web-2a")[4]):
        report = own_lab["client"].http(cells.vip(13)[4], 80, 20, parallel=20, timeout=1.0)
        assert report["failed"] == 20, report
        assert counter(node, "flows-unserved-exit") >= before + 20
        until(lambda: level(node, "unserved-exit", "") == "warning", "they are a condition", SEEN_S)
        assert "flows left unmasqueraded within a minute" in node.cli("status").stdout


def test_a_second_card(own_lab):
    """It is shown while nobody named it; when backends are behind it, it is served."""
    node = fresh(own_lab)
    pod = topology.pod_addresses("web-2a")[4]
    with second_card(node):
        until(lambda: level(node, "device", "far0") == "note", "the card is shown", 5)
        node.place.run(["ip", "route", "add", pod, "via", "192.0.2.2", "dev", "far0"], check=True)
        until(lambda: "far0 tc (remote-pods)" in node.cli("status").stdout, "the card is served", 5)
        until(lambda: level(node, "egress", "far0") is None and level(node, "device", "far0") is None, "nothing is amiss", 5)
    until(lambda: "far0" not in node.cli("status").stdout, "the card is gone", 5)


def test_a_service_without_a_frontend(own_lab):
    """No clusterIP, no other address and no node port: nobody can reach it, whatever it meant."""
    node = fresh(own_lab)
    m = own_lab.manifests
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    bare = m.service("bare", 14, vips=False, v6=False, ports=ports, type="ClusterIP")
    for key in ("clusterIP", "clusterIPs"):
        bare["spec"].pop(key, None)
    m.add("bare", bare, m.slice("bare", 4, ("web-1a",)))
    try:
        until(lambda: level(node, "service", "default/bare") == "error", "the Service is an error", 5)
        answer = node.cli("status")
        assert answer.returncode == 1
        assert "Service default/bare has no cluster IP" in answer.stdout
        assert own_lab["client"].http(cells.vip(10)[4], 80, 2)["failed"] == 0, "others are served"
        bare["spec"]["externalIPs"] = [cells.vip(14)[4]]
        m.add("bare", bare, m.slice("bare", 4, ("web-1a",)))
        until(lambda: level(node, "service", "default/bare") is None, "an address is enough", 5)
        own_lab.settle()
        assert own_lab["client"].http(cells.vip(14)[4], 80, 2)["failed"] == 0
    finally:
        m.remove("bare.yaml")


def test_the_affinity_map_has_a_gauge(own_lab):
    """A client that is held to a backend takes an element, which the next look counts."""
    node = fresh(own_lab)

    def used():
        return next(m["used"] for m in node.json("status")["maps"] if m["name"] == "affinity")

    assert used() == 0
    assert own_lab["client"].http(cells.vip(12)[4], 80, 1)["failed"] == 0
    until(lambda: used() == 1, "the record is counted", 75, 1)


def test_gauges_are_per_family_and_per_map(own_lab):
    node = fresh(own_lab)
    status = node.api("/v1/status")
    maps = {m["name"]: m for m in status["maps"]}
    assert maps["frontends"]["used"] == status["programmed"]["frontends"] > 0
    assert all(m["size"] >= m["used"] for m in maps.values()) and maps["sockets"]["size"], maps
    assert maps["local"]["used"] > 0
    assert status["flows"]["ipv4"]["slots"] != status["flows"]["ipv6"]["slots"] > 0
    assert status["sourcePorts"] > 1000
