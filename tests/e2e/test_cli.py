# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The command line against real agents: its names work, its documents keep their shape, it waits and tells apart."""
import json
import subprocess

import pytest

import cells
from conftest import close_lab, make_lab
from wait import PATIENCE, until

FORMS = (("status",), ("service", "list"), ("backend", "list"), ("flow", "list"))


def lines(answer):
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


def shape(value):
    """Keys and what is below them; the elements of a list are alike, the keys of counters are not fixed."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def fits(without, with_agent):
    """What is shown without an agent has the same keys; a list may be empty and a member null."""
    if isinstance(with_agent, dict) and isinstance(without, dict):
        return without.keys() == with_agent.keys() and all(
            fits(without[key], with_agent[key]) for key in without)
    if isinstance(with_agent, list) and isinstance(without, list) and without and with_agent:
        return fits(without[0], with_agent[0])
    return without is None or with_agent is None or isinstance(without, type(with_agent))


@pytest.mark.parametrize("noun, get", [("service", ("service", "get")), ("service", ("maglev", "show")),
                                       ("backend", ("backend", "get")), ("flow", ("flow", "get"))],
                         ids=["service", "maglev", "backend", "flow"])
def test_every_name_that_is_printed_can_be_asked_for(lab, noun, get):
    node = lab.nodes["node-1"]
    if noun == "flow":
        assert lab["client"].http(cells.vip(10)[4], 80, 3)["failed"] == 0
        assert lab["client"].http(cells.vip(10)[6], 80, 3)["failed"] == 0
    names = lines(node.cli(noun, "list", "-o", "name"))
    assert len(names) >= 6
    for name in (names[0], names[-1]):
        assert lines(node.cli(*get, name, "-o", "name")) == [name]
    assert lines(node.cli(*get, *names[:60], "-o", "name")) == names[:60]


def test_flows_are_flushed_by_name(lab):
    node = lab.nodes["node-1"]
    assert lab["client"].http(cells.vip(10)[4], 80, 40)["failed"] == 0
    names = lines(node.cli("flow", "list", "--client", "198.51.100.10", "--frontend", ":80", "-o", "name"))
    assert len(names) >= 40
    assert lines(node.cli("flow", "flush", *names)) == [f"{len(names)} flows flushed"]
    assert not set(names) & set(lines(node.cli("flow", "list", "-o", "name")))


def test_verdict_for_outside_clients_is_seen(lab):
    """3.3, 5.7.2: a Local policy without a local endpoint drops what comes from outside, and only that."""
    m, node = lab.manifests, lab.nodes["node-1"]
    sctp = {"name": "sctp", "port": 7777, "protocol": "SCTP", "targetPort": 7777}
    m.add("probe", m.service("probe", 13, externalTrafficPolicy="Local"), m.slice("probe", 4, ("web-2a",)),
          m.slice("probe", 6, ("web-2a",)), m.service("sctp", 14, ports=[sctp], vips=False),
          m.slice("sctp", 4, ("web-1a",), ports=(("sctp", "SCTP", 7777),)))
    lab.settle()
    items = node.json("service", "list")["items"]
    verdicts = {(i["name"], i["port"], i["family"]): i["verdicts"] for i in items}
    assert verdicts["probe", "http", "IPv4"] == {"clusterIP": "forward", "external": "drop",
                                                 "internalToExternal": "forward"}
    assert verdicts["sctp", "sctp", "IPv4"]["clusterIP"] == "unserved"
    planned = {i["name"]: i["verdicts"] for i in node.json("plan", "--manifests", m.directory, "--node",
                                                           node.name)["items"]}
    assert planned["sctp"]["clusterIP"] == "unserved"
    finding = next(c for c in node.json("status")["conditions"] if c["subject"] == "default/sctp")
    assert finding["level"] == "warning" and "SCTP is not balanced yet" in finding["text"]
    row = next(line.split() for line in lines(node.cli("service", "list", "--family", "IPv4", "-n", "default"))
               if line.split()[1:3] == ["probe", "http"])
    assert row[5:7] == ["forward", "drop"]


def test_source_ranges_are_listed(lab):
    m, node = lab.manifests, lab.nodes["node-1"]
    ranges = ["198.51.100.0/24", "2001:db8:51::/64"]
    m.add("probe", m.service("probe", 13, loadBalancerSourceRanges=ranges), m.slice("probe", 4, ("web-1a",)),
          m.slice("probe", 6, ("web-1a",)))
    lab.settle()
    for family, prefix in (("IPv4", ranges[0]), ("IPv6", ranges[1])):
        item = next(i for i in node.json("service", "get", "default/probe:http")["items"] if i["family"] == family)
        assert prefix in item["sourceRanges"]
        assert not set(ranges) - {prefix} & set(item["sourceRanges"])
    assert ranges[0] in node.cli("service", "get", "default/probe").stdout


def test_lists_are_sorted_as_asked(lab):
    node = lab.nodes["node-1"]
    counts = [i["flows"] for i in node.json("backend", "list", "--sort", "-flows")["items"]]
    assert counts == sorted(counts, reverse=True) and len(counts) > 3
    assert lab["client"].http(cells.vip(10)[4], 80, 5)["failed"] == 0

    def most(*words):
        return [i["bytes"] for i in node.json("flow", "list", *words)["items"]]

    # the last packets of what has ended may come between the two
    until(lambda: most("--sort", "-bytes", "--limit", "3") == sorted(most("--limit", "100000"), reverse=True)[:3],
          "the three largest flows are listed")


@pytest.fixture(scope="module")
def lone():
    """A lab of this module's own whose node-1 has an agent that may be stopped."""
    made = make_lab(start=False)
    yield made
    close_lab(made)


