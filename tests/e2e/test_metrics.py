# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""/metrics (8): what a running agent says, checked by Prometheus' own tool, and what is built over the names."""
import functools
import json
import os
import re
import subprocess

import pytest
from conftest import REPO

import cells
from wait import until

TABLE = f"{REPO}/lb/metrics/table.h"
DASHBOARD = f"{REPO}/deploy/prometheus/fairlead-dashboard.json"
RULES = f"{REPO}/deploy/prometheus/fairlead-rules.yaml"
# every metric there is, with samples: also of an agent that follows an API server and finds much amiss
ALL = f"{REPO}/tests/golden/metrics/all.txt"
# kube-proxy's name for a gauge, which is kept (8.4)
KEPT = "kubeproxy_sync_proxy_rules_no_local_endpoints_total non-counter metrics should not have \"_total\" suffix"
NAME = re.compile(r"\b(?:fairlead|kubeproxy|process)_[a-z0-9_]+\b")


def table():
    """{name: type} of every metric there is."""
    with open(TABLE, encoding="utf-8") as text:
        return dict(re.findall(r'X\(\w+, "(\w+)", (\w+),', text.read()))


@functools.lru_cache
def find_promtool():
    """Its path; None if it is not to be had."""
    done = subprocess.run([f"{REPO}/tests/e2e/promtool"], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode in (0, 3), done
    return done.stdout.strip() if done.returncode == 0 else None


def promtool(*args, **options):
    tool = find_promtool()
    if tool is None:
        pytest.skip("SKIP: needs promtool, of Debian's package prometheus, which cannot be downloaded")
    return subprocess.run([tool, *args], capture_output=True, text=True, check=False, **options)


def scrape(node):
    done = node.place.run(["curl", "-s", "-i", "http://127.0.0.1:10249/metrics"], check=True)
    head, _, body = done.stdout.partition("\n\n")
    assert "200 OK" in head and "text/plain; version=0.0.4" in head, head
    return body


SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text):
    """{(name, label values ...): value}"""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        key = (name, *(v for _, v in LABEL.findall(labels or "")))
        assert key not in found, f"{key} is there twice"
        found[key] = float(value)
    return found


def test_every_line_is_one_of_the_table(lab):
    """Help and type stand before the samples of each metric, once, and nothing else is there."""
    known, seen, current = table(), [], None
    for line in scrape(lab.nodes["node-1"]).splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in seen, f"{current} begins twice"
            seen.append(current)
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [current, known[current].lower()]
        else:
            assert re.fullmatch(rf"{current}(_bucket|_sum|_count)?", SAMPLE.fullmatch(line)[1]), line
    # this agent follows no API server
    assert {name for name in set(known) - set(seen) if not name.startswith("fairlead_api_")} <= {
        "fairlead_backend_source_ports_used", "fairlead_drift"}
    samples(scrape(lab.nodes["node-1"]))


def check_metrics(text):
    """What promtool has to say, besides what is known."""
    done = promtool("check", "metrics", input=text)
    said = (done.stdout + done.stderr).splitlines()
    assert KEPT in said, "the tool has looked"
    return [line for line in said if line != KEPT]


def test_promtool_check_metrics(lab):
    assert check_metrics(scrape(lab.nodes["node-1"])) == []


def test_promtool_checks_every_metric():
    """Also those that the lab's agents never show."""
    with open(ALL, encoding="utf-8") as file:
        text = file.read()
    assert {sample[0] for sample in samples(text)} >= {
        f"{name}_sum" if kind == "HISTOGRAM" else name for name, kind in table().items()}
    assert check_metrics(text) == []
    # so that this is worth something
    assert any("fairlead_drift" in line for line in check_metrics(text.replace("HELP fairlead_drift ", "HELP fairlead_drifts ")))


def test_the_command_line_prints_the_same(lab):
    node = lab.nodes["node-2"]

    def same():
        answer = node.cli("metrics")
        assert answer.returncode == 0, answer.stderr
        return set(samples(answer.stdout)) == set(samples(scrape(node)))

    until(same, "both have the same samples, unless one came in between")
    assert node.cli("metrics", "-o", "json").returncode == 2


