# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Agents are killed and started again under load: nothing that is established is ever cut, and no
request fails (robustness A1). The ledger counts every request of every kind of client.
"""
import contextlib
import signal

import pytest

import bpf
import cells
import topology
from test_changes import Traffic, failures
from wait import until

SOURCES = {"client": cells.vip(10), "cli-1": cells.WEB, "cli-2": cells.WEB, "node-1": cells.WEB}


@contextlib.contextmanager
def opening_patiently(lab, sources):
    with contextlib.ExitStack() as stack:
        for source in sources:
            stack.enter_context(bpf.patient_connections(lab[source].cgroup))
        yield


@pytest.fixture
def patient(lab):
    with opening_patiently(lab, SOURCES):
        yield


def unharmed(traffic):
    """End the load; nothing failed, no long-lived peer moved, and no packet that opens a connection was
    lost. (A lost one is sent again later, so that the request succeeds all the same.)"""
    ledgers, again = traffic.stop(), traffic.opened_again()
    assert failures(ledgers) == {}
    moved = {key: ledger["moved"] for key, ledger in ledgers.items() if ledger["moved"]}
    assert moved == {}, "long-lived peers changed their backend"
    assert not any(again.values()), f"connections had to be opened twice: {again}"
    return ledgers


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill-9", "terminate"])
def test_restart_under_load(lab, patient, number):
    traffic = Traffic(lab, SOURCES)
    traffic.round()
    for _ in range(3):
        for node in lab.nodes.values():
            node.stop(number)
        # with no agent at all
        traffic.round(30)
        for node in lab.nodes.values():
            node.start(wait=False)
        traffic.round(10)
        for node in lab.nodes.values():
            node.wait_ready()
        traffic.round(10)
    ledgers = unharmed(traffic)
    assert sum(ledger["answered"] for ledger in ledgers.values()) > 3000


def test_source_ports_come_round_again(own_lab):
    """Few ports, flows that are over soon, and agents too short-lived to sweep the table: what is left
    of a flow does not take the replies of the next one with its port.
    """
    path = f"{own_lab.directory}/closing.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n"
                   "timeouts: {tcpClosing: 1s}\n")
    for node in own_lab.nodes.values():
        node.place.script("echo 1024-29500 > /proc/sys/net/ipv4/ip_local_reserved_ports")
    own_lab.start_agents(extra=["--config", path])
    with opening_patiently(own_lab, ("client",)):
        traffic = Traffic(own_lab, {"client": cells.vip(10)}, ("short",), streams=12)
        for _ in range(4):
            traffic.round(500)
            for node in own_lab.nodes.values():
                node.kill()
            own_lab.start_agents(extra=["--config", path])
        unharmed(traffic)


def test_kill_while_backends_change(lab):
    """A change that came while the agent was away is applied when it is back, and harms nobody."""
    traffic = Traffic(lab, SOURCES, ("short", "long"))
    traffic.round()
    for node in lab.nodes.values():
        node.kill()
    lab.manifests.set_backends("web", ("web-1a", "web-2b"))
    traffic.round()
    for node in lab.nodes.values():
        node.start()
    lab.settle()
    until(lambda: traffic.silent(("web-1b", "web-2a")), "removed backends are silent", 15)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert not any(ledger["moved"] for key, ledger in ledgers.items() if key[1].startswith("long"))


def test_kill_during_start(lab, patient):
    """Killed at whatever point of its start, the agent leaves a datapath that works."""
    node = lab.nodes["node-1"]
    traffic = Traffic(lab, {"client": cells.vip(10), "cli-1": cells.WEB}, ("short", "long", "udp"))
    traffic.round()
    for answers in (1, 2, 3, 5, 8, 13, 21):
        node.kill()
        node.start(wait=False)
        # as long as it takes to get so many answers, which differs from run to run
        traffic.round(answers)
    node.kill()
    node.start()
    traffic.round()
    unharmed(traffic)


def test_cold_start_under_load(lab):
    """5.3: from its first packet on, the datapath masquerades what leaves for another node; a flow
    that it once let go with the client's address would never be answered.
    """
    client = lab["client"]
    client.call("load_start", name="cold", timeout=1.5, targets=[
        {"kind": "short", "host": cells.vip(number)[family], "port": 80, "streams": 6, "label": "cold"}
        for number in (10, 20) for family in (4, 6)])
    for node in lab.nodes.values():
        node.kill()
        assert node.cleanup().returncode == 0
    lab.start_agents()
    before = client.call("load_look", name="cold")["cold"]["answered"]
    try:
        until(lambda: client.call("load_look", name="cold")["cold"]["answered"] > before + 200,
              "clients are answered again")
    finally:
        client.call("load_stop", name="cold")
    for name, node in lab.nodes.items():
        remote = {topology.pod_addresses(pod)[family] for other, about in topology.NODES.items()
                  if other != name for pod in about["pods"] for family in (4, 6)}
        flows = [flow for flow in node.json("flow", "list", "--limit", "100000")["items"]
                 if flow["backend"].rpartition(":")[0].strip("[]") in remote]
        assert flows, "no flow to the other node was seen"
        assert [flow for flow in flows if not flow["masqueraded"]] == []
