# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A hand inside a place of the lab: runs client calls there, asked by lines of JSON on stdin.

One process per place instead of one per request keeps the lab quick. It lives in the place's network
namespace and cgroup, so its sockets are what sockets of that pod, node or outsider would be.
"""
import json
import sys

import probe
import traffic
import udp_bulk
from crowd import Crowd
from load import Load
from stale import Watch


def main():
    loads = {}

    def load_start(name, targets, **options):
        loads[name] = Load(targets, **options)

    def load_look(name):
        return loads[name].look()

    def load_stop(name):
        return loads.pop(name).stop()

    crowds = {}

    def crowd_start(name, **options):
        crowds[name] = Crowd(**options)

    def crowd(name, ask):
        return getattr(crowds[name], ask)()

    watches = {}

    def watch_start(name, **options):
        watches[name] = Watch(**options)

    def watch(name, ask):
        return getattr(watches[name], ask)()

    calls = {"http": traffic.http, "udp": traffic.udp, "bulk": traffic.bulk,
             "udp_bulk": udp_bulk.udp_bulk, "ping": traffic.ping, "probe": probe.probe,
             "tcp_counter": traffic.tcp_counter, "path_mtu": traffic.path_mtu,
             "crowd_start": crowd_start, "crowd": crowd, "watch_start": watch_start, "watch": watch,
             "load_start": load_start, "load_look": load_look, "load_stop": load_stop}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": calls[request["call"]](**request["args"])}
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": traffic.reason_of(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
