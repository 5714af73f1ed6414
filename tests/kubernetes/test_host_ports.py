# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Host ports of the API server's Pods: those of this node are followed, by a ServiceAccount that may no more than the
chart gives it."""
import json

import pytest

import chart
import controllers
import topology
from labs import E2E
from wait import until

FAMILIES = E2E.FAMILIES
PORT = 8099
ACCOUNT = "host-ports"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


class Pods(controllers.Pods):
    """With a host port each."""

    def add(self, *pods, ready=True):
        request = self.cluster.request

        def with_ports(method, path, body=None, **options):
            if method == "POST":
                # of the host's network they have to be the same
                body["spec"]["containers"][0]["ports"] = [
                    {"containerPort": PORT if body["spec"]["hostNetwork"] else port, "hostPort": PORT, "protocol": protocol}
                    for protocol, port in (("TCP", 8080), ("UDP", 5353))]
            return request(method, path, body, **options)
        self.cluster.request = with_ports
        try:
            super().add(*pods, ready=ready)
        finally:
            self.cluster.request = request


def rights(*values):
    """The rules of the chart's ClusterRole."""
    (role,) = chart.objects(chart.render(*values))["ClusterRole"]
    return role["rules"]


def options(lab):
    return {"manifests": False, "extra": ["--host-ports", "--kubeconfig", lab.cluster.path("host-ports.conf")]}


@pytest.fixture(scope="module")
def lab(own_lab):
    """Agents that serve host ports, with the account and the rights of the chart."""
    cluster = own_lab.cluster
    controllers.start(cluster)
    for at, tree in (("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": ACCOUNT}}),
                     (ROLES, {"metadata": {"name": ACCOUNT}, "rules": rights("--set", "hostPort.enabled=true")}),
                     ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                      {"metadata": {"name": ACCOUNT},
                       "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ACCOUNT},
                       "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}]})):
        cluster.request("POST", at, tree)
    token = cluster.request("POST", f"/api/v1/namespaces/default/serviceaccounts/{ACCOUNT}/token", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})["status"]["token"]
    kubeconfig = json.loads(open(cluster.kubeconfig("host-ports.conf"), encoding="utf-8").read())
    kubeconfig["users"][0]["user"] = {"token": token}
    cluster.write("host-ports.conf", json.dumps(kubeconfig))
    own_lab.start_agents(**options(own_lab))
    yield own_lab


def served(lab, node, pod, family, source="client"):
    def same():
        report = lab[source].http(topology.NODES[node][family], PORT, 2)
        return not report["failed"] and set(report["answers"]) == {pod} if pod else report["failed"] == 2
    until(same, f"{node} is served by {pod or 'nobody'}", 10, 0.1)


def test_host_ports(lab):
    """Each node has its own pods', until they have ended; terminating ones and those that are not ready included."""
    pods = Pods(lab.cluster, "web")
    pods.add("web-1a", "web-2a", ready=False)
    for family in (4, 6):
        for source in ("client", "cli-1", "cli-2"):
            served(lab, "node-1", "web-1a", family, source)
            served(lab, "node-2", "web-2a", family, source)
    report = lab["client"].udp(topology.NODES["node-1"][4], PORT, 4)
    assert report["answers"] == {"web-1a": 4}, report
    assert set(lab["client"].http(topology.NODES["node-1"][4], PORT, 2)["clients"]) == {topology.OUTSIDE["client"][4]}
    pods.terminate("web-1a")
    served(lab, "node-1", "web-1a", 4)
    pods.remove("web-1a")
    for family in (4, 6):
        served(lab, "node-1", None, family)
        served(lab, "node-2", "web-2a", family)
    pods.add("web-1b")
    served(lab, "node-1", "web-1b", 6)
    pods.add("node-2")  # of the host's network: nothing to serve
    for node in lab.nodes.values():
        node.wait_status(0)
    assert "pod@web-web-1b" in lab.nodes["node-1"].cli("service", "list").stdout
    assert "pod@" not in lab.nodes["node-1"].cli("service", "list").stdout.replace("pod@web-web-1b", "")


def test_without_the_right(lab):
    """A role without pods, as the chart gives where host ports are off: nothing else may be lost without a word."""
    assert not any("pods" in rule["resources"] for rule in rights())
    lab.cluster.request("PATCH", f"{ROLES}/{ACCOUNT}", {"rules": rights()}, kind="application/merge-patch+json")
    node = lab.nodes["node-1"]
    node.stop()
    node.start(wait=False, **options(lab))
    node.wait_answers()
    until(lambda: "pods of" in node.cli("status").stdout and "403" in node.cli("status").stdout, "it says so", 30, 0.2)
    lab.cluster.request("PATCH", f"{ROLES}/{ACCOUNT}", {"rules": rights("--set", "hostPort.enabled=true")},
                        kind="application/merge-patch+json")
    node.cli("reload", "--now")
    node.wait_status(0, 30)
