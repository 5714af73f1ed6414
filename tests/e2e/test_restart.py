# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Agents are killed and started again under load: nothing that is established is ever cut, and no
request fails (promise 2 of the design). The ledger counts every request of every kind of client.
"""
import signal

import pytest

import cells
from test_changes import Traffic, failures

SOURCES = {"client": cells.vip(10), "cli-1": cells.WEB, "cli-2": cells.WEB, "node-1": cells.WEB}


def unharmed(ledgers):
    assert failures(ledgers) == {}
    moved = {key: ledger["moved"] for key, ledger in ledgers.items() if ledger["moved"]}
    assert moved == {}, "long-lived peers changed their backend"
    # one retransmission of a SYN takes a second, two take three
    slow = {key: ledger["slowest_ms"] for key, ledger in ledgers.items()
            if ledger["slowest_ms"] > 2500}
    assert slow == {}, "requests waited for more than one retransmission"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill-9", "terminate"])
def test_restart_under_load(lab, number):
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
    ledgers = traffic.stop()
    unharmed(ledgers)
    assert sum(ledger["answered"] for ledger in ledgers.values()) > 3000


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
    assert traffic.silent(("web-1b", "web-2a"))
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert not any(ledger["moved"] for key, ledger in ledgers.items() if key[1].startswith("long"))


def test_kill_during_start(lab):
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
    unharmed(traffic.stop())