def test_numbers_follow_what_happens(lab):
    node = lab.nodes["node-1"]
    before = samples(scrape(node))
    m = lab.manifests
    m.add("probe", m.service("probe", 13, {"externalTrafficPolicy": "Local", "healthCheckNodePort": 32099}),
          m.slice("probe", 4, ("web-2a",)))
    lab.settle()
    report = lab["client"].http(cells.vip(13)[4], 80, 1, timeout=1)
    assert report["failed"] == 1, report
    lab["node-1"].run(["curl", "-s", "http://127.0.0.1:10256/healthz"], check=True)
    now = samples(scrape(node))

    def grown(*key):
        return now[key] - before[key]

    assert grown("fairlead_objects", "Service") == 1
    assert grown("kubeproxy_sync_proxy_rules_service_changes_total") == 1
    assert grown("kubeproxy_sync_proxy_rules_endpoint_changes_total") == 1
    assert grown("kubeproxy_sync_proxy_rules_duration_seconds_count", "IPv4") >= 1
    assert now[("kubeproxy_sync_proxy_rules_service_changes_pending",)] == 0
    assert grown("fairlead_health_check_node_ports") == 1
    assert grown("kubeproxy_proxy_healthz_total", "200") == 1
    assert grown("kubeproxy_sync_proxy_rules_no_local_endpoints_total", "IPv4", "external") == 2
    assert grown("fairlead_not_forwarded_packets_total", "no-local-endpoint") >= 1
    assert now[("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "IPv4")] >= \
        before[("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "IPv4")]
    assert now[("fairlead_healthy",)] == 1
    assert now[("process_resident_memory_bytes",)] > 1e6 and now[("process_open_fds",)] > 10


def test_8_1_network_programming_latency(lab):
    """8.1: from the time in the slice's annotation; one from before the start is left out."""
    node = lab.nodes["node-1"]
    m = lab.manifests

    def count():
        return samples(scrape(node))[("kubeproxy_network_programming_duration_seconds_count", "IPv4")]

    def publish(pods, when):
        piece = m.slice("probe", 4, pods)
        piece["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": when}
        m.add("probe", m.service("probe", 13), piece)
        lab.settle()

    begin = count()
    publish(("web-1a",), "2020-01-01T00:00:00Z")
    assert count() == begin
    now = lab["node-1"].run(["date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ"], check=True).stdout.strip()
    publish(("web-1a", "web-2a"), now)
    assert count() == begin + 1
    latency = samples(scrape(node))
    assert latency[("kubeproxy_network_programming_duration_seconds_bucket", "IPv4", "10")] >= begin + 1
    publish(("web-1a", "web-2a"), now)
    assert count() == begin + 1, "nothing has changed"


def test_flows_are_counted_by_state(lab):
    """The sweep passes over the table every 6 seconds."""
    node = lab.nodes["node-1"]
    lab["client"].http(cells.vip(10)[4], 80, 20)
    until(lambda: sum(value for key, value in samples(scrape(node)).items()
                      if key[:2] == ("fairlead_flows", "IPv4")) > 0, "flows are counted", 20)
    numbers = samples(scrape(node))
    assert numbers[("fairlead_flow_table_slots", "IPv4")] > 0
    assert numbers[("fairlead_flow_table_entries", "IPv4")] > 0


def test_next_hops_are_counted(own_lab):
    """Of a new datapath none, and none for pods of its own node; then the other node and the way back to the client, once for both
    families, since these are devices and MACs."""
    lab, node, m = own_lab, own_lab.nodes["node-1"], own_lab.manifests
    node.start()

    def sampled():
        """What is counted at once: next hops, and the frontends of a Service that nobody has asked for."""
        now = samples(scrape(node))
        return now[("fairlead_next_hops",)], now[("fairlead_map_elements", "frontends")]
    try:
        until(lambda: sampled()[1] > 0, "there are frontends", 20)
        for number, (pods, hops) in enumerate(((["web-1a", "web-1b"], 0), (["web-2a", "web-2b"], 2)), 13):
            m.set_backends("web", pods)
            node.settle()
            for family in (4, 6):
                assert lab["client"].http(cells.vip(10)[family], 80, 8)["failed"] == 0
            before = sampled()[1]
            m.add(f"probe-{number}", m.service(f"probe-{number}", number))
            until(lambda n=before: sampled()[1] > n, "it is counted once more", 20)
            assert sampled()[0] == hops
    finally:
        m.reset()
        node.stop()
        node.cleanup()


def traffic_of(node, service):
    """{metric and direction: number} of a Service's series."""
    return {(key[0].removeprefix("fairlead_service_").removesuffix("_total"), *key[3:]): value
            for key, value in samples(scrape(node)).items()
            if key[0].startswith("fairlead_service_") and key[1:3] == ("default", service)}


