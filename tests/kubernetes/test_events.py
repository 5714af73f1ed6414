# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Events, as a real API server takes them and kubectl would find them."""
import contextlib
import subprocess

import pytest

from place import PYTHON
from wait import until

PORT = 32111
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
HOLD = ("import socket, sys; s = socket.create_server(('', int(sys.argv[1]))); print('ready', flush=True); "
        "sys.stdin.read()")


def events(cluster, reason, name=None):
    found = cluster.request("GET", EVENTS)["items"]
    return [event for event in found if event["reason"] == reason and name in (None, event["regarding"]["name"])]


def wait_for(cluster, reason, name, good=lambda event: True):
    def there():
        found = [event for event in events(cluster, reason, name) if good(event)]
        return found and found[-1]
    return until(there, f"an Event {reason} about {name}", 30, 0.2)


@contextlib.contextmanager
def held(node, port=PORT):
    """Another program has the port on the node."""
    process = node.place.popen([PYTHON, "-c", HOLD, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def checked_service(lab, policy="Local"):
    spec = {"externalTrafficPolicy": policy}
    if policy == "Local":
        spec["healthCheckNodePort"] = PORT
    return lab.cluster.put(lab.manifests.service("checked", 40, spec=spec))


@pytest.fixture(scope="module")
def lab(own_lab, cluster):
    yield own_lab


def test_10_14_starting(lab):
    """10.14: about each Node, with the name as its uid, as kubelets and kube-proxy do it."""
    for name in lab.nodes:
        event = wait_for(lab.cluster, "Starting", name)
        assert (event["type"], event["action"]) == ("Normal", "StartKubeProxy")
        assert event["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": name, "uid": name}
        assert event["reportingController"] == "fairlead.dev/fairleadd"
        assert event["reportingInstance"] == f"fairleadd-{name}"


def test_6_1_9_health_check_node_port_is_taken(lab):
    """6.1.9: a warning about the Service, which names node, port and error; again, it is a series of the same Event."""
    node = lab.nodes["node-1"]
    with held(node):
        service = checked_service(lab)
        event = wait_for(lab.cluster, "FailedToStartServiceHealthcheck", "checked")
        assert (event["type"], event["action"]) == ("Warning", "Listen")
        assert event["regarding"]["uid"] == service["metadata"]["uid"]
        assert event["reportingInstance"] == "fairleadd-node-1"
        assert f":{PORT} for the health checks of Service default/checked: Address already in use" in event["note"]
        checked_service(lab, "Cluster")
        until(lambda: "health checks of Service" not in node.cli("status").stdout, "nobody wants the port", 20, 0.1)
        checked_service(lab)
        again = wait_for(lab.cluster, "FailedToStartServiceHealthcheck", "checked", lambda e: e.get("series"))
        assert again["metadata"]["uid"] == event["metadata"]["uid"]
        assert again["series"]["count"] == 2
    # the condition is over; node-2 had none
    node.wait_status(0, 30)
    (only,) = events(lab.cluster, "FailedToStartServiceHealthcheck")
    assert only["metadata"]["uid"] == event["metadata"]["uid"]
    lab.cluster.delete("Service", "checked")


def test_a_frontend_that_another_service_has(lab):
    """About the Service that does not get it, and about no other."""
    lab.cluster.put(lab.manifests.service("first", 41, spec={"externalIPs": ["203.0.113.99"]}))
    until(lambda: "first" in lab.nodes["node-1"].cli("service", "list").stdout, "the first one is there", 20, 0.1)
    second = lab.cluster.put(lab.manifests.service("second", 42, spec={"externalIPs": ["203.0.113.99"]}))
    event = wait_for(lab.cluster, "FrontendTaken", "second")
    assert event["regarding"]["uid"] == second["metadata"]["uid"]
    assert "203.0.113.99" in event["note"] and "default/first" in event["note"]
    assert not events(lab.cluster, "FrontendTaken", "first")
    for name in ("first", "second"):
        lab.cluster.delete("Service", name)


def test_none_when_they_are_off(lab):
    """`events: false`: nothing is written, and nothing is asked for."""
    node = lab.nodes["node-1"]
    lab.cluster.write("quiet.yaml", "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\nevents: false\n")
    before = len(events(lab.cluster, "Starting", "node-1"))
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(), "--config", lab.cluster.path("quiet.yaml")])
    # node-2 writes one meanwhile, so that there was time
    other = lab.nodes["node-2"]
    n = len(events(lab.cluster, "Starting", "node-2"))
    other.stop()
    other.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])
    until(lambda: len(events(lab.cluster, "Starting", "node-2")) > n, "node-2 writes one", 30, 0.2)
    assert len(events(lab.cluster, "Starting", "node-1")) == before
