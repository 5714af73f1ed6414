# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The server of a lab pod: HTTP over TCP with keep-alive, and an echo over UDP.

Answers name the pod and the client address that it saw, so that a test can tell which backend was chosen
and whether the client's address was kept. One thread and one selector; IPv4 and IPv6 share sockets.
"""
import argparse
import json
import selectors
import socket
import sys

from udp_bulk import BulkServer

MAX_HEAD = 16384
CHUNK = b"fairlead" * 8192


def plain(address):
    """The textual address of a peer, without the IPv6-mapped prefix."""
    return address[7:] if address.startswith("::ffff:") else address


class Connection:
    """One accepted TCP connection: what was read, what is to be written, how much was asked."""

    def __init__(self, server, sock, peer):
        self.server = server
        self.sock = sock
        self.peer = peer
        self.request = 0
        self.inbuf = b""
        self.outbuf = b""
        self.flood = 0  # bytes of filler still to be sent
        self.body_left = 0
        self.body_len = 0
        self.closing = False

    def on_event(self, mask):
        try:
            if mask & selectors.EVENT_READ:
                data = self.sock.recv(65536)
                if not data:
                    return self.close()
                self.feed(data)
            self.flush()
        except (ConnectionError, TimeoutError):
            return self.close()
        return None

    def feed(self, data):
        if self.body_left:
            used = min(self.body_left, len(data))
            self.body_left -= used
            data = data[used:]
            if self.body_left == 0:
                self.answer({"received": self.body_len})
        self.inbuf += data
        while not self.body_left and b"\r\n\r\n" in self.inbuf:
            head, self.inbuf = self.inbuf.split(b"\r\n\r\n", 1)
            self.on_request(head.decode("latin-1"))
        if len(self.inbuf) > MAX_HEAD:
            self.close()

    def on_request(self, head):
        lines = head.split("\r\n")
        path = lines[0].split(" ")[1] if lines[0].count(" ") >= 2 else "/"
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        self.closing = headers.get("connection") == "close"
        self.request += 1
        self.server.requests += 1
        length = int(headers.get("content-length", "0"))
        if length:
            self.body_len = length
            self.body_left = max(0, length - len(self.inbuf))
            self.inbuf = self.inbuf[length:]
            if not self.body_left:
                self.answer({"received": length})
        elif path.startswith("/bytes/"):
            self.flood = int(path.split("/")[2])
            self.outbuf += f"HTTP/1.1 200 OK\r\nContent-Length: {self.flood}\r\n\r\n".encode()
        else:
            self.answer({"path": path})

    def answer(self, more):
        body = json.dumps({**self.server.identity, "client": plain(self.peer[0]),
                           "port": self.peer[1], "request": self.request, **more}) + "\n"
        self.outbuf += (f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

    def flush(self):
        while self.outbuf or self.flood:
            if not self.outbuf:
                self.outbuf = CHUNK[:min(self.flood, len(CHUNK))]
                self.flood -= len(self.outbuf)
            try:
                sent = self.sock.send(self.outbuf)
            except BlockingIOError:
                break
            self.outbuf = self.outbuf[sent:]
        if self.closing and not self.outbuf and not self.flood and not self.body_left:
            return self.close()
        want = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outbuf else 0)
        self.server.selector.modify(self.sock, want, self.on_event)
        return None

    def close(self):
        try:
            self.server.selector.unregister(self.sock)
        except (KeyError, ValueError):
            pass
        self.sock.close()


class Server:
    def __init__(self, identity, tcp_port, udp_port):
        self.identity = identity
        self.requests = 0
        self.selector = selectors.DefaultSelector()
        self.tcp = self.bind(socket.SOCK_STREAM, tcp_port)
        self.tcp.listen(4096)
        self.udp = self.bind(socket.SOCK_DGRAM, udp_port)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.bulk = BulkServer(self.udp)
        self.selector.register(self.tcp, selectors.EVENT_READ, self.on_accept)
        self.selector.register(self.udp, selectors.EVENT_READ, self.on_datagram)

    @staticmethod
    def bind(kind, port):
        sock = socket.socket(socket.AF_INET6, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", port))
        sock.setblocking(False)
        return sock

    def on_accept(self, _mask):
        try:
            sock, peer = self.tcp.accept()
        except (BlockingIOError, ConnectionError):
            return
        sock.setblocking(False)
        self.selector.register(sock, selectors.EVENT_READ, Connection(self, sock, peer).on_event)

    def on_datagram(self, _mask):
        try:
            data, peer = self.udp.recvfrom(65535)
            if self.bulk.on_datagram(data, peer):
                return
            answer = {**self.identity, "client": plain(peer[0]), "port": peer[1],
                      "echo": data.decode("utf-8", "replace")}
            self.udp.sendto(json.dumps(answer).encode(), peer)
        except (BlockingIOError, ConnectionError):
            pass

    def run(self):
        while True:
            for key, mask in self.selector.select():
                key.data(mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pod", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--tcp", type=int, default=8080)
    parser.add_argument("--udp", type=int, default=5353)
    args = parser.parse_args()
    server = Server({"pod": args.pod, "node": args.node}, args.tcp, args.udp)
    print("ready", flush=True)
    try:
        server.run()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
