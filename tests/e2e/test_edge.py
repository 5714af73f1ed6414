# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The worked example of docs/edge.md: manifests without a cluster, on a node that knows no pods."""
import os

import pytest

import topology
from conftest import REPO, run

EXAMPLE = f"{REPO}/deploy/edge"
# the example's servers, and the lab's pods that stand for them
SERVERS = {"192.168.10.21": ("web-2a", 4), "192.168.10.22": ("web-2b", 4),
           "fd00:10::21": ("web-2a", 6), "fd00:10::22": ("web-2b", 6)}


@pytest.fixture(scope="module")
def edge(own_lab, tmp_path_factory):
    """node-1 as the edge node, started with what the page says and the example's files."""
    manifests = tmp_path_factory.mktemp("edge")
    for name in os.listdir(EXAMPLE):
        with open(f"{EXAMPLE}/{name}", encoding="utf-8") as file:
            text = file.read()
        for address, (pod, family) in SERVERS.items():
            text = text.replace(address, topology.pod_addresses(pod)[family])
        (manifests / name).write_text(text)
    node = own_lab.nodes["node-1"]
    node.stop()
    node.cleanup()
    node.start(manifests=str(manifests), cluster_cidr=None)
    return node


def test_the_plan_is_without_complaint():
    done = run(os.path.join(os.environ.get("FAIRLEAD_BUILD", f"{REPO}/build/std"), "fairlead"),
               "plan", "--manifests", EXAMPLE, "--node", "edge-1")
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("address", ["203.0.113.10", "2001:db8:113::a"])
def test_both_servers_are_asked(own_lab, edge, address):
    report = own_lab["client"].http(address, 80, 40)
    assert report["failed"] == 0, report
    assert set(report["answers"]) == {"web-2a", "web-2b"}, report


def test_datagrams(own_lab, edge):
    report = own_lab["client"].udp("203.0.113.11", 53, 40)
    assert report["failed"] == 0, report
    assert set(report["answers"]) == {"web-2a", "web-2b"}, report


def test_status_is_healthy(own_lab, edge):
    answer = edge.cli("status")
    assert answer.returncode == 0, answer.stdout + answer.stderr
