# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The ways to a real API server: each credential of a kubeconfig, by names and proxies, and one that keeps answers."""
import base64
import contextlib
import json
import re
import subprocess

import pytest

from conftest import HERE
from control_plane import PORT, SECOND, USER
from place import PYTHON
from proxy import NAME
from test_api import PODS, reaches, serve, vip
from test_chaos import RELAY_PORT, ChaosRelay
from wait import until

PROXY_PORTS = {"http": 3128, "https": 3129, "socks5": 1080}
KINDS = tuple(PROXY_PORTS)


@pytest.fixture(scope="module")
def lab(own_lab, cluster):
    """The API server knows its clients by certificates as well."""
    cluster._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "client.key",
                     "-out", "client.csr", "-subj", f"/CN={USER}")
    cluster._openssl("x509", "-req", "-in", "client.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                     "-out", "client.crt", "-days", "3")
    cluster.more_flags = ["--client-ca-file", "ca.crt"]
    cluster.stop("kube-apiserver")
    cluster.start_api()
    # an address that is not in the server's certificate
    cluster.place.script(f"ip addr add {SECOND}/24 dev br0")
    yield own_lab


def data(cluster, name):
    with open(cluster.path(name), "rb") as file:
        return base64.b64encode(file.read()).decode()


def through(cluster, kind):
    return {"proxy-url": f"{kind}://{cluster.address}:{PROXY_PORTS[kind]}"}


# what a kubeconfig has of the cluster beside its server and CA, and of the user
TOKEN = {"token": "fairlead-1"}
CERTIFICATE = {"client-certificate": "client.crt", "client-key": "client.key"}
WAYS = {
    "token": lambda c: ({}, TOKEN),
    "token-file": lambda c: ({}, {"tokenFile": c.path("token")}),
    "certificate-file": lambda c: ({}, CERTIFICATE),
    "certificate-data": lambda c: ({}, {f"{name}-data": data(c, file) for name, file in CERTIFICATE.items()}),
    "ca-data": lambda c: ({"certificate-authority": None, "certificate-authority-data": data(c, "ca.crt")}, TOKEN),
    "not-verified": lambda c: ({"certificate-authority": None, "insecure-skip-tls-verify": True}, TOKEN),
    "server-name": lambda c: ({"server": f"https://{SECOND}:{PORT}", "tls-server-name": "kubernetes"}, TOKEN),
    "server-name-certificate": lambda c: ({"server": f"https://{SECOND}:{PORT}", "tls-server-name": "kubernetes"},
                                          CERTIFICATE),
    "proxy": lambda c: (through(c, "http"), TOKEN),
    "proxy-certificate": lambda c: (through(c, "http"), CERTIFICATE),
    # its certificate is of the CA that the cluster's is of, which the system does not know
    "proxy-https": lambda c: (through(c, "https"), TOKEN),
    "proxy-https-certificate": lambda c: (through(c, "https"), CERTIFICATE),
    "proxy-https-not-verified": lambda c: ({"certificate-authority": None, "insecure-skip-tls-verify": True,
                                            **through(c, "https")}, TOKEN),
    "proxy-https-server-name": lambda c: ({"server": f"https://{SECOND}:{PORT}", "tls-server-name": "kubernetes",
                                           **through(c, "https")}, TOKEN),
    "proxy-socks5": lambda c: (through(c, "socks5"), TOKEN),
    "proxy-socks5-certificate": lambda c: (through(c, "socks5"), CERTIFICATE),
    # a name that only the proxy knows
    **{f"proxy-{kind}-name": lambda c, kind=kind: ({"server": f"https://{NAME}:{PORT}", **through(c, kind)}, TOKEN)
       for kind in KINDS},
}
# and what is not good enough, with a word of the reason
REFUSED = {
    "no-credentials": (lambda c: ({}, {}), "HTTP 403"),
    "wrong-token": (lambda c: ({}, {"token": "nobody's"}), "HTTP 401"),
    "wrong-server-name": (lambda c: ({"tls-server-name": "example.org"}, TOKEN), "SSL"),
    "name-of-another": (lambda c: ({"server": f"https://{SECOND}:{PORT}"}, TOKEN), "SSL"),
    "no-ca": (lambda c: ({"certificate-authority": None}, TOKEN), "SSL"),
    "proxy-of-another-ca": (lambda c: ({"certificate-authority": None, **through(c, "https")}, TOKEN), "SSL"),
    "no-proxy": (lambda c: ({"proxy-url": f"http://{c.address}:1"}, TOKEN), "connect"),
}


def kubeconfig(cluster, name, about, user):
    tree = json.loads(open(cluster.kubeconfig(name, **about), encoding="utf-8").read())
    its = tree["clusters"][0]["cluster"]
    tree["clusters"][0]["cluster"] = {key: value for key, value in its.items() if value is not None}
    tree["users"][0]["user"] = user
    cluster.write(name, json.dumps(tree))
    return cluster.path(name)


def start(lab, way, wait=True, **options):
    node = lab.nodes["node-1"]
    node.stop()
    about, user = way(lab.cluster)
    node.start(wait=wait, manifests=False, extra=["--kubeconfig", kubeconfig(lab.cluster, "way.conf", about, user)], **options)
    return node


@contextlib.contextmanager
def proxy(cluster, kind):
    """Asks how many connections it has made."""
    process = cluster.place.popen([PYTHON, f"{HERE}/proxy.py", kind, cluster.address, str(PROXY_PORTS[kind]),
                                   cluster.path("server.crt"), cluster.path("server.key")],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def made():
        print(file=process.stdin, flush=True)
        return int(process.stdout.readline())
    try:
        assert process.stdout.readline() == "ready\n"
        yield made
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_kubeconfig(lab, way):
    """It lists, watches, and writes Events by it."""
    kind = next((part for part in way.split("-") if part in KINDS), "http")
    with proxy(lab.cluster, kind) as made:
        serve(lab, "followed", 12, ["web-1a"])
        node = start(lab, WAYS[way])
        node.wait_status(0, 60)
        reaches(lab, "cli-1", vip(12, 4), ["web-1a"])
        serve(lab, "followed", 12, ["web-2b"])
        reaches(lab, "cli-1", vip(12, 4), ["web-2b"])
        assert (made() > 0) == way.startswith("proxy")


@pytest.mark.parametrize("variable, without, used", [
    ("HTTPS_PROXY", "", True), ("https_proxy", "", True), ("HTTPS_PROXY", "example.org,{address}", False),
    ("HTTPS_PROXY", "example.org", True)], ids=["proxy", "lower-case", "not-for-this-one", "not-for-another"])
def test_a_proxy_of_the_environment(lab, variable, without, used):
    """Where the kubeconfig names none, HTTPS_PROXY counts, but not for whom NO_PROXY names."""
    cluster = lab.cluster
    environment = ("env", f"{variable}=http://{cluster.address}:{PROXY_PORTS['http']}",
                   f"NO_PROXY={without.format(address=cluster.address)}")
    lab.nodes["node-1"].stop()  # an earlier one may have asked for the proxy
    with proxy(cluster, "http") as made:
        serve(lab, "followed", 12, ["web-1a"])
        start(lab, WAYS["token"], wrapper=environment).wait_status(0, 60)
        reaches(lab, "cli-1", vip(12, 4), ["web-1a"])
        assert (made() > 0) == used


def test_a_proxy_of_the_kubeconfig_comes_first(lab):
    """It counts whatever the environment says, also for whom NO_PROXY names."""
    cluster = lab.cluster
    environment = ("env", f"HTTPS_PROXY=http://{cluster.address}:1", f"NO_PROXY={cluster.address}")
    lab.nodes["node-1"].stop()
    with proxy(cluster, "http") as made:
        start(lab, WAYS["proxy"], wrapper=environment).wait_status(0, 60)
        assert made() > 0


@pytest.mark.parametrize("way", REFUSED)
def test_a_kubeconfig_that_is_not_good_enough(lab, way):
    about, reason = REFUSED[way]
    with proxy(lab.cluster, "https"):
        node = start(lab, about, wait=False)
        node.wait_answers(60)
        until(lambda: re.search(f"services of .*{reason}", node.cli("status").stdout, re.I), f"it says {reason}", 30, 0.2)


def api_metrics(node):
    """{(name, resource): value} of what is followed."""
    return {(match[1], match[2]): float(match[3]) for match in re.finditer(
        r'^fairlead_api_(\w+)\{resource="(\w+)"(?:,verb="\w+")?\} (\S+)$', node.cli("metrics").stdout, re.M)}


def test_what_is_followed_is_counted(lab):
    node = start(lab, WAYS["token"])
    node.wait_status(0, 60)
    before = api_metrics(node)
    kinds = ("services", "endpointslices", "nodes")
    assert {resource for _, resource in before} == set(kinds)
    assert all(before["current", kind] == 1 and before["failures_total", kind] == 0 for kind in kinds)
    serve(lab, "followed", 12, PODS)
    reaches(lab, "cli-1", vip(12, 4), PODS)
    assert api_metrics(node)["events_total", "endpointslices"] > before["events_total", "endpointslices"]
    lab.cluster.stop("kube-apiserver")
    until(lambda: all(api_metrics(node)["current", kind] == 0 for kind in kinds), "nothing is current", 30, 0.2)
    assert all(api_metrics(node)["failures_total", kind] > 0 for kind in kinds)
    lab.cluster.start_api()
    until(lambda: all(api_metrics(node)["current", kind] == 1 for kind in kinds), "all is current", 90, 0.2)


def test_10_8_a_proxy_that_keeps_answers_until_they_end(lab):
    """10.8: lists come by pages, changes half a minute late, and a condition says why; until it passes them on."""
    cluster = lab.cluster
    serve(lab, "followed", 12, ["web-1a"])
    relay = ChaosRelay(cluster)
    try:
        relay.be("keep")
        node = start(lab, lambda c: ({"server": f"https://{c.address}:{RELAY_PORT}"}, TOKEN), wait=False)
        node.wait_answers(60)
        until(lambda: set(lab["cli-1"].http(vip(12, 4), 80, 8)["answers"]) == {"web-1a"}, "it is served", 90, 0.3)
        serve(lab, "followed", 12, ["web-2a"])
        until(lambda: set(lab["cli-1"].http(vip(12, 4), 80, 8)["answers"]) == {"web-2a"}, "it is followed", 90, 0.3)
        assert "answers seem to arrive only when they end" in node.cli("status").stdout
        relay.be("pass")
        until(lambda: "may be out of date" not in node.cli("status").stdout, "node-1 is content", 120, 0.5)
        node.wait_status(0)
    finally:
        relay.close()
        start(lab, WAYS["token"])
