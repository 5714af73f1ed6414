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
# native XDP needs a program at the other end, or it is refused (below); checksums arrive unfinished all the same
MODES = {"auto": "raw", "xdp-generic": "raw", "tc": "raw", "xdp": "unfinished"}


@pytest.fixture(scope="module", params=MODES)
def raw_lab(request):
    """A lab of raw devices with agents in one of the modes, serving pods per packet as well."""
    lab = make_lab(devices=MODES[request.param], mode=request.param, extra=["--pod-devices", "veth-*"])
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


def test_native_xdp_is_refused_where_its_frames_would_be_lost():
    """A veth without a program at its other end: the reason is a condition, and the node is not healthy."""
    lab = make_lab(devices="raw", start=False)
    try:
        node = lab.nodes["node-1"]
        node.start(mode="xdp")
        answer = node.cli("status")
        assert answer.returncode == 1, answer.stdout
        assert "whose other end does not have an XDP program" in answer.stdout, answer.stdout
        assert "eth0 xdp" not in answer.stdout
    finally:
        close_lab(lab)


def test_auto_leaves_a_veth_to_tc(lab):
    """Also one that could have native XDP: nothing on this side would show when it no longer can."""
    node = lab.nodes["node-1"]
    node.stop()
    node.start(mode="auto")
    assert "eth0 tc" in node.cli("status").stdout
    node.stop()
