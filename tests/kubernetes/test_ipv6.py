# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clusters whose first family is IPv6, and such that have no other: API server, Nodes, pods and Services."""
import pytest

import controllers
import topology
from conftest import a_lab
from control_plane import PORT
from test_api import PODS, is_gone, outside, reaches, vip
from test_services import App, fails, reaches_port
from test_trouble import RELAY_PORT, Relay
from wait import until


# the families of each
CLUSTERS = [pytest.param((6, 4), id="dual-stack"), pytest.param((6,), id="IPv6 alone")]


@pytest.fixture(scope="module", params=CLUSTERS)
def lab(programs, request):
    with a_lab(programs, request.param) as made:
        cidrs = dict(zip((4, 6), topology.CLUSTER_CIDR.split(",")))
        made.options = {"manifests": False, "cluster_cidr": ",".join(cidrs[family] for family in request.param)}
        controllers.start(made.cluster)
        made.start_agents(**made.options, extra=["--kubeconfig", made.cluster.kubeconfig()])
        yield made


@pytest.fixture
def app(lab):
    made = []

    def make(name, number, **spec):
        addresses = [vip(number, family) for family in lab.cluster.families]
        made.append(App(lab, name, number, **{"clusterIP": addresses[0], "clusterIPs": addresses, **spec}))
        return made[-1]
    yield make
    for each in made:
        each.delete()


def test_services(lab, app):
    """Of each type, by what pods, nodes and clients ask, in each family that there is."""
    web = app("web", 12, type="LoadBalancer", ports=[{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30012}])
    lab.cluster.request("PATCH", "/api/v1/namespaces/default/services/web/status", {"status": {"loadBalancer": {"ingress": [
        {"ip": outside(12, family), "ipMode": "VIP"} for family in lab.cluster.families]}}}, kind="application/merge-patch+json")
    for family in lab.cluster.families:
        for client in ("cli-1", "cli-2", "node-1", "node-2"):
            reaches(lab, client, vip(12, family), PODS)
        reaches(lab, "client", outside(12, family), PODS)
        reaches_port(lab, "client", topology.NODES["node-2"][family], 30012, PODS)
    for name, node in lab.nodes.items():
        node.wait_status(0)
        assert f"zone-{'ab'[topology.NODES[name]['number'] - 1]}" in node.cli("status").stdout
    web.pods.terminate("web-1a")
    reaches(lab, "cli-1", vip(12, 6), [pod for pod in PODS if pod != "web-1a"])


def test_the_api_server_is_a_service(lab):
    """default/kubernetes, which is of the first family: from pods and from the nodes."""
    for client in ("cli-1", "cli-2", "node-1", "node-2"):
        def answered(place=client):
            done = lab[place].run(["curl", "-gsk", "--max-time", "5", "-H",
                                   f"Authorization: Bearer {lab.cluster.tokens['admin']}", f"https://[{vip(1, 6)}]/readyz"])
            return done.stdout == "ok"
        until(answered, f"{client} reaches the API server on port {PORT} by its Service", 10, 0.2)


@pytest.mark.parametrize("lab", [CLUSTERS[0]], indirect=True)
def test_1_11_the_second_family_comes_and_goes(lab, app):
    """1.11: IPv6, then both, then IPv6."""
    web = app("families", 27, ipFamilyPolicy="SingleStack", clusterIPs=[vip(27, 6)], ipFamilies=["IPv6"])
    reaches(lab, "cli-1", vip(27, 6), PODS)
    fails(lab, "cli-1", vip(27, 4))
    web.put(ipFamilyPolicy="RequireDualStack", clusterIPs=[vip(27, 6), vip(27, 4)], ipFamilies=["IPv6", "IPv4"])
    web.reaches()
    web.put(ipFamilyPolicy="SingleStack", clusterIPs=[vip(27, 6)], ipFamilies=["IPv6"])
    is_gone(lab, "cli-1", vip(27, 4))
    reaches(lab, "cli-1", vip(27, 6), PODS)


def test_11_8_an_api_server_that_was_learnt(lab, app):
    """11.8: where the server is that the kubeconfig does not name is known from the endpoints of default/kubernetes."""
    cluster, node = lab.cluster, lab.nodes["node-1"]
    relay = Relay(cluster)
    try:
        node.stop()
        node.start(**lab.options, extra=["--kubeconfig", cluster.kubeconfig(
            "relayed", server=cluster.url.replace(f":{PORT}", f":{RELAY_PORT}"))])
        known = f"[{cluster.address}]:{PORT}"
        until(lambda: known in node.cli("service", "get", "default/kubernetes").stdout, "it is learnt", 20, 0.1)
    finally:
        relay.close()
    app("learnt", 13)
    for client in ("cli-1", "cli-2"):
        until(lambda: set(lab[client].http(vip(13, 6), 80, 24)["answers"]) == set(PODS), "it is followed", 60, 0.2)
    until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 60, 0.2)
    node.wait_status(0)
