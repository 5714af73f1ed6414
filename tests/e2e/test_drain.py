# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`fairlead backend drain` under load: nobody is harmed, nobody new arrives, and it outlives agents."""
import os
import signal

import pytest

import cells
import topology
from conftest import FAMILIES, close_lab, make_lab
from test_changes import Traffic, failures
from wait import until

DRAINED = "web-1b"


@pytest.fixture(scope="module")
def drain_lab():
    """Agents that have a state directory each."""
    lab = make_lab(start=False)
    for node in lab.nodes.values():
        node.start(extra=["--state-dir", state_dir(lab, node)])
    lab.settle()
    yield lab
    close_lab(lab)


@pytest.fixture(autouse=True)
def nothing_stays_drained(drain_lab):
    yield
    for node in drain_lab.nodes.values():
        if node.agent is None or node.agent.poll() is not None:
            start(drain_lab, node)
        node.cli("backend", "undrain", "--all")


def state_dir(lab, node):
    return f"{lab.directory}/state-{node.name}"


def start(lab, node):
    node.start(extra=["--state-dir", state_dir(lab, node)])


def addresses(pod):
    return [topology.pod_addresses(pod)[family] for family in (4, 6)]


def each(lab, *words, code=0):
    """Say it on each node; what they answer."""
    answers = []
    for node in lab.nodes.values():
        answer = node.cli("backend", *words)
        assert answer.returncode == code, (answer.stdout, answer.stderr)
        answers.append(answer)
    return answers


def held_most(ledgers):
    """The pod that most long-lived peers have, whichever chance has made that."""
    count = dict.fromkeys(cells.ALL, 0)
    for key, ledger in ledgers.items():
        for pod, answers in ledger["answers"].items():
            count[pod] += answers if key[1].startswith(("long", "udp")) else 0
    return max(count, key=count.get)


def test_a_drain_under_load_harms_nobody(drain_lab):
    """Nothing fails, nobody who is there is moved, nobody new arrives; killed agents remember it."""
    lab = drain_lab
    traffic = Traffic(lab, kinds=("short", "long", "udp"))
    traffic.round()
    drained = held_most(traffic.look())
    each(lab, "drain", *addresses(drained))
    until(lambda: traffic.silent((drained,)), "the drained backend gets no new connections", 15)
    for node in lab.nodes.values():
        node.stop(signal.SIGKILL)
    for node in lab.nodes.values():
        assert os.listdir(state_dir(lab, node)) == ["drains"]
        start(lab, node)
    assert traffic.silent((drained,))
    before = traffic.look()
    traffic.round()
    now = traffic.look()
    kept = sum(now[key]["answers"].get(drained, 0) - before[key]["answers"].get(drained, 0)
               for key in now if key[1].startswith(("long", "udp")))
    assert kept > 0, "flows that there were live on at the drained backend"
    each(lab, "undrain", *addresses(drained))
    until(lambda: not traffic.silent((drained,)), "connections come again", 15)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert {key: ledger["moved"] for key, ledger in ledgers.items()
            if key[1].startswith(("long", "udp")) and ledger["moved"]} == {}


@FAMILIES
def test_where_a_drain_is_shown(drain_lab, family):
    node = drain_lab.nodes["node-1"]
    address = topology.pod_addresses(DRAINED)[family]
    port = f"[{address}]:8080" if family == 6 else f"{address}:8080"
    first, _ = each(drain_lab, "drain", address)
    assert first.stdout == f"{address} drained\n" and not first.stderr, first
    assert each(drain_lab, "drain", address)[0].stdout == f"{address} already drained\n"
    status = node.cli("status")
    assert status.returncode == 0 and f"drained       {address} since " in status.stdout, status.stdout
    assert [drain["address"] for drain in node.json("status")["drains"]] == [address]

    def row():
        return next(r for r in node.json("backend", "list")["items"] if r["address"] == port)

    until(lambda: (row()["state"], row()["drainedBy"], row()["weight"]) == ("drained", "command", 0),
          "the backend is drained", 5)
    service = node.cli("service", "get", "default/web")
    assert f"drained backends:\n  {port}\n" in service.stdout, service.stdout
    assert f"fairlead_drains 1\n" in node.cli("metrics").stdout
    refused = each(drain_lab, "undrain", port, code=1)[0]
    assert f"{port} is drained with all of {address}" in refused.stderr
    assert each(drain_lab, "undrain", "--all")[0].stdout == f"{address} undrained\n"
    until(lambda: row()["state"] == "live", "the backend is live again", 5)
    assert node.json("status")["drains"] == []


def test_all_drained_refuses_and_says_so(drain_lab):
    lab = drain_lab
    pods = [address for pod in cells.ALL for address in addresses(pod)]
    first, _ = each(lab, "drain", *pods)
    assert "default/web:http has no endpoint left that is not drained" in first.stderr, first.stderr
    try:
        until(lambda: lab["client"].http(cells.vip(10)[4], 80, 2)["failed"] == 2, "connections are refused", 5)
    finally:
        each(lab, "undrain", "--all")
    until(lambda: lab["client"].http(cells.vip(10)[4], 80, 2)["failed"] == 0, "connections are served again", 5)


def test_a_damaged_file_stops_nothing(drain_lab):
    """What was drained is not known then, which is a warning until somebody says what is to be."""
    lab = drain_lab
    node = lab.nodes["node-1"]
    node.cli("backend", "drain", *addresses(DRAINED))
    node.stop()
    path = f"{state_dir(lab, node)}/drains"
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"?")
    start(lab, node)

    def conditions():
        return [c["level"] for c in node.json("status")["conditions"] if c["kind"] == "drains"]

    assert node.json("status")["drains"] == [] and conditions() == ["warning"]
    assert node.cli("status").returncode == 0
    node.cli("backend", "undrain", "--all")
    assert conditions() == []
    node.stop()
    start(lab, node)
    assert conditions() == []


def test_an_address_that_nobody_has(drain_lab):
    """Kept, noted, and in force once a slice has it."""
    lab = drain_lab
    node = lab.nodes["node-1"]
    lab.manifests.set_backends("web", ("web-1a", "web-2a"))
    lab.settle()
    try:
        answer = node.cli("backend", "drain", "10.99.0.1:80", *addresses("web-2b"))
        assert answer.returncode == 0 and answer.stderr.count("no EndpointSlice has") >= 1, answer.stderr
        texts = [c["text"] for c in node.json("status")["conditions"] if c["kind"] == "drains"]
        assert any(text.startswith("10.99.0.1:80 is drained") for text in texts), texts
    finally:
        lab.manifests.set_backends("web", cells.ALL)

    def states():
        return {r["ip"]: r["state"] for r in node.json("backend", "list")["items"] if r["port"] == 8080}

    # together with one that is not drained, so that the change is known to be in force
    until(lambda: {states().get(a) for a in addresses("web-1b")} == {"live"}, "the others are there", 5)
    assert {states()[a] for a in addresses("web-2b")} == {"drained"}
    assert node.cli("backend", "undrain", "--all").returncode == 0
    lab.settle()