def test_documents_keep_their_shape_without_an_agent(lone):
    node = lone.nodes["node-1"]
    node.start()
    node.settle()
    assert lone["client"].http(cells.vip(10)[4], 80, 3)["failed"] == 0
    with_agent = {form: node.json(*form) for form in FORMS}
    node.stop()
    for form, agents in with_agent.items():
        answer = node.cli("-o", "json", *form)
        assert "agent not reachable" in answer.stderr
        pinned = json.loads(answer.stdout)
        assert fits(pinned, agents), (form, shape(pinned), shape(agents))
        assert answer.returncode == (1 if form == ("status",) else 0)
    assert len(pinned["items"]) >= 3
    status = json.loads(node.cli("-o", "json", "status").stdout)
    assert status["agent"] == "unreachable" and not status["healthy"]
    assert {d["name"]: (d["role"], d["hook"]) for d in status["devices"]} == {
        d["name"]: (d["role"], d["hook"]) for d in with_agent["status",]["devices"]}
    # Services go by their numbers, and these can be asked for as well
    names = lines(node.cli("service", "list", "-o", "name"))
    assert names and all(name.startswith("#") for name in names)
    assert lines(node.cli("service", "get", *names, "-o", "name")) == names
    assert lines(node.cli("maglev", "show", names[0], "-o", "name")) == [names[0]]
    assert node.cli("service", "get", "#99999").returncode == 3


def test_a_stopped_agent_is_told_apart(lone):
    """A process that is stopped is named as such, and what it programmed is shown all the same."""
    node = lone.nodes["node-1"]
    node.start()
    node.settle()
    with node.frozen():
        status = node.cli("status")
        assert status.returncode == 1
        assert f"process {node.pid()} is stopped" in status.stderr
        assert status.stdout.splitlines()[0].split() == ["agent", "stopped"]
        assert json.loads(node.cli("-o", "json", "status").stdout)["agent"] == "stopped"
        assert "10.96.0.10" in node.cli("service", "list").stdout
        assert node.cli("reload").returncode == 4
    until(lambda: node.cli("status").returncode == 0, "the agent answers again", 10)


def test_status_waits_for_health(lone):
    node = lone.nodes["node-1"]
    node.stop()
    waiting = subprocess.Popen(node.place.command(node.cli_command("status", "--wait=120")),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    node.start()
    out, err = waiting.communicate(timeout=60 * PATIENCE)
    assert waiting.returncode == 0, out + err
    assert "healthy" in out and not err
    lone.manifests.write("bad.yaml", "a: [\n")
    try:
        until(lambda: node.cli("status").returncode == 1, "the bad file counts", 10)
        late = node.cli("status", "--wait=1")
        assert late.returncode == 1
        assert "bad.yaml" in late.stdout and "error since" in late.stdout
    finally:
        lone.manifests.remove("bad.yaml")
    assert node.cli("status", "--wait").returncode == 0


def test_reload_compares_the_maps(lone):
    """As on SIGHUP."""
    node = lone.nodes["node-1"]
    if node.agent is None:
        node.start()
    before = node.api("/v1/status")["drift"]
    assert before is None, "nobody has compared yet"
    assert lines(node.cli("reload")) == ["reloaded"]
    assert node.api("/v1/status")["drift"] == 0


def test_nothing_to_ask_is_4(lone):
    node = lone.nodes["node-1"]
    node.stop()
    assert node.cleanup().returncode == 0
    for words in (*FORMS, ("service", "get", "default/web"), ("maglev", "show", "default/web"),
                  ("flow", "flush", "--all"), ("reload",)):
        answer = node.cli(*words)
        assert answer.returncode == 4 and not answer.stdout, (words, answer.stderr)
