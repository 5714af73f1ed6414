# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Services made through the API of a real API server, and real connections through them."""
import contextlib
import json
import signal
import subprocess

import pytest

import topology
from conftest import HERE
from control_plane import PORT
from place import PYTHON
from wait import until

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
PODS = ["web-1a", "web-1b", "web-2a", "web-2b"]


def vip(number, family):
    return {4: f"10.96.0.{number}", 6: f"fd00:96::{number:x}"}[family]


def outside(number, family):
    return {4: f"203.0.113.{number}", 6: f"2001:db8:113::{number:x}"}[family]


def serve(lab, name, number, pods=PODS, **options):
    m = lab.manifests
    lab.cluster.put(m.service(name, number, **options))
    for family in (4, 6):
        lab.cluster.put(m.slice(name, family, pods))


def answers(lab, client, address, requests=100):
    """Who answers. Of four pods one is missed by chance in 1 of 10^12 times."""
    report = lab[client].http(address, 80, requests)
    assert report["failed"] == 0, report
    return set(report["answers"])


def reaches(lab, client, address, pods):
    """Wait until it is answered by exactly these pods."""
    def same():
        report = lab[client].http(address, 80, 24)
        return report["failed"] == 0 and set(report["answers"]) == set(pods)
    until(same, f"{client} reaches {sorted(pods)} at {address}", 10, 0.1)


def is_gone(lab, client, address):
    until(lambda: lab[client].http(address, 80, 1)["failed"] == 1, f"{address} is gone", 10, 0.1)


@pytest.fixture(scope="module")
def lab(own_lab, cluster):
    serve(own_lab, "steady", 12)
    for family in (4, 6):
        for client in ("cli-1", "cli-2"):
            reaches(own_lab, client, vip(12, family), PODS)
    yield own_lab


@FAMILIES
def test_from_a_pod_and_from_outside(lab, family):
    assert answers(lab, "cli-1", vip(12, family)) == set(PODS)
    assert answers(lab, "client", outside(12, family)) == set(PODS)
    assert answers(lab, "client", vip(12, family)) == set(PODS)


def test_what_the_agent_says(lab):
    for name, node in lab.nodes.items():
        node.wait_status(0)
        status = node.cli("status").stdout
        assert f"zone-{'ab'[topology.NODES[name]['number'] - 1]}" in status, status


@FAMILIES
def test_scaled_down_and_up(lab, family):
    serve(lab, "scaled", 13, ["web-1a"])
    reaches(lab, "cli-2", vip(13, family), ["web-1a"])
    serve(lab, "scaled", 13, [])
    is_gone(lab, "cli-2", vip(13, family))
    serve(lab, "scaled", 13, ["web-2a", "web-2b"])
    reaches(lab, "cli-2", vip(13, family), ["web-2a", "web-2b"])
    lab.cluster.delete("Service", "scaled")
    is_gone(lab, "cli-2", vip(13, family))


def test_1_5_label_of_another_proxy(lab):
    """1.5: the label takes a Service away at once, and without it the Service is back."""
    serve(lab, "other", 14)
    reaches(lab, "cli-1", vip(14, 4), PODS)
    service = lab.manifests.service("other", 14)
    service["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": ""}
    lab.cluster.put(service)
    is_gone(lab, "cli-1", vip(14, 4))
    lab.cluster.put(lab.manifests.service("other", 14))
    reaches(lab, "cli-1", vip(14, 4), PODS)
    lab.cluster.delete("Service", "other")


