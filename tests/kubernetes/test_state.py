# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the API server said last outlives the agent, its pins and the server."""
import json
import os
import stat

import pytest

from wait import until

VIP = {4: "10.96.0.30", 6: "fd00:96::1e"}


def put(lab, pods):
    lab.cluster.put(lab.manifests.service("kept", 30))
    for family in (4, 6):
        lab.cluster.put(lab.manifests.slice("kept", family, pods))


def start(lab, node, **options):
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(), "--state-dir", lab.cluster.path("state")],
               **options)


def is_answered_by(lab, pods):
    for family in (4, 6):
        report = lab["cli-1"].http(VIP[family], 80, 24)
        if report["failed"] or set(report["answers"]) != set(pods):
            return False
    return True


def reboot(lab, node):
    """What a reboot takes away: the agent, its programs and its pins."""
    node.stop()
    assert node.cleanup().returncode == 0
    assert not is_answered_by(lab, ["web-1a", "web-2a"])


def kept(lab):
    """The lines of the file; none of one that is damaged."""
    with open(lab.cluster.path("state/api-state"), encoding="utf-8") as file:
        try:
            return [json.loads(line) for line in file]
        except ValueError:
            return []


@pytest.fixture(scope="module")
def lab(own_lab):
    put(own_lab, ["web-1a", "web-2a"])
    start(own_lab, own_lab.nodes["node-1"])
    yield own_lab


def test_a7_reboot_without_api_server(lab):
    """Robustness A7: served at once from what was kept, which a condition says; then the server is followed."""
    node = lab.nodes["node-1"]
    until(lambda: is_answered_by(lab, ["web-1a", "web-2a"]), "it is served", 20, 0.1)
    path = lab.cluster.path("state/api-state")
    until(lambda: os.path.exists(path) and any(o.get("metadata", {}).get("name") == "kept" for o in kept(lab)),
          "it is kept", 30, 0.1)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    # where the API server is comes from it too
    assert any(o.get("metadata", {}).get("labels", {}).get("kubernetes.io/service-name") == "kubernetes"
               for o in kept(lab))
    lab.cluster.stop("kube-apiserver")
    reboot(lab, node)
    start(lab, node, wait=False)
    node.wait_answers(60)
    status = node.cli("status")
    assert "it has not been reached since" in status.stdout
    assert status.returncode == 0, status.stdout
    assert is_answered_by(lab, ["web-1a", "web-2a"])
    lab.cluster.start_api()
    put(lab, ["web-2a"])
    until(lambda: is_answered_by(lab, ["web-2a"]), "the change is followed", 90, 0.2)
    until(lambda: "it has not been reached since" not in node.cli("status").stdout, "the state is no longer old", 20, 0.2)


def test_damaged_state_is_an_empty_start(lab):
    """A damaged file is named and not used, and the next one takes its place."""
    node = lab.nodes["node-1"]
    lab.cluster.stop("kube-apiserver")
    reboot(lab, node)  # an agent that lives may yet replace the file
    path = lab.cluster.path("state/api-state")
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"~")
    start(lab, node, wait=False)
    node.wait_answers(60)
    assert f"{path} is damaged" in node.cli("status").stdout
    assert node.cli("status").returncode == 1
    assert not is_answered_by(lab, ["web-2a"])
    lab.cluster.start_api()
    until(lambda: is_answered_by(lab, ["web-2a"]), "it is served", 90, 0.2)
    node.wait_status(0, 30)
    until(lambda: any(o.get("metadata", {}).get("name") == "kept" for o in kept(lab)), "it is kept again", 30, 0.1)
