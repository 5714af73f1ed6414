# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""fairlead-feed replaces a file by a whole answer, or not at all."""
import json
import os
import subprocess

import pytest

from conftest import REPO, build_directory, run

ITEMS = {
    "services": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                 "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}},
    "endpointslices": {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                       "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
                       "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.1.0.1"]}]},
    "nodes": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}},
}
# a cluster: what it answers for each kind lies in a file, and how it ends in another
KUBECTL = """#!/bin/sh
[ "$1" = get ] || exit 64
cat "$ANSWERS/$2"
[ ! -e "$ANSWERS/$2.status" ] || exit "$(cat "$ANSWERS/$2.status")"
"""


class Cluster:
    def __init__(self, path):
        self.answers, self.directory, self.bin = path / "answers", path / "manifests", path / "bin"
        for place in (self.answers, self.directory, self.bin):
            place.mkdir()
        (self.bin / "kubectl").write_text(KUBECTL)
        (self.bin / "kubectl").chmod(0o755)
        for kind, item in ITEMS.items():
            self.answer(kind, self.listing(item))

    @staticmethod
    def listing(*items):
        return json.dumps({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}}, indent=4) + "\n"

    def answer(self, kind, text, status=0):
        (self.answers / kind).write_text(text)
        (self.answers / f"{kind}.status").write_text(str(status))

    def feed(self):
        environment = {**os.environ, "ANSWERS": str(self.answers), "PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run([f"{REPO}/deploy/fairlead-feed", str(self.directory), "0"], env=environment,
                              capture_output=True, text=True, check=False, timeout=60)

    def files(self):
        return {name: (self.directory / name).read_text() for name in os.listdir(self.directory)
                if not name.startswith(".")}


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


def test_what_it_writes_is_served(cluster):
    done = cluster.feed()
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(cluster.files()) == ["endpointslices.json", "nodes.json", "services.json"]
    plan = run(f"{build_directory()}/fairlead", "plan", "-f", str(cluster.directory), "--node", "node-1",
               "-o", "json")
    assert plan.returncode == 0, plan.stderr
    port, = json.loads(plan.stdout)["items"]
    assert port["clusterEndpoints"] == ["10.1.0.1:8080"]


def test_an_unchanged_answer_touches_nothing(cluster):
    assert cluster.feed().returncode == 0
    before = {name: os.stat(cluster.directory / name) for name in cluster.files()}
    assert cluster.feed().returncode == 0
    for name, stat in before.items():
        assert os.stat(cluster.directory / name)[:3] == stat[:3] and \
            os.stat(cluster.directory / name).st_mtime_ns == stat.st_mtime_ns


@pytest.mark.parametrize("answer,status", [
    ("", 1), ("", 0), ("error: the server is away\n", 1), (Cluster.listing(ITEMS["services"])[:-40], 0),
    (Cluster.listing(ITEMS["services"]), 1), (Cluster.listing(), 0), ("{}\n", 0),
], ids=["fails", "empty", "says-why", "cut", "whole-but-failed", "no-items", "no-list"])
def test_an_answer_that_is_none_leaves_the_file(cluster, answer, status):
    assert cluster.feed().returncode == 0
    before = cluster.files()
    cluster.answer("services", answer, status)
    cluster.answer("nodes", cluster.listing({**ITEMS["nodes"], "metadata": {"name": "node-2"}}))
    done = cluster.feed()
    assert done.returncode == 1
    assert "services" in done.stderr and "stays as it is" in done.stderr
    after = cluster.files()
    assert after["services.json"] == before["services.json"]
    # the others are followed all the same
    assert "node-2" in after["nodes.json"]
    # and nothing is left behind
    assert [name for name in os.listdir(cluster.directory) if name.endswith(".new")] == []


def test_only_one_feeds_a_directory(cluster):
    with open(cluster.directory / ".fairlead-feed.lock", "w", encoding="utf-8") as lock:
        subprocess.run(["flock", "-n", str(lock.fileno())], pass_fds=[lock.fileno()], check=True)
        done = cluster.feed()
    assert done.returncode == 1 and "another one feeds" in done.stderr


def test_a_wrong_command_line(cluster):
    script = f"{REPO}/deploy/fairlead-feed"
    assert run(script).returncode == 2
    assert run(script, "/nonexistent").returncode == 2
    assert run(script, str(cluster.directory), "soon").returncode == 2
