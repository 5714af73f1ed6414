# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A name server that knows one name: its IPv4 address, no IPv6 address; and no other name.

    name_server.py NAME ADDRESS
"""
import socket
import struct
import sys

A, AAAA = 1, 28
FOUND, UNKNOWN = 0x8580, 0x8583  # answers of an authority that recurses


def question(query):
    """The name that is asked for, its type, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def answer(query, name, address):
    asked, kind, end = question(query)
    flags = FOUND if asked.lower() == name else UNKNOWN
    record = b""
    if flags == FOUND and kind == A:
        record = struct.pack("!HHHIH", 0xc00c, A, 1, 1, 4) + socket.inet_aton(address)
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if record else 0, 0, 0) + query[12:end] + record


def main():
    name, address = sys.argv[1:]
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(4096)
        server.sendto(answer(query, name, address), client)


main()
