# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Pod networks as CNI plugins make them (tests/lab/pod_network.py), of which nothing is named in the settings: the demo's
cells over each, what leaves for another node's pods and comes back, sizes, and devices that come and go."""

import pytest

import cells
import pod_network
import portmap
from conftest import FAMILIES, close_lab, make_lab, outside_of_its_cgroup
from wait import until

# each with devices of another kind as well: native XDP, or tc with all offloads on
LABS = {
    "flannel": {"devices": "prepared", "extra": ["--pod-devices", pod_network.BRIDGE]},
    "calico": {"devices": "raw"},
    "bridge": {"devices": "prepared", "extra": ["--pod-devices", pod_network.BRIDGE]},
    "card": {"devices": "raw"},
}
SIZE = 1500000
HOST_PORT = 8099
OVERLAYS = pytest.mark.parametrize("net_lab", ["flannel", "calico"], indirect=True)
REMOTE = pytest.mark.parametrize("net_lab", ["flannel", "card"], indirect=True)
BRIDGES = pytest.mark.parametrize("net_lab", ["flannel", "bridge"], indirect=True)


@pytest.fixture(scope="module")
def labs():
    """Each is made once, in whatever order tests ask for them."""
    made = {}
    yield made
    for lab in made.values():
        close_lab(lab)


@pytest.fixture(params=LABS)
def net_lab(request, labs):
    """A lab with a pod network of that kind, as it was at the beginning."""
    name = request.param
    if name not in labs:
        labs[name] = make_lab(network=name, **LABS[name])
    yield labs[name]
    labs[name].manifests.reset()
    labs[name].settle()


def only(lab, *pods):
    lab.manifests.set_backends("web", pods)
    lab.settle()


def roles(node):
    return {device["name"]: device["role"] for device in node.api("/v1/status")["devices"]}


def test_nothing_is_wrong(net_lab):
    """The devices towards other nodes' pods are found by route and shown, and no condition stands."""
    for node in net_lab.nodes.values():
        node.wait_status(0)
        found = {name for name, role in roles(node).items() if role == "remote-pods"}
        assert found == net_lab.network.remote_devices


@FAMILIES
def test_cells(net_lab, family):
    """5.3: the table as it is; the address that a backend on another node sees is the one of the device that leads there."""
    found = {cell.id: cells.problems(net_lab, cell, family, cells.ask(net_lab, cell, family)) for cell in cells.CELLS}
    assert not {cell: problems for cell, problems in found.items() if problems}


@FAMILIES
@pytest.mark.parametrize("source,host", [("client", cells.vip(10)), ("cli-1", cells.WEB)], ids=["outside", "pod"])
def test_bulk_data_arrives_whole(net_lab, source, host, family):
    """Megabytes each way with a backend on the other node: segments fit the way they go."""
    only(net_lab, "web-2a")
    moved = net_lab[source].bulk(host[family], 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)


@FAMILIES
def test_what_is_not_ours_passes_unchanged(net_lab, family):
    for source in ("client", "cli-1"):
        for pod in ("web-1a", "web-2a"):
            report = net_lab[source].http(net_lab[pod].addresses[family], 8080, 3)
            assert report["answers"] == {pod: 3}
            assert list(report["clients"]) == [net_lab[source].addresses[family]]


@FAMILIES
@OVERLAYS
def test_too_big_for_the_overlay(net_lab, family):
    """A sender that does not let routers fragment is told the MTU of the device that leads to the backend."""
    only(net_lab, "web-2a")
    mtu = net_lab["client"].call("path_mtu", host=cells.vip(10)[family], port=5353, size=1500)
    assert mtu == 1500 - pod_network.OVERHEAD[family]


@FAMILIES
@BRIDGES
def test_from_a_pod_per_packet(net_lab, family):
    """A process whose socket no hook sees, on a bridge with and without br_netfilter: its own node's pods answer past
    the IP stack, the others through it."""
    with outside_of_its_cgroup(net_lab, "cli-1") as source:
        report = source.http(cells.WEB[family], 80, cells.REQUESTS)
    assert report["failed"] == 0, report
    assert set(report["answers"]) == set(cells.ALL)
    assert list(report["clients"]) == [net_lab["cli-1"].addresses[family]]


@FAMILIES
@BRIDGES
def test_hairpin_on_a_bridge(net_lab, family):
    """5.3.3: a pod that reaches itself through its Service, by packets."""
    only(net_lab, "web-1a")
    with outside_of_its_cgroup(net_lab, "web-1a") as source:
        report = source.http(cells.WEB[family], 80, 10)
    assert report["answers"] == {"web-1a": 10}, report


