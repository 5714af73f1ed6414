# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The clients of the lab: ask a server N times and report which pods answered, what failed and why.

Every request carries a sequence word that the server must give back, so an answer that belongs to
another request is a failure too. Results are plain dictionaries that travel as JSON.
"""
import errno
import json
import os
import socket
import struct
import threading

from wait import PATIENCE

REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EPERM: "not-permitted",
    errno.EACCES: "not-permitted",
}

HOPELESS = 3


class Wrong(Exception):
    """An answer arrived, but not the right one."""


def reason_of(error):
    if isinstance(error, Wrong):
        return str(error)
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timeout"
    if isinstance(error, OSError) and error.errno in REASONS:
        return REASONS[error.errno]
    return f"{type(error).__name__}: {error}"


class Tally:
    """Which pods answered, which client addresses they saw, and what failed; safe to use from several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = self.opened = 0
        self.answers = {}
        self.nodes = {}
        self.clients = {}
        self.failures = {}

    def ask(self):
        with self.lock:
            self.asked += 1

    def open(self):
        """A connection is accepted, whatever becomes of the request."""
        with self.lock:
            self.opened += 1

    def hopeless(self):
        """Enough has failed: asking on would only take time."""
        with self.lock:
            return sum(self.failures.values()) >= HOPELESS

    def good(self, answer):
        with self.lock:
            for table, key in ((self.answers, "pod"), (self.nodes, "node"),
                               (self.clients, "client")):
                table[answer[key]] = table.get(answer[key], 0) + 1

    def bad(self, error):
        with self.lock:
            reason = reason_of(error)
            self.failures[reason] = self.failures.get(reason, 0) + 1

    def report(self):
        with self.lock:
            return {"asked": self.asked, "opened": self.opened, "answered": sum(self.answers.values()),
                    "failed": sum(self.failures.values()), "answers": dict(self.answers),
                    "nodes": dict(self.nodes), "clients": dict(self.clients),
                    "failures": dict(self.failures)}


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


