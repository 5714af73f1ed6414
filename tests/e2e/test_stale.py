# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From a change of an EndpointSlice to the last datagram that an endpoint gets which is gone (7.1 to 7.5): for every hook,
both families, node ports and DSR, measured, and said behind the test's name. That it ends is held by what the agents say: as soon as no frontend is
to be judged any more, no datagram goes there. How long that takes at most is held by tests/unit/conntrack/test_resteer.c.
"""
import contextlib
import re
import statistics
import time
from typing import NamedTuple

import pytest

import cells
from conftest import FAMILIES, outside_of_its_cgroup
from test_changes import only_web
from test_dsr import want_mode, write_nodes
from wait import until

STREAMS = 32  # all of them are at one of two endpoints once in 10^9 times
ROUNDS = {4: 5, 6: 3}
AFTER = 20 * STREAMS  # datagrams that are answered behind the agents' word
CLSACT = "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ntcHook: clsact\n"
PODS = ["--pod-devices", "veth-*"]


class Row(NamedTuple):
    source: str
    options: dict
    connected: bool = True
    host: dict = cells.WEB
    port: int = 5353
    old: str = "web-1a"
    new: str = "web-2a"
    forwarding: str = ""


VIP, NODE_PORT = cells.vip(10), cells.node_ip("node-1")
HOOKS = {
    "xdp": Row("client", {"mode": "xdp"}, host=VIP),
    "xdp-generic": Row("client", {"mode": "xdp-generic"}, host=VIP),
    "tcx": Row("client", {"mode": "tc"}, host=VIP),
    "clsact": Row("client", {"mode": "tc", "clsact": True}, host=VIP),
    "node-port-xdp": Row("client", {"mode": "xdp"}, host=NODE_PORT, port=30053),
    "node-port-tc": Row("client", {"mode": "tc"}, host=NODE_PORT, port=30053),
    # node-1 leaves a backend of node-2 for another one there
    "dsr-xdp": Row("client", {"mode": "xdp"}, host=VIP, old="web-2a", new="web-2b", forwarding="dsr"),
    "dsr-tc": Row("client", {"mode": "tc"}, host=VIP, old="web-2a", new="web-2b", forwarding="dsr"),
    "pod-device": Row("cli-1", {"mode": "tc", "extra": PODS}),
    "connect-pod": Row("cli-1", {"mode": "xdp"}),
    "connect-node": Row("node-1", {"mode": "xdp"}),
    "sendmsg-pod": Row("cli-1", {"mode": "xdp"}, connected=False),
    "sendmsg-node": Row("node-1", {"mode": "xdp"}, connected=False),
}


def settings(lab, options, row):
    """The agents' options with the configuration file that they need."""
    options, path = dict(options), f"{lab.directory}/stale.yaml"
    if options.pop("clsact", False):
        with open(path, "w", encoding="utf-8") as file:
            file.write(CLSACT)
        options["extra"] = ["--config", path]
    if row.forwarding:
        options["extra"] = ["--config", write_nodes(lab)]
    return options


@contextlib.contextmanager
def place_of(lab, hook):
    source = HOOKS[hook].source
    if hook != "pod-device":
        yield lab[source]
        return
    with outside_of_its_cgroup(lab, source) as place:
        yield place


@pytest.fixture(params=HOOKS)
def hook_lab(own_lab, request):
    row = HOOKS[request.param]
    for node in own_lab.nodes.values():
        node.stop()
        node.cleanup()
    own_lab.start_agents(**settings(own_lab, row.options, row))
    if row.forwarding:
        want_mode(own_lab, row.forwarding)
    yield own_lab, request.param
    own_lab.manifests.reset()


def metric(node, name):
    return float(re.search(rf"^{name} (\S+)$", node.cli("metrics").stdout, re.M).group(1))


def judged(nodes):
    """Whether the agents have looked twice at all clients that may have to leave."""
    return not any(metric(node, "fairlead_frontends_to_judge") for node in nodes)


