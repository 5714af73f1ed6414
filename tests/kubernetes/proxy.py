# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An HTTP proxy for CONNECT: python3 proxy.py ADDRESS PORT. Says `ready`, and for each line on its input how many
connections it has made."""
import asyncio
import sys

made = 0


async def copy(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.transport.abort()


async def serve(asks, client):
    global made
    method, where, _ = (await asks.readline()).decode().split()
    while await asks.readline() not in (b"\r\n", b""):
        pass
    if method != "CONNECT":
        client.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        client.close()
        return
    host, _, port = where.rpartition(":")
    says, server = await asyncio.open_connection(host, int(port))
    made += 1
    client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(copy(asks, server), copy(says, client))


async def main(address, port):
    async with await asyncio.start_server(serve, address, int(port)):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(made, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
