# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From a change of an EndpointSlice to the last datagram that an endpoint gets which is gone (7.1 to 7.5): for every hook,
measured, and said behind the test's name.
"""
import contextlib
import statistics
import time

import pytest

import cells
from conftest import outside_of_its_cgroup
from test_changes import only_web
from wait import until

ROUNDS, STREAMS = 5, 16
QUIET_S = 1.5  # longer than it takes until flows are looked through for the second time
CLSACT = "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ntcHook: clsact\n"
PODS = ["--pod-devices", "veth-*"]
OLD, NEW = "web-1a", "web-2a"


def settings(lab):
    path = f"{lab.directory}/clsact.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(CLSACT)
    return ["--config", path]


# who asks, whether by a connected socket, and the agents' options
HOOKS = {
    "xdp": ("client", True, {"mode": "xdp"}),
    "xdp-generic": ("client", True, {"mode": "xdp-generic"}),
    "tcx": ("client", True, {"mode": "tc"}),
    "clsact": ("client", True, {"mode": "tc", "clsact": True}),
    "pod-device": ("cli-1", True, {"mode": "tc", "extra": PODS}),
    "connect-pod": ("cli-1", True, {"mode": "xdp"}),
    "connect-node": ("node-1", True, {"mode": "xdp"}),
    "sendmsg-pod": ("cli-1", False, {"mode": "xdp"}),
    "sendmsg-node": ("node-1", False, {"mode": "xdp"}),
}


@contextlib.contextmanager
def place_of(lab, hook):
    source = HOOKS[hook][0]
    if hook != "pod-device":
        yield lab[source]
        return
    with outside_of_its_cgroup(lab, source) as place:
        yield place


@pytest.fixture(params=HOOKS)
def hook_lab(own_lab, request):
    options = dict(HOOKS[request.param][2])
    if options.pop("clsact", False):
        options["extra"] = settings(own_lab)
    for node in own_lab.nodes.values():
        node.stop()
        node.cleanup()
    own_lab.start_agents(**options)
    yield own_lab, request.param
    own_lab.manifests.reset()


def measure(lab, place):
    """Milliseconds from the change to the last datagram that went to the old endpoint."""
    lab.manifests.set_backends("web", (OLD, NEW))

    def look():
        return place.call("watch", name="web", ask="look")

    def both():
        before = look()["answered"].get(OLD, (0, 0))[0]
        until(lambda: look()["answered"].get(NEW, (0, 0))[0] > 0, "the new endpoint answers")
        return look()["answered"].get(OLD, (0, 0))[0] > before

    until(both, "the old endpoint answers")
    changed = time.monotonic()
    lab.manifests.set_backends("web", (NEW,))

    def silent():
        seen = look()
        return seen["now"] - seen["answered"][OLD][1] > QUIET_S

    until(silent, "the old endpoint is left")
    last = look()
    assert last["answered"][NEW][1] > last["answered"][OLD][1], "clients go on elsewhere"
    return max(0.0, (last["answered"][OLD][1] - changed) * 1000)


@pytest.mark.parametrize("alone", [True, False], ids=["gone", "kept-by-another-service"])
def test_how_long_a_removed_endpoint_gets_datagrams(hook_lab, record_property, alone):
    """Gone: the backend's record says so to the next packet. Kept by another Service: a pass over the flow table finds it."""
    lab, hook = hook_lab
    if alone:
        only_web(lab)
    lab.settle()
    host = (cells.vip(10) if HOOKS[hook][0] == "client" else cells.WEB)[4]
    times = []
    with place_of(lab, hook) as place:
        for _ in range(ROUNDS):
            # new sockets, half of which will be at the old endpoint
            lab.manifests.set_backends("web", (OLD, NEW))
            lab.settle()
            place.call("watch_start", name="web", host=host, port=5353, connected=HOOKS[hook][1], streams=STREAMS)
            try:
                times.append(measure(lab, place))
            finally:
                place.call("watch", name="web", ask="stop")
    record_property("words", f"last datagram after {statistics.median(times):.1f} ms, at most {max(times):.1f} ms "
                             f"({ROUNDS} changes)")
