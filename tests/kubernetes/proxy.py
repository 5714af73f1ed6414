# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A proxy: python3 proxy.py KIND ADDRESS PORT [CERTIFICATE KEY]. KIND: http or https, for CONNECT, or socks5. It knows
one name, kubernetes, as its own address. Says `ready`, and for each line on its input how many connections it has made.
"""
import asyncio
import ipaddress
import ssl
import sys

NAME = "kubernetes"
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


async def connect_asked(asks, client):
    """Where an HTTP client wants to go."""
    method, where, _ = (await asks.readline()).decode().split()
    while await asks.readline() not in (b"\r\n", b""):
        pass
    if method != "CONNECT":
        client.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        return None
    host, _, port = where.rpartition(":")
    return host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n"


async def socks_asked(asks, client):
    """The same of a client of RFC 1928, without credentials."""
    version, methods = await asks.readexactly(2)
    await asks.readexactly(methods)
    client.write(b"\x05\x00")
    version, command, _, kind = await asks.readexactly(4)
    if (version, command) != (5, 1):
        return None
    if kind == 3:
        host = (await asks.readexactly((await asks.readexactly(1))[0])).decode()
    else:
        host = str(ipaddress.ip_address(await asks.readexactly(4 if kind == 1 else 16)))
    return host, int.from_bytes(await asks.readexactly(2), "big"), b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def serve(asked, own):
    async def on_client(asks, client):
        global made
        wanted = await asked(asks, client)
        if wanted is None:
            client.close()
            return
        host, port, answer = wanted
        says, server = await asyncio.open_connection(own if host == NAME else host, port)
        made += 1
        client.write(answer)
        await asyncio.gather(copy(asks, server), copy(says, client))
    return on_client


async def main(kind, address, port, *certificate):
    context = None
    if kind == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    asked = socks_asked if kind == "socks5" else connect_asked
    async with await asyncio.start_server(serve(asked, address), address, int(port), ssl=context):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(made, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
