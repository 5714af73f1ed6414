# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Routes to backends change under flows: those that there are and new ones take the new way (rules 10.13)."""
import pytest

import cells
import topology
from pod_network import block
from test_changes import Traffic, failures
from test_modes import fresh

FAMILIES = (4, 6)


def node_1_goes_by(lab, ways):
    """Towards the pods of node-2."""
    lab["node-1"].script("\n".join(f"ip -{f} route replace {block('node-2', f)} via {ways[f]}" for f in FAMILIES))
    if lab.nodes["node-1"].agent:
        lab.nodes["node-1"].notice()


def router_has(lab, route):
    """Its route to the pods of node-2; "": none."""
    for f in FAMILIES:
        lab["router"].run(["ip", f"-{f}", "route", "flush", block("node-2", f)])
        if route:
            way = topology.NODES["node-2"][f]
            lab["router"].script(f"ip -{f} route add {route.format(block=block('node-2', f), way=way)}")


@pytest.fixture
def detour(own_lab):
    """Node-1 goes to the pods of node-2, the only backends, by the router."""
    lab = own_lab
    router_has(lab, "{block} via {way}")
    node_1_goes_by(lab, topology.SEGMENT_ROUTER)
    fresh(lab)
    lab.manifests.set_backends("web", ("web-2a", "web-2b"))
    lab.settle()
    yield lab
    node_1_goes_by(lab, topology.NODES["node-2"])
    router_has(lab, "")
    lab.manifests.reset()


def test_flows_follow_a_route(detour):
    lab = detour
    traffic = Traffic(lab, {"client": cells.vip(10)}, ("short", "long"))
    traffic.round()
    node_1_goes_by(lab, topology.NODES["node-2"])
    router_has(lab, "blackhole {block}")
    traffic.round(20)
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert {key: ledger["moved"] for key, ledger in ledgers.items() if key[1].startswith("long") and ledger["moved"]} == {}
    # the old way is a dead end for who takes it
    node_1_goes_by(lab, topology.SEGMENT_ROUTER)
    for family in FAMILIES:
        assert lab["client"].http(cells.vip(10)[family], 80, 1)["failed"] == 1
