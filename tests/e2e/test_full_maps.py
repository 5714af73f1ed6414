# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""B4: a map without room for a change. What was in force serves on as a whole, also when the agent
restarts meanwhile, and the change comes in as soon as another Service leaves room for it.
"""
import pytest

import cells
from test_changes import Traffic, failures
from wait import until

SOURCES = {"client": cells.vip(10), "cli-1": cells.WEB, "node-1": cells.WEB}
SETTINGS = """\
apiVersion: fairlead.dev/v1
kind: FairleadConfiguration
maglev: {tableLength: 251}
"""
KEPT, GONE = ("web-1a", "web-2b"), ("web-1b", "web-2a")


def programmed(node, what):
    return node.api("/v1/status")["programmed"][what]


def refused(node):
    return [c["text"] for c in node.api("/v1/status")["conditions"] if c["kind"] == "refused"]


def frontends(node):
    """All that the map has, the entries of addresses (2.22) included."""
    return sorted(node.frontends("list").splitlines())


def configure(lab, node, maps=""):
    path = f"{lab.directory}/{node.name}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(SETTINGS + maps)
    return ["--config", path]


@pytest.fixture
def full_lab(own_lab):
    """Agents whose map `lines` has room for what the manifests say, and for nothing else."""
    for node in own_lab.nodes.values():
        node.start(extra=configure(own_lab, node))
        lines = programmed(node, "linesUsed")
        node.stop()
        assert node.cleanup().returncode == 0
        node.start(extra=configure(own_lab, node, f"maps: {{lines: {lines}}}\n"))
    yield own_lab
    own_lab.manifests.reset()


def test_change_that_does_not_fit(full_lab):
    nodes = full_lab.nodes.values()
    before = {node.name: frontends(node) for node in nodes}
    traffic = Traffic(full_lab, SOURCES)
    traffic.round()
    full_lab.manifests.set_backends("web", KEPT)
    for node in nodes:
        until(lambda: len(refused(node)) == 4, f"the ports of web are refused on {node.name}")
        assert all("map lines: full" in text for text in refused(node)), refused(node)
    assert {node.name: frontends(node) for node in nodes} == before
    traffic.round()

    for node in nodes:
        node.kill()
        node.start(extra=["--config", f"{full_lab.directory}/{node.name}.yaml"])
        assert len(refused(node)) == 4
    assert {node.name: frontends(node) for node in nodes} == before
    traffic.round()
    assert not traffic.silent(GONE)

    full_lab.manifests.remove("dns.json")
    # the lines of dns are free a second after it has gone
    for node in nodes:
        until(lambda: not refused(node), f"the change is in force on {node.name}", 5)
    until(lambda: traffic.silent(GONE), "removed backends are silent", 15)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    # 5.1.2: an open connection keeps its backend whatever changes
    assert {key: ledger["moved"] for key, ledger in ledgers.items()
            if key[1].startswith("long") and ledger["moved"]} == {}
