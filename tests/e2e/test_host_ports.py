# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Host ports of pods by Fairlead alone (docs/cluster.md#host-ports): as the CNI plugin portmap makes them."""
import pytest

import cells
import topology
from conftest import FAMILIES
from wait import until

PORT, UDP_PORT = 8099, 8053
ALL = object()


def pod(lab, name, port=PORT, ip=ALL, ports=None, **status):
    """A Pod with a TCP and a UDP host port."""
    at = {} if ip is ALL else {"hostIP": ip}
    ports = ports or [{"containerPort": 8080, "hostPort": port, "protocol": "TCP", **at},
                      {"containerPort": 5353, "hostPort": UDP_PORT + port - PORT, "protocol": "UDP", **at}]
    addresses = topology.pod_addresses(name)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": lab.manifests.metadata(name),
            "spec": {"nodeName": f"node-{name.split('-')[1][0]}", "containers": [{"name": "server", "ports": ports}]},
            "status": {"phase": "Running", "podIP": addresses[4],
                       "podIPs": [{"ip": addresses[4]}, {"ip": addresses[6]}], **status}}


def put(lab, *pods):
    lab.manifests.add("pods", *pods)


def answers(lab, source, host, port=PORT, requests=4):
    """Who answers; "" while it fails."""
    report = lab[source].http(host, port, requests)
    return "" if report["failed"] else "+".join(sorted(report["answers"]))


def served(lab, host, by="web-1a", port=PORT, source="client"):
    until(lambda: answers(lab, source, host, port) == by, f"{host} port {port} is served by {by or 'nobody'}", 10, 0.1)


@pytest.fixture
def lab(own_lab):
    """Both agents serve host ports; the pods' manifests go after each test."""
    for node in own_lab.nodes.values():
        if "--host-ports" not in node.options.get("extra", ()):
            node.stop()
            node.options = {**node.options, "extra": ["--host-ports"]}
            node.start()
    yield own_lab
    own_lab.manifests.reset()
    until(lambda: all("pod@" not in node.cli("service", "list").stdout for node in own_lab.nodes.values()),
          "no host port is left", 10, 0.1)


@FAMILIES
def test_from_everywhere(lab, family):
    """From outside, where the pod sees the client, from pods here and elsewhere, from the pod itself, and from nodes."""
    put(lab, pod(lab, "web-1a"))
    address = cells.node_ip("node-1")[family]
    served(lab, address)
    for source in ("client", "cli-1", "cli-2", "web-1a", "node-1", "node-2"):
        report = lab[source].http(address, PORT, 8)
        assert report["answers"] == {"web-1a": 8}, f"{source}: {report}"
        if source in ("client", "cli-2", "node-2"):
            assert list(report["clients"]) == [lab[source].addresses[family]], source
        for options in ({}, {"connected": False}):
            report = lab[source].udp(address, UDP_PORT, 8, **options)
            assert report["answers"] == {"web-1a": 8}, f"{source}: {report}"
    # loopback is the node's own; a pod's is its own
    assert answers(lab, "node-1", cells.LOCALHOST[family]) == "web-1a"
    assert answers(lab, "cli-1", cells.LOCALHOST[family]) == ""
    # the other node has no such port
    assert answers(lab, "client", cells.node_ip("node-2")[family]) == ""
    # and the pod is asked as a backend meanwhile, by the same client
    lab.manifests.set_backends("web", ["web-1a"])
    # so many that no luck of several backends says the same
    until(lambda: answers(lab, "client", address, 30080, 40) == "web-1a", "the Service's only backend", 10, 0.1)
    for port in (30080, PORT) * 4:
        assert answers(lab, "client", address, port) == "web-1a"


