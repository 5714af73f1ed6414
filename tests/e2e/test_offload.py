# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Devices as other people leave them (robustness D8, D9): all offloads on, no program at the other end of
a veth. Packets arrive with checksums that are still to be completed, and many in one. Two megabytes go
each way, over TCP and over UDP with segmentation offload, to a backend here and to one on the other node.
"""
import pytest

import cells
from conftest import FAMILIES, close_lab, make_lab, outside_of_its_cgroup

SIZE = 2000000
PLACES = pytest.mark.parametrize("pod", ["web-1a", "web-2a"], ids=["local", "remote"])
# native XDP is not there yet: what it sends to a veth without a program is lost, or has half a checksum
MODES = ("xdp-generic", "tc")


@pytest.fixture(scope="module", params=MODES)
def raw_lab(request):
    """A lab of raw devices with agents in one of the modes, serving pods per packet as well."""
    lab = make_lab(devices="raw", mode=request.param, extra=["--pod-devices", "veth-*"])
    yield lab
    close_lab(lab)


def only(lab, pod):
    lab.manifests.set_backends("web", (pod,))
    lab.settle()


def move(source, host):
    moved = source.bulk(host, 80, SIZE)
    assert (moved["down"], moved["up"]) == (SIZE, SIZE)
    moved = source.udp_bulk(host, 5353, SIZE)
    assert min(moved["up"], moved["down"]) >= SIZE


@FAMILIES
@PLACES
def test_from_outside(raw_lab, pod, family):
    only(raw_lab, pod)
    move(raw_lab["client"], cells.vip(10)[family])


@FAMILIES
@PLACES
def test_from_a_pod_per_packet(raw_lab, pod, family):
    """A process in the pod's network but outside the node's cgroup: no socket hook sees it."""
    only(raw_lab, pod)
    with outside_of_its_cgroup(raw_lab, "cli-1") as source:
        move(source, cells.WEB[family])


@FAMILIES
@PLACES
@pytest.mark.parametrize("raw_lab", ["tc"], indirect=True)
def test_from_sockets(raw_lab, pod, family):
    """A pod and the node, whose sockets are translated: nothing is rewritten, whatever the mode."""
    only(raw_lab, pod)
    for source in ("cli-1", "node-1"):
        move(raw_lab[source], cells.WEB[family])
