#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Rows 9 to 12 with objects from a real API server: Fairlead's agent and the real kube-proxy in turn, on a node of the lab,
following the control plane of tests/kubernetes. Results are JSON, a line each, as those of fairlead-bench.
"""
import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(HERE)
sys.path[:0] = [f"{REPO}/tests/kubernetes", f"{REPO}/tests/lab"]

from control_plane import ADMIN, PORT, ControlPlane  # noqa: E402
from kube_proxy import KubeProxy  # noqa: E402
from lab import Lab  # noqa: E402
from wait import until  # noqa: E402

SYNC_S = 900  # more than the slowest contender takes for 10,000 Services


def kib(pid, key):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(key)), 0)
    except OSError:
        return 0


def cpu_s(pid):
    """Processor time of a process, all of its threads."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Peak:
    """The most memory of its own that a process has while this is open."""

    def __init__(self, pid):
        self.pid, self.kib, self.done = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.done.wait(0.005):
            self.kib = max(self.kib, kib(self.pid, "RssAnon"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *why):
        self.done.set()
        self.thread.join()


class Helper:
    """A process that answers lines of JSON with such."""

    def __init__(self, place, argv):
        self.process = place.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a helper of the measurement has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class States:
    """When the maps have changed, as a process says that does nothing but look."""

    def __init__(self, node, binary):
        self.watch = Helper(node.place, [binary, "watch", "--dir", node.bpffs or "/sys/fs/bpf/fairlead"])
        self.watch.answer()  # the state now: what comes later is seen
        self.seen = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.watch.process.stdout:
            self.seen.put(json.loads(line)["ns"])

    def after(self, ns):
        while True:
            seen = self.seen.get(timeout=SYNC_S)
            if seen > ns:
                return seen

    def last(self, quiet_s=2):
        """The last change, once there are none for a while."""
        last = 0
        try:
            while True:
                last = self.seen.get(timeout=quiet_s)
        except queue.Empty:
            return last

    def close(self):
        self.watch.process.terminate()
        self.watch.process.wait()
        self.thread.join()


class Fairlead:
    name = "fairlead"

    def __init__(self, lab, node, binary):
        self.lab, self.node, self.binary = lab, node, binary

    def start(self):
        """Start it; seconds until all is in force, and the most memory meanwhile."""
        begin = time.monotonic()
        self.node.start(manifests=False, wait=False, extra=["--kubeconfig", self.lab.cluster.kubeconfig()])
        with Peak(self.node.pid()) as peak:
            until(self.node.ready, "the agent is ready", SYNC_S, 0.01)
        self.states = States(self.node, self.binary)
        return time.monotonic() - begin, peak.kib

    def pid(self):
        return self.node.pid()

    def shown_after(self, change):
        """Seconds from when a change was sent until the maps were another state."""
        return (self.states.after(change["begin"]) - change["begin"]) / 1e9

    def last_shown(self):
        return self.states.last()

    def stop(self):
        self.states.close()
        self.node.stop()


class Proxy:
    """kube-proxy. That a change is in force it says itself, by the time of day of its last sync."""

    def __init__(self, lab, node, mode):
        self.lab, self.node, self.mode = lab, node, mode
        self.name = f"kube-proxy, {mode}"

    def metrics(self):
        text = self.node.place.run(["curl", "-s", "--max-time", "20", "http://127.0.0.1:10249/metrics"], timeout=60).stdout
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line and line[0] != "#"}

    def synced(self, since):
        """When it had last synced, if that began after `since` (times of day)."""
        values = self.metrics()
        prefix = "kubeproxy_sync_proxy_rules_last_"
        queued = max((v for k, v in values.items() if k.startswith(prefix + "queued_timestamp")), default=0)
        done = max((v for k, v in values.items() if k.startswith(prefix + "timestamp")), default=0)
        return done if done > since and done >= queued else 0

    def start(self):
        begin = time.time()
        self.proxy = KubeProxy(self.lab.cluster, self.node, self.mode)
        with Peak(self.proxy.process.pid) as peak:
            done = until(lambda: self.synced(begin), f"{self.name} has synced", SYNC_S, 0.05)
        return done - begin, peak.kib

    def pid(self):
        return self.proxy.process.pid

    def shown_after(self, change):
        return until(lambda: self.synced(change["wall"]), "a change is in force", SYNC_S, 0.005) - change["wall"]

    def stop(self):
        self.proxy.stop()
        self.node.place.run([f"{self.lab.cluster.programs}/kube-proxy", "--cleanup"], timeout=300)


