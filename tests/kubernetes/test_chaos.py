# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Chaos between the agents and the real API server, by plan (robustness 3.3, G11, G12)."""
import contextlib
import json
import os
import random
import subprocess
import time

import pytest

import topology
from conftest import HERE
from control_plane import PORT
from node import find_key
from place import PYTHON
from test_api import PODS, is_gone, outside, reaches, serve, vip
from wait import Late, until

RELAY_PORT = 7444
# a plan per agent in each round
ROUNDS = int(os.environ.get("FL_CHAOS_API_ROUNDS", "12"))
# others in each run, unless one is to be played again
SEED = int(os.environ.get("FL_CHAOS_SEED") or time.time() % 1e9)
FAMILIES = ("IPv4", "IPv6")
FAULTS = 4  # of the first lists, and as many of the watches that follow
STEPS = 3   # meanwhile, each time
NUMBERS = range(28, 32)  # of the Services that change; their balancers' addresses lead to node-2


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
    """What the API has, and whatever it has had, in its order.

    A node follows Services by one watch and EndpointSlices by another, so what it shows of a Service is a state of
    each, and both only go on.
    """

    def __init__(self, lab):
        self.lab = lab
        self.pods = {}       # number: pods, of Services that exist
        self.services = {}   # name: whether it existed, each time that changed
        self.endpoints = {}  # (name, family): the pods of its slice, each time they changed

    def change(self, chance):
        number = chance.choice(NUMBERS)
        name = f"chaos-{number}"
        kind = chance.random()
        if number in self.pods and len(self.pods) > 1 and kind < 0.3:
            del self.pods[number]
            self.note(name, False, ())
            self.lab.cluster.delete("Service", name)
            for family in (4, 6):
                self.lab.cluster.delete("EndpointSlice", self.lab.manifests.slice(name, family, [])["metadata"]["name"])
            return
        pods = tuple(sorted(chance.sample(PODS, chance.randrange(1, len(PODS) + 1))))
        if number in self.pods and kind < 0.45:
            pods = ()
        self.note(name, True, pods)
        self.pods[number] = pods
        serve(self.lab, name, number, list(pods))

    def note(self, name, exists, pods):
        """Before it is written: from then on a node may show it."""
        for log, item in ((self.services.setdefault(name, [False]), exists),
                          *((self.endpoints.setdefault((name, family), [()]), pods) for family in FAMILIES)):
            if log[-1] != item:
                log.append(item)


class Witness:
    """Who looks again and again. What it has seen of the log of a Service, or of its endpoints, never comes back."""

    def __init__(self, world, what):
        self.world, self.what = world, what
        self.at = {}  # (name, family): the earliest places in both logs where it may be

    def places(self, key, exists, are):
        """Where a Service may be that exists, or does not, and has such pods; None: nowhere from where it was."""
        service, endpoints = self.at.get(key, (0, 0))
        services, pods = self.world.services[key[0]], self.world.endpoints[key]
        service = next((i for i in range(service, len(services)) if services[i] == exists), None)
        # pods of a Service that is not known are not seen
        endpoints = next((i for i in range(endpoints, len(pods)) if not exists or are(pods[i])), None)
        return None if None in (service, endpoints) else (service, endpoints)

    def saw(self, key, *kinds):
        """One of these (exists, are) it must be."""
        found = [at for at in (self.places(key, *kind) for kind in kinds) if at]
        assert found, f"{self.what} saw what {key} never was, from {self.at.get(key)} on: {self.world.services[key[0]]}, " \
                      f"{self.world.endpoints[key]}"
        self.at[key] = tuple(map(min, zip(*found)))

    def is_up_to_date(self):
        """What was there before is not to be seen any more."""
        self.at = {key: (len(self.world.services[key[0]]) - 1, len(log) - 1) for key, log in self.world.endpoints.items()}


# a request fails at a Service that is not there, and at one without pods
NOT_THERE = (False, None), (True, lambda pods: pods == ())


class Asking(Witness):
    """Real requests of one client: who answers must be of those that the Service had."""

    def __init__(self, world, client, address):
        super().__init__(world, client)
        self.client, self.address, self.place = client, address, world.lab[client]
        self.answered = self.refused = 0
        self.hasty = False  # about the last request

    def begin(self, key):
        number, family = int(key[0].split("-")[1]), int(key[1][-1])
        # where it may not be there yet no time is to be lost with it
        self.hasty = any(self.places(key, *kind) for kind in NOT_THERE)
        self.place.begin("http", host=self.address(number, family), port=80, requests=1, timeout=0.2 if self.hasty else 10.0)

    def finish(self, key):
        report = self.place.finish()
        if self.hasty and report["opened"] and report["failures"] == {"timeout": 1}:
            return  # a pod has taken the connection, and its answer was late on a busy machine: that shows nothing
        if report["failed"]:
            self.refused += 1
            try:
                self.saw(key, *NOT_THERE)
            except AssertionError as wrong:
                raise AssertionError(f"{wrong}; {report}") from wrong
        for pod in report["answers"]:
            self.answered += 1
            self.saw(key, (True, lambda pods: pod in pods))

    def sees_it_all(self):
        """Exactly the pods that there are answer, of each Service."""
        for number, pods in self.world.pods.items():
            for family in (4, 6):
                if pods:
                    reaches(self.world.lab, self.client, self.address(number, family), pods)
                else:
                    is_gone(self.world.lab, self.client, self.address(number, family))


