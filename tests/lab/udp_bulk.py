# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Megabytes over UDP with segmentation offload: both ends hand the kernel 40 datagrams at a time.

Sent in blocks. The client sends a block and the server acknowledges it when all of it has come, or the
client asks for a block and the server sends it. Every datagram says which it is, and its content follows
from that. What gets lost is sent again a few times; what never arrives is a failure.
"""
import socket
import struct

MAGIC = b"FLbk"
HEAD = struct.Struct("!4scIHH")  # magic, kind, block, index in the block, datagrams of the block
UP, ACK, ASK, DOWN = b"U", b"A", b"?", b"D"
SEGMENT = 1200
BLOCK = 40
BYTES_OF_A_BLOCK = BLOCK * (SEGMENT - HEAD.size)
UDP_SEGMENT = 103
PATTERN = bytes(range(256)) * 6
ATTEMPTS = 10


def datagram(kind, block, index):
    start = (block * 7 + index) % 256
    return HEAD.pack(MAGIC, kind, block, index, BLOCK) + PATTERN[start:start + SEGMENT - HEAD.size]


def send_block(sock, kind, block, peer=None):
    """One system call, one packet for the stack: the device, or the stack's last step, cuts it up."""
    data = b"".join(datagram(kind, block, index) for index in range(BLOCK))
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", SEGMENT))]
    sock.sendmsg([data], control, 0, *([peer] if peer else []))


def parse(data):
    """(kind, block, index) of a datagram that is whole, or None."""
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        return None
    _, kind, block, index, _ = HEAD.unpack_from(data)
    if kind in (UP, DOWN) and data != datagram(kind, block, index):
        return None
    return kind, block, index


class BulkServer:
    """The server's half, for any number of clients."""

    def __init__(self, sock):
        self.sock = sock
        self.got = {}  # (peer, block) -> the indexes that came

    def on_datagram(self, data, peer):
        """Whether the datagram was one of this protocol."""
        if not data.startswith(MAGIC):
            return False
        kind, block, index = parse(data) or (None, 0, 0)
        if kind == UP:
            got = self.got.setdefault((peer, block), set())
            got.add(index)
            if len(got) == BLOCK:
                del self.got[peer, block]
                self.sock.sendto(HEAD.pack(MAGIC, ACK, block, 0, BLOCK), peer)
        elif kind == ASK:
            send_block(self.sock, DOWN, block, peer)
        return True


def udp_bulk(host, port, size, timeout=2.0):
    """Move at least `size` bytes each way; how many, and how often a block had to be sent again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    moved, again = {"up": 0, "down": 0}, 0
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.settimeout(timeout)
        sock.connect((host, port))
        for way, send, wanted, number in (
                ("up", lambda block: send_block(sock, UP, block), ACK, 1),
                ("down", lambda block: sock.send(HEAD.pack(MAGIC, ASK, block, 0, BLOCK)), DOWN, BLOCK)):
            for block in range(-(-size // BYTES_OF_A_BLOCK)):
                for attempt in range(ATTEMPTS):
                    send(block)
                    if receive(sock, wanted, block, number):
                        break
                    again += 1
                else:
                    raise TimeoutError(f"{way}: block {block} does not arrive")
                moved[way] += BYTES_OF_A_BLOCK
    return {**moved, "again": again}


def receive(sock, wanted, block, number):
    """Whether `number` datagrams of this kind and block come."""
    got = set()
    while len(got) < number:
        try:
            about = parse(sock.recv(65535))
        except TimeoutError:
            return False
        if about is not None and about[:2] == (wanted, block):
            got.add(about[2])
    return True
