# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who follows an API server on a node of the lab: Fairlead's agent and the real kube-proxy; and what a process takes."""
import json
import os
import queue
import signal
import subprocess
import threading
import time

import api_objects as objects
from kube_proxy import KubeProxy


QUIET_S = 10  # more than a change that is still to come into the maps takes
ANSWER_S = 300  # in which a busy kube-proxy tells its metrics
FLUSH_S = 300  # in which the kernel forgets its rules


def wait_for(value, limit_s, every_s):
    """What it is when it is something; None: it is not within the limit."""
    begin = time.monotonic()
    while True:
        now = value()
        if now:
            return now
        if time.monotonic() - begin > limit_s:
            return None
        time.sleep(every_s)


def wait(ready, limit_s, every_s):
    """Seconds until it was so; None: not within the limit."""
    begin = time.monotonic()
    return time.monotonic() - begin if wait_for(ready, limit_s, every_s) else None


def kib(pid, key):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(key)), 0)
    except OSError:
        return 0


def cpu_s(pid):
    """Processor time of a process, all of its threads, and that of the programs that it has run."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    own, run = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / os.sysconf("SC_CLK_TCK"), run / os.sysconf("SC_CLK_TCK")


def running_ns(pid):
    """The same of the threads that it has now, more exactly."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="utf-8") as stat:
            total += int(stat.read().split()[0])
    return total