@FAMILIES
def test_10_10_2_api_server_goes_and_comes_back(lab, family):
    """10.10.2, robustness C1: nothing changes while it is away; then what changed meanwhile is followed."""
    serve(lab, "before", 15)
    reaches(lab, "cli-1", vip(15, family), PODS)
    lab.cluster.stop("kube-apiserver")
    node = lab.nodes["node-1"]
    until(lambda: "may be out of date" in node.cli("status").stdout, "node-1 says so", 20, 0.2)
    assert answers(lab, "cli-1", vip(15, family)) == set(PODS)
    lab.cluster.start_api()
    serve(lab, "before", 15, ["web-2b"])
    until(lambda: set(lab["cli-1"].http(vip(15, family), 80, 24)["answers"]) == {"web-2b"},
          "the change is followed", 60, 0.2)
    until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 60, 0.2)
    lab.cluster.delete("Service", "before")


@contextlib.contextmanager
def half_open(lab, node):
    """Nothing of the connections that the agent has to the API server gets through any more, without a word; others do."""
    shown = lab[node].run(["ss", "-Htn", "state", "established", f"dst {lab.cluster.address}:{PORT}"]).stdout
    ports = {line.split()[2].rsplit(":", 1)[1] for line in shown.splitlines()}
    assert ports, shown
    ends = f"{{ {', '.join(ports)} }}"
    lab.cluster.place.script(f"""nft add table ip halfopen
        nft add chain ip halfopen in '{{ type filter hook input priority 0; }}'
        nft add chain ip halfopen out '{{ type filter hook output priority 0; }}'
        nft add rule ip halfopen in ip saddr {topology.NODES[node][4]} tcp sport '{ends}' counter drop
        nft add rule ip halfopen out ip daddr {topology.NODES[node][4]} tcp dport '{ends}' counter drop""")
    try:
        yield
    finally:
        lab.cluster.place.script("nft delete table ip halfopen")


def test_10_10_half_open_connections_are_noticed(lab):
    """10.10: while nothing comes what is known is served; the agent finds by itself that its connections are dead, and
    catches up by new ones."""
    serve(lab, "unheard", 16, ["web-1a"])
    for client in ("cli-1", "cli-2"):
        reaches(lab, client, vip(16, 4), ["web-1a"])
    pid = lab.nodes["node-1"].pid()
    with half_open(lab, "node-1"):
        serve(lab, "unheard", 16, ["web-2b"])
        reaches(lab, "cli-2", vip(16, 4), ["web-2b"])
        # so that this test is worth something
        assert answers(lab, "cli-1", vip(16, 4)) == {"web-1a"}
        assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
        until(lambda: answers(lab, "cli-1", vip(16, 4)) == {"web-2b"}, "node-1 follows again", 60, 0.5)
        lab.nodes["node-1"].wait_status(0, 60)
    assert lab.nodes["node-1"].pid() == pid
    lab.cluster.delete("Service", "unheard")


def test_a7_agent_starts_without_api_server(lab):
    """Robustness A7: what an earlier agent programmed is served, and nothing is removed."""
    node = lab.nodes["node-1"]
    lab.cluster.stop("kube-apiserver")
    node.stop(signal.SIGKILL)
    node.start(wait=False, manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])
    node.wait_answers(60)
    assert "are not known yet" in node.cli("status").stdout
    for family in (4, 6):
        assert answers(lab, "cli-1", vip(12, family)) == set(PODS)
    lab.cluster.start_api()
    node.wait_status(0, 90)
    for family in (4, 6):
        assert answers(lab, "cli-1", vip(12, family)) == set(PODS)


def test_c8_token_is_replaced(lab):
    """Robustness C8: the token is read anew, and a server that knows only the new one is followed."""
    lab.cluster.stop("kube-apiserver")
    lab.cluster._tokens({**lab.cluster.tokens, "fairlead": "fairlead-2"})
    lab.cluster.start_api()
    node = lab.nodes["node-1"]
    until(lambda: "HTTP 401" in node.cli("status").stdout, "the old token is refused", 60, 0.2)
    lab.cluster.write("token", "fairlead-2\n")
    serve(lab, "renewed", 10, ["web-2a"])
    until(lambda: set(lab["cli-1"].http(vip(10, 4), 80, 8)["answers"]) == {"web-2a"},
          "node-1 follows again", 120, 0.3)
    lab.cluster.delete("Service", "renewed")


