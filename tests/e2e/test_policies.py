# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Traffic policies (5.4), source ranges (5.6), reject and drop (5.7), precedence (2.19) and unknown
ports (2.22), each seen by real clients. Every test adds the Services it needs to the shared lab.
"""
import pytest

import cells
import topology
from conftest import FAMILIES, opened_at_once

SHORT = 0.6  # seconds until a client counts silence as a timeout


def add(lab, number, pods, name="probe", **spec):
    """Service `probe` whose addresses end in `number`, with these pods; returns when it is applied."""
    m = lab.manifests
    objects = [m.service(name, number, **spec)] + [m.slice(name, f, pods) for f in (4, 6)]
    m.add(name, *objects)
    lab.settle()


def only(report):
    """The one reason everything failed for."""
    assert report["answered"] == 0, report
    assert len(report["failures"]) == 1, report
    return next(iter(report["failures"]))


@FAMILIES
def test_internal_policy_local(lab, family):
    """5.4.1: iTP Local governs ClusterIP for every client and no other frontend."""
    add(lab, 13, ("web-1a", "web-2a"), internalTrafficPolicy="Local")
    ip = cells.cluster_ip(13)[family]
    assert set(lab["cli-1"].http(ip, 80, 20)["answers"]) == {"web-1a"}
    assert set(lab["cli-2"].http(ip, 80, 20)["answers"]) == {"web-2a"}
    assert set(lab["node-1"].udp(ip, 5353, 20)["answers"]) == {"web-1a"}
    assert set(lab["client"].http(ip, 80, 20)["answers"]) == {"web-1a"}
    assert set(lab["client"].http(cells.vip(13)[family], 80, 40)["answers"]) == {"web-1a", "web-2a"}


@FAMILIES
def test_external_policy_local_does_not_bind_pods_and_nodes(lab, family):
    """5.4.2: pod and node clients of an external frontend use the cluster list."""
    add(lab, 13, ("web-2a", "web-2b"), externalTrafficPolicy="Local")
    for source in ("cli-1", "node-1"):
        for host, port in ((cells.vip(13), 80), (cells.node_ip("node-1"), 30013)):
            report = lab[source].http(host[family], port, 40)
            assert report["failed"] == 0, report
            assert set(report["answers"]) == {"web-2a", "web-2b"}


@FAMILIES
def test_local_policies_without_local_endpoint_drop(lab, family):
    """5.7 rows 2 to 4, 5.7.2: silence, not a refusal, while other nodes have endpoints."""
    add(lab, 13, ("web-2a",), externalTrafficPolicy="Local", internalTrafficPolicy="Local")
    vip, cluster = cells.vip(13)[family], cells.cluster_ip(13)[family]
    client = lab["client"]
    assert only(client.http(vip, 80, 1, timeout=SHORT)) == "timeout"
    assert only(client.udp(vip, 5353, 1, timeout=SHORT)) == "timeout"
    assert only(client.http(cells.node_ip("node-1")[family], 30013, 1, timeout=SHORT)) == "timeout"
    assert only(client.http(cluster, 80, 1, timeout=SHORT)) == "timeout"
    assert set(client.http(cells.node_ip("node-2")[family], 30013, 10)["answers"]) == {"web-2a"}
    # 5.7.4: a drop at the socket is a timeout too, not EPERM
    assert only(lab["cli-1"].http(cluster, 80, 1, timeout=SHORT)) == "timeout"
    assert only(lab["cli-1"].udp(cluster, 5353, 1, timeout=SHORT)) == "timeout"
    assert set(lab["cli-2"].http(cluster, 80, 10)["answers"]) == {"web-2a"}
    assert set(lab["cli-1"].http(vip, 80, 10)["answers"]) == {"web-2a"}


@FAMILIES
def test_no_endpoints_reject(lab, family):
    """5.7 row 1, 5.7.1, 5.7.4: refused at once, for TCP and UDP, from everywhere."""
    add(lab, 14, ())
    frontends = [(cells.vip(14), 80, 5353), (cells.cluster_ip(14), 80, 5353),
                 (cells.node_ip("node-1"), 30014, 31014)]
    for host, tcp, udp in frontends:
        for source in ("client", "cli-1", "node-1"):
            if source == "cli-1" and host == cells.node_ip("node-1"):
                continue
            assert only(lab[source].http(host[family], tcp, 3)) == "refused", (source, host)
            assert only(lab[source].udp(host[family], udp, 3)) == "refused", (source, host)


@FAMILIES
def test_neither_ready_nor_serving_rejects(lab, family):
    """5.7 last row: endpoints that are neither ready nor serving do not count."""
    m = lab.manifests
    gone = {"web-1a": {"ready": False, "serving": False, "terminating": True}}
    m.add("probe", m.service("probe", 14),
          *(m.slice("probe", f, ("web-1a",), conditions=gone) for f in (4, 6)))
    lab.settle()
    assert only(lab["client"].http(cells.vip(14)[family], 80, 3)) == "refused"
    assert only(lab["cli-1"].http(cells.cluster_ip(14)[family], 80, 3)) == "refused"


@FAMILIES
def test_serving_terminating_endpoint_is_the_last_resort(lab, family):
    """3.3.5, 5.8.5: a terminating endpoint that serves is used only when no ready one is left."""
    m = lab.manifests
    ending = {"web-1a": {"ready": False, "serving": True, "terminating": True}}

    def apply(pods):
        m.add("probe", m.service("probe", 14),
              *(m.slice("probe", f, pods, conditions=ending) for f in (4, 6)))
        lab.settle()

    apply(("web-1a",))
    assert set(lab["client"].http(cells.vip(14)[family], 80, 10)["answers"]) == {"web-1a"}
    apply(("web-1a", "web-2b"))
    assert set(lab["client"].http(cells.vip(14)[family], 80, 20)["answers"]) == {"web-2b"}


@FAMILIES
def test_unknown_port_of_a_cluster_ip_rejects(lab, family):
    """2.22, as the nftables mode does; external addresses are not affected."""
    ip = cells.WEB[family]
    for source in ("cli-1", "node-1", "client"):
        assert only(lab[source].http(ip, 81, 2)) == "refused", source
        assert only(lab[source].udp(ip, 81, 2)) == "refused", source


@FAMILIES
def test_source_ranges(lab, family):
    """5.6.1, 5.6.3, 5.6.4: only the LB VIP is filtered, silently, and pods too."""
    inside = topology.client_address(family, 10)
    outsider = topology.client_address(family, 11)
    add(lab, 13, ("web-1a", "web-2a"), externalIPs=["203.0.113.81", "2001:db8:113::81"],
        loadBalancerSourceRanges=["198.51.100.10/32", "2001:db8:51::10/128", " 10.1.0.0/16 "])
    vip, client = cells.vip(13)[family], lab["client"]
    assert client.http(vip, 80, 20, source=inside)["failed"] == 0
    assert client.udp(vip, 5353, 20, source=inside)["failed"] == 0
    assert only(client.http(vip, 80, 1, source=outsider, timeout=SHORT)) == "timeout"
    assert only(client.udp(vip, 5353, 1, source=outsider, timeout=SHORT)) == "timeout"
    assert client.http(cells.node_ip("node-1")[family], 30013, 5, source=outsider)["failed"] == 0
    assert lab["cli-1"].http(cells.cluster_ip(13)[family], 80, 5)["failed"] == 0
    assert only(lab["cli-1"].http(vip, 80, 1, timeout=SHORT)) == "timeout"


def test_source_ranges_of_one_family_leave_the_other_open(lab):
    """5.6.2: no range of a family means no filter in it."""
    add(lab, 13, ("web-1a", "web-2a"), loadBalancerSourceRanges=["198.51.100.10/32"])
    client = lab["client"]
    outsider = topology.client_address(6, 11)
    assert client.http(cells.vip(13)[6], 80, 5, source=outsider)["failed"] == 0
    outsider = topology.client_address(4, 11)
    assert only(client.http(cells.vip(13)[4], 80, 1, source=outsider, timeout=SHORT)) == "timeout"


def test_established_connections_outlive_new_source_ranges(lab):
    """5.6.3, 5.1.2: established flows are unaffected by a range that comes later."""
    add(lab, 13, ("web-1a", "web-2a"))
    vip, client = cells.vip(13)[4], lab["client"]
    client.call("load_start", name="ranges", targets=[
        {"kind": "long", "host": vip, "port": 80, "streams": 4, "label": "long"}])
    add(lab, 13, ("web-1a", "web-2a"), loadBalancerSourceRanges=["192.0.2.0/24"])
    assert only(client.http(vip, 80, 1, timeout=SHORT)) == "timeout"
    ledger = client.call("load_stop", name="ranges")["long"]
    assert ledger["failed"] == 0 and ledger["moved"] == 0, ledger


@FAMILIES
def test_service_address_beats_node_port(lab, family):
    """2.19: an externalIP that is the node's own address wins over a NodePort of that number."""
    http = [{"name": "http", "port": 30080, "protocol": "TCP", "targetPort": 8080}]
    node = topology.NODES["node-1"]
    add(lab, 13, ("web-2b",), ports=http, externalIPs=[node[4], node[6]])
    assert set(lab["client"].http(node[family], 30080, 20)["answers"]) == {"web-2b"}
    other = topology.NODES["node-2"]
    assert set(lab["client"].http(other[family], 30080, cells.REQUESTS)["answers"]) == set(cells.ALL)


