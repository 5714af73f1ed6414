# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A way to the API server that spoils what it says, by plan: python3 chaos_relay.py ADDRESS PORT TO_PORT DIRECTORY.

It is the API server to its clients, with the certificate in DIRECTORY, and a client to the API server; in between are
responses as text. `plan SEED FAULTS` on its input: until there were so many faults, connections are cut, and chunks of
what the server says (an event of a watch is one) are cut off in the middle, held back, split, repeated or corrupted,
each connection for itself, all kinds of them in turn. `more FAULTS`: so many again. Both cut half of the connections. `keep`: each response is
passed on when it has ended, as by a proxy that buffers. `pass`: no more of that. Says `ready`, and the faults so far for each word.

One thread: an SSL connection that one thread reads from while another one writes to it ends the interpreter.
"""
import asyncio
import json
import random
import ssl
import sys


class Broken(OSError):
    """The connection is to end here."""


class Kept:
    """What is written goes on when it is whole."""

    def __init__(self, client):
        self.client, self.data = client, b""

    def write(self, data):
        self.data += data

    async def drain(self):
        pass

    async def end(self):
        self.client.write(self.data)
        self.data = b""
        await self.client.drain()


class Relay:
    def __init__(self, address, port, to_port, directory):
        self.at, self.to = (address, port), (address, to_port)
        self.ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ours.load_cert_chain(f"{directory}/server.crt", f"{directory}/server.key")
        self.theirs = ssl.create_default_context(cafile=f"{directory}/ca.crt")
        self.chance = random.Random(0)
        self.left, self.kinds = 0, []
        self.keeps = False
        self.done = {}
        self.open = set()
        self.passing = asyncio.Event()  # what is held back goes on

    def fault(self, chance):
        """The name of the fault that is to be now, or None."""
        if not self.left or chance.random() > 0.2:
            return None
        self.left -= 1
        if not self.kinds:
            self.kinds = ["cut", "truncate", "hold", "split", "repeat", "corrupt"]
            chance.shuffle(self.kinds)
        name = self.kinds.pop()
        self.done[name] = self.done.get(name, 0) + 1
        return name

    def word(self, line):
        word, *numbers = line.split()
        self.left, self.keeps = 0, word == "keep"
        if word == "plan":
            self.chance = random.Random(int(numbers.pop(0)))
            self.done = {}
        if word in ("plan", "more"):
            self.left = int(numbers[0])
            for client in list(self.open):
                if self.chance.random() < 0.5:
                    client.transport.abort()
            self.passing.clear()
        else:
            self.passing.set()
        print(json.dumps(self.done), flush=True)

    async def serve(self, asks, client):
        chance = random.Random(self.chance.random())
        self.open.add(client)
        try:
            if self.fault(chance) != "cut":
                await self.relay(asks, client, chance)
        except (OSError, EOFError):
            pass
        finally:
            self.open.discard(client)
            client.transport.abort()

    async def relay(self, asks, client, chance):
        says, server = await asyncio.open_connection(*self.to, ssl=self.theirs, server_hostname=self.to[0])
        copying = asyncio.create_task(self.copy(asks, server))
        try:
            await self.answers(says, client, chance)
        finally:
            copying.cancel()
            server.transport.abort()

    @staticmethod
    async def copy(source, sink):
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.transport.abort()

    async def answers(self, server, client, chance):
        """Responses, one after the other."""
        to = client
        while head := await server.readline():
            client = Kept(to) if self.keeps else to
            client.write(head)
            length, chunked = 0, False
            while (line := await server.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                chunked |= name.lower() == b"transfer-encoding"
                client.write(line)
            client.write(b"\r\n" + await server.readexactly(length))
            while chunked:
                size = int(await server.readline() or b"0", 16)
                data = await server.readexactly(size)
                await server.readline()
                if not size:
                    client.write(b"0\r\n\r\n")
                    break
                await self.chunk(client, data, chance)
            await (client.end() if client is not to else client.drain())

    async def chunk(self, client, data, chance):
        fault = self.fault(chance)
        whole = b"%x\r\n%s\r\n" % (len(data), data)
        if fault == "cut":
            raise Broken
        if fault == "truncate":
            client.write(whole[:len(whole) // 2])
            await client.drain()
            raise Broken
        if fault == "hold":
            try:
                async with asyncio.timeout(1 + chance.random()):
                    await self.passing.wait()
            except TimeoutError:
                pass
        if fault == "corrupt":
            at = chance.randrange(len(data))
            data = data[:at] + b"\x01" + data[at + 1:]
            whole = b"%x\r\n%s\r\n" % (len(data), data)
        if fault == "split":
            for i in range(0, len(whole), 1 + len(whole) // 7):
                client.write(whole[i:i + 1 + len(whole) // 7])
                await client.drain()
        else:
            client.write(whole)
        if fault == "repeat":
            client.write(whole)
        await client.drain()

    async def run(self):
        async with await asyncio.start_server(self.serve, *self.at, ssl=self.ours):
            print("ready", flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                self.word(line)


if __name__ == "__main__":
    asyncio.run(Relay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).run())
