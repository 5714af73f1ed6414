# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The cells of the demo: which place asks what, which pods may answer, and which client address they see.

One table for `make demo`, which reports it, and for tests/e2e, which asserts it.
"""
from typing import NamedTuple

import pod_network
import topology

ALL = ("web-1a", "web-1b", "web-2a", "web-2b")
REQUESTS = 100  # with four pods, one that is chosen fairly stays out once in 10^12 times

# the client address that the servers see
OWN = "own"  # the client's own address, everywhere
KEPT_IF_LOCAL = "kept-if-local"  # masqueraded by the node asked, unless its own pod answers


class Cell(NamedTuple):
    title: str
    source: str
    host: dict  # {4: address, 6: address}
    port: int
    proto: str
    pods: tuple = ALL
    seen: str = OWN
    via: str = ""  # the node that translates
    spread: bool = True  # every pod answers; else one and the same (affinity)
    options: dict = {}

    @property
    def id(self):
        words = f"{self.source} {self.title} {self.proto}".lower()
        return "-".join(words.replace(",", "").split())


def vip(number):
    return {4: f"203.0.113.{number}", 6: f"2001:db8:113::{number:x}"}


def cluster_ip(number):
    return {4: f"10.96.0.{number}", 6: f"fd00:96::{number:x}"}


def node_ip(node):
    return {family: topology.NODES[node][family] for family in (4, 6)}


EXTERNAL = {4: "203.0.113.80", 6: "2001:db8:113::80"}
LOCALHOST = {4: "127.0.0.1", 6: "::1"}
WEB, LOCAL, STICKY = cluster_ip(10), cluster_ip(11), cluster_ip(12)
DNS = cluster_ip(53)
K, U = KEPT_IF_LOCAL, {"connected": False}

CELLS = [
    # from inside: translated at the socket
    Cell("ClusterIP", "cli-1", WEB, 80, "TCP"),
    Cell("ClusterIP", "cli-1", WEB, 5353, "UDP"),
    Cell("ClusterIP, unconnected", "cli-2", WEB, 5353, "UDP", options=U),
    Cell("ClusterIP of dns", "cli-2", DNS, 53, "UDP", ("web-1b", "web-2b")),
    Cell("ClusterIP of dns", "cli-2", DNS, 53, "TCP", ("web-1b", "web-2b")),
    Cell("ClusterIP", "node-1", WEB, 80, "TCP"),
    Cell("ClusterIP", "node-1", WEB, 5353, "UDP"),
    Cell("ClusterIP", "node-2", WEB, 80, "TCP"),
    Cell("NodePort on its node", "cli-1", node_ip("node-1"), 30080, "TCP", seen=""),
    Cell("LB VIP", "cli-1", vip(10), 80, "TCP", seen=""),
    Cell("NodePort on itself", "node-1", node_ip("node-1"), 30080, "TCP"),
    # from outside: translated by XDP
    Cell("NodePort on node-1", "client", node_ip("node-1"), 30080, "TCP", seen=K, via="node-1"),
    Cell("NodePort on node-1", "client", node_ip("node-1"), 30053, "UDP", seen=K, via="node-1"),
    Cell("NodePort on node-2", "client", node_ip("node-2"), 30080, "TCP", seen=K, via="node-2"),
    Cell("LB VIP at node-1", "client", vip(10), 80, "TCP", seen=K, via="node-1"),
    Cell("LB VIP at node-1", "client", vip(10), 5353, "UDP", seen=K, via="node-1"),
    Cell("LB VIP at node-2", "client", vip(20), 80, "TCP", seen=K, via="node-2"),
    Cell("externalIP", "client", EXTERNAL, 80, "TCP", seen=K, via="node-1"),
    Cell("externalIP", "client", EXTERNAL, 5353, "UDP", seen=K, via="node-1"),
    Cell("ClusterIP", "client", WEB, 80, "TCP", seen=K, via="node-1"),
    # externalTrafficPolicy Local: pods of the node asked, and they see the client
    Cell("Local LB VIP at node-1", "client", vip(11), 80, "TCP", ("web-1a",)),
    Cell("Local LB VIP at node-2", "client", vip(21), 80, "TCP", ("web-2a",)),
    Cell("Local LB VIP at node-1", "client", vip(11), 5353, "UDP", ("web-1a",)),
    Cell("Local NodePort on node-2", "client", node_ip("node-2"), 30081, "TCP", ("web-2a",)),
    # session affinity
    Cell("sticky LB VIP", "client", vip(12), 80, "TCP", seen=K, via="node-1", spread=False),
    Cell("sticky ClusterIP", "cli-1", STICKY, 80, "TCP", spread=False),
]


def ask(lab, cell, family, requests=REQUESTS):
    source = lab[cell.source]
    call = source.http if cell.proto == "TCP" else source.udp
    return call(cell.host[family], cell.port, requests, **cell.options)


def name_of(lab, cell, family, address):
    """An address that a server saw, in words."""
    if address == lab[cell.source].addresses[family]:
        return "itself"
    for node in topology.NODES:
        if address in pod_network.node_addresses(lab.network, node, family):
            # a node that asks by itself has the address of the device that leads to the pod
            return "itself" if node == cell.source else node
    return address


def problems(lab, cell, family, report):
    """What is wrong with the answers to a cell, as sentences; empty when all is well."""
    found = [f"{count} of {report['asked']} failed: {reason}"
             for reason, count in report["failures"].items()]
    strangers = set(report["answers"]) - set(cell.pods)
    if strangers:
        found.append(f"answered by {', '.join(sorted(strangers))}")
    silent = set(cell.pods) - set(report["answers"])
    if cell.spread and silent and report["answered"] >= REQUESTS:
        found.append(f"never answered by {', '.join(sorted(silent))}")
    if not cell.spread and len(report["answers"]) > 1:
        found.append(f"not one backend but {len(report['answers'])}")
    seen = {name_of(lab, cell, family, address) for address in report["clients"]}
    allowed = {"itself", cell.via} if cell.seen == KEPT_IF_LOCAL else {"itself"}
    if cell.seen and seen - allowed:
        found.append(f"servers saw {', '.join(sorted(seen - allowed))}")
    if cell.seen == KEPT_IF_LOCAL and report["answered"]:
        remote = sum(n for node, n in report["nodes"].items() if node != cell.via)
        way_out = pod_network.way_out(lab.network, cell.via, family)
        masqueraded = report["clients"].get(way_out, 0)
        if remote != masqueraded:
            found.append(f"{remote} answers came from remote pods, {masqueraded} were masqueraded")
    return found
