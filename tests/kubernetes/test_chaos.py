# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Chaos between the agents and the real API server, by plan (robustness 3.3, G11, G12)."""
import json
import os
import random
import subprocess

import pytest

import topology
from conftest import HERE
from control_plane import PORT
from place import PYTHON
from test_api import PODS, reaches, serve, vip
from wait import until

RELAY_PORT = 7444
# a plan per agent in each round
ROUNDS = int(os.environ.get("FL_CHAOS_API_ROUNDS", "12"))
SEED = int(os.environ.get("FL_CHAOS_SEED", "1"))
FAULTS = 5
STEPS = 5
NUMBERS = range(30, 34)  # of the Services that change


class ChaosRelay:
    def __init__(self, cluster):
        self.process = cluster.place.popen(
            [PYTHON, f"{HERE}/chaos_relay.py", cluster.address, str(RELAY_PORT), str(PORT), cluster.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def be(self, *words):
        """The faults since the plan began, by their names."""
        print(*words, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class World:
    """What the API has, and whatever it has had."""

    def __init__(self, lab):
        self.lab = lab
        self.pods = {}  # number: pods, of Services that exist
        self.had = {}   # (name, family): every list of pods there was; None: no such Service

    def change(self, chance):
        number = chance.choice(NUMBERS)
        name = f"chaos-{number}"
        if number in self.pods and len(self.pods) > 1 and chance.random() < 0.3:
            del self.pods[number]
            self.lab.cluster.delete("Service", name)
            for family in (4, 6):
                self.note(name, family, None)
                self.lab.cluster.delete("EndpointSlice", self.lab.manifests.slice(name, family, [])["metadata"]["name"])
            return
        pods = tuple(sorted(chance.sample(PODS, chance.randrange(1, len(PODS) + 1))))
        # without its slices yet, or with those that there were
        for family in (4, 6):
            self.note(name, family, ())
            self.note(name, family, pods)
        self.pods[number] = pods
        serve(self.lab, name, number, list(pods))

    def note(self, name, family, pods):
        self.had.setdefault((name, f"IPv{family}"), {None}).add(pods)


def programmed(node):
    """{(name, family): pods} of the Services that the agent knows by name; None: it does not answer."""
    answer = node.api("/v1/services")
    if answer is None:
        return None
    pod_of = {topology.pod_addresses(pod)[family]: pod for pod in PODS for family in (4, 6)}
    found = {}
    for item in answer["items"]:
        if item["port"] == "http" and not item["name"].startswith("#"):
            backends = item["clusterBackends"] or []
            found[item["name"], item["family"]] = tuple(sorted(
                pod_of[backend.rsplit(":", 1)[0].strip("[]")] for backend in backends))
    return found


def look(lab, world):
    """Nothing that the API never had, and what never changes is there."""
    for node in lab.nodes.values():
        for key, pods in (programmed(node) or {}).items():
            if key[0] == "steady":
                assert pods == tuple(PODS), (node.name, key, pods)
            elif key[0].startswith("chaos-"):
                assert pods in world.had[key], (node.name, key, pods, world.had[key])


def is_equal(world, node):
    found = programmed(node)
    return found is not None and {key: pods for key, pods in found.items() if key[0].startswith("chaos-")} == {
        (f"chaos-{number}", f"IPv{family}"): pods for number, pods in world.pods.items() for family in (4, 6)}


@pytest.fixture(scope="module")
def relay(own_lab):
    made = ChaosRelay(own_lab.cluster)
    yield made
    made.close()


def test_g11_every_plan_ends_equal(own_lab, relay, record_property):
    """G11, G12, 10.3: agents start, and follow changes, by a way that lies; no request fails meanwhile."""
    lab = own_lab
    serve(lab, "steady", 12)
    options = {"manifests": False, "extra": ["--kubeconfig", lab.cluster.kubeconfig(
        "chaos", server=f"https://{lab.cluster.address}:{RELAY_PORT}")]}
    lab.start_agents(**options)
    for client in ("cli-1", "cli-2"):
        reaches(lab, client, vip(12, 4), PODS)
    for place in ("cli-1", "cli-2"):
        lab[place].call("load_start", name="chaos", interval=0.05, targets=[
            {"kind": "short", "host": vip(12, family), "port": 80, "label": f"IPv{family}"} for family in (4, 6)])
    world, faults = World(lab), {}
    try:
        for number in range(SEED, SEED + ROUNDS):
            chance = random.Random(number)
            relay.be("plan", number, FAULTS)
            for node in lab.nodes.values():
                # long back-offs end with the agent, and first lists are to be spoilt as well
                node.stop()
                node.start(wait=False, **options)
            for _ in range(STEPS):
                world.change(chance)
                look(lab, world)
            for name, n in relay.be("pass").items():
                faults[name] = faults.get(name, 0) + n
            for node in lab.nodes.values():
                try:
                    until(lambda: look(lab, world) or is_equal(world, node), f"plan {number} ends equal", 60, 0.1)
                except AssertionError as late:
                    raise AssertionError(f"FL_CHAOS_SEED={number}: {late}; {node.name} has {programmed(node)}, "
                                         f"the API {world.pods}") from late
    finally:
        ledgers = [ledger for place in ("cli-1", "cli-2")
                   for ledger in lab[place].call("load_stop", name="chaos").values()]
    for ledger in ledgers:
        assert ledger["failed"] == 0 and set(ledger["answers"]) <= set(PODS), ledger
    record_property("words", f"{2 * ROUNDS} plans, {faults}")
    if ROUNDS >= 12:
        assert set(faults) == {"cut", "truncate", "hold", "split", "repeat", "corrupt"}, faults
