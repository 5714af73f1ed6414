# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the real kube-proxy says on node-2, and Fairlead of the same things on node-1."""
import json
import re
import subprocess

import pytest

import topology
from kube_proxy import KubeProxy
from test_api import PODS, reaches, serve, vip
from wait import until

HEALTH_PORT = 32044
# what a balancer's probe goes by
HEADERS = ("content-type", "x-content-type-options", "x-load-balancing-endpoint-weight")

# what a node without rules of iptables has no meaning for (8.4)
OF_IPTABLES = {f"kubeproxy_{name}" for name in (
    "conntrack_reconciler_deleted_entries_total", "conntrack_reconciler_sync_duration_seconds",
    "iptables_ct_state_invalid_dropped_packets_total", "iptables_localhost_nodeports_accepted_packets_total",
    "sync_full_proxy_rules_duration_seconds", "sync_partial_proxy_rules_duration_seconds",
    "sync_proxy_rules_iptables_last", "sync_proxy_rules_iptables_total")}


@pytest.fixture(scope="module")
def lab(own_lab):
    """Both are asked at the node's address of IPv4, where kube-proxy serves."""
    cluster = own_lab.cluster
    serve(own_lab, "probed", 12, spec={"externalTrafficPolicy": "Local", "healthCheckNodePort": HEALTH_PORT})
    own_lab.nodes["node-1"].start(manifests=False, extra=["--kubeconfig", cluster.kubeconfig()])
    proxy = KubeProxy(cluster, own_lab.nodes["node-2"], "iptables")
    try:
        proxy.wait([vip(12, 4)])
        for client in ("cli-1", "cli-2"):
            reaches(own_lab, client, vip(12, 4), PODS)
        yield own_lab
    finally:
        proxy.stop()


def get(place, url):
    """Code, headers in lower case, and body."""
    done = place.run(["curl", "-s", "-i", "--max-time", "5", url])
    head, _, body = done.stdout.partition("\n\n")
    lines = head.splitlines()
    return int(lines[0].split()[1]) if lines else 0, dict(line.lower().split(": ", 1) for line in lines[1:]), body


def said(lab, node, port, path="/"):
    """What a probe is told, without the time of day and what is the proxies' own: which families it has."""
    code, headers, body = get(lab["client"], f"http://{topology.NODES[node][4]}:{port}{path}")
    body = re.sub(r'"(lastUpdated|currentTime)": ?"[^"]*"', r'"\1":"..."', body)
    return code, {name: headers.get(name) for name in HEADERS}, body


def agree(lab, what, code, port, path="/"):
    """Both answer this code, and the rest alike."""
    def same():
        ours, theirs = said(lab, "node-1", port, path), said(lab, "node-2", port, path)
        return ours == theirs and ours[0] == code
    try:
        until(same, f"both say {code} of {what}", 10, 0.2)
    except AssertionError as late:
        raise AssertionError(f"{late}: {said(lab, 'node-1', port, path)}, {said(lab, 'node-2', port, path)}") from late


def test_9_1_a_configuration_that_kube_proxy_writes(lab):
    """9.1: every key that it has, with its defaults, is known."""
    cluster = lab.cluster
    subprocess.run([f"{cluster.programs}/kube-proxy", f"--write-config-to={cluster.path('written.yaml')}"], check=True,
                   capture_output=True)
    cluster.write("with-more.yaml", open(cluster.path("written.yaml"), encoding="utf-8").read() + "unheardOf: 1\n")

    def check(name):
        return subprocess.run([lab.nodes["node-1"].binary("fairleadd"), "--check", "--node", "node-1", "--manifests",
                               lab.manifests.directory, "--config", cluster.path(name)], capture_output=True, text=True,
                              check=False)
    done = check("written.yaml")
    assert done.returncode == 0 and "configuration is good" in done.stdout, done
    done = check("with-more.yaml")
    assert done.returncode == 2 and "unheardOf" in done.stderr, done


