# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What traceroute does: one packet with few hops to live, and who says what became of it."""
import errno
import select
import socket
import struct
import time

from wait import PATIENCE

V6_HEADER, V6_TIME_EXCEEDED = 40, 3
V4_TIME_EXCEEDED = 11


def quoted_ports(v6, body):
    """Protocol and ports of the packet that an ICMP error quotes; None where it quotes none."""
    quote = body[8:]
    if v6:
        proto, at = (quote[6], V6_HEADER) if len(quote) > V6_HEADER else (0, 0)
    else:
        proto, at = (quote[9], (quote[0] & 15) * 4) if len(quote) > 20 else (0, 0)
    if not at or len(quote) < at + 4:
        return None
    return (proto, *struct.unpack("!HH", quote[at:at + 4]))


def error_about(v6, raw, ours):
    """An error that has come about our packet: its type, and where it says it comes from."""
    data, peer = raw.recvfrom(4096)
    body = data if v6 else data[(data[0] & 15) * 4:]
    if quoted_ports(v6, body) != ours:
        return None
    return {"from": peer[0], "type": body[0], "code": body[1],
            "expired": body[0] == (V6_TIME_EXCEEDED if v6 else V4_TIME_EXCEEDED)}


def probe(host, port, ttl, proto="udp", timeout=5.0 * PATIENCE):
    """{"answered": True}, or the ICMP error that came, or {} when nothing did."""
    v6 = ":" in host
    family = socket.AF_INET6 if v6 else socket.AF_INET
    tcp = proto == "tcp"
    icmp = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_RAW, icmp) as raw, \
            socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.setblocking(False)
        if sock.connect_ex((host, port)) not in (0, errno.EINPROGRESS):
            return {}
        if not tcp:
            sock.send(b"probe")
        ours = (socket.IPPROTO_TCP if tcp else socket.IPPROTO_UDP, sock.getsockname()[1], port)
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            readable, writable, _ = select.select([raw] + ([] if tcp else [sock]), [sock] if tcp else [], [], left)
            if raw in readable:
                error = error_about(v6, raw, ours)
                if error:
                    return error
            elif sock in readable or sock in writable:
                failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failed:
                    return {"answered": True}
        return {}
