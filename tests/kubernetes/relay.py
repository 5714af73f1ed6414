# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A relay of TCP connections that is no good: python3 relay.py ADDRESS PORT TO_PORT, and a word per line on its input.

`pass`: as it should be; `hold`: what the server says is kept back until another word; `cut`: every connection is
cut, now, and each new one after its first CUT_BYTES from the server. Says `ready`, and `done` for each word, but for `idle`
since when nobody has connected, in seconds, and how many have.
"""
import selectors
import socket
import sys
import time

CUT_BYTES = 6000


class Pair:
    """A client, and the server on its behalf."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.held = b""
        self.passed = 0

    def close(self, selector):
        for sock in (self.client, self.server):
            selector.unregister(sock)
            sock.close()


class Relay:
    def __init__(self, address, port, to_port):
        self.to = (address, to_port)
        self.mode = "pass"
        self.pairs = set()
        self.last, self.number = time.monotonic(), 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(sys.stdin, selectors.EVENT_READ, self.word)

    def accept(self):
        client = self.listener.accept()[0]
        self.last = time.monotonic()
        self.number += 1
        try:
            server = socket.create_connection(self.to, 5)
        except OSError:
            client.close()
            return
        pair = Pair(client, server)
        self.pairs.add(pair)
        self.selector.register(client, selectors.EVENT_READ, lambda: self.move(pair, client, server))
        self.selector.register(server, selectors.EVENT_READ, lambda: self.answer(pair))

    def end(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
            pair.close(self.selector)

    def move(self, pair, source, sink):
        try:
            data = source.recv(65536)
            if data:
                sink.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.end(pair)
        return len(data)

    def answer(self, pair):
        if self.mode == "hold":
            try:
                data = pair.server.recv(65536)
            except OSError:
                data = b""
            pair.held += data
            if not data:
                self.end(pair)
            return
        pair.passed += self.move(pair, pair.server, pair.client)
        if self.mode == "cut" and pair.passed > CUT_BYTES:
            self.end(pair)

    def word(self):
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        if line.strip() == "idle":
            print(time.monotonic() - self.last, self.number, flush=True)
            return
        self.mode = line.strip()
        for pair in list(self.pairs):
            if self.mode == "cut":
                self.end(pair)
            elif self.mode == "pass" and pair.held:
                pair.client.sendall(pair.held)
                pair.held = b""
        print("done", flush=True)

    def run(self):
        print("ready", flush=True)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj.fileno() >= 0:
                    key.data()


if __name__ == "__main__":
    Relay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()