class Reading(Witness):
    """What the agent of a node says that it has programmed."""

    def __init__(self, world, node):
        super().__init__(world, f"the agent of {node.name}")
        self.node = node

    def programmed(self):
        """{(name, family): pods} of the Services that the agent knows by name; None: it has not read everything yet."""
        status = self.node.api("/v1/status")
        answer = status and find_key(status, "synced") and self.node.api("/v1/services")
        if not answer:
            return None
        pod_of = {topology.pod_addresses(pod)[family]: pod for pod in PODS for family in (4, 6)}
        found = {}
        for item in answer["items"]:
            if item["port"] == "http" and not item["name"].startswith("#"):
                backends = item["clusterBackends"] or []
                found[item["name"], item["family"]] = tuple(sorted(
                    pod_of[backend.rsplit(":", 1)[0].strip("[]")] for backend in backends))
        return found

    def look(self):
        found = self.programmed()
        if found is None:
            return
        for family in FAMILIES:
            assert found.get(("steady", family)) == tuple(PODS), (self.what, found)
        for key in self.world.endpoints:
            if key in found:
                self.saw(key, (True, lambda pods, now=found[key]: pods == now))
            else:
                self.saw(key, (False, None))

    def is_equal(self):
        found = self.programmed()
        return found is not None and {key: pods for key, pods in found.items() if key[0].startswith("chaos-")} == {
            (f"chaos-{number}", family): pods for number, pods in self.world.pods.items() for family in FAMILIES}


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
    readings = [Reading(world, node) for node in lab.nodes.values()]
    # pods' sockets, and packets that node-2 forwards
    asking = [Asking(world, client, address) for client, address in (("cli-1", vip), ("cli-2", vip), ("client", outside))]
    try:
        for number in range(SEED, SEED + ROUNDS):
            with named(number):
                for name, n in play(lab, world, relay, number, options, readings, asking).items():
                    faults[name] = faults.get(name, 0) + n
    finally:
        ledgers = [ledger for place in ("cli-1", "cli-2")
                   for ledger in lab[place].call("load_stop", name="chaos").values()]
    for ledger in ledgers:
        assert ledger["failed"] == 0 and set(ledger["answers"]) <= set(PODS), ledger
    asked = f"{sum(who.answered for who in asking)} requests answered, {sum(who.refused for who in asking)} refused"
    record_property("words", f"{2 * ROUNDS} plans from FL_CHAOS_SEED={SEED} on, {faults}, {asked}")
    if ROUNDS >= 12:
        assert set(faults) == {"cut", "truncate", "hold", "split", "repeat", "corrupt"}, faults


@contextlib.contextmanager
def named(seed):
    """A failure says how it is had again."""
    try:
        yield
    except AssertionError as wrong:
        raise AssertionError(f"FL_CHAOS_SEED={seed} FL_CHAOS_API_ROUNDS=1: {wrong}") from wrong


def play(lab, world, relay, seed, options, readings, asking):
    """One round; the faults that there were."""
    chance = random.Random(seed)
    relay.be("plan", seed, FAULTS)
    for node in lab.nodes.values():
        # long back-offs end with the agent, and first lists are to be spoilt as well
        node.stop()
        node.start(wait=False, **options)

    def look():
        for reading in readings:
            reading.look()
        # what does not exist is asked for in vain, and its time is lost
        for key in [key for key in world.endpoints if int(key[0].split("-")[1]) in world.pods]:
            for who in asking:
                who.begin(key)
            for who in asking:
                who.finish(key)

    def go_on():
        for _ in range(STEPS):
            world.change(chance)
            look()
    go_on()
    for reading in readings:
        until(lambda: look() or reading.programmed() is not None, f"{reading.what} has read everything", 60, 0.1)
    relay.be("more", FAULTS)
    go_on()
    faults = relay.be("pass")
    for reading in readings:
        try:
            until(lambda: look() or reading.is_equal(), "it ends equal", 60, 0.1)
        except Late as late:
            raise AssertionError(f"{late}; {reading.what} has {reading.programmed()}, the API {world.pods}") from late
    for who in asking:
        who.sees_it_all()
    for witness in readings + asking:
        witness.is_up_to_date()
    return faults