class Clients:
    """Datagrams of many sockets, and which pods answer them."""

    def __init__(self, place, row, family):
        self.place, self.row = place, row
        place.call("watch_start", name="web", host=row.host[family], port=row.port, connected=row.connected,
                   streams=STREAMS)

    def stop(self):
        self.place.call("watch", name="web", ask="stop")

    def answered(self, pod):
        """How many datagrams, and when the last of them was sent."""
        return self.place.call("watch", name="web", ask="look")["answered"].get(pod, (0, 0.0))

    def at_both(self):
        before = self.answered(self.row.old)[0]
        until(lambda: self.answered(self.row.new)[0] > 0, "the new endpoint answers")
        return self.answered(self.row.old)[0] > before


def measure(lab, clients, row):
    """Milliseconds from the change to the last datagram that went to the old endpoint."""
    until(clients.at_both, "the old endpoint answers")
    changed = time.monotonic()
    lab.manifests.set_backends("web", (row.new,))
    lab.settle()
    until(lambda: judged(lab.nodes.values()), "all clients were looked at", 20)
    done = time.monotonic()
    before = clients.answered(row.new)[0]
    until(lambda: clients.answered(row.new)[0] > before + AFTER, "clients go on elsewhere")
    last = clients.answered(row.old)[1]
    assert last <= done, f"a datagram went to the old endpoint {last - done} s after nobody was left there"
    return max(0.0, (last - changed) * 1000)


@FAMILIES
@pytest.mark.parametrize("alone", [True, False], ids=["gone", "kept-by-another-service"])
def test_how_long_a_removed_endpoint_gets_datagrams(hook_lab, record_property, alone, family):
    """Gone: the backend's record says so to the next packet. Kept by another Service: a pass over the flow table finds it."""
    lab, row = hook_lab[0], HOOKS[hook_lab[1]]
    if alone:
        only_web(lab)
    lab.settle()
    times, rounds = [], ROUNDS[family]
    with place_of(lab, hook_lab[1]) as place:
        for _ in range(rounds):
            # new sockets, half of which will be at the old endpoint
            lab.manifests.set_backends("web", (row.old, row.new))
            lab.settle()
            clients = Clients(place, row, family)
            try:
                times.append(measure(lab, clients, row))
            finally:
                clients.stop()
    longest = max(metric(node, "fairlead_judging_delay_seconds_max") for node in lab.nodes.values())
    record_property("words", f"last datagram after {statistics.median(times):.1f} ms, at most {max(times):.1f} ms "
                             f"({rounds} changes); the agents' longest delay {longest * 1000:.0f} ms")


@FAMILIES
@pytest.mark.parametrize("hook_lab", ["dsr-xdp", "dsr-tc"], indirect=True)
def test_the_backends_node_of_dsr_sees_to_it_as_well(hook_lab, family):
    """Where the node that encapsulates has not heard of the change: datagrams do not get to the old endpoint all the same."""
    lab, row = hook_lab[0], HOOKS[hook_lab[1]]
    lab.manifests.set_backends("web", (row.old, row.new))
    lab.settle()
    sender, receiver = lab.nodes["node-1"], lab.nodes["node-2"]
    clients = Clients(lab["client"], row, family)
    try:
        until(clients.at_both, "the old endpoint answers")
        with sender.frozen():
            lab.manifests.set_backends("web", (row.new,))
            receiver.settle()
            until(lambda: judged([receiver]), "all clients were looked at")
            done = time.monotonic()
            before = clients.answered(row.new)[0]
            until(lambda: clients.answered(row.new)[0] > before + AFTER, "the others go on")
            assert clients.answered(row.old)[1] <= done
            assert receiver.json("status")["notForwarded"]["tunnel-frontend"] > 0
        lab.settle()
        until(lambda: judged([sender]), "all clients were looked at")
        assert clients.answered(row.old)[1] <= done
    finally:
        clients.stop()
