# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Objects for a measurement, written to an API server over connections that stay open. Runs where the API server can be
reached; takes commands as JSON lines on stdin and answers each with one. Times are of CLOCK_MONOTONIC, wall: of the day.
"""
import http.client
import json
import queue
import ssl
import sys
import threading
import time

NAMESPACE = "bench"
NODES = 100


class Refused(Exception):
    """The API server did not do what was asked."""


class Client:
    def __init__(self, address, port, ca, token):
        self.address, self.port = address, port
        self.context = ssl.create_default_context(cafile=ca)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.local = threading.local()

    def request(self, method, path, body):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPSConnection(self.address, self.port, context=self.context, timeout=120)
        self.local.connection.request(method, path, json.dumps(body), self.headers)
        answer = self.local.connection.getresponse()
        text = answer.read()
        if answer.status >= 300 and answer.status != 409:
            raise Refused(f"{method} {path}: {answer.status} {text[:300]}")


def service(s):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{s}", "namespace": NAMESPACE},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def slice_(s, endpoints, less=False):
    first = s * endpoints
    addresses = [f"100.{64 + (e >> 16)}.{e >> 8 & 255}.{e & 255}" for e in range(first, first + endpoints - less)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"s{s}-1", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": f"s{s}"}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}, "nodeName": f"n{i % NODES}"}
                          for i, a in enumerate(addresses)]}


class Worker:
    def __init__(self, client, endpoints):
        self.client, self.endpoints = client, endpoints
        self.services = f"/api/v1/namespaces/{NAMESPACE}/services"
        self.slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"

    def together(self, jobs, threads):
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

    def fill(self, first, last, threads=8):
        self.client.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.together([lambda s=s: (self.client.request("POST", self.services, service(s)),
                                    self.client.request("POST", self.slices, slice_(s, self.endpoints)))
                       for s in range(first, last)], threads)
        return {}

    def _change(self, s, less):
        self.client.request("PUT", f"{self.slices}/s{s}-1", slice_(s, self.endpoints, less))

    def change(self, service, less):
        begin, wall = time.monotonic_ns(), time.time()
        self._change(service, less)
        return {"begin": begin, "wall": wall, "end": time.monotonic_ns()}

    def burst(self, services, less, rate, threads=8):
        """Changes of many Services, as many a second as `rate` and the API server allow."""
        begin = time.monotonic_ns()

        def one(i, s):
            wait = begin / 1e9 + i / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self._change(s, less)
        self.together([lambda i=i, s=s: one(i, s) for i, s in enumerate(services)], threads)
        return {"begin": begin, "end": time.monotonic_ns(), "n": len(services)}


def main():
    options = json.loads(sys.argv[1])
    worker = Worker(Client(options["address"], options["port"], options["ca"], options["token"]), options["endpoints"])
    for line in sys.stdin:
        command = json.loads(line)
        call = getattr(worker, command.pop("do"))
        try:
            print(json.dumps(call(**command)), flush=True)
        except (Refused, OSError, http.client.HTTPException) as why:
            print(json.dumps({"error": str(why)}), flush=True)


if __name__ == "__main__":
    main()
