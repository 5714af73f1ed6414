# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes the objects of a measurement, over connections that stay open: many at once straight into etcd, in the JSON that
an API server reads there too; changes through the API server or, where it would be what is measured, past it as well.
Runs where both can be reached; takes commands as JSON lines on stdin and answers each with one. Times are of
CLOCK_MONOTONIC.
"""
import base64
import http.client
import json
import queue
import ssl
import sys
import threading
import time

import api_objects as objects

ETCD = ("127.0.0.1", 2379)
WHEN = "as it is sent"
AT_ONCE = 120  # etcd takes 128 operations in a transaction


class Refused(Exception):
    """A server did not do what was asked."""


class Client:
    """A connection for each thread."""

    def __init__(self, connect, headers=None):
        self.connect, self.headers = connect, {"Content-Type": "application/json", **(headers or {})}
        self.local = threading.local()

    def request(self, method, path, text):
        if not hasattr(self.local, "connection"):
            self.local.connection = self.connect()
        self.local.connection.request(method, path, text, self.headers)
        answer = self.local.connection.getresponse()
        text = answer.read()
        if answer.status >= 300 and answer.status != 409:
            raise Refused(f"{method} {path}: {answer.status} {text[:300]}")


def api_client(address, port, ca, token):
    context = ssl.create_default_context(cafile=ca)
    return Client(lambda: http.client.HTTPSConnection(address, port, context=context, timeout=120),
                  {"Authorization": f"Bearer {token}"})


def coded(text):
    return base64.b64encode(text.encode()).decode()


def put_of(key, text):
    return {"key": coded(key), "value": coded(text)}


def together(jobs, threads):
    """Do all of it by several threads."""
    todo, failures = queue.SimpleQueue(), []
    for job in jobs:
        todo.put(job)

    def work():
        try:
            while True:
                todo.get_nowait()()
        except queue.Empty:
            pass
        except (Refused, OSError, http.client.HTTPException) as why:
            failures.append(why)
    crew = [threading.Thread(target=work) for _ in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if failures:
        raise failures[0]


class Worker:
    def __init__(self, api, endpoints):
        self.api, self.endpoints = api, endpoints
        self.etcd = Client(lambda: http.client.HTTPConnection(*ETCD, timeout=120))
        self.slices = f"/apis/discovery.k8s.io/v1/namespaces/{objects.NAMESPACE}/endpointslices"

    def _store(self, puts):
        self.etcd.request("POST", "/v3/kv/txn", json.dumps({"success": [{"request_put": put_of(*put)} for put in puts]}))

    def fill(self, services, threads=2):
        """Before there is an API server, which would take minutes for it."""
        each = AT_ONCE // len(objects.stored(0, 0))
        self._store([objects.namespace()])
        together([lambda first=first: self._store([put for s in range(first, min(first + each, services))
                                                   for put in objects.stored(s, self.endpoints)])
                  for first in range(0, services, each)], threads)
        return {}

    def _send(self, s, text, way):
        text = text.replace(WHEN, objects.now())
        if way == "etcd":
            self.etcd.request("POST", "/v3/kv/put", json.dumps(put_of(objects.slice_key(s), text)))
        else:
            self.api.request("PUT", f"{self.slices}/s{s}-1", text)

    def change(self, changes, rate, way="api", threads=8):
        """Slices get as many endpoints as is said, one after the other, as many a second as `rate` and the server allow."""
        # so that they cost the machine little at the moment itself
        todo = [(i, s, n, json.dumps(objects.slice_(s, self.endpoints, n, WHEN))) for i, (s, n) in enumerate(changes)]
        begin, done = time.monotonic() + 0.05, []

        def one(i, s, n, text):
            wait = begin + i / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            sent = time.monotonic_ns()
            self._send(s, text, way)
            done.append({"service": s, "endpoints": n, "sent": sent, "answered": time.monotonic_ns()})
        together([lambda job=job: one(*job) for job in todo], threads)
        return {"changes": sorted(done, key=lambda change: change["sent"])}


def main():
    options = json.loads(sys.argv[1])
    worker = Worker(api_client(options["address"], options["port"], options["ca"], options["token"]), options["endpoints"])
    for line in sys.stdin:
        command = json.loads(line)
        call = getattr(worker, command.pop("do"))
        try:
            print(json.dumps(call(**command)), flush=True)
        except (Refused, OSError, http.client.HTTPException) as why:
            print(json.dumps({"error": str(why)}), flush=True)


if __name__ == "__main__":
    main()
