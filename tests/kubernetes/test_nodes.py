# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Direct server return between the nodes that the API server knows: of the others the addresses are followed (10.1)."""
import pytest

import topology
from test_api import FAMILIES, outside, reaches, serve
from wait import until


@pytest.fixture(scope="module")
def lab(own_lab):
    own_lab.start_agents(manifests=False, extra=["--kubeconfig", own_lab.cluster.kubeconfig(),
                                                 "--forwarding-mode", "dsr"])
    serve(own_lab, "direct", 12, ["web-2a"])  # its load balancer's address leads to node-1
    yield own_lab


def status(lab, node):
    return lab.nodes[node].json("status")


def put_node(lab, name, addresses):
    about = lab.cluster.request("GET", f"/api/v1/nodes/{name}")
    about["status"] = {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]}
    lab.cluster.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": about["status"]},
                        kind="application/merge-patch+json")


@FAMILIES
def test_5_1_nodes_come_and_go(lab, family):
    """What node-1 has encapsulated node-2 unpacks while there is a Node with the address that it comes from."""
    address, own = outside(12, family), topology.NODES["node-1"]
    reaches(lab, "client", address, ["web-2a"])
    counters = status(lab, "node-1")["counters"], status(lab, "node-2")["counters"]
    assert not lab["client"].http(address, 80, 5)["failed"]
    assert status(lab, "node-1")["counters"]["flows-tunnelled"] >= counters[0]["flows-tunnelled"] + 5
    assert status(lab, "node-2")["counters"]["flows-unpacked"] >= counters[1]["flows-unpacked"] + 5

    def unpacked():
        before = status(lab, "node-2")["counters"]["flows-unpacked"]
        report = lab["client"].http(address, 80, 1, timeout=1.0)
        assert report["failed"] or report["answers"] == {"web-2a": 1}, report
        return status(lab, "node-2")["counters"]["flows-unpacked"] > before, not report["failed"]

    # another Node has taken the name: the machine is none of the cluster's any more
    refused = status(lab, "node-2")["notForwarded"]["tunnel-source"]
    put_node(lab, "node-1", ["172.18.0.99", "fd00:18::99"])
    until(lambda: unpacked() == (False, False), "node-2 refuses what comes from node-1", 20, 0.1)
    assert status(lab, "node-2")["notForwarded"]["tunnel-source"] > refused
    # and as a new Node it is
    tree = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-3"}, "spec": {},
            "status": {"addresses": [{"type": "InternalIP", "address": own[each]} for each in (4, 6)]}}
    lab.cluster.put(tree)
    until(lambda: unpacked() == (True, True), "node-2 takes what comes from node-3's address", 20, 0.1)
    lab.cluster.delete("Node", "node-3")
    until(lambda: unpacked() == (False, False), "node-2 refuses it again", 20, 0.1)
    put_node(lab, "node-1", [own[4], own[6]])
    until(lambda: unpacked() == (True, True), "node-2 takes it again", 20, 0.1)
