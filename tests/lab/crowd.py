# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Thousands of clients in one thread: long flows that go on talking, and newcomers all the time.

Each message of a long flow has a number that must come back, with the name of the backend. A newcomer
opens a connection (or sends a datagram), asks once and goes. What counts as failed is said by the kernel
or by the number of packets that were sent in vain, not by a clock, so that a slow machine fails nothing.
"""
import errno
import heapq
import itertools
import json
import resource
import select
import socket
import threading
import time

from traffic import REASONS, family_of, reason_of

SYNS_AGAIN = 4  # of a newcomer, before its connection counts as failed
UNHEARD_MS = 15_000  # so long is repeated in vain what was sent once it is connected
DATAGRAMS = 5  # of a newcomer in vain, a second apart
PERIOD_S = 1.0  # between two messages of a long flow
ANSWERS_OF_PROVEN_UDP = 4  # a period each: the datapath wants to see a flow go on for 2 s


class Client:
    """A socket that asks for something and hears who answers."""
    stays = False

    def __init__(self, crowd, target):
        self.crowd, self.target = crowd, target
        self.tcp = target["kind"] == "tcp"
        self.number = self.answered = 0
        self.pod, self.dead, self.buffer = None, None, b""
        self.sent_at = time.monotonic()
        self.sock = socket.socket(family_of(target["host"]), socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        if self.tcp:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYNS_AGAIN)
            if not self.stays:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
        status = self.sock.connect_ex((target["host"], target["port"]))
        self.open = status == 0
        crowd.register(self, select.EPOLLIN | (0 if self.open else select.EPOLLOUT))
        if status not in (0, errno.EINPROGRESS):
            self.die(REASONS.get(status, errno.errorcode.get(status)))
        elif self.open:
            self.ask()

    def ask(self):
        """Send the next number."""
        self.number += 1
        self.sent_at = time.monotonic()
        word = f"/{self.target['label']}-{self.number}"
        try:
            self.sock.send(f"GET {word} HTTP/1.1\r\nHost: lab\r\n\r\n".encode() if self.tcp else word.encode())
        except OSError as error:
            if self.tcp:
                self.die(reason_of(error))

    def on_event(self, mask):
        try:
            if not self.open and mask & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
                status = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if status:
                    return self.die(REASONS.get(status, errno.errorcode.get(status)))
                self.open = True
                self.crowd.poll.modify(self.sock, select.EPOLLIN)
                self.ask()
            if mask & (select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP):
                self.hear(self.sock.recv(65536))
        except BlockingIOError:
            pass
        except (OSError, ValueError) as error:
            if self.tcp:
                return self.die(reason_of(error))
            self.crowd.ledger(self.target)["icmp"] += 1
        return None

    def hear(self, data):
        if not self.tcp:
            answer = json.loads(data)
            return self.on_answer(answer["pod"], answer["echo"])
        if not data:
            return self.die("closed-early")
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length: ")[1].split()[0]):
            self.buffer = b""
            answer = json.loads(body)
            self.on_answer(answer["pod"], answer["path"])
        return None

    def on_answer(self, pod, word):
        number = int(word.rpartition("-")[2])
        if word != f"/{self.target['label']}-{number}" or number > self.number:
            return self.die("wrong-answer")
        self.answered = max(self.answered, number)
        if self.pod not in (None, pod):
            moves = self.crowd.ledger(self.target)["moved"]
            moves[f"{self.pod} to {pod}"] = moves.get(f"{self.pod} to {pod}", 0) + 1
        self.pod = pod
        self.on_heard()
        return None

    def on_heard(self):
        pass

    def close(self):
        if self.sock.fileno() >= 0:
            self.crowd.forget(self)
            self.sock.close()

    def die(self, why):
        self.dead = why
        self.close()


class Long(Client):
    """A flow that talks once a second, or only when it is asked to (idle)."""
    stays = True

    def __init__(self, crowd, target):
        super().__init__(crowd, target)
        crowd.ledger(target)["flows"] += 1
        self.crowd.at(time.monotonic() + PERIOD_S, self.turn)

    def turn(self):
        if self.dead:
            return
        self.crowd.at(time.monotonic() + PERIOD_S, self.turn)
        if self.open and not (self.target.get("idle") and self.number > 1 and not self.crowd.last_round):
            # TCP sees to what was lost by itself
            if not self.tcp or self.answered == self.number:
                self.ask()


class Newcomer(Client):
    def __init__(self, crowd, target):
        self.tries = 0
        crowd.ledger(target)["asked"] += 1
        crowd.newcomers.add(self)
        super().__init__(crowd, target)
        if not self.tcp:
            self.crowd.at(time.monotonic() + 1, self.again)

    def again(self):
        if self not in self.crowd.newcomers:
            return
        self.tries += 1
        if self.tries == DATAGRAMS:
            self.die("no-answer")
        else:
            self.crowd.at(time.monotonic() + 1, self.again)
            self.ask()

    def on_heard(self):
        ledger = self.crowd.ledger(self.target)
        ledger["answered"] += 1
        ledger["worst_s"] = max(ledger["worst_s"], time.monotonic() - self.sent_at)
        self.crowd.newcomers.discard(self)
        self.close()

    def die(self, why):
        super().die(why)
        self.crowd.newcomers.discard(self)
        failures = self.crowd.ledger(self.target)["failures"]
        failures[why] = failures.get(why, 0) + 1


class Crowd:
    def __init__(self, long, newcomers):
        """`long` and `newcomers`: dictionaries with kind (tcp, udp), host, port and label, and how many
        (`count`; `idle` ones wait to be asked), or how many a second (`rate`)."""
        resource.setrlimit(resource.RLIMIT_NOFILE, 2 * resource.getrlimit(resource.RLIMIT_NOFILE)[1:])
        self.poll = select.epoll()
        self.clients, self.timers, self.ledgers = {}, [], {}
        self.order = itertools.count()  # of timers that are due at the same moment
        self.long, self.newcomers = [], set()
        self.late_s = 0.0
        self.over = self.last_round = self.ended = False
        self.lock = threading.Lock()
        for target in long:
            for _ in range(target["count"]):
                self.at(time.monotonic() + len(self.long) * PERIOD_S / 1000,
                        lambda t=target: self.long.append(Long(self, t)))
        self.expected = sum(target["count"] for target in long)
        for target in newcomers:
            self.at(time.monotonic(), lambda t=target: self.bring(t))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    # ---- the loop ----------------------------------------------------------------------------
    def at(self, when, call):
        heapq.heappush(self.timers, (when, next(self.order), call))

    def register(self, client, mask):
        self.clients[client.sock.fileno()] = client
        self.poll.register(client.sock, mask)

    def forget(self, client):
        self.poll.unregister(client.sock)
        del self.clients[client.sock.fileno()]

    def ledger(self, target):
        return self.ledgers.setdefault(target["label"], {
            "flows": 0, "asked": 0, "answered": 0, "failures": {}, "moved": {}, "icmp": 0, "worst_s": 0.0})

    def bring(self, target):
        if not self.over:
            self.at(time.monotonic() + 1 / target["rate"], lambda: self.bring(target))
            Newcomer(self, target)

    def run(self):
        while not self.ended:
            wait = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else 0.1
            events = self.poll.poll(min(wait, 0.1))
            with self.lock:
                for fd, mask in events:
                    if fd in self.clients:
                        self.clients[fd].on_event(mask)
                now = time.monotonic()
                while self.timers and self.timers[0][0] <= now:
                    when, _, call = heapq.heappop(self.timers)
                    self.late_s = max(self.late_s, now - when)
                    call()

    # ---- what the test asks ------------------------------------------------------------------
    def look(self):
        """Where everything stands; the longest waits are those since the last look."""
        with self.lock:
            dead, silent = {}, 0
            for client in self.long:
                if client.dead:
                    key = f"{client.target['label']}: {client.dead}"
                    dead[key] = dead.get(key, 0) + 1
                silent += not client.dead and client.answered < self.due(client)
            report = {"long": len(self.long), "expected": self.expected, "dead": dead, "silent": silent,
                      "messages": sum(client.answered for client in self.long),
                      "unanswered": sum(client.number - client.answered for client in self.long),
                      "pods": self.pods(), "newcomers": len(self.newcomers), "late_s": self.late_s,
                      "ledgers": {label: dict(ledger) for label, ledger in self.ledgers.items()}}
            self.late_s = 0.0
            for ledger in self.ledgers.values():
                ledger["worst_s"] = 0.0
        return report

    def due(self, client):
        """How many answers a long flow has to have had: at first as many as prove it, those of UDP for seconds."""
        if self.last_round:
            return client.last_asked
        return 2 if client.tcp else ANSWERS_OF_PROVEN_UDP

    def pods(self):
        count = {}
        for client in self.long:
            key = f"{client.target['kind']} {client.pod}"
            count[key] = count.get(key, 0) + 1
        return count

    def tuples(self):
        """Family, source, port, destination, port of the long flows of TCP."""
        with self.lock:
            return [[6 if ":" in c.target["host"] else 4, *c.sock.getsockname()[:2], c.target["host"],
                     c.target["port"]] for c in self.long if c.tcp and not c.dead]

    def no_more(self):
        """No newcomer comes any more."""
        self.over = True

    def ask_all(self):
        """A last message of all long flows, idle ones too: silent are those that have not answered it."""
        with self.lock:
            for client in self.long:
                client.last_asked = client.number + 1
            self.last_round = True

    def stop(self):
        self.ended = True
        self.thread.join()
        for client in [*self.long, *self.newcomers]:
            client.close()