@pytest.mark.parametrize("family", [4, 6])
def test_traffic_per_service(lab, family):
    """Every connection, packet and byte of flows that live and that have ended; gone with the Service."""
    node, service = lab.nodes["node-1"], f"counted-{family}"
    m = lab.manifests
    m.add("probe", m.service(service, 13), m.slice(service, family, ("web-1a", "web-2a")))
    lab.settle()
    assert traffic_of(node, service) == {}
    report = lab["client"].http(cells.vip(13)[family], 80, 30)
    assert report["failed"] == 0, report
    lab["client"].bulk(cells.vip(13)[family], 80, 300000)

    def flows():
        # those of the other family may be of a Service that had the address before
        return [flow for flow in node.json("flow", "list", "--service", f"default/{service}", "--limit", "5000")["items"]
                if flow["frontend"].startswith("[") == (family == 6)]

    def counted():
        """As the flows say, which are all there still: closed, and remembered for seconds."""
        them, now = flows(), traffic_of(node, service)
        return len(them) == 31 and now == {
            ("connections",): 31,
            ("socket_connections",): 0,
            ("packets", "request"): sum(flow["packets"] for flow in them),
            ("packets", "reply"): sum(flow["replyPackets"] for flow in them),
            ("bytes", "request"): sum(flow["bytes"] for flow in them),
            ("bytes", "reply"): sum(flow["replyBytes"] for flow in them)} and now

    numbers = until(counted, "the Service has what its flows have counted", 30)
    assert numbers[("bytes", "request")] > 300000 and numbers[("bytes", "reply")] > 300000
    assert node.cli("flow", "flush", "--service", f"default/{service}").returncode == 0
    assert not flows()
    lab["client"].http(cells.vip(13)[family], 80, 1)
    until(lambda: all(traffic_of(node, service)[key] > value for key, value in numbers.items() if value),
          "what has ended stays counted", 30)
    assert traffic_of(node, service)[("connections",)] == 32
    m.remove("probe.yaml")
    lab.settle()
    assert traffic_of(node, service) == {}


@pytest.mark.parametrize("family", [4, 6])
def test_connections_at_sockets_per_service(lab, family):
    """Each connection of a pod and of the node, and a datagram socket once; by cluster IP and by node port."""
    node, service = lab.nodes["node-1"], f"asked-{family}"
    m = lab.manifests
    m.add("probe", m.service(service, 13), m.slice(service, family, ("web-1a", "web-2a")))
    lab.settle()

    def grown(number):
        until(lambda: traffic_of(node, service).get(("socket_connections",)) == number, f"{number} are counted", 10)
        assert traffic_of(node, service)[("connections",)] == 0

    for number, (place, host, port) in enumerate((("cli-1", cells.cluster_ip(13), 80), ("node-1", cells.cluster_ip(13), 80),
                                                  ("node-1", cells.node_ip("node-1"), 30013)), 1):
        assert lab[place].http(host[family], port, 20)["failed"] == 0
        grown(20 * number)
    report = lab["cli-1"].udp(cells.cluster_ip(13)[family], 5353, 30, connected=False, keep=True)
    assert report["failed"] == 0, report
    grown(61)
    m.remove("probe.yaml")
    lab.settle()
    assert traffic_of(node, service) == {}


def test_names_in_dashboard_and_rules_exist():
    known = table()
    series = set(known)
    for name, kind in known.items():
        if kind == "HISTOGRAM":
            series |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    with open(DASHBOARD, encoding="utf-8") as text:
        dashboard = json.load(text)
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 15
    named = set(NAME.findall("\n".join(expressions)))
    with open(RULES, encoding="utf-8") as text:
        rules = [line.split("#")[0] for line in text]
    named |= set(NAME.findall("".join(rules)))
    with open(RULES.replace("rules", "rules-test"), encoding="utf-8") as text:
        named |= set(NAME.findall(text.read()))
    assert len(named) > 20
    assert named <= series, named - series


def test_promtool_rules():
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", os.path.basename(RULES).replace("rules", "rules-test"),
                    cwd=os.path.dirname(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    with open(RULES, encoding="utf-8") as text:
        alerts = set(re.findall(r"^\s*- alert: (\w+)", text.read(), re.M))
    with open(RULES.replace("rules", "rules-test"), encoding="utf-8") as text:
        tested = set(re.findall(r"alertname: (\w+)", text.read()))
    assert alerts == tested


def test_promtool_takes_the_expressions_of_the_dashboard(tmp_path):
    """As recording rules, with what Grafana puts in for its variables."""
    with open(DASHBOARD, encoding="utf-8") as text:
        panels = json.load(text)["panels"]
    expressions = [t["expr"].replace("$__rate_interval", "5m").replace("$instance", ".+")
                   for panel in panels for t in panel.get("targets", [])]
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"panel:{i}", "expr": expr}
                                                       for i, expr in enumerate(expressions)]}]}
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps(rules), encoding="utf-8")
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