@FAMILIES
@pytest.mark.parametrize("port", [30080, 30081], ids=["cluster", "local"])
def test_pod_asks_node_port_of_another_node(lab, port, family):
    """2.20: not intercepted where the pod lives. 5.3.6: with eTP Local the other node short-circuits
    the pod, and must still masquerade towards remote endpoints, or they answer past it."""
    report = lab["cli-1"].http(cells.node_ip("node-2")[family], port, 40)
    assert report["failed"] == 0, report


def test_node_port_on_localhost(lab):
    """2.16, where we differ: node ports answer on 127.0.0.1 through the socket hooks."""
    report = lab["node-1"].http("127.0.0.1", 30080, 40)
    assert report["failed"] == 0, report
    assert len(report["answers"]) > 1


@FAMILIES
def test_hairpin(lab, family):
    """5.3.3: a pod that is its own backend reaches itself on every frontend."""
    add(lab, 13, ("web-1a",))
    pod = lab["web-1a"]
    for host, port in ((cells.cluster_ip(13), 80), (cells.vip(13), 80)):
        report = pod.http(host[family], port, 5)
        assert report["answers"] == {"web-1a": 5}, report


def test_proxy_mode_ingress_is_no_frontend(lab):
    """2.4: switching an ingress address to ipMode Proxy removes the frontend live."""
    m = lab.manifests
    service = m.service("probe", 13)
    slices = [m.slice("probe", f, ("web-1a",)) for f in (4, 6)]
    m.add("probe", service, *slices)
    lab.settle()
    assert lab["cli-1"].http(cells.vip(13)[4], 80, 5)["failed"] == 0
    for ingress in service["status"]["loadBalancer"]["ingress"]:
        ingress["ipMode"] = "Proxy"
    m.add("probe", service, *slices)
    lab.settle()
    assert lab["cli-1"].http(cells.vip(13)[4], 80, 1, timeout=SHORT)["answered"] == 0
    assert lab["cli-1"].http(cells.cluster_ip(13)[4], 80, 5)["failed"] == 0


