# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A control plane that forgets, moves, or is reached by a bad way; and its certificates' end."""
import contextlib
import subprocess
import time

import pytest

from conftest import HERE
from control_plane import PORT
from place import PYTHON
from test_api import PODS, answers, is_gone, reaches, serve, vip
from wait import until

RELAY_PORT = 7443


@pytest.fixture(scope="module")
def lab(own_lab, cluster):
    serve(own_lab, "steady", 12)
    for client in ("cli-1", "cli-2"):
        reaches(own_lab, client, vip(12, 4), PODS)
    yield own_lab


def restart(lab, **cluster):
    node = lab.nodes["node-1"]
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(**cluster), "--log-level", "debug"])
    node.wait_status(0, 60)
    return node


def follows(lab, number, pods, deadline_s=60):
    """node-1 knows what is there now."""
    until(lambda: set(lab["cli-1"].http(vip(number, 4), 80, 16)["answers"]) == set(pods), "node-1 follows", deadline_s, 0.2)


def test_10_10_etcd_is_compacted(lab):
    """10.10: what an agent has missed is forgotten (410): it lists anew, and sees what went meanwhile, too."""
    node = restart(lab)
    serve(lab, "going", 18, ["web-1a"])
    reaches(lab, "cli-1", vip(18, 4), ["web-1a"])
    known = lab.cluster.request("GET", "/api/v1/services")["metadata"]["resourceVersion"]
    with node.frozen():
        lab.cluster.delete("Service", "going")
        serve(lab, "coming", 19, ["web-2a"])
        lab.cluster.compact()
        # an API server that starts knows no older state than etcd does
        lab.cluster.stop("kube-apiserver")
        lab.cluster.start_api()
        said = lab.cluster.request("GET", f"/api/v1/services?watch=true&timeoutSeconds=1&resourceVersion={known}", raw=True)
        assert '"code":410' in said, said
    follows(lab, 19, ["web-2a"])
    is_gone(lab, "cli-1", vip(18, 4))
    node.wait_status(0, 60)
    assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
    lab.cluster.delete("Service", "coming")


def test_11_5_ca_is_rotated(lab):
    """11.5: both CAs are trusted, then the server has a certificate of the new one, then only that is trusted."""
    cluster, node = lab.cluster, lab.nodes["node-1"]
    with open(cluster.path("ca.crt"), encoding="utf-8") as file:
        old = file.read()
    cluster._certificates("lab-2")
    with open(cluster.path("ca.crt"), encoding="utf-8") as file:
        new = file.read()
    cluster.write("ca.crt", old + new)
    pid = node.pid()
    cluster.stop("kube-apiserver")
    cluster.start_api()
    serve(lab, "rotated", 20, ["web-1b"])
    follows(lab, 20, ["web-1b"])
    cluster.write("ca.crt", new)
    cluster.stop("kube-apiserver")
    cluster.start_api()
    serve(lab, "rotated", 20, ["web-2b"])
    follows(lab, 20, ["web-2b"])
    # the old one alone is not enough any more: so that this test is worth something
    cluster.write("ca.crt", old)
    cluster.stop("kube-apiserver")
    cluster.write("trusted.crt", new)
    with trusting(cluster, "trusted.crt"):
        cluster.start_api()
    until(lambda: "SSL certificate problem" in node.cli("status").stdout, "it is not trusted", 60, 0.2)
    assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
    cluster.write("ca.crt", new)
    node.wait_status(0, 90)
    until(lambda: "SSL certificate problem" not in node.cli("status").stdout, "it is trusted", 90, 0.2)
    assert node.pid() == pid and node.agent.poll() is None
    cluster.delete("Service", "rotated")


@contextlib.contextmanager
def trusting(cluster, name):
    """The test's own requests use another file of CAs."""
    path = cluster.path
    cluster.path = lambda file: path(name if file == "ca.crt" else file)
    try:
        yield
    finally:
        cluster.path = path


class Relay:
    def __init__(self, cluster):
        self.process = cluster.place.popen([PYTHON, f"{HERE}/relay.py", cluster.address, str(RELAY_PORT), str(PORT)],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def be(self, mode):
        self.process.stdin.write(f"{mode}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def idle(self):
        """How long ago somebody connected last, in seconds; and how often that was."""
        self.process.stdin.write("idle\n")
        self.process.stdin.flush()
        seconds, number = self.process.stdout.readline().split()
        return float(seconds), int(number)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def test_10_10_2_api_server_is_away_for_minutes(lab):
    """10.10, 10.10.2: until the agent asks as seldom as it ever does; no request fails, and then it follows again."""
    cluster, number = lab.cluster, 24
    relay = Relay(cluster)
    try:
        node = restart(lab, server=f"https://{cluster.address}:{RELAY_PORT}")
        serve(lab, "away", number, ["web-1a"])
        follows(lab, number, ["web-1a"])
        lab["cli-1"].call("load_start", name="away", interval=0.05, targets=[
            {"kind": kind, "host": vip(12, family), "port": 80, "label": f"{kind} {family}"}
            for kind in ("short", "long") for family in (4, 6)])
        known = node.json("service", "list")
        cluster.stop("kube-apiserver")
        begun, before = time.monotonic(), relay.idle()[1]
        # each kind that is watched waits at least that long by then: the longest is half a minute, and as much again by chance
        until(lambda: relay.idle()[0] > 25, "nobody has asked for long", 120, 1)
        asked, passed_s = relay.idle()[1] - before, time.monotonic() - begun
        # three kinds, each seven times until it waits that long, and then in half a minute once at most
        assert 6 <= asked <= 3 * (7 + passed_s / 30) + 3, (asked, passed_s)
        assert "may be out of date" in node.cli("status").stdout
        assert node.json("service", "list") == known
        cluster.start_api()
        serve(lab, "away", number, ["web-2b"])
        follows(lab, number, ["web-2b"], 90)
        until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 90, 0.2)
        for ledger in lab["cli-1"].call("load_stop", name="away").values():
            assert ledger["failed"] == 0 and not ledger["moved"], ledger
        cluster.delete("Service", "away")
    finally:
        relay.close()
        restart(lab)


def test_10_10_a_way_that_buffers_and_cuts(lab):
    """10.8, 10.10: what is held back is late and not lost; what is cut is gone on with, however short each connection."""
    cluster = lab.cluster
    relay = Relay(cluster)
    try:
        node = restart(lab, server=f"https://{cluster.address}:{RELAY_PORT}")
        relay.be("hold")
        serve(lab, "late", 22, ["web-1a"])
        # node-2 has another way
        until(lambda: set(lab["cli-2"].http(vip(22, 4), 80, 4)["answers"]) == {"web-1a"}, "node-2 knows", 20, 0.1)
        assert lab["cli-1"].http(vip(22, 4), 80, 1, timeout=1.0)["failed"] == 1
        assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
        relay.be("pass")
        follows(lab, 22, ["web-1a"])
        relay.be("cut")
        for pods in (["web-1b"], ["web-2a", "web-2b"], ["web-1a"]):
            serve(lab, "late", 22, pods)
            follows(lab, 22, pods, 90)
        cluster.delete("Service", "late")
        until(lambda: lab["cli-1"].http(vip(22, 4), 80, 1, timeout=1.0)["failed"] == 1, "it is gone", 60, 0.2)
        assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
        relay.be("pass")
        until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 90, 0.2)
        assert node.agent.poll() is None
    finally:
        relay.close()
        restart(lab)
