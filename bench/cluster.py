#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Rows 9 to 12 with objects from a real API server: Fairlead's agent and the real kube-proxy in turn, on a node of the lab,
following the control plane of tests/kubernetes. The objects are put into etcd before the API server starts. Results are
JSON, a line each, as those of fairlead-bench; at the end a table.
"""
import argparse
import json
import os
import subprocess
import sys
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(HERE)
sys.path[:0] = [f"{REPO}/tests/kubernetes", f"{REPO}/tests/lab"]

from api_contenders import Fairlead, Helper, Proxy, cpu_s, kib, running_ns  # noqa: E402
import topology  # noqa: E402
from control_plane import ADMIN, PORT, ControlPlane  # noqa: E402
from lab import Lab  # noqa: E402

SLOWLY, FAST = 20, 1000  # changes in a second


def client_of(lab, endpoints):
    cluster = lab.cluster
    return Helper(lab["router"], [sys.executable, f"{HERE}/api_client.py", json.dumps({
        "address": cluster.address, "port": PORT, "ca": cluster.path("ca.crt"), "token": cluster.tokens[ADMIN],
        "endpoints": endpoints})])


def playback_of(lab, node, endpoints):
    """In place of a control plane, on the node itself; `lab.cluster` is what an agent needs of one."""
    about = topology.NODES[node.name]
    path = f"{lab.directory}/playback.conf"
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "lab", "users": [{"name": "lab", "user": {}}],
                   "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
                   "clusters": [{"name": "lab", "cluster": {"server": f"http://127.0.0.1:{PORT}"}}]}, out)
    lab.cluster = types.SimpleNamespace(kubeconfig=lambda: path, close=lambda: None)
    return Helper(node.place, [sys.executable, f"{HERE}/api_playback.py", json.dumps({
        "port": PORT, "endpoints": endpoints, "node": {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name},
            "spec": {"podCIDRs": [f"10.244.{about['number']}.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": about[4]}]}}})])


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else None


def limit_of(at_most, part):
    """The least limit below which this part of them is; None: above all."""
    whole = at_most.get(float("inf"), 0)
    return next((limit for limit, n in at_most.items() if whole and n >= whole * part and limit != float("inf")), None)


def figures(change):
    """What is told of many changes."""
    told = {key: change[key] for key in ("rate", "lost", "behind_ns")}
    for name in ("ns", "sent_ns"):
        values = change.get(name)
        if values:
            told.update({f"{name}_p50": quantile(values, 0.5), f"{name}_p99": quantile(values, 0.99), f"{name}_max": max(values)})
    if "at_most" in change:
        told.update(mean_ns=change["mean_ns"], p50_at_most_s=limit_of(change["at_most"], 0.5),
                    p99_at_most_s=limit_of(change["at_most"], 0.99))
    return told


def idle(contender, settle_s, idle_s):
    time.sleep(settle_s)
    begin, before = time.monotonic_ns(), running_ns(contender.pid())
    time.sleep(idle_s)
    return 1000 * (running_ns(contender.pid()) - before) / (time.monotonic_ns() - begin)


def change(contender, client, options, n, rate, way):
    """Scattered Services lose an endpoint each, and get it back."""
    services, endpoints = options["services"], options["endpoints"]
    numbers = [i * 7919 % services for i in range(min(services, max(1, n // 2)))]
    changes = [(s, endpoints - 1) for s in numbers] + [(s, endpoints) for s in numbers]
    own, run = cpu_s(contender.pid())
    for result in contender.changed(numbers, lambda: client.ask(do="change", changes=changes, rate=rate, way=way),
                                    options["limit"]):
        now_own, now_run = cpu_s(contender.pid())
        yield {"row": 11, "wanted_rate": rate, "way": way, "changes": len(changes), **figures(result),
               "cpu_ns": (now_own - own) * 1e9 / len(changes), "run_cpu_ns": (now_run - run) * 1e9 / len(changes)}


def rows(contender, client, options):
    """All rows of one contender. The objects are there."""
    seconds, peak = contender.start(options["limit"])
    try:
        yield {"row": 9, "ns": seconds and seconds * 1e9, "limit_s": options["limit"], "peak_kib": peak,
               "cpu_ns": sum(cpu_s(contender.pid())) * 1e9}
        if seconds is None:
            return
        permille = idle(contender, options["settle"], options["idle"])
        yield {"row": 10, "anon_kib": kib(contender.pid(), "RssAnon"), "rss_kib": kib(contender.pid(), "VmRSS"),
               "idle_permille": permille}
        if options["changes"]:
            yield from change(contender, client, options, options["changes"], SLOWLY,
                              "playback" if options["playback"] else "api")
        for way in ("playback",) if options["playback"] else ("api", "etcd"):
            if options["bursts"]:
                yield from change(contender, client, options, options["bursts"], FAST, way)
        for _ in range(options["restarts"]):
            contender.stop()
            seconds, peak = contender.start(options["limit"])
            yield {"row": 12, "ns": seconds and seconds * 1e9, "limit_s": options["limit"], "peak_kib": peak,
                   "cpu_ns": sum(cpu_s(contender.pid())) * 1e9}
    finally:
        contender.stop()
        contender.clear()


def measure(lab, binary, options, client):
    node = lab.nodes["node-1"]
    who = [Fairlead(lab, node, binary, options["services"], options["endpoints"])] if options["fairlead"] else []
    try:
        for contender in who + [Proxy(lab, node, mode) for mode in options["modes"]]:
            for line in rows(contender, client, options):
                yield {"from": "playback" if options["playback"] else "kube-apiserver", "contender": contender.name, "services": options["services"], "endpoints": options["endpoints"], **line}
    finally:
        client.close()


def start_cluster(lab, options):
    """A control plane that has the objects; who writes to it."""
    programs = subprocess.run([f"{REPO}/tests/kubernetes/build"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    lab.cluster = ControlPlane(lab, programs)
    lab.cluster.start_etcd()
    client = client_of(lab, options["endpoints"])
    client.ask(do="fill", services=options["services"])
    lab.cluster.start_api()
    lab.cluster.populate()
    return client


# ---- a table ------------------------------------------------------------------------------------
def seconds(line):
    return f"more than {line['limit_s']} s" if line["ns"] is None else f"{line['ns'] / 1e9:.2f} s"


def milliseconds(ns):
    return "?" if ns is None else f"{ns / 1e6:.1f}"


def latency(line):
    if "ns_p50" in line:
        text = (f"{milliseconds(line['ns_p50'])}, {milliseconds(line['ns_p99'])}, {milliseconds(line['ns_max'])} ms; from its sending "
                f"{milliseconds(line['sent_ns_p50'])}, {milliseconds(line['sent_ns_p99'])}, {milliseconds(line['sent_ns_max'])} ms")
    else:
        text = f"mean {milliseconds(line.get('mean_ns'))} ms, 50 of 100 within {line.get('p50_at_most_s')} s, 99 within {line.get('p99_at_most_s')} s"
    return (f"{text}; {line['rate']:.0f} in a second, the last {milliseconds(line['behind_ns'])} ms after its answer, "
            f"{line['lost']:.0f} never seen; processor {milliseconds(line['cpu_ns'])} ms a change, of programs it runs "
            f"{milliseconds(line['run_cpu_ns'])}")


TELL = {9: ("in force after the first start", lambda line: f"{seconds(line)}, {line['cpu_ns'] / 1e9:.2f} s of processor time; at most {line['peak_kib'] / 1024:.1f} MiB of its own"),
        10: ("memory: its own, resident; idle", lambda line: f"{line['anon_kib'] / 1024:.1f}, {line['rss_kib'] / 1024:.1f} MiB; {line['idle_permille'] / 10:.2f} %"),
        11: ("changes", latency),
        12: ("in force after a restart", lambda line: f"{seconds(line)}, {line['cpu_ns'] / 1e9:.2f} s of processor time; at most {line['peak_kib'] / 1024:.1f} MiB of its own")}


def tell(line):
    name, text = TELL[line["row"]]
    more = f", {line['wanted_rate']} in a second wanted, by {line['way']}" if line["row"] == 11 else ""
    return f"{line['contender']:22} {line['row']:2}, {name}{more}: {text(line)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/std", metavar="DIR", help="build directory (default: build/std)")
    parser.add_argument("--services", type=int, default=10000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each Service")
    parser.add_argument("--changes", type=int, default=200, help="at 20 in a second")
    parser.add_argument("--bursts", type=int, default=2000, help="changes at 1,000 in a second")
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--settle", type=int, default=30, help="seconds until a process is idle")
    parser.add_argument("--idle", type=int, default=20, help="seconds for which an idle process is looked at")
    parser.add_argument("--limit", type=int, default=300, help="seconds until one gives up waiting")
    parser.add_argument("--modes", default="nftables,iptables", help="of kube-proxy; empty: Fairlead alone")
    parser.add_argument("--playback", action="store_true", help="Fairlead alone, on a server that only plays the objects back")
    parser.add_argument("--no-fairlead", dest="fairlead", action="store_false", help="kube-proxy alone")
    options = vars(parser.parse_args())
    build = os.path.abspath(options.pop("build"))
    options["modes"] = [mode for mode in options["modes"].split(",") if mode and not options["playback"]]
    if not os.path.exists(f"{build}/bench/fairlead-bench"):
        sys.exit("cluster.py: there is no fairlead-bench yet; `make all bench-bin` builds it")
    lab, lines = Lab(build=build), []
    try:
        if options["playback"]:
            client = playback_of(lab, lab.nodes["node-1"], options["endpoints"])
            client.ask(do="fill", services=options["services"])
        else:
            client = start_cluster(lab, options)
        for line in measure(lab, f"{build}/bench/fairlead-bench", options, client):
            lines.append(line)
            print(json.dumps(line), flush=True)
    finally:
        for node in lab.nodes.values():
            node.stop()
        if hasattr(lab, "cluster"):
            lab.cluster.close()
        lab.close()
        print(*map(tell, lines), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