class HttpConnection:
    """A keep-alive HTTP/1.1 connection that can do no more than these tests need."""

    def __init__(self, host, port, timeout=10.0, source=None, source_port=0):
        self.host, self.port = host, port
        self.buffer = b""
        self.sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        try:
            self.sock.settimeout(timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source or source_port:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.sock.bind((source or "", source_port))
            self.sock.connect((host, port))
            # the socket must show the address that was asked, not the backend's
            peer = self.sock.getpeername()
            if (peer[0], peer[1]) != (host, port):
                raise Wrong(f"peer is {peer[0]}:{peer[1]}")
        except BaseException:
            self.sock.close()
            raise

    def fill(self):
        data = self.sock.recv(262144)
        if not data:
            raise Wrong("closed-early")
        self.buffer += data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        for line in head.decode("latin-1").lower().split("\r\n"):
            if line.startswith("content-length: "):
                return int(line.split(": ")[1])
        raise Wrong("no-content-length")

    def json(self):
        length = self.head()
        while len(self.buffer) < length:
            self.fill()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return json.loads(body)

    def get(self, path="/"):
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
        answer = self.json()
        if answer.get("path") != path:
            raise Wrong("wrong-answer")
        return answer

    def download(self, size):
        """Have the server send `size` bytes; the number that arrived."""
        self.sock.sendall(f"GET /bytes/{size} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
        left = self.head() - len(self.buffer)
        pattern = bytearray(self.buffer)
        while left > 0:
            data = self.sock.recv(min(left, 262144))
            if not data:
                raise Wrong("closed-early")
            pattern += data
            left -= len(data)
        self.buffer = b""
        if bytes(pattern) != (b"fairlead" * (size // 8 + 1))[:size]:
            raise Wrong("corrupted")
        return size

    def upload(self, size):
        self.sock.sendall(f"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: {size}\r\n\r\n".encode())
        self.sock.sendall(b"x" * size)
        return self.json()

    def end(self):
        """Close it when the server has: then its port may be used again, also towards the same server."""
        self.sock.shutdown(socket.SHUT_WR)
        while self.sock.recv(65536):
            pass
        self.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def http(host, port, requests=1, keep=False, parallel=1, timeout=10.0, source=None, source_port=0):
    """`requests` GETs in all, a connection each (or, with keep, one connection per thread); fewer
    when HOPELESS of them have failed, but one per thread at least."""
    tally = Tally()

    def work(worker, count):
        connection = None
        for number in range(count):
            if number and tally.hopeless():
                break
            tally.ask()
            try:
                if connection is None:
                    connection = HttpConnection(host, port, timeout, source, source_port)
                    tally.open()
                tally.good(connection.get(f"/{worker}-{number}"))
                if keep:
                    continue
                if source_port:
                    connection.end()
            except (OSError, Wrong, ValueError) as error:
                tally.bad(error)
            if connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    share = [requests // parallel + (1 if i < requests % parallel else 0) for i in range(parallel)]
    threads = [threading.Thread(target=work, args=(i, n)) for i, n in enumerate(share[1:], 1)]
    for thread in threads:
        thread.start()
    work(0, share[0])
    for thread in threads:
        thread.join()
    return tally.report()


def bulk(host, port, size, timeout=20.0):
    """Move `size` bytes each way over one connection."""
    with HttpConnection(host, port, timeout) as connection:
        down = connection.download(size)
        answer = connection.upload(size)
    return {"down": down, "up": answer["received"], "pod": answer["pod"]}


class UdpPeer:
    """A UDP socket, connected or not, that checks where an answer came from.

    With `anywhere` it leaves that to the kernel, which knows whom it has connected the socket to.
    """

    def __init__(self, host, port, connected, timeout=10.0, source=None, source_port=0, anywhere=False):
        self.host, self.port, self.connected, self.anywhere = host, port, connected, anywhere
        self.sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
        self.sock.settimeout(timeout)
        if source or source_port:
            self.sock.bind((source or "", source_port))
        if connected:
            self.sock.connect((host, port))

    def send(self, data):
        try:
            self.sock.send(data)
        except PermissionError:  # the backend has left its Service: as applications do, connect again
            self.sock.connect((self.host, self.port))
            self.sock.send(data)

    def ask(self, word):
        if self.connected:
            self.send(word.encode())
        else:
            self.sock.sendto(word.encode(), (self.host, self.port))
        while True:
            data, peer = self.sock.recvfrom(65535)
            if not self.anywhere and (peer[0], peer[1]) != (self.host, self.port):
                raise Wrong(f"answer came from {peer[0]}:{peer[1]}")
            answer = json.loads(data)
            if answer.get("echo") == word:
                return answer
            # the late answer of an earlier request that was counted as lost

    def close(self):
        self.sock.close()


def udp(host, port, requests=1, connected=True, keep=False, timeout=10.0, source=None, size=0,
        source_port=0):
    """`requests` datagrams, from a socket each (or all from one, with keep)."""
    tally = Tally()
    peer = None
    for number in range(requests):
        if tally.hopeless():
            break
        tally.ask()
        try:
            if peer is None:
                peer = UdpPeer(host, port, connected, timeout, source, source_port)
            tally.good(peer.ask(f"q{number}".ljust(size, ".")))
            if keep:
                continue
        except (OSError, Wrong, ValueError) as error:
            tally.bad(error)
        if peer is not None:
            peer.close()
            peer = None
    if peer is not None:
        peer.close()
    return tally.report()


IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU, IPV6_MTU_DISCOVER, IPV6_MTU = 10, 2, 14, 23, 24  # linux/in.h, in6.h


def path_mtu(host, port, size, timeout=5.0 * PATIENCE):
    """Send an IP packet of `size` bytes that no router may fragment; the MTU that the kernel knows when it is told."""
    v6 = family_of(host) == socket.AF_INET6
    level, discover, mtu, headers = ((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU, 48) if v6
                                     else (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU, 28))
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, discover, IP_PMTUDISC_DO)
        sock.settimeout(timeout)
        sock.connect((host, port))
        sock.send(b"x" * (size - headers))
        try:
            sock.recv(65535)
        except TimeoutError:
            pass
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
        return sock.getsockopt(level, mtu)


def ping(host, timeout=2.0 * PATIENCE):
    """Send one ICMP echo request; True when its answer comes."""
    v6 = family_of(host) == socket.AF_INET6
    proto, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if v6 else (socket.IPPROTO_ICMP, 8, 0)
    word = os.urandom(8)
    message = struct.pack("!BBHHH", request, 0, 0, 1, 1) + word
    if not v6:  # the kernel does it for IPv6
        total = sum(struct.unpack("!8H", message))
        total = (total >> 16) + (total & 0xffff)
        total += total >> 16
        message = message[:2] + struct.pack("!H", ~total & 0xffff) + message[4:]
    with socket.socket(family_of(host), socket.SOCK_RAW, proto) as sock:
        sock.settimeout(timeout)
        sock.sendto(message, (host, 0))
        try:
            while True:
                data, _ = sock.recvfrom(2048)
                body = data if v6 else data[(data[0] & 15) * 4:]
                if body[0] == reply and body.endswith(word):
                    return True
        except TimeoutError:
            return False


def tcp_counter(name):
    """One of the kernel's TCP counters of this network namespace."""
    with open("/proc/net/netstat", encoding="utf-8") as lines:
        for names, values in zip(lines, lines):
            table = dict(zip(names.split(), values.split()))
            if name in table:
                return int(table[name])
    raise ValueError(f"no counter {name}")