@FAMILIES
def test_host_ip(lab, family):
    """hostIP: at that address and no other; all addresses of one family."""
    own, other = cells.node_ip("node-1")[family], cells.node_ip("node-1")[10 - family]
    put(lab, pod(lab, "web-1a", ip=own), pod(lab, "web-1b", PORT + 1, ip="0.0.0.0" if family == 4 else "::"))
    served(lab, own)
    served(lab, own, "web-1b", PORT + 1)
    assert answers(lab, "client", other) == "" and answers(lab, "client", other, PORT + 1) == ""
    assert answers(lab, "node-1", cells.LOCALHOST[family]) == ""
    assert answers(lab, "cli-1", own) == "web-1a"
    assert "pod@web-1a@" in lab.nodes["node-1"].cli("service", "list").stdout


def test_pods_come_and_go(lab):
    """A pod that has ended, or is gone, is served no more; the next has the port. It need not be ready."""
    address = cells.node_ip("node-1")
    put(lab, pod(lab, "web-1a", conditions=[{"type": "Ready", "status": "False"}]))
    served(lab, address[4])
    put(lab, pod(lab, "web-1a", phase="Succeeded"), pod(lab, "web-1b"))
    for family in (4, 6):
        served(lab, address[family], "web-1b")
    put(lab, pod(lab, "web-1b", podIPs=[], podIP=""))
    served(lab, address[4], "")
    put(lab, pod(lab, "web-1b"))
    served(lab, address[4], "web-1b")
    put(lab, {**pod(lab, "web-1b"), "spec": {**pod(lab, "web-1b")["spec"], "hostNetwork": True}})
    served(lab, address[4], "")
    put(lab, pod(lab, "web-1a"), pod(lab, "web-2a"))
    served(lab, address[4])
    served(lab, cells.node_ip("node-2")[4], "web-2a")


@FAMILIES
def test_node_port_of_an_older_service(lab, family):
    """2.21: the older one has the port, which a condition says; the pod has it when the Service is gone."""
    node, address = lab.nodes["node-1"], cells.node_ip("node-1")[family]
    lab.manifests.set_backends("web", ["web-1a"])
    younger = pod(lab, "web-1b", 30080)
    younger["metadata"]["creationTimestamp"] = "2026-03-09T00:00:00Z"
    put(lab, younger)
    until(lambda: "default/pod@web-1b:30080-tcp wants it too" in node.cli("status").stdout, "it says so", 10, 0.1)
    assert answers(lab, "client", address, 30080) == "web-1a"
    lab.manifests.remove("web.yaml")
    served(lab, address, "web-1b", 30080)
    until(lambda: "wants it too" not in node.cli("status").stdout, "the conflict is over", 10, 0.1)


def test_restart_under_load(lab):
    """The next agent goes on with what it finds: no request fails."""
    node, client, address = lab.nodes["node-1"], lab["client"], cells.node_ip("node-1")
    put(lab, pod(lab, "web-1a"))
    for family in (4, 6):
        served(lab, address[family])
    client.call("load_start", name="host-ports", targets=[
        {"kind": kind, "host": address[family], "port": PORT, "streams": 2, "label": f"{kind} IPv{family}",
         "family": family} for family in (4, 6) for kind in ("short", "long")])

    def asked():
        return min(ledger["asked"] for ledger in client.call("load_look", name="host-ports").values())

    for _ in range(2):
        before = asked()
        node.stop()
        node.start()
        until(lambda: asked() > before + 10, "requests go on", 10, 0.1)
    ledgers = client.call("load_stop", name="host-ports")
    assert {label: ledger["failures"] for label, ledger in ledgers.items() if ledger["failures"]} == {}


def test_off_by_default(lab):
    """Pods are none of its business then."""
    node = lab.nodes["node-1"]
    put(lab, pod(lab, "web-1a"))
    served(lab, cells.node_ip("node-1")[4])
    node.stop()
    node.start(extra=[])
    served(lab, cells.node_ip("node-1")[4], "")
    assert "pod@" not in node.cli("service", "list").stdout
    node.wait_status(0)
    node.stop()
    node.start()
