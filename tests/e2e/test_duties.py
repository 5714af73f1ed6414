# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a cluster asks of a node besides traffic: health (6.1, 6.2) and the metrics server (6.3), as a load
balancer and a monitor reach them: over the network, past the programs that serve node ports."""
import concurrent.futures
import contextlib
import json
import subprocess

import pytest
from conftest import FAMILIES

import topology
from wait import PATIENCE, until

HEALTH_PORT = 32081  # of web-local


def host(address):
    return f"[{address}]" if ":" in address else address


def node_address(name, family):
    return topology.NODES[name][family]


def get(place, address, port, path="/", *options):
    """The code, the headers in lower case, and the body; code 0: no answer."""
    done = place.run(["curl", "-g", "-s", "-i", "-m", str(5 * PATIENCE), *options,
                      f"http://{host(address)}:{port}{path}"])
    head, _, body = done.stdout.partition("\n\n")
    lines = head.splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]) if lines else 0, headers, body


def code_of(place, address, port, path="/"):
    return get(place, address, port, path)[0]


def level(node, subject):
    status = node.api("/v1/status")
    return {c["subject"]: c["level"] for c in status["conditions"] if c["kind"] == "listen"}.get(subject)


@FAMILIES
def test_6_2_health_from_outside(lab, family):
    """6.2.1, 6.2.2: /healthz and /livez on 10256 answer the network in both families."""
    address = node_address("node-1", family)
    code, headers, body = get(lab["client"], address, 10256, "/healthz")
    assert code == 200, body
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    health = json.loads(body)
    assert list(health) == ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"]
    assert health["nodeEligible"] and health["healthy"]
    assert set(health["status"]) == {"IPv4", "IPv6"}
    code, _, body = get(lab["client"], address, 10256, "/livez", "-X", "POST")
    assert code == 200
    assert "nodeEligible" not in json.loads(body)
    assert code_of(lab["client"], address, 10256, "/metrics") == 404


def test_6_2_5_eligibility_follows_the_node(lab):
    """6.2.5, 6.2.7: a node that is about to be scaled away gets no more traffic, and no restart."""
    def healthz(path="/healthz"):
        return code_of(lab["client"], node_address("node-1", 4), 10256, path)

    m = lab.manifests
    with open(m.path("nodes.yaml"), encoding="utf-8") as text:
        nodes = text.read()
    assert healthz() == 200
    taint = "    taints:\n    - {effect: NoSchedule, key: ToBeDeletedByClusterAutoscaler, value: '1'}\n"
    assert "\n  spec:\n" in nodes
    m.write("nodes.yaml", nodes.replace("\n  spec:\n", f"\n  spec:\n{taint}"))
    until(lambda: healthz() == 503, "/healthz says 503")
    assert healthz("/livez") == 200
    m.restore("nodes.yaml")
    until(lambda: healthz() == 200, "/healthz says 200 again")
    m.remove("nodes.yaml")
    until(lambda: healthz() == 503, "a node whose object was deleted is not eligible")
    m.restore("nodes.yaml")
    until(lambda: healthz() == 200, "/healthz says 200 again")


@FAMILIES
def test_6_1_health_check_node_port(lab, family):
    """6.1.3 to 6.1.6: code, headers, body and count, from the network and from the node itself, at a port of
    the range that XDP serves."""
    m = lab.manifests
    address = node_address("node-1", family)
    m.set_backends("web-local", ("web-1a", "web-1b", "web-2a"))
    lab.settle()
    for place in (lab["client"], lab["cli-2"], lab["node-1"]):
        code, headers, body = get(place, address, HEALTH_PORT, "/any", "-X", "DELETE")
        assert code == 200, (place.name, body)
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-load-balancing-endpoint-weight"] == "2"
        assert body == ('{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web-local"\n\t},\n'
                        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}')
    leaving = {"ready": False, "serving": True, "terminating": True}
    m.set_backends("web-local", ("web-1a", "web-2a"), conditions={"web-1a": leaving})
    lab.settle()
    code, headers, _ = get(lab["client"], address, HEALTH_PORT)
    assert (code, headers["x-load-balancing-endpoint-weight"]) == (503, "0"), "a terminating one does not count"
    assert code_of(lab["client"], node_address("node-2", family), HEALTH_PORT) == 200


@FAMILIES
def test_6_1_8_ports_open_and_close_with_services(lab, family):
    m = lab.manifests
    address = node_address("node-1", family)
    local = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32099}

    def answers(port):
        return code_of(lab["client"], address, port)

    assert answers(32099) == 0
    for spec, want in ((local, 200), ({**local, "healthCheckNodePort": 32098}, 0), (local, 200),
                       ({**local, "externalTrafficPolicy": "Cluster"}, 0), (local, 200),
                       ({**local, "type": "NodePort"}, 0), (local, 200)):
        m.add("probe", m.service("probe", 13, spec), m.slice("probe", 4, ("web-1a",)),
              m.slice("probe", 6, ("web-1a",)))
        lab.settle()
        assert answers(32099) == want, spec
    m.remove("probe.yaml")
    lab.settle()
    assert answers(32099) == 0


def test_6_1_2_only_on_accepted_addresses(own_lab):
    node = own_lab.nodes["node-1"]
    node.start(extra=["--nodeport-addresses", "172.18.0.0/24"])
    own_lab["node-1"].run(["ip", "address", "add", "203.0.113.99/32", "dev", "lo"], check=True)
    try:
        at = own_lab["node-1"]
        assert code_of(at, node_address("node-1", 4), HEALTH_PORT) == 200
        assert code_of(at, "203.0.113.99", HEALTH_PORT) == 0
        assert code_of(at, node_address("node-1", 6), HEALTH_PORT) == 200, "no CIDR of IPv6: all"
        own_lab["node-1"].run(["ip", "address", "add", "172.18.0.77/24", "dev", "eth0"], check=True)
        until(lambda: code_of(at, "172.18.0.77", HEALTH_PORT) == 200, "a later address is served")
    finally:
        own_lab["node-1"].run(["ip", "address", "del", "203.0.113.99/32", "dev", "lo"])
        own_lab["node-1"].run(["ip", "address", "del", "172.18.0.77/24", "dev", "eth0"])
        node.stop()


@contextlib.contextmanager
def somebody_listens(place, port):
    """A program of somebody else has the port of IPv4."""
    script = (f"import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
              f"s.bind(('0.0.0.0', {port})); s.listen(); print('ready', flush=True); s.accept()")
    holder = place.popen(["python3", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "ready\n"
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.mark.parametrize("port, subject, want", [
    (HEALTH_PORT, f"health-check 0.0.0.0:{HEALTH_PORT} default/web-local", "error"),
    (10256, "healthz 0.0.0.0:10256", "warning")], ids=["health-check", "healthz"])
def test_6_1_9_a_port_that_is_taken_is_named(own_lab, port, subject, want):
    """6.1.9, 6.2.9: it is a condition, the other family is served, and it is tried again."""
    node = own_lab.nodes["node-1"]
    path = "/healthz" if port == 10256 else "/"
    with somebody_listens(own_lab["node-1"], port):
        node.start()
        try:
            assert level(node, subject) == want
            assert f"cannot listen on 0.0.0.0:{port}" in node.cli("status").stdout
            assert code_of(own_lab["client"], node_address("node-1", 6), port, path) == 200
        except BaseException:
            node.stop()
            raise
    try:
        until(lambda: level(node, subject) is None, "the port is taken over", 15)
        assert code_of(own_lab["client"], node_address("node-1", 4), port, path) == 200
    finally:
        node.stop()


def test_6_2_9_hard_fail(own_lab, tmp_path):
    node = own_lab.nodes["node-1"]
    config = tmp_path / "config.yaml"
    config.write_text("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
                      "bindAddressHardFail: true\n")
    with somebody_listens(own_lab["node-1"], 10256):
        node.start(wait=False, extra=["--config", str(config)])
        assert node.agent.wait(20 * PATIENCE) == 1
        assert "cannot listen on 0.0.0.0:10256 for /healthz and /livez" in node.log()
        node.agent = None


def test_6_3_the_metrics_server_is_on_loopback(lab):
    at = lab["node-1"]
    for address in ("127.0.0.1", "::1"):
        assert get(at, address, 10249, "/proxyMode")[2] == "fairlead"
        assert get(at, address, 10249, "/healthz")[2] == "ok"
        config = json.loads(get(at, address, 10249, "/configz")[2])["fairlead.dev"]
        assert config["nodeName"] == "node-1"
        assert config["devices"] == ["eth0"]
    for family in (4, 6):
        assert code_of(lab["client"], node_address("node-1", family), 10249, "/proxyMode") == 0


@FAMILIES
def test_many_probes_and_slow_clients_at_once(lab, family):
    """Probes of 20 balancers at once are answered, while 300 clients that never finish their request hold on."""
    address = node_address("node-1", family)
    script = ("import socket, sys\nheld = []\n"
              f"for i in range(300):\n    s = socket.create_connection(('{address}', {HEALTH_PORT} if i % 2 else 10256))\n"
              "    s.sendall(b'GET / HT')\n    held.append(s)\n"
              "print('ready', flush=True)\nsys.stdin.read()\n")
    slow = lab["client"].popen(["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert slow.stdout.readline() == "ready\n"
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(lambda i: code_of(lab["client"], address,
                                                    *((HEALTH_PORT, "/") if i % 2 else (10256, "/healthz"))), range(200)))
        assert codes == [200] * 200
    finally:
        slow.kill()
        slow.wait()
        slow.stdin.close()
        slow.stdout.close()
