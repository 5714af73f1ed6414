# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A load that runs until it is told to stop, and keeps a ledger of every request.

Kinds: `short` opens a TCP connection per request; `long` keeps connections open for the whole time
and must never be cut; `udp` uses connected sockets and `udp-unconnected` unconnected ones. A request
is in the ledger before it is sent, so one that vanished is missing, not forgotten.
"""
import threading
import time

from traffic import HttpConnection, Tally, UdpPeer, Wrong, reason_of
from wait import PATIENCE


class Ledger(Tally):
    """A tally that also keeps when and what failed, and which peers moved."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.moved = 0  # long-lived peers that were answered by another pod than before
        self.ended = []  # for each stream, how many of its requests are answered or have failed

    def end(self, stream):
        with self.lock:
            self.ended[stream] += 1

    def failed(self, word, error):
        self.bad(error)
        with self.lock:
            if len(self.events) < 50:
                self.events.append([round(time.monotonic(), 3), word, reason_of(error)])

    def report(self):
        return {**super().report(), "events": list(self.events), "moved": self.moved,
                "streams": len(self.ended), "ended": list(self.ended)}


class Load:
    def __init__(self, targets, interval=0.01, timeout=10.0):
        """`targets`: dictionaries with kind, host, port and streams (how many at once). Returns when
        the first request of every stream is answered or has failed: all connections are open."""
        self.stop_event = threading.Event()
        self.begun = threading.Semaphore(0)
        self.interval = interval
        self.timeout = timeout
        self.ledgers = {}
        self.threads = []
        for target in targets:
            label = target.get("label") or f"{target['kind']} {target['host']}"
            ledger = self.ledgers.setdefault(label, Ledger())
            for stream in range(target.get("streams", 1)):
                ledger.ended.append(0)
                self.threads.append(threading.Thread(
                    target=self.work, args=(target, stream, len(ledger.ended) - 1, ledger), daemon=True))
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            if not self.begun.acquire(timeout=self.longest_s()):
                raise RuntimeError("a stream of the load does not begin")

    def longest_s(self):
        """No request takes so long: to connect, and to be answered."""
        return (2 * self.timeout + 1) * PATIENCE

    def open(self, target):
        if target["kind"] in ("short", "long"):
            return HttpConnection(target["host"], target["port"], self.timeout)
        return UdpPeer(target["host"], target["port"], target["kind"] == "udp", self.timeout,
                       anywhere=target.get("anywhere", False))

    def work(self, target, stream, place, ledger):
        number, peer, pod = 0, None, None
        while not self.stop_event.is_set():
            word = f"/{target['kind']}-{stream}-{number}"
            number += 1
            ledger.ask()
            try:
                if peer is None:
                    peer = self.open(target)
                answer = peer.get(word) if isinstance(peer, HttpConnection) else peer.ask(word)
                ledger.good(answer)
                if pod not in (None, answer["pod"]) and target["kind"] != "short":
                    ledger.moved += 1
                pod = answer["pod"]
                keep = target["kind"] != "short"
            except (OSError, Wrong, ValueError) as error:
                ledger.failed(word, error)
                keep = False
            ledger.end(place)
            if number == 1:
                self.begun.release()
            if peer is not None and not keep:
                peer.close()
                peer = None
            self.stop_event.wait(self.interval)
        if peer is not None:
            peer.close()

    def look(self):
        return {label: ledger.report() for label, ledger in self.ledgers.items()}

    def stop(self):
        self.stop_event.set()
        for thread in self.threads:
            thread.join(self.longest_s())
        return self.look()
