# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two API servers, each with a certificate of its own, as kubeadm makes them, and what may be where one was."""
import contextlib
import os
import subprocess

import pytest

from conftest import HERE
from control_plane import PORT, SECOND
from place import PYTHON
from test_api import PODS, reaches, serve, vip
from test_state import kept
from wait import until

WRONG_NAME = "no alternative certificate subject name matches"


@pytest.fixture(scope="module")
def lab(own_lab):
    cluster = own_lab.cluster
    cluster.certificate("second", SECOND)
    # a kubelet's: by the CA of the cluster, for its own address
    cluster.certificate("kubelet", SECOND, names=["DNS:node-3"])
    cluster.stop("kube-apiserver")
    cluster.start_api(bind=cluster.address)
    cluster.place.script(f"ip addr add {SECOND}/24 dev br0")
    serve(own_lab, "steady", 12)
    yield own_lab


def start(lab, *more, **options):
    node = lab.nodes["node-1"]
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(), "--log-level", "debug", *more], **options)
    return node


def follows(lab, number, pods, deadline_s=90):
    """node-1 knows what is there now."""
    until(lambda: set(lab["cli-1"].http(vip(number, 4), 80, 16)["answers"]) == set(pods), "node-1 follows", deadline_s, 0.2)


def is_content(node):
    until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 90, 0.2)


class Second:
    """Another kube-apiserver of the same cluster, at an address of its own."""

    def __init__(self, cluster):
        self.cluster, self.first, self.of_first, self.others = cluster, cluster.address, cluster.processes, {}

    @contextlib.contextmanager
    def asked(self):
        """The test's own requests go there."""
        self.cluster.address, self.cluster.processes = SECOND, self.others
        try:
            yield
        finally:
            self.cluster.address, self.cluster.processes = self.first, self.of_first

    def start(self):
        with self.asked():
            self.cluster.start_api(bind=SECOND, certificate="second")

    def stop(self):
        with self.asked():
            self.cluster.stop("kube-apiserver")

    def is_endpoint(self):
        found = self.cluster.request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        return {at for endpoint in found["endpoints"] for at in endpoint["addresses"]} == {self.first, SECOND}


@pytest.fixture()
def second(lab):
    """It runs, and the first knows it. Afterwards the first runs alone."""
    server = Second(lab.cluster)
    server.start()
    try:
        until(server.is_endpoint, "both are endpoints", 60, 0.3)
        yield server
    finally:
        server.stop()
        if "kube-apiserver" not in lab.cluster.processes:
            lab.cluster.start_api(bind=lab.cluster.address)


@contextlib.contextmanager
def impostor(cluster, *certificate):
    process = cluster.place.popen([PYTHON, f"{HERE}/impostor.py", SECOND, str(PORT), *certificate], cwd=cluster.directory,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        said = process.communicate()[0]
    assert said == "", "an impostor was asked for something"


def knows_both(node):
    until(lambda: f"{SECOND}:{PORT}" in node.cli("service", "get", "default/kubernetes").stdout, "node-1 knows both", 30, 0.2)


def test_11_8_one_of_two_dies(lab, second):
    """11.8: the other is known from the endpoints of default/kubernetes, and has a certificate of its own. Who takes its
    place is refused and told nothing, and that does not last longer than the first server is away."""
    cluster, node = lab.cluster, start(lab)
    node.wait_status(0, 60)
    reaches(lab, "cli-1", vip(12, 4), PODS)
    knows_both(node)
    cluster.stop("kube-apiserver")
    with second.asked():
        serve(lab, "second", 21, ["web-2a"])
    follows(lab, 21, ["web-2a"])
    is_content(node)
    second.stop()
    with impostor(cluster, "kubelet.crt", "kubelet.key"):
        until(lambda: f"{SECOND}:{PORT}: SSL: {WRONG_NAME}" in node.cli("status").stdout, "a kubelet is refused", 120, 0.1)
    with impostor(cluster):
        until(lambda: "wrong version number" in node.cli("status").stdout, "no TLS is refused", 120, 0.1)
        cluster.start_api(bind=cluster.address)
        serve(lab, "second", 21, ["web-1b"])
        follows(lab, 21, ["web-1b"], 120)
        is_content(node)
    follows(lab, 12, PODS)
    cluster.delete("Service", "second")


def test_11_8_known_from_the_disk(lab, second):
    """11.8: an agent that starts while the first server is away follows the one that an earlier agent has learnt of."""
    cluster = lab.cluster
    state = ["--state-dir", cluster.path("state")]
    node = start(lab, *state)
    node.wait_status(0, 60)
    until(lambda: os.path.exists(cluster.path("state/api-state")) and f'"{SECOND}"' in str(kept(lab)).replace("'", '"'),
          "the second is kept", 60, 0.2)
    node.stop()
    assert node.cleanup().returncode == 0
    cluster.stop("kube-apiserver")
    with second.asked():
        serve(lab, "learnt", 23, ["web-2b"])
    start(lab, *state, wait=False)
    node.wait_answers(60)
    follows(lab, 23, ["web-2b"])
    is_content(node)
    node.wait_status(0, 60)
    with second.asked():
        cluster.delete("Service", "learnt")


def test_11_8_given(lab, second):
    """11.8: an agent that starts for the first time, while the first server is away, finds the one it was given."""
    cluster, node = lab.cluster, lab.nodes["node-1"]
    node.stop()
    assert node.cleanup().returncode == 0
    cluster.stop("kube-apiserver")
    with second.asked():
        serve(lab, "given", 25, ["web-1a"])
    start(lab, "--api-server-urls", f"https://{SECOND}:{PORT}", wait=False)
    node.wait_answers(60)
    follows(lab, 25, ["web-1a"])
    is_content(node)
    node.wait_status(0, 60)
    with second.asked():
        cluster.delete("Service", "given")