def client_of(lab, endpoints):
    cluster = lab.cluster
    return Helper(lab["router"], [sys.executable, f"{HERE}/api_client.py", json.dumps({
        "address": cluster.address, "port": PORT, "ca": cluster.path("ca.crt"), "token": cluster.tokens[ADMIN],
        "endpoints": endpoints})])


def one(contender, client, services, changes, bursts, rate):
    """All rows of one contender. The objects are there."""
    about = {"contender": contender.name, "services": services}
    seconds, peak = contender.start()
    yield {"row": 9, "ns": seconds * 1e9, **about}
    try:
        yield {"row": 10, "anon_kib": kib(contender.pid(), "RssAnon"), "peak_kib": peak, **about}
        before = cpu_s(contender.pid())
        for i in range(changes):
            change = client.ask(do="change", service=i // 2 * 7919 % services, less=not i % 2)
            yield {"row": 11, "ns": contender.shown_after(change) * 1e9, **about}
            time.sleep(max(0.0, 0.05 - (time.monotonic_ns() - change["begin"]) / 1e9))
        if changes:
            yield {"row": 11, "cpu_ns": (cpu_s(contender.pid()) - before) / changes * 1e9, **about}
        if bursts and hasattr(contender, "last_shown"):
            burst = client.ask(do="burst", services=[i * 7919 % services for i in range(bursts)], less=True, rate=rate)
            last = contender.last_shown()
            yield {"row": 11, "burst_rate": bursts / ((burst["end"] - burst["begin"]) / 1e9),
                   "behind_ns": max(0, last - burst["end"]), **about}
            client.ask(do="burst", services=[i * 7919 % services for i in range(bursts)], less=False, rate=rate)
    finally:
        contender.stop()


def measure(lab, binary, services, endpoints, changes=40, bursts=1000, rate=1000, restarts=2, modes=("iptables", "nftables")):
    node = lab.nodes["node-1"]
    client = client_of(lab, endpoints)
    fairlead = Fairlead(lab, node, binary)
    try:
        client.ask(do="fill", first=0, last=services)
        yield from one(fairlead, client, services, changes, bursts, rate)
        for _ in range(restarts):
            seconds, _ = fairlead.start()
            fairlead.stop()
            yield {"row": 12, "contender": fairlead.name, "services": services, "ns": seconds * 1e9}
        node.cleanup()
        for mode in modes:
            yield from one(Proxy(lab, node, mode), client, services, max(2, changes // 10), 0, rate)
    finally:
        client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/std", metavar="DIR", help="build directory (default: build/std)")
    parser.add_argument("--services", type=int, default=10000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each Service")
    parser.add_argument("--changes", type=int, default=200, help="at 20 in a second; of kube-proxy a tenth")
    parser.add_argument("--bursts", type=int, default=2000, help="changes at 1,000 in a second")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--modes", default="iptables,nftables", help="of kube-proxy; empty: Fairlead alone")
    options = vars(parser.parse_args())
    build, modes = os.path.abspath(options.pop("build")), options.pop("modes")
    programs = subprocess.run([f"{REPO}/tests/kubernetes/build"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    lab = Lab(build=build)
    lab.cluster = ControlPlane(lab, programs)
    try:
        lab.cluster.start_etcd()
        lab.cluster.start_api()
        lab.cluster.populate()
        for line in measure(lab, f"{build}/bench/fairlead-bench", modes=[mode for mode in modes.split(",") if mode], **options):
            print(json.dumps(line), flush=True)
    finally:
        for node in lab.nodes.values():
            node.stop()
        lab.cluster.close()
        lab.close()


if __name__ == "__main__":
    main()