class Peak:
    """The most memory of its own that a process has while this is open."""

    def __init__(self, pid):
        self.pid, self.kib, self.done = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.done.wait(0.02):
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

    def tell(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def ask(self, **command):
        self.tell(json.dumps(command) + "\n")
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


class Shown:
    """When changes of these Services have come into the maps, as a process says that does nothing but look."""

    def __init__(self, node, binary, services):
        self.watch = Helper(node.place, [binary, "watch", "--dir", node.bpffs or "/sys/fs/bpf/fairlead"])
        self.watch.tell("".join(f"{s} {objects.address(s)}\n" for s in services) + "\n")
        self.watch.answer()
        self.seen = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.watch.process.stdout:
            self.seen.put(json.loads(line))

    def of(self, changes):
        """When each of them was in the maps; None: never, as one that is undone before it has come so far. No Service twice
        with the same endpoints."""
        wanted = {(change["service"], change["endpoints"]): i for i, change in enumerate(changes)}
        times = [None] * len(changes)
        try:
            while wanted:
                seen = self.seen.get(timeout=QUIET_S)
                i = wanted.pop((seen["service"], seen["endpoints"]), None)
                if i is not None:
                    times[i] = seen["ns"]
        except queue.Empty:
            pass
        return times

    def close(self):
        self.watch.process.terminate()
        self.watch.process.wait()
        self.thread.join()


# its tables are made for 65,536 frontends, each address counted, and as many lines as 12,000 Services of ten endpoints take
SIZES = """apiVersion: fairlead.dev/v1
kind: FairleadConfiguration
maps: {{frontends: {frontends}, backends: {backends}, lines: {lines}}}
"""


class Fairlead:
    name = "fairlead"

    def __init__(self, lab, node, binary, services, endpoints):
        self.lab, self.node, self.binary = lab, node, binary
        self.config = f"{lab.directory}/sizes.yaml"
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(SIZES.format(frontends=max(65536, 4 * services), backends=max(131072, services * endpoints * 5 // 4),
                                   lines=max(786432, services * (endpoints * 8 + 16))))

    def start(self, limit_s):
        """Start it: seconds until all is in force (None: not within the limit), and the most memory meanwhile."""
        begin = time.monotonic()
        self.node.start(manifests=False, wait=False, extra=[
            "--config", self.config, "--kubeconfig", self.lab.cluster.kubeconfig(), "--state-dir", f"{self.lab.directory}/state"])
        with Peak(self.node.pid()) as peak:
            seconds = wait(self.node.ready, limit_s, 0.01)
        took = time.monotonic() - begin
        # what does not serve all of it is not to be compared
        wrong = [c["text"] for c in self.node.json("status")["conditions"] if c["level"] == "error"]
        if wrong:
            raise RuntimeError(f"fairlead: {len(wrong)} conditions, such as: {wrong[0]}")
        return seconds and took, peak.kib

    def pid(self):
        return self.node.pid()

    def changed(self, services, change, limit_s):
        """Let changes of these Services be made: from the answer to each, and from its sending, until it is in force."""
        shown = Shown(self.node, self.binary, services)
        try:
            made = change()
            times = shown.of(made["changes"])
        finally:
            shown.close()
        pairs = [(at, c) for at, c in zip(times, made["changes"]) if at is not None]
        yield {"rate": rate_of(made["changes"]), "lost": len(times) - len(pairs),
               "behind_ns": max((at for at, _ in pairs), default=0) - made["changes"][-1]["answered"],
               "ns": [at - c["answered"] for at, c in pairs], "sent_ns": [at - c["sent"] for at, c in pairs]}

    def stop(self):
        self.node.stop()

    def clear(self):
        self.node.cleanup()


class Proxy:
    """kube-proxy. What is in force it says itself: by the time of day of its last sync, and by how long the changes of
    slices took into force from when these say that they were made."""

    SYNC, LATENCY = "kubeproxy_sync_proxy_rules_last_", "kubeproxy_network_programming_duration_seconds_"
    ASK_S = 0.5  # it says itself when it was done; to be asked more often takes its processor

    def __init__(self, lab, node, mode):
        self.lab, self.node, self.mode = lab, node, mode
        self.name = f"kube-proxy, {mode}"

    def metrics(self):
        """What it says of itself; {}: it does not answer."""
        told = self.node.place.run(["curl", "-s", "--max-time", "20", "http://127.0.0.1:10249/metrics"], timeout=60)
        if told.returncode:
            return {}
        return {line.split()[0]: float(line.split()[1]) for line in told.stdout.splitlines() if line and line[0] != "#"}

    def synced(self, since):
        """When it had last synced, if that began after `since` (times of day)."""
        values = self.metrics()
        queued = max((v for k, v in values.items() if k.startswith(self.SYNC + "queued_timestamp")), default=0)
        done = max((v for k, v in values.items() if k.startswith(self.SYNC + "timestamp")), default=0)
        return done if done > since and done >= queued else 0

    def latency(self):
        """Of all changes so far: how many there were, how long together, and how many took at most how long."""
        values = wait_for(self.metrics, ANSWER_S, self.ASK_S)
        if values is None:
            raise RuntimeError(f"kube-proxy has not answered for {ANSWER_S} s")
        n = sum(v for k, v in values.items() if k.startswith(self.LATENCY + "count"))
        s = sum(v for k, v in values.items() if k.startswith(self.LATENCY + "sum"))
        most = {}
        for key, value in values.items():
            if key.startswith(self.LATENCY + "bucket"):
                limit = float(key.partition('le="')[2].partition('"')[0])
                most[limit] = most.get(limit, 0) + value
        return n, s, most

    def start(self, limit_s):
        begin = time.time()
        self.proxy = KubeProxy(self.lab.cluster, self.node, self.mode)
        with Peak(self.proxy.process.pid) as peak:
            done = wait_for(lambda: self.synced(begin), limit_s, self.ASK_S)
        return done and done - begin, peak.kib

    def pid(self):
        return self.proxy.process.pid

    def changed(self, services, change, limit_s):
        n, s, most = self.latency()
        made = change()
        behind = wait(lambda: self.latency()[0] - n >= len(made["changes"]), limit_s, self.ASK_S)
        now_n, now_s, now_most = self.latency()
        count = now_n - n
        yield {"rate": rate_of(made["changes"]), "lost": len(made["changes"]) - count,
               "behind_ns": None if behind is None else behind * 1e9,
               "mean_ns": (now_s - s) / count * 1e9 if count else None,
               "at_most": {limit: value - most.get(limit, 0) for limit, value in sorted(now_most.items())}}

    def stop(self):
        try:
            self.proxy.stop()
        except subprocess.TimeoutExpired:
            pass  # it waits for a program that loads its rules
        try:
            os.killpg(self.proxy.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proxy.process.wait()

    def clear(self):
        """All its rules; kube-proxy's own way takes minutes where there are many. So may this, behind a program that was
        ended while the kernel took its rules: then they go with the namespace."""
        flush = self.node.place.popen(["nft", "flush", "ruleset"])
        try:
            flush.wait(FLUSH_S)
        except subprocess.TimeoutExpired:
            flush.kill()


def rate_of(changes):
    return len(changes) * 1e9 / max(1, changes[-1]["answered"] - changes[0]["sent"])