@pytest.mark.parametrize("change", ["label", "headless", "external-name", "delete"])
def test_service_that_stops_being_ours_loses_its_frontends(lab, change):
    """1.1, 1.2, 1.3, 1.5: the frontends go at once."""
    m = lab.manifests
    service = m.service("probe", 13)
    slices = [m.slice("probe", f, ("web-1a",)) for f in (4, 6)]
    m.add("probe", service, *slices)
    lab.settle()
    assert lab["client"].http(cells.vip(13)[4], 80, 5)["failed"] == 0
    if change == "label":
        service["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": ""}
    elif change == "headless":
        service["spec"].update(clusterIP="None", clusterIPs=["None"])
    elif change == "external-name":
        service["spec"].update(type="ExternalName", externalName="example.org")
    if change == "delete":
        m.remove("probe.yaml")
    else:
        m.add("probe", service, *slices)
    lab.settle()
    assert lab["client"].http(cells.vip(13)[4], 80, 1, timeout=SHORT)["answered"] == 0
    assert lab["client"].http(cells.node_ip("node-1")[4], 30013, 1, timeout=SHORT)["answered"] == 0


@FAMILIES
def test_port_of_a_node_port_connection_serves_a_direct_one(lab, family):
    """2.20 leaves a flow on the other node that keeps the pod's address. The pod may use its source
    port again, straight to the same backend: the answers are not the old frontend's any more.
    """
    add(lab, 13, ("web-2a",))
    pod = lab["cli-1"]
    for port in range(20000, 20010):
        for host, number in ((cells.node_ip("node-2"), 30013), (cells.cluster_ip(13), 80)):
            with opened_at_once(pod):
                report = pod.http(host[family], number, 1, source_port=port)
            assert report["failed"] == 0, (host, report)


@FAMILIES
def test_same_port_through_a_frontend_and_straight(lab, family):
    """One port of a client, the same backend: asked through a Service it answers as that, and asked
    itself as itself, while the other conversation goes on.
    """
    client, pod = lab["client"], lab["web-1a"].addresses[family]
    for port in (22001, 22002):
        for host in (cells.vip(11)[family], pod, cells.vip(11)[family], pod):
            report = client.udp(host, 5353, 3, keep=True, source_port=port)
            assert report["failed"] == 0, (host, report)
            assert report["answers"] == {"web-1a": 3}
