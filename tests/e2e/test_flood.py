# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""B1, B2, B10: floods from one processor, as fast as the machine leaves the clients time to answer.

node-1 has small flow tables. A thousand long flows go on talking through a Service of it while it is
attacked, and new clients come to this Service and to another one; half-way the backends change. The
generator (tests/flood) sends live frames from spoofed sources right into node-1's device, and pods answer
them without a stack, so that nothing is exhausted but what is between them.

FLOOD_S is how long each kind of flood lasts. What was sent and what became of the clients stands behind
the test's name in the report.
"""
import json
import os
import subprocess
import time

import pytest

import cells
from conftest import build_directory, close_lab, make_lab
from wait import until

FLOOD_S = float(os.environ.get("FLOOD_S", "7"))
STEP_S = 0.2  # between two looks at how the clients fare
SLOW_S, QUICK_S = 0.3, 0.1  # the clients of an idle Service wait so long: less is sent, or more
RATES = (5_000, 30_000, 2_000_000)  # packets a second: lowest, first and highest
SETTINGS = """\
apiVersion: fairlead.dev/v1
kind: FairleadConfiguration
timeouts: {tcpClosing: 2s}
"""
SMALL_TABLES = "maps: {flowBuckets4: 4096, flowBuckets6: 4096}\n"
ATTACKED, OTHER, IDLE = cells.vip(10), cells.vip(13), cells.vip(20)  # IDLE: of node-2
SERVICES = {"attacked": ATTACKED, "other": OTHER, "idle": IDLE}
BEFORE, AFTER = ("web-1a", "web-1b", "web-2a"), ("web-1a", "web-2a", "web-2b")
PORTS = {"tcp": 80, "udp": 5353}
PORTS_OF_A_BACKEND = 33_512  # source ports, by the kernel's defaults


def make_flood_lab(settings):
    """A lab whose pods a flood can be answered from; spoofed sources are nowhere."""
    lab = make_lab(start=False)
    lab["router"].script("ip route add blackhole 198.18.0.0/15\nip -6 route add blackhole 2001:db8:f::/64")
    path = f"{lab.directory}/flood.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(settings)
    lab.manifests.set_backends("web", BEFORE)
    lab.manifests.add("other", lab.manifests.service("other", 13))
    lab.manifests.set_backends("other", ("web-1a", "web-2a"))
    for node in lab.nodes.values():
        # what an XDP program of a pod sends is received by NAPI
        for pod in lab.pods():
            if lab[pod].node == node.name:
                node.place.script(f"ethtool -K veth-{pod} gro on")
        node.start(wait=False, extra=["--config", path])
    for node in lab.nodes.values():
        node.wait_ready()
    lab.settle()
    return lab


@pytest.fixture(scope="module")
def flood_lab():
    lab = make_flood_lab(SETTINGS + SMALL_TABLES)
    yield lab
    close_lab(lab)


@pytest.fixture
def wide_lab():
    """With room for more flows than there are source ports towards a backend."""
    lab = make_flood_lab(SETTINGS)
    yield lab
    close_lab(lab)


def address_of(place, device):
    return json.loads(place.run(["ip", "-j", "link", "show", device], check=True).stdout)[0]["address"]


class Flood:
    """The generator, between the router and node-1."""

    def __init__(self, lab):
        binary = f"{build_directory()}/tests/flood/flood"
        if not os.access(binary, os.X_OK):
            pytest.fail(f"{binary} is not built")
        netns = [f"/run/netns/{lab.netns_of(name)}" for name in ("router", *lab.pods())]
        self.rate = 0
        self.process = lab["router"].popen(
            [binary, netns[0], "port1", address_of(lab["node-1"], "eth0"), address_of(lab["router"], "br0"),
             *netns[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["good"] and not answer["failed"], (words, answer)
        self.rate = answer["rate"]
        return answer

    def start(self, kind, rate):
        return self.tell(f"start {kind} {rate}")

    def pace(self, waited_s):
        """As fast as leaves the clients of an idle Service their time; the generator itself slows down
        when node-1's device has no room."""
        lowest, _, highest = RATES
        self.tell("look")
        if waited_s > SLOW_S:
            self.rate = max(lowest, self.rate * 0.6)
        elif waited_s < QUICK_S:
            self.rate = min(highest, self.rate * 1.3)
        self.tell(f"rate {self.rate}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def labelled(kind, where, family, **more):
    return {"kind": kind, "host": where[family], "port": PORTS[kind], "label": f"{kind}{family}", **more}


def long_flows():
    """A thousand, of which a fifth are silent until the end."""
    return [labelled(kind, ATTACKED, family, count=200) for kind in PORTS for family in (4, 6)] + [
        {**labelled("tcp", ATTACKED, family, count=100, idle=True), "label": f"idle{family}"} for family in (4, 6)]


def newcomers_to(*services, kinds=("tcp", "udp"), families=(4, 6), rate=10):
    return [{**labelled(kind, SERVICES[name], family, rate=rate), "label": f"{name}.{kind}{family}"}
            for name in services for kind in kinds for family in families]


class Clients:
    """Long flows and newcomers, in the client's place."""

    def __init__(self, lab, long, newcomers):
        self.place = lab["client"]
        self.place.call("crowd_start", name="flood", long=long, newcomers=newcomers)
        until(self.established, "the long flows are established", 20)

    def ask(self, what):
        return self.place.call("crowd", name="flood", ask=what)

    def established(self):
        look = self.ask("look")
        assert not look["dead"], look["dead"]
        return look["long"] == look["expected"] and not look["silent"]

    def waited_s(self):
        """How long the clients of the idle Service, or this machine, took at most of late."""
        look = self.ask("look")
        return max([look["late_s"], *(ledger["worst_s"] for label, ledger in look["ledgers"].items()
                                      if label.startswith("idle."))])

    def last_words(self):
        """Everybody who is still there is asked once more; what is silent then is lost."""
        self.ask("ask_all")
        try:
            until(lambda: not self.ask("look")["silent"], "the last answers are there", 5)
        except AssertionError:
            pass
        return self.ask("look")


def counters(node):
    status = node.api("/v1/status")
    return {**status["notForwarded"], **status["counters"]}


def fate_of(look, service):
    """How many came to a Service, how many were answered, and why the others were not."""
    ledgers = [ledger for label, ledger in look["ledgers"].items() if label.startswith(service + ".")]
    failures = {}
    for ledger in ledgers:
        for why, count in ledger["failures"].items():
            failures[why] = failures.get(why, 0) + count
    return sum(ledger["asked"] for ledger in ledgers), sum(ledger["answered"] for ledger in ledgers), failures


def moved(look):
    """Long flows that went to another backend, but for those of UDP whose backend was taken away (7.1)."""
    return {f"{label}: {move}": count for label, ledger in look["ledgers"].items()
            for move, count in ledger["moved"].items()
            if not (label.startswith("udp") and move.startswith("web-1b to "))}


def sent_words(sent, seconds):
    return (f"{sent['sent']} packets in {seconds:.1f} s ({sent['sent'] / seconds / 1000:.0f} k/s), "
            f"{sent['answered']} answered, no room for {sent['dropped']}")


def fate_words(look):
    fates = {service: fate_of(look, service) for service in SERVICES}
    return ", ".join(f"{service} {good} of {came}" + (f" {why}" if why else "")
                     for service, (came, good, why) in fates.items())


def difference(before, after):
    return ", ".join(f"{name} {after[name] - before[name]}" for name in after if after[name] != before[name])


def assert_answered(look, services, words):
    """99 of 100 newcomers to each Service."""
    for service in services:
        came, good, _ = fate_of(look, service)
        assert came and good >= 0.99 * came, words


def attack(lab, flood, clients, kind):
    """A flood with a change of the backends in its middle; it goes on until every newcomer has its fate."""
    begin, changed = time.monotonic(), False
    flood.start(kind, RATES[1])

    def step():
        nonlocal changed
        flood.pace(clients.waited_s())
        if not changed and time.monotonic() > begin + FLOOD_S / 2:
            lab.manifests.set_backends("web", AFTER)
            changed = True
        return time.monotonic() > begin + FLOOD_S

    until(step, "the flood is over", FLOOD_S, STEP_S)
    clients.ask("no_more")

    def all_ended():
        flood.pace(clients.waited_s())
        return not clients.ask("look")["newcomers"]

    until(all_ended, "every newcomer is answered or refused", 20, STEP_S)
    return flood.tell("stop"), time.monotonic() - begin


@pytest.mark.parametrize("kind", ["syn", "double-syn", "blind-ack", "datagrams", "late-datagrams", "stray", "forged"])
def test_flood(flood_lab, record_property, kind):
    lab, node = flood_lab, flood_lab.nodes["node-1"]
    node.cli("flow", "flush", "--all")
    clients, flood = Clients(lab, long_flows(), newcomers_to(*SERVICES)), Flood(lab)
    try:
        for family in (4, 6):
            protocol = "udp" if "datagrams" in kind else "tcp"
            flood.tell(f"target {family} {ATTACKED[family]} {PORTS[protocol]}")
        for flow in clients.ask("tuples"):
            flood.tell("flow " + " ".join(str(part) for part in flow))
        before = counters(node)
        sent, seconds = attack(lab, flood, clients, kind)
        look = clients.last_words()
        after = counters(node)
    finally:
        flood.close()
        clients.ask("stop")
        clients.place.close()
        lab.manifests.set_backends("web", BEFORE)
        lab.settle()
    lost = {**look["dead"], **({"silent": look["silent"]} if look["silent"] else {})}
    words = (f"{sent_words(sent, seconds)}; long flows {look['expected']}, lost {lost or 0}, moved {moved(look) or 0}, "
             f"{look['messages']} messages; {fate_words(look)}; {difference(before, after)}")
    record_property("words", words)
    assert not lost and not moved(look), words
    assert_answered(look, ("attacked", "other"), words)


@pytest.mark.parametrize("rate", [5000] if FLOOD_S < 60 else [500, 5000])
def test_spoofed_syns_hold_no_ports(wide_lab, record_property, rate):
    """B2: as many SYNs as there are source ports towards a backend leave ports to others; half of the flows
    of this Service, and of another one, go to it."""
    lab, node = wide_lab, wide_lab.nodes["node-1"]
    lab.manifests.set_backends("web", ("web-2a",))
    lab.settle()
    clients = Clients(lab, [], newcomers_to(*SERVICES, kinds=("tcp",), families=(4,), rate=20))
    flood = Flood(lab)
    try:
        flood.tell(f"target 4 {ATTACKED[4]} 80")
        before, begin = counters(node), time.monotonic()
        flood.start("syn", rate)
        until(lambda: flood.tell("look")["sent"] > 1.5 * PORTS_OF_A_BACKEND, "all ports were asked for",
              2 * PORTS_OF_A_BACKEND / rate, STEP_S)
        clients.ask("no_more")
        until(lambda: not clients.ask("look")["newcomers"], "every newcomer is answered or refused", 20)
        sent, seconds = flood.tell("stop"), time.monotonic() - begin
        look, after = clients.ask("look"), counters(node)
    finally:
        flood.close()
        clients.ask("stop")
        clients.place.close()
    words = f"{sent_words(sent, seconds)}; {fate_words(look)}; {difference(before, after)}"
    record_property("words", words)
    assert_answered(look, ("attacked", "other"), words)
