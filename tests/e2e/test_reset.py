# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Connections whose backend is gone are reset where their Service wants it, and go on elsewhere."""
import time

import pytest

import cells
import test_dsr
from conftest import close_lab, make_lab
from test_changes import Traffic
from wait import until

STREAMS = 48  # each of four pods has some, and neither half of them all, but once in 10^11 times
GONE = ("web-1b", "web-2a")  # at the node that is asked, and at another one


def want_resets(lab, value, mode="snat"):
    tree = lab.manifests.service("web", 10)
    tree["metadata"]["annotations"] = {"fairlead.dev/reset-on-backend-removal": value,
                                       "fairlead.dev/forwarding-mode": mode}
    lab.manifests.write("web.yaml", lab.manifests.documents(tree))


def at(ledgers, pods):
    return sum(ledger["answers"].get(pod, 0) for ledger in ledgers.values() for pod in pods)


@pytest.fixture(params=["xdp", "tc"])
def mode_lab(lab, request):
    node = lab.nodes["node-1"]
    if request.param == "tc":
        node.stop()
        node.start(mode="tc")
    yield lab
    if request.param == "tc":
        node.stop()
        node.start()


@pytest.fixture(params=["xdp", "tc"])
def dsr_lab(request):
    lab = make_lab(mode=request.param)
    lab.hook = request.param
    test_dsr.restart(lab)
    yield lab
    close_lab(lab)


def clients_of_removed_backends_are_reset(lab):
    """Real sockets: those at the removed backends are told at once, the others notice nothing."""
    traffic = Traffic(lab, {"client": cells.vip(10)}, ("long",), streams=STREAMS)
    try:
        begun = time.monotonic()
        traffic.round()
        # once a second flows are written to that only go on
        until(lambda: time.monotonic() > begun + 3, "the connections are seconds old", 10)
        before = traffic.look()
        assert all(at(before, (pod,)) for pod in GONE), before
        assert not sum(ledger["failed"] for ledger in before.values())
        lab.manifests.set_backends("web", ("web-1a", "web-2b"))
        until(lambda: traffic.silent(GONE, ("long",)), "the removed backends are silent", 10)
        until(lambda: all(ledger["failed"] == ledger["moved"] for ledger in traffic.look().values()),
              "all of them are served elsewhere", 10)
    finally:
        ledgers = traffic.stop()
    for key, ledger in ledgers.items():
        assert set(ledger["failures"]) == {"reset"}, (key, ledger["failures"], ledger["events"][:5])
        # each connection that was there once, and no other
        assert 0 < ledger["failed"] < STREAMS, (key, ledger["failures"])
    return sum(ledger["failed"] for ledger in ledgers.values())


def resets(lab, node):
    return lab.nodes[node].json("status")["notForwarded"]["reset-backend-gone"]


def test_clients_of_a_removed_backend_are_reset(mode_lab):
    want_resets(mode_lab, "true")
    mode_lab.settle()
    told = clients_of_removed_backends_are_reset(mode_lab)
    assert resets(mode_lab, "node-1") >= told


def test_by_dsr_they_are_reset_as_well(dsr_lab):
    want_resets(dsr_lab, "true", "dsr")
    dsr_lab.settle()
    tunnelled = test_dsr.counter(dsr_lab, "node-1", "flows-tunnelled")
    told = clients_of_removed_backends_are_reset(dsr_lab)
    assert test_dsr.counter(dsr_lab, "node-1", "flows-tunnelled") > tunnelled
    assert resets(dsr_lab, "node-1") >= told


def test_without_it_connections_stay(lab):
    """7.8, also where the node's default is set against."""
    want_resets(lab, "false")
    lab.settle()
    traffic = Traffic(lab, {"client": cells.vip(10)}, ("long",), streams=STREAMS // 2)
    try:
        traffic.round()
        lab.manifests.set_backends("web", ("web-1a", "web-2b"))
        lab.settle()
        before = traffic.look()
        traffic.round()
        assert at(traffic.look(), GONE) > at(before, GONE)
    finally:
        ledgers = traffic.stop()
    assert not sum(ledger["failed"] + ledger["moved"] for ledger in ledgers.values()), ledgers


def test_drained_backends_keep_their_connections(lab):
    """A drain is no removal."""
    want_resets(lab, "true")
    lab.settle()
    node = lab.nodes["node-1"]
    traffic = Traffic(lab, {"client": cells.vip(10)}, ("long",), streams=STREAMS // 2)
    try:
        traffic.round()
        addresses = [row["ip"] for row in node.json("backend", "list")["items"] if row["port"] == 8080]
        assert node.cli("backend", "drain", *sorted(set(addresses))[:4]).returncode == 0
        traffic.round()
    finally:
        ledgers = traffic.stop()
        node.cli("backend", "undrain", "--all")
    assert not sum(ledger["failed"] + ledger["moved"] for ledger in ledgers.values()), ledgers
