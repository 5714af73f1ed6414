# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A way to the API server that spoils what it says, by plan: python3 chaos_relay.py ADDRESS PORT TO_PORT DIRECTORY.

It is the API server to its clients, with the certificate in DIRECTORY, and a client to the API server; in between are
responses as text. `plan SEED FAULTS` on its input: until there were so many faults, connections are refused or cut, and
chunks of what the server says (an event of a watch is one) are cut off in the middle, held back, split, repeated or
corrupted, each connection for itself. `pass`: no more of that. Says `ready`, and the faults so far for each word.
"""
import json
import random
import socket
import ssl
import sys
import threading


class Broken(OSError):
    """The connection is to end here."""


class Relay:
    def __init__(self, address, port, to_port, directory):
        self.to = (address, to_port)
        self.ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ours.load_cert_chain(f"{directory}/server.crt", f"{directory}/server.key")
        self.theirs = ssl.create_default_context(cafile=f"{directory}/ca.crt")
        self.listener = socket.create_server((address, port))
        self.lock = threading.Lock()
        self.chance = random.Random(0)
        self.left = 0
        self.done = {}
        self.open = set()
        self.passing = threading.Event()  # what is held back goes on

    def fault(self, chance):
        """The name of the fault that is to be now, or None."""
        with self.lock:
            if not self.left or chance.random() > 0.2:
                return None
            self.left -= 1
            name = chance.choice(["cut", "truncate", "hold", "split", "repeat", "corrupt"])
            self.done[name] = self.done.get(name, 0) + 1
            return name

    def word(self, line):
        word, *numbers = line.split()
        with self.lock:
            self.left = 0
            if word == "plan":
                seed, self.left = map(int, numbers)
                self.chance = random.Random(seed)
                self.done = {}
                for sock in list(self.open):
                    if self.chance.random() < 0.5:
                        self.end(sock)
                self.passing.clear()
            else:
                self.passing.set()
            done = dict(self.done)
        print(json.dumps(done), flush=True)

    @staticmethod
    def end(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self, raw, chance):
        try:
            if self.fault(chance) == "cut":
                return
            with socket.create_connection(self.to, 10) as plain, \
                    self.theirs.wrap_socket(plain, server_hostname=self.to[0]) as server, \
                    self.ours.wrap_socket(raw, server_side=True) as client:
                server.settimeout(None)
                with self.lock:
                    self.open.add(client)
                asks = threading.Thread(target=self.copy, args=(client, server), daemon=True)
                asks.start()
                try:
                    self.answers(server.makefile("rb"), client, chance)
                finally:
                    with self.lock:
                        self.open.discard(client)
                    for sock in (client, server):
                        self.end(sock)
                    asks.join(10)
        except OSError:
            pass
        finally:
            raw.close()

    def copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        self.end(sink)

    def answers(self, server, client, chance):
        """Responses, one after the other."""
        while head := server.readline():
            client.sendall(head)
            length, chunked = 0, False
            while (line := server.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                chunked |= name.lower() == b"transfer-encoding"
                client.sendall(line)
            client.sendall(b"\r\n")
            if length:
                client.sendall(server.read(length))
            while chunked:
                size = int(server.readline() or b"0", 16)
                data = server.read(size)
                server.readline()
                if not size:
                    client.sendall(b"0\r\n\r\n")
                    break
                self.chunk(client, data, chance)

    def chunk(self, client, data, chance):
        fault = self.fault(chance)
        whole = b"%x\r\n%s\r\n" % (len(data), data)
        if fault == "cut":
            raise Broken
        if fault == "truncate":
            client.sendall(whole[:len(whole) // 2])
            raise Broken
        if fault == "hold":
            self.passing.wait(1 + chance.random())
        if fault == "corrupt":
            at = chance.randrange(len(data))
            data = data[:at] + b"\x01" + data[at + 1:]
            whole = b"%x\r\n%s\r\n" % (len(data), data)
        if fault == "split":
            for i in range(0, len(whole), 1 + len(whole) // 7):
                client.sendall(whole[i:i + 1 + len(whole) // 7])
        else:
            client.sendall(whole)
        if fault == "repeat":
            client.sendall(whole)

    def accept(self):
        while True:
            raw = self.listener.accept()[0]
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                chance = random.Random(self.chance.random())
            threading.Thread(target=self.serve, args=(raw, chance), daemon=True).start()

    def run(self):
        threading.Thread(target=self.accept, daemon=True).start()
        print("ready", flush=True)
        for line in sys.stdin:
            self.word(line)


if __name__ == "__main__":
    Relay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).run()
