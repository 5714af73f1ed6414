# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""In place of an API server, which may be slower than what is measured: the same objects, listed as streams, and changes told
to whoever watches. Takes the commands of api_client.py; a change is answered when it has been sent.
"""
import http.server
import itertools
import json
import sys
import threading
import time
import urllib.parse

import api_objects as objects

CHUNK = 16384


class Worker:
    def __init__(self, node, endpoints):
        self.node, self.endpoints = node, endpoints
        self.services, self.now, self.watchers = 0, {}, []  # `now`: endpoints of those that have others
        self.versions, self.lock = itertools.count(1), threading.Lock()

    # ---- what is told ------------------------------------------------------------------------
    def event(self, kind, tree):
        tree["metadata"]["resourceVersion"] = str(next(self.versions))
        return json.dumps({"type": kind, "object": tree}, separators=(",", ":")).encode() + b"\n"

    def all(self, plural):
        if plural == "services":
            yield from (self.event("ADDED", objects.service(s)) for s in range(self.services))
        elif plural == "endpointslices":
            yield from (self.event("ADDED", objects.slice_(s, self.endpoints, self.now.get(s))) for s in range(self.services))
        elif plural == "nodes":
            yield self.event("ADDED", self.node)
        yield self.event("BOOKMARK", {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}})

    # ---- commands ----------------------------------------------------------------------------
    def fill(self, services):
        self.services = services
        return {}

    def change(self, changes, rate, way=None):
        done, begin = [], time.monotonic() + 0.1 + len(changes) / 4000
        events = [self.event("MODIFIED", objects.slice_(s, self.endpoints, n, objects.now())) for s, n in changes]
        for i, ((s, n), event) in enumerate(zip(changes, events)):
            wait = begin + i / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.now[s] = n
            sent = time.monotonic_ns()
            with self.lock:
                for say in self.watchers:
                    say(event)
            done.append({"service": s, "endpoints": n, "sent": sent, "answered": time.monotonic_ns()})
        return {"changes": done}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    worker = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.send_error(403)

    def say(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        plural, asked = url.path.rsplit("/", 1)[1], urllib.parse.parse_qs(url.query)
        if "watch" not in asked:
            self.send_error(405)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        gathered = b""
        for event in self.worker.all(plural) if "sendInitialEvents" in asked else ():
            gathered += event
            if len(gathered) > CHUNK:
                self.say(gathered)
                gathered = b""
        try:
            if gathered:
                self.say(gathered)
            self.follow(plural == "endpointslices")
        except OSError:
            self.close_connection = True

    def follow(self, changes):
        """Until the other end is gone."""
        with self.worker.lock:
            if changes:
                self.worker.watchers.append(self.say)
        try:
            self.rfile.read(1)
        finally:
            with self.worker.lock:
                if changes:
                    self.worker.watchers.remove(self.say)
        self.close_connection = True


def main():
    options = json.loads(sys.argv[1])
    Handler.worker = Worker(options["node"], options["endpoints"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options["port"]), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(Handler.worker, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
