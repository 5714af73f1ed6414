# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Agents whose maps differ take each other's flows over (robustness A4, G3): another layout of the
entries, and the way back; other sizes of the tables. Connections that are open all the time are not cut,
none moves to another backend, and every request of every kind of client is answered. Clients with session
affinity keep their backends, and answers to the node's own datagrams remain its own.

FL_SWAPS: how often the layouts are changed, each way (3; 200 is what is promised).
"""
import os
import signal
import subprocess

import pytest

import cells
import topology
from conftest import REPO, build_directory
from place import PYTHON
from test_changes import Traffic, failures

SWAPS = int(os.environ.get("FL_SWAPS", "3"))
# from outside, through both nodes; from a pod of each node; from a node itself
SOURCES = {"client": cells.vip(10), "cli-1": cells.WEB, "cli-2": cells.WEB, "node-1": cells.WEB}
# Not `short` from a socket that the hooks serve: one that connects in the very moment in which these are
# changed is shown its backend.
KINDS = ("long", "udp", "udp-unconnected")


@pytest.fixture(scope="module")
def layouts():
    """The build under test, and one whose maps are laid out otherwise (bpf/abi/flow.h)."""
    done = subprocess.run(["make", "-j2", "LAYOUT=1", "build/layout/fairleadd"], cwd=REPO, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {"other": f"{REPO}/build/layout", "released": build_directory()}


def config(lab, name, text):
    path = f"{lab.directory}/{name}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n{text}")
    return ["--config", path]


def swap(lab, number=signal.SIGKILL, wait=True, **options):
    for node in lab.nodes.values():
        node.stop(number)
        node.start(wait=False, **options)
    for node in lab.nodes.values() if wait else ():
        node.wait_ready()


def took_over(lab):
    """Every node has brought flows over, has ended it, and serves by nothing but the new maps."""
    for node in lab.nodes.values():
        node.wait_log("after the change of programs")
        pins = [pin for pin in node.pins() if "old-" in pin]
        assert not pins, pins


def check(traffic, rounds):
    ledgers = traffic.stop()
    bad = failures(ledgers)
    assert bad == {}, "\n".join(f"{key}: {words}" for key, words in bad.items())
    moved = {key: ledger["moved"] for key, ledger in ledgers.items() if ledger["moved"]}
    assert moved == {}, "long-lived peers changed their backend"
    pods = {pod for key, ledger in ledgers.items() for pod in ledger["answers"]}
    assert pods == set(cells.ALL), "local and remote backends"
    assert all(ledger["answered"] > rounds for ledger in ledgers.values())


def test_layouts_are_swapped_under_load(own_lab, layouts):
    lab = own_lab
    swap(lab, build=layouts["released"])
    traffic = Traffic(lab, SOURCES, KINDS, streams=4)
    traffic.round()
    for _ in range(SWAPS):
        for build in layouts.values():
            swap(lab, build=build)
            took_over(lab)
            traffic.round(5)
    check(traffic, 10 * SWAPS)


# A datagram, and its answer when a line has been read. ADDRESS PORT.
ANSWER_LATER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.bind((sys.argv[1], int(sys.argv[2])))
    print("bound", flush=True)
    asked, sender = s.recvfrom(100)
    print("asked", flush=True)
    sys.stdin.readline()
    s.sendto(b"answer to " + asked, sender)
"""
# From ADDRESS PORT to ADDRESS PORT, by a socket that is not connected; the answer is printed.
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.bind((sys.argv[1], int(sys.argv[2])))
    s.settimeout(20)
    s.sendto(b"question", (sys.argv[3], int(sys.argv[4])))
    print("sent", flush=True)
    sys.stdin.readline()
    print(s.recvfrom(100)[0].decode(), flush=True)
"""


class Exchange:
    """A node asks the client from the number of a node port; the answer comes when it is told to."""

    def __init__(self, lab, family, node_port=30053, port=5300):
        mine, theirs = cells.node_ip("node-1")[family], topology.client_address(family, 10)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.peer = lab["client"].popen([PYTHON, "-c", ANSWER_LATER, theirs, str(port)], **pipes)
        assert self.peer.stdout.readline() == "bound\n"
        self.node = lab["node-1"].popen([PYTHON, "-c", ASK, mine, str(node_port), theirs, str(port)], **pipes)
        assert self.node.stdout.readline() == "sent\n" and self.peer.stdout.readline() == "asked\n"

    def answer(self):
        for process in (self.peer, self.node):
            process.stdin.write("\n")
            process.stdin.flush()
        words = self.node.stdout.readline()
        for process in (self.peer, self.node):
            process.communicate()
        return words


def sticky(lab):
    """Which backend each client of a Service with session affinity has: from outside, and sockets."""
    def one(report):
        assert report["failed"] == 0 and len(report["answers"]) == 1, report
        return next(iter(report["answers"]))

    pods = {}
    for family in (4, 6):
        for source in [topology.client_address(family, n) for n in (10, *topology.MORE_CLIENTS)]:
            pods[source] = one(lab["client"].http(cells.vip(12)[family], 80, 3, source=source))
        for place in ("cli-1", "cli-2"):
            pods[place, family] = one(lab[place].http(cells.STICKY[family], 80, 3))
    return pods


def test_records_survive_a_change_of_layout(own_lab, layouts):
    """5.5.5, and what the node has asked from a node port: both are kernel state."""
    lab = own_lab
    swap(lab, build=layouts["released"])
    before = sticky(lab)
    assert len(set(before.values())) > 1, "one backend for all: the records do not count"
    for build in layouts.values():
        exchanges = [Exchange(lab, family) for family in (4, 6)]
        swap(lab, build=build)
        took_over(lab)
        assert [exchange.answer() for exchange in exchanges] == 2 * ["answer to question\n"]
        assert sticky(lab) == before


def test_killed_in_the_middle_of_a_change_of_layout(own_lab, layouts):
    """Whatever the next agent's layout is, it finishes what the one before began."""
    lab = own_lab
    swap(lab, build=layouts["released"])
    traffic = Traffic(lab, SOURCES, KINDS, streams=4)
    traffic.round()
    order = [layouts[name] for name in ("other", "released", "other", "other", "released", "released")]
    for answers, build in enumerate(order):
        swap(lab, wait=False, build=build)
        # as long as it takes to get so many answers, which differs from run to run
        traffic.round(1 + 2 * answers)
    swap(lab, build=layouts["other"])
    traffic.round()
    swap(lab, build=layouts["released"])
    took_over(lab)
    traffic.round()
    check(traffic, 20)


@pytest.mark.parametrize("key", ["flowBuckets4", "flowBuckets6", "backends", "sockets"])
def test_tables_of_another_size_keep_their_flows(own_lab, key):
    """One of the flow tables alone is replaced; with any other map all of them are."""
    lab = own_lab
    swap(lab, extra=config(lab, "size-0", f"maps: {{{key}: 32768}}\n"))
    traffic = Traffic(lab, SOURCES, KINDS, streams=4)
    traffic.round()
    for size in (16384, 65536):
        swap(lab, extra=config(lab, f"size-{size}", f"maps: {{{key}: {size}}}\n"))
        took_over(lab)
        traffic.round(5)
    check(traffic, 20)
