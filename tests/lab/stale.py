# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""UDP sockets that keep asking, and who has answered what was sent when. Times are of the clock that all processes of
the machine share.
"""
import json
import select
import socket
import threading
import time

from traffic import family_of


class Watch:
    def __init__(self, host, port, connected, streams, interval=0.001):
        self.stop_event = threading.Event()
        self.interval = interval
        self.target = (host, port)
        self.connected = connected
        self.answered = {}  # by pod: how many, and when the last of these was sent
        self.sockets = [socket.socket(family_of(host), socket.SOCK_DGRAM) for _ in range(streams)]
        for sock in self.sockets:
            sock.setblocking(False)
            if connected:
                sock.connect(self.target)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        poll = select.poll()
        by_fd = {sock.fileno(): sock for sock in self.sockets}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while not self.stop_event.wait(self.interval):
            for sock in self.sockets:
                word = str(time.monotonic()).encode()
                try:
                    sock.send(word) if self.connected else sock.sendto(word, self.target)
                except PermissionError:  # its backend is gone, and it has to choose again
                    sock.connect(self.target)
                except OSError:
                    pass  # it is asked again
            while ready := poll.poll(0):
                for fd, _ in ready:
                    self.take(by_fd[fd])

    def take(self, sock):
        try:
            answer = json.loads(sock.recv(65535))
        except OSError:
            return
        n, last = self.answered.get(answer["pod"], (0, 0.0))
        self.answered[answer["pod"]] = (n + 1, max(last, float(answer["echo"])))

    def look(self):
        return {"answered": dict(self.answered), "now": time.monotonic()}

    def stop(self):
        self.stop_event.set()
        self.thread.join()
        for sock in self.sockets:
            sock.close()
        return self.look()