def test_10_7_server_without_streaming_lists(lab):
    """10.7: a server that refuses streams is listed by pages."""
    lab.cluster.stop("kube-apiserver")
    lab.cluster.start_api("--feature-gates", "WatchList=false")
    node = lab.nodes["node-1"]
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(), "--log-level", "debug"])
    node.wait_status(0, 60)
    assert answers(lab, "cli-1", vip(12, 4)) == set(PODS)
    serve(lab, "paged", 9, ["web-1b"])
    reaches(lab, "cli-1", vip(9, 4), ["web-1b"])
    lab.cluster.delete("Service", "paged")


def test_who_is_not_trusted(lab):
    """Another CA is refused, though its certificate names the server."""
    lab.cluster._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                         "other.key", "-out", "other.crt", "-days", "3", "-subj", "/CN=other")
    node = lab.nodes["node-1"]
    node.stop()
    node.start(wait=False, manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig(
        "untrusted", **{"certificate-authority": "other.crt"})])
    node.wait_answers(60)
    until(lambda: "SSL certificate problem" in node.cli("status").stdout, "it says so", 20, 0.2)
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", lab.cluster.kubeconfig()])


@contextlib.contextmanager
def name_server(cluster):
    """Knows the API server's name while it lasts."""
    server = cluster.place.popen([PYTHON, f"{HERE}/name_server.py", "kubernetes", cluster.address],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        yield
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def asking(cluster):
    """A command that runs another one where that is the name server."""
    cluster.write("resolv.conf", f"nameserver {cluster.address}\n")
    return ("unshare", "--mount", "/bin/sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
            cluster.path("resolv.conf"))


def large_manifest(lab, name, number):
    """A Service and its slices, among enough others that the agent reads the file in a thread."""
    m = lab.manifests
    trees = [m.service(name, number)] + [m.slice(name, family, ["web-2a"]) for family in (4, 6)]
    trees += [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"idle-{i}"},
               "spec": {"clusterIP": f"10.96.{8 + i // 250}.{1 + i % 250}",
                        "ports": [{"name": "http", "port": 80}]}} for i in range(2500)]
    text = "\n---\n".join(json.dumps(tree) for tree in trees)
    assert len(text) > 300 * 1024
    return text


def test_g18_by_name_and_with_files(lab):
    """Robustness G18: the calls that the agent may make do for names, large files and its own files, all at once.

    One that is not among them ends the agent of a lab. Names that are not found are asked for again when it serves."""
    cluster = lab.cluster
    node = lab.nodes["node-1"]
    cluster.write("large.yaml", "")
    node.stop()
    node.start(wait=False, wrapper=asking(cluster), manifests=cluster.path("large.yaml"),
               extra=["--kubeconfig", cluster.kubeconfig("by-name", server="https://kubernetes:6443")])
    node.wait_answers(60)
    until(lambda: "resolve host" in node.cli("status").stdout, "node-1 does not find the server", 20, 0.2)
    with name_server(cluster):
        serve(lab, "named", 16, ["web-1a"])
        reaches(lab, "cli-1", vip(16, 4), ["web-1a"])
        cluster.write("large.yaml", large_manifest(lab, "filed", 17))
        reaches(lab, "cli-1", vip(17, 4), ["web-2a"])
        cluster.stop("kube-apiserver")
        until(lambda: "may be out of date" in node.cli("status").stdout, "node-1 says so", 20, 0.2)
        cluster.start_api()
        serve(lab, "named", 16, ["web-2b"])
        reaches(lab, "cli-1", vip(16, 4), ["web-2b"])
    assert node.agent.poll() is None
    cluster.delete("Service", "named")
    node.stop()
    node.start(manifests=False, extra=["--kubeconfig", cluster.kubeconfig()])