@FAMILIES
def test_node_port_of_another_node(net_lab, family):
    """5.3.6: a pod asks the other node's port; the answers of that node's own pods come back by the pod network."""
    report = net_lab["cli-2"].http(cells.node_ip("node-1")[family], 30080, cells.REQUESTS)
    assert report["failed"] == 0, report
    assert set(report["answers"]) == set(cells.ALL)


def portmap_or_skip(lab, form):
    reason = portmap.unable(lab["node-1"], form)
    if reason:
        pytest.skip(f"SKIP: {reason}")


@FAMILIES
@pytest.mark.parametrize("form", portmap.FORMS)
def test_host_port_by_the_portmap_plugin(net_lab, family, form):
    """It works as without Fairlead: from outside, where the pod sees the client, from pods here and elsewhere, and from
    nodes; and a client may ask the same pod as a backend meanwhile."""
    portmap_or_skip(net_lab, form)
    address, client = cells.node_ip("node-1")[family], net_lab["client"]
    with portmap.ports(net_lab, "web-1a", {("tcp", HOST_PORT): 8080, ("udp", HOST_PORT): 5353}, form):
        for source in ("client", "cli-1", "cli-2", "node-1", "node-2"):
            report = net_lab[source].http(address, HOST_PORT, 10)
            assert report["answers"] == {"web-1a": 10}, f"{source}: {report}"
            if source == "client":
                assert list(report["clients"]) == [client.addresses[family]]
            report = net_lab[source].udp(address, HOST_PORT, 5)
            assert report["answers"] == {"web-1a": 5}, f"{source}: {report}"
        only(net_lab, "web-1a")
        for port in (30080, HOST_PORT) * 5:
            report = client.http(address, port, 2)
            assert report["answers"] == {"web-1a": 2}, f"port {port}: {report}"
    # so that this test is worth something
    assert client.http(address, HOST_PORT, 1, timeout=2.0)["failed"] == 1


@FAMILIES
@pytest.mark.parametrize("form", portmap.FORMS)
def test_a_node_port_beats_a_host_port(net_lab, family, form):
    portmap_or_skip(net_lab, form)
    only(net_lab, "web-1a")
    with portmap.ports(net_lab, "web-1b", {("tcp", 30080): 8080}, form):
        for source in ("client", "cli-2"):
            report = net_lab[source].http(cells.node_ip("node-1")[family], 30080, 5)
            assert report["answers"] == {"web-1a": 5}, f"{source}: {report}"


@REMOTE
def test_the_agent_restarts_under_load(net_lab):
    """The next agent finds the devices before it takes away what it does not need: connections by them go on."""
    node, client = net_lab.nodes["node-1"], net_lab["client"]
    only(net_lab, "web-2a")
    targets = [{"kind": kind, "host": cells.vip(10)[family], "port": port, "streams": 2, "label": f"{kind} IPv{family}"}
               for family in (4, 6) for kind, port in (("short", 80), ("long", 80), ("udp", 5353))]
    client.call("load_start", name="restart", targets=targets)

    def asked():
        return min(ledger["asked"] for ledger in client.call("load_look", name="restart").values())

    try:
        until(lambda: asked() > 20, "requests run")
        node.stop()
        node.start()
        before = asked()
        until(lambda: asked() > before + 20, "requests go on")
    finally:
        ledgers = client.call("load_stop", name="restart")
    assert not any(ledger["failed"] for ledger in ledgers.values()), ledgers


@OVERLAYS
def test_overlay_devices_come_and_go(net_lab):
    """As when a plugin's pod is replaced by one with other settings: followed without a restart, other devices too."""
    node, network = net_lab.nodes["node-1"], net_lab.network
    only(net_lab, "web-2a")
    for family, dev in network.overlay.devices.items():
        node.place.script(f"ip link del {dev}")
        until(lambda: dev not in roles(node), f"{dev} is no longer served")
        node.place.script("\n".join(pod_network.overlay_lines(network, node.name, family)))
        until(lambda: roles(node).get(dev) == "remote-pods", f"{dev} is served again")
        report = net_lab["client"].http(cells.vip(10)[family], 80, 10)
        assert report["failed"] == 0, report
        assert list(report["clients"]) == [pod_network.way_out(network, "node-1", family)]
    node.wait_status(0)
