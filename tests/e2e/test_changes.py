# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Backends come and go while requests run, and none may fail (5.1.2, 5.8.5, 3.3)."""
import pytest

import cells
from wait import until

TARGETS = [{"kind": kind, "family": family, "port": port}
           for family in (4, 6)
           for kind, port in (("short", 80), ("long", 80), ("udp", 5353), ("udp-unconnected", 5353))]
STREAMS = 40  # all of them are at one of two backends once in 10^12 times
SOURCES = {"client": cells.vip(10), "cli-1": cells.WEB, "node-1": cells.WEB}


class Traffic:
    """The load of a test, from outside, from a pod and from a node."""

    def __init__(self, lab, sources=None, kinds=("short", "long", "udp", "udp-unconnected"),
                 streams=2):
        self.lab = lab
        self.sources = sources or SOURCES
        self.syns_before = self.syns_sent_again()
        for source, host in self.sources.items():
            lab[source].call("load_start", name="load", targets=[
                {**t, "streams": streams, "host": host[t["family"]], "label": f"{t['kind']} IPv{t['family']}"}
                for t in TARGETS if t["kind"] in kinds])

    def syns_sent_again(self):
        return {source: self.lab[source].call("tcp_counter", name="TCPSynRetrans")
                for source in self.sources}

    def opened_again(self):
        """How many SYNs each source has sent again since the load began."""
        return {source: now - self.syns_before[source] for source, now in self.syns_sent_again().items()}

    def look(self):
        return {(source, label): ledger for source in self.sources
                for label, ledger in self.lab[source].call("load_look", name="load").items()}

    def round(self, answers=10, deadline_s=15):
        """Wait until every kind of client has got that many more answers, and none of them waits for one since before."""
        before = self.look()
        until(lambda: all(ledger["answered"] - before[key]["answered"] >= answers and
                          all(now > then for now, then in zip(ledger["ended"], before[key]["ended"]))
                          for key, ledger in self.look().items()),
              "another round of answers", deadline_s)

    def silent(self, pods, kinds=("short",)):
        """Whether a whole round goes by in which none of `pods` answers new requests."""
        before = self.look()
        self.round()
        after = self.look()
        return all(after[key]["answers"].get(pod, 0) == before[key]["answers"].get(pod, 0)
                   for key in after if key[1].split()[0] in kinds for pod in pods)

    def stop(self):
        return {(source, label): ledger for source in self.sources
                for label, ledger in self.lab[source].call("load_stop", name="load").items()}


def failures(ledgers):
    return {key: (ledger["failures"], ledger["events"][:5]) for key, ledger in ledgers.items()
            if ledger["failed"] or ledger["asked"] != ledger["answered"]}


@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "rewritten"])
def test_backends_removed_and_added_while_requests_run(lab, in_place):
    traffic = Traffic(lab)
    traffic.round()
    lab.manifests.set_backends("web", ("web-1a", "web-2b"), in_place=in_place)
    until(lambda: traffic.silent(("web-1b", "web-2a")), "removed backends are silent", 15)
    lab.manifests.set_backends("web", cells.ALL, in_place=in_place)

    def back():
        ledgers = traffic.look()
        traffic.round()
        now = traffic.look()
        return all(now[key]["answers"].get(p, 0) > ledgers[key]["answers"].get(p, 0)
                   for key in now if key[1].startswith("short") for p in ("web-1b", "web-2a"))

    until(back, "added backends answer", 15)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    # 5.1.2: an open connection keeps its backend whatever changes
    assert {key: ledger["moved"] for key, ledger in ledgers.items()
            if key[1].startswith("long") and ledger["moved"]} == {}


def only_web(lab):
    """Leave service web alone with its pods, so that what it loses is gone altogether."""
    for name in ("sticky.yaml", "web-local.yaml", "web-local-endpointslices.yaml", "dns.json"):
        lab.manifests.remove(name)


@pytest.mark.parametrize("alone", [True, False], ids=["gone", "left-in-another-service"])
def test_removed_backend_loses_its_udp_flows(lab, alone):
    """7.1, 7.3: UDP flows of a removed backend are steered elsewhere at once."""
    if alone:
        only_web(lab)
    lab.manifests.set_backends("web", ("web-1a", "web-2a"))
    lab.settle()
    traffic = Traffic(lab, {"client": cells.vip(10)}, ("udp", "udp-unconnected"), streams=STREAMS)
    traffic.round()
    assert all(ledger["answers"].get("web-1a") for ledger in traffic.look().values())
    lab.manifests.set_backends("web", ("web-2a",))
    try:
        until(lambda: traffic.silent(("web-1a",), ("udp", "udp-unconnected")),
              "the removed backend is silent", 5)
    finally:
        ledgers = traffic.stop()
    assert failures(ledgers) == {}


def test_udp_sockets_of_a_pod_leave_a_removed_backend(lab):
    """7.3, 5.9.3: connected ones when they connect again, which a send that fails tells them to."""
    lab.manifests.set_backends("web", ("web-1a", "web-2a"))
    lab.settle()
    traffic = Traffic(lab, {"cli-1": cells.WEB}, ("udp", "udp-unconnected"), streams=STREAMS)
    traffic.round()
    assert all(ledger["answers"].get("web-1a") for ledger in traffic.look().values())
    lab.manifests.set_backends("web", ("web-2a",))
    try:
        until(lambda: traffic.silent(("web-1a",), ("udp", "udp-unconnected")), "sockets leave the removed backend", 5)
    finally:
        ledgers = traffic.stop()
    assert failures(ledgers) == {}


def test_rolling_update(lab):
    """Pods are replaced one by one, as a Deployment does it; the servers of old ones really end."""
    only_web(lab)
    lab.manifests.set_backends("web", ("web-1a", "web-2a"))
    lab.settle()
    traffic = Traffic(lab, kinds=("short", "udp-unconnected"))
    traffic.round()
    pods = ["web-1a", "web-2a"]
    for old, new in (("web-1a", "web-1b"), ("web-2a", "web-2b")):
        ready = pods + [new]
        lab.manifests.set_backends("web", ready)
        lab.settle()
        # the old one terminates but still serves, then it is gone from the slice, then it ends
        lab.manifests.set_backends("web", ready, conditions={
            old: {"ready": False, "serving": True, "terminating": True}})
        until(lambda gone=old: traffic.silent((gone,)), f"{old} is silent", 10)
        pods = [p for p in ready if p != old]
        lab.manifests.set_backends("web", pods)
        until(lambda gone=old: traffic.silent((gone,), ("short", "udp-unconnected")),
              f"{old} is silent", 10)
        lab.settle()
        traffic.round()  # what was sent to it before is answered
        lab.stop_serving(old)
        traffic.round()
    assert failures(traffic.stop()) == {}


def test_scale_to_nothing_and_back(lab):
    """0 endpoints reject (5.7), and the first one to come back is used at once (3.3)."""
    client, vip = lab["client"], cells.vip(10)[4]
    lab.manifests.set_backends("web", ())
    until(lambda: client.http(vip, 80, 1)["failures"] == {"refused": 1}, "connections are refused")
    lab.manifests.set_backends("web", ("web-2b",))
    until(lambda: client.http(vip, 80, 1)["answers"] == {"web-2b": 1}, "the backend answers")
    assert client.http(vip, 80, 30)["answers"] == {"web-2b": 30}
