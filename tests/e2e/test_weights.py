# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Weights of endpoints: real connections follow them, and weight 0 drains without harm."""
import signal

import pytest

import cells
import topology
from conftest import FAMILIES
from test_changes import Traffic, failures, only_web
from wait import until

WEIGHTS = {"web-1a": 1, "web-1b": 2, "web-2a": 5, "web-2b": 0}
ASKED = 800


def weigh(lab, all_pods=None, **pods):
    """Give the endpoints of service web these weights."""
    m, objects = lab.manifests, []
    for family in (4, 6):
        tree = m.slice("web", family, cells.ALL)
        annotations = {}
        if all_pods is not None:
            annotations["fairlead.dev/weight"] = str(all_pods)
        if pods:
            annotations["fairlead.dev/endpoint-weights"] = ",".join(
                f"{topology.pod_addresses(pod.replace('_', '-'))[family]}={weight}"
                for pod, weight in pods.items())
        tree["metadata"]["annotations"] = annotations
        objects.append(tree)
    m.write("web-endpointslices.yaml", m.documents(*objects))


def digests(node):
    return {(row["family"], row["service"], row["list"]): row["digest"]
            for row in node.json("maglev", "show", "default/web")["items"]}


@FAMILIES
@pytest.mark.parametrize("source", ["client", "cli-1", "node-1"])
def test_connections_follow_weights(lab, source, family):
    """From outside packets do, from pods and nodes sockets. Six standard deviations: a right
    datapath fails once in 10^8 runs, one that ignores weights never passes."""
    weigh(lab, **{pod.replace("-", "_"): weight for pod, weight in WEIGHTS.items()})
    lab.settle()
    host = (cells.vip(10) if source == "client" else cells.WEB)[family]
    report = lab[source].http(host, 80, ASKED)
    assert report["failed"] == 0, report
    total = sum(WEIGHTS.values())
    for pod, weight in WEIGHTS.items():
        share = weight / total
        deviation = (ASKED * share * (1 - share)) ** 0.5
        assert abs(report["answers"].get(pod, 0) - ASKED * share) <= 6 * deviation, report["answers"]


def test_nodes_agree_on_weighted_tables(lab):
    """Tables are the same on every node, and the lists say the shares."""
    before = digests(lab.nodes["node-1"])
    weigh(lab, web_1a=10, web_1b=20, web_2a=30, web_2b=30)
    lab.settle()
    first, second = (digests(node) for node in lab.nodes.values())
    assert first == second != before
    rows = lab.nodes["node-2"].json("maglev", "show", "default/web")["items"]
    assert {row["weight"] for row in rows} == {1, 2, 3}


def test_all_drained_is_refused(lab):
    """As where there is no endpoint (5.7)."""
    only_web(lab)
    weigh(lab, 0)
    lab.settle()
    report = lab["client"].http(cells.vip(10)[4], 80, 2)
    assert report["failed"] == 2, report
    rows = lab.nodes["node-1"].json("backend", "list")["items"]
    assert rows and all((row["state"], row["weight"], row["services"]) == ("drained", 0, []) for row in rows), rows


def test_a_drain_under_load_harms_nobody(lab):
    """Weight 0: nothing fails, nobody who is there is moved, nobody new arrives; a restart of the
    agents keeps it so."""
    traffic = Traffic(lab, kinds=("short", "long", "udp"))
    traffic.round()
    weigh(lab, web_1b=0, web_2a=0)
    drained = ("web-1b", "web-2a")
    until(lambda: traffic.silent(drained), "drained backends get no new connections", 15)
    for node in lab.nodes.values():
        node.stop(signal.SIGKILL)
    assert traffic.silent(drained)
    for node in lab.nodes.values():
        node.start()
    lab.settle()
    assert traffic.silent(drained)
    before = traffic.look()
    traffic.round()
    now = traffic.look()
    kept = sum(now[key]["answers"].get(pod, 0) - before[key]["answers"].get(pod, 0)
               for key in now if key[1].startswith(("long", "udp")) for pod in drained)
    assert kept > 0, "flows that there were live on at drained backends"
    lab.manifests.restore("web-endpointslices.yaml")
    until(lambda: not traffic.silent(drained), "connections come again", 15)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert {key: ledger["moved"] for key, ledger in ledgers.items()
            if key[1].startswith("long") and ledger["moved"]} == {}