def test_6_1_health_check_node_port(lab):
    """6.1: with local endpoints, with none, with one that ends."""
    agree(lab, "two endpoints", 200, HEALTH_PORT)
    ends = {"ready": False, "serving": True, "terminating": True}

    def put(pods, **options):
        for family in (4, 6):
            lab.cluster.put(lab.manifests.slice("probed", family, pods, **options))
    put(["web-1a", "web-2a"])
    agree(lab, "one endpoint", 200, HEALTH_PORT, "/any/path")
    put(["web-1a", "web-2a"], conditions={"web-1a": ends, "web-2a": ends})
    agree(lab, "endpoints that end", 503, HEALTH_PORT)
    put([])
    agree(lab, "no endpoint", 503, HEALTH_PORT)
    put(PODS)
    agree(lab, "two again", 200, HEALTH_PORT)


def change_nodes(lab, change):
    for name in topology.NODES:
        node = lab.cluster.request("GET", f"/api/v1/nodes/{name}")
        change(node)
        lab.cluster.request("PUT", f"/api/v1/nodes/{name}", node)


def test_6_2_node_eligibility(lab):
    """6.2.5: a taint of the autoscaler's, and a Node that is being deleted, are for /healthz; /livez does not care."""
    taint = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "NoSchedule"}

    def eligible(code):
        agree(lab, "/healthz", code, 10256, "/healthz")
        agree(lab, "/livez", 200, 10256, "/livez")
    eligible(200)
    change_nodes(lab, lambda node: node["spec"].update(taints=[taint]))
    eligible(503)
    change_nodes(lab, lambda node: node["spec"].pop("taints"))
    eligible(200)
    change_nodes(lab, lambda node: node["metadata"].update(finalizers=["example.org/wait"]))
    for name in topology.NODES:
        lab.cluster.delete("Node", name)
    eligible(503)
    change_nodes(lab, lambda node: node["metadata"].update(finalizers=[]))
    lab.cluster.populate()
    eligible(200)


def families_of(text):
    """{name: (type, names of labels)} of a scrape's kubeproxy_ metrics."""
    found = {name: (kind, set()) for name, kind in re.findall(r"^# TYPE (kubeproxy_\w+) (\w+)$", text, re.M)}
    for name, labels in re.findall(r"^(kubeproxy_\w+)\{(.*)\} ", text, re.M):
        name = name if name in found else re.sub("_(bucket|sum|count)$", "", name)
        found[name][1].update(re.findall(r'(\w+)="', labels))
    return found


def test_8_4_metrics_have_the_names_that_kube_proxy_has(lab):
    """8.4: each kubeproxy_ metric is one that kube-proxy has, of the same type and labels, and counts the same changes."""
    def scrape(node):
        return get(lab[node], "http://127.0.0.1:10249/metrics")[2]

    def latencies(node):
        """How many changes are measured from the time that their slice says."""
        return re.findall(r'^kubeproxy_network_programming_duration_seconds_count\{ip_family="IPv4"\} ([1-9]\d*)$', scrape(node), re.M)
    tree = lab.manifests.slice("probed", 4, ["web-1b", "web-2b"])
    now = lab["node-1"].run(["date", "-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"], check=True).stdout.strip()
    tree["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": now}
    lab.cluster.put(tree)
    until(lambda: latencies("node-1") == latencies("node-2") == ["1"], "both have measured one", 20, 0.2)
    agree(lab, "/healthz", 200, 10256, "/healthz")
    agree(lab, "/livez", 200, 10256, "/livez")
    ours, theirs = (families_of(scrape(node)) for node in ("node-1", "node-2"))
    assert {name: theirs.get(name) for name in ours} == ours
    assert set(theirs) - set(ours) == OF_IPTABLES


def test_6_3_the_metrics_server(lab):
    """6.3: the same paths, for who asks which proxy this is and by which settings."""
    for path, kind in (("/proxyMode", "text/plain"), ("/healthz", "text/plain"), ("/configz", "application/json")):
        for node in topology.NODES:
            code, headers, body = get(lab[node], f"http://127.0.0.1:10249{path}")
            assert code == 200 and headers["content-type"].startswith(kind), (node, path, code, headers)
            if path == "/configz":
                assert len(json.loads(body)) == 1
