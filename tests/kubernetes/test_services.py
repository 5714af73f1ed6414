# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Services as users make and change them, with slices that the real EndpointSlice controller writes."""
import json
import subprocess

import pytest

import controllers
import topology
from control_plane import PORT
from place import HERE as LAB
from place import PYTHON
from test_api import FAMILIES, PODS, answers, is_gone, outside, reaches, vip
from wait import until

HTTP = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
ECHO = {"name": "echo", "port": 5353, "protocol": "UDP", "targetPort": 5353}
BRIEF = 2  # seconds of affinity
LABEL = "service.kubernetes.io/service-proxy-name"


class App:
    """A Service and its Pods. The Service is what users write: no status, and nothing filled in."""

    def __init__(self, lab, name, number, pods=PODS, ports=(HTTP, ECHO), **spec):
        self.lab, self.cluster, self.name, self.number = lab, lab.cluster, name, number
        self.pods = controllers.Pods(lab.cluster, name)
        self.pods.add(*pods)
        self.spec = {"type": "ClusterIP", "selector": {"app": name}, "ports": list(ports), "ipFamilyPolicy": "PreferDualStack",
                     "clusterIP": vip(number, 4), "clusterIPs": [vip(number, 4), vip(number, 6)], **spec}
        self.put()

    def put(self, labels=None, status=None, **changes):
        self.spec.update(changes)
        self.spec = {key: value for key, value in self.spec.items() if value is not None}
        tree = {"apiVersion": "v1", "kind": "Service", "spec": self.spec,
                "metadata": {"name": self.name, **({"labels": labels} if labels else {})}}
        if status:
            tree["status"] = status
        return self.cluster.put(tree)

    def balancer(self, mode="VIP"):
        """What a cloud's controller says of its addresses."""
        self.cluster.request("PATCH", f"/api/v1/namespaces/default/services/{self.name}/status", {"status": {
            "loadBalancer": {"ingress": [{"ip": outside(self.number, family), "ipMode": mode} for family in (4, 6)]}}},
            kind="application/merge-patch+json")

    def reaches(self, pods=PODS, clients=("cli-1", "cli-2"), port=80):
        for family in (4, 6):
            for client in clients:
                reaches_port(self.lab, client, vip(self.number, family), port, pods)

    def delete(self):
        self.cluster.delete("Service", self.name)
        found = self.cluster.request("GET", f"/api/v1/namespaces/default/pods?labelSelector=app%3D{self.name}")["items"]
        self.pods.remove(*(pod["metadata"]["name"].removeprefix(f"{self.name}-") for pod in found))


@pytest.fixture(scope="module")
def lab(own_lab, cluster):
    controllers.start(cluster)
    yield own_lab


@pytest.fixture
def app(lab):
    """Makes Apps, which are gone afterwards."""
    made = []

    def make(*args, **options):
        made.append(App(lab, *args, **options))
        return made[-1]
    yield make
    for each in made:
        each.delete()


def reaches_port(lab, client, address, port, pods, **options):
    def same():
        report = lab[client].http(address, port, 24, **options)
        return report["failed"] == 0 and set(report["answers"]) == set(pods)
    until(same, f"{client} reaches {sorted(pods)} at {address} port {port}", 10, 0.1)


def fails(lab, client, address, port=80, **options):
    until(lambda: lab[client].http(address, port, 1, timeout=1.0, **options)["failed"] == 1,
          f"{client} does not reach {address} port {port}", 10, 0.1)


def test_1_9_ports_are_changed_and_renamed(lab, app):
    """1.9: a Service is joined to its slices by the names of ports; both change in steps."""
    web = app("ports", 20)
    web.reaches()
    web.put(ports=[{**HTTP, "port": 81}, ECHO])
    web.reaches(port=81)
    fails(lab, "cli-1", vip(20, 4))
    web.put(ports=[{**HTTP, "name": "web", "port": 81}, ECHO])
    until(lambda: '"web"' in lab.nodes["node-1"].cli("service", "get", "default/ports", "-o", "json").stdout,
          "the new name is known", 10, 0.1)
    web.reaches(port=81)
    web.put(ports=[{**HTTP, "port": 81, "targetPort": 9}])
    fails(lab, "cli-1", vip(20, 4), 81)


def test_1_15_change_of_type(lab, app):
    """1.15, 2.6, 2.3: ClusterIP, NodePort, LoadBalancer and back; frontends come and go with the type."""
    node = topology.NODES["node-1"]
    web = app("types", 21)
    web.reaches()
    web.put(type="NodePort", ports=[{**HTTP, "nodePort": 30021}, ECHO])
    for family in (4, 6):
        reaches_port(lab, "client", node[family], 30021, PODS)
    web.put(type="LoadBalancer")
    for family in (4, 6):
        fails(lab, "client", outside(21, family))
    web.balancer()
    for family in (4, 6):
        reaches_port(lab, "client", outside(21, family), 80, PODS)
    web.put(type="ClusterIP", ports=[HTTP, ECHO], allocateLoadBalancerNodePorts=None)
    for family in (4, 6):
        fails(lab, "client", outside(21, family))
        fails(lab, "client", node[family], 30021)
    web.reaches()


@FAMILIES
def test_5_7_scaled_to_zero_and_back(lab, app, family):
    """5.7: without a ready Pod a Service is refused at once; with one it is back."""
    web = app("scaled", 22, pods=["web-1a", "web-2a"])
    web.reaches(["web-1a", "web-2a"])
    web.pods.ready("web-1a", False)
    web.reaches(["web-2a"])
    web.pods.ready("web-2a", False)
    until(lambda: lab["cli-1"].http(vip(22, family), 80, 1)["failures"] == {"refused": 1}, "it is refused", 10, 0.1)
    web.pods.remove("web-1a", "web-2a")
    assert lab["cli-1"].http(vip(22, family), 80, 1)["failures"] == {"refused": 1}
    web.pods.add("web-1b")
    web.reaches(["web-1b"])


def test_1_1_headless_and_external_name(lab, app):
    """1.1, 1.2: neither has a frontend; a Service that becomes an ordinary one is served."""
    node = lab.nodes["node-1"]
    app("headless", 23, clusterIP="None", clusterIPs=["None"])
    named = app("named", 24, type="ExternalName", externalName="example.org", clusterIP=None, clusterIPs=None,
                ipFamilyPolicy=None)
    served = app("served", 25)
    served.reaches()
    listed = {line.split()[1] for line in node.cli("service", "list").stdout.splitlines()}
    assert "served" in listed and not listed & {"headless", "named"}, listed
    named.put(type="ClusterIP", externalName=None, clusterIP=vip(24, 4), clusterIPs=[vip(24, 4), vip(24, 6)],
              ipFamilyPolicy="PreferDualStack")
    named.reaches()
    named.put(type="ExternalName", externalName="example.org", clusterIP=None, clusterIPs=None, ipFamilyPolicy=None)
    is_gone(lab, "cli-1", vip(24, 4))


def test_1_5_label_of_another_proxy(lab, app):
    """1.3, 1.5: with the label it is another proxy's, whatever its value; without it is ours again."""
    web = app("labelled", 26)
    web.reaches()
    web.put(labels={LABEL: "other"})
    is_gone(lab, "cli-1", vip(26, 4))
    web.put()
    web.reaches()


def test_1_11_dual_stack_conversion(lab, app):
    """1.11, 1.13: one family, then both, then one; the other family's addresses come and go."""
    web = app("families", 27, ipFamilyPolicy="SingleStack", clusterIPs=[vip(27, 4)], ipFamilies=["IPv4"], type="NodePort",
              ports=[{**HTTP, "nodePort": 30027}])
    reaches(lab, "cli-1", vip(27, 4), PODS)
    fails(lab, "cli-1", vip(27, 6))
    fails(lab, "client", topology.NODES["node-1"][6], 30027)
    web.put(ipFamilyPolicy="RequireDualStack", clusterIPs=[vip(27, 4), vip(27, 6)], ipFamilies=["IPv4", "IPv6"])
    web.reaches()
    reaches_port(lab, "client", topology.NODES["node-1"][6], 30027, PODS)
    web.put(ipFamilyPolicy="SingleStack", clusterIPs=[vip(27, 4)], ipFamilies=["IPv4"])
    is_gone(lab, "cli-1", vip(27, 6))
    reaches(lab, "cli-1", vip(27, 4), PODS)


def test_2_2_external_ips(lab, app):
    """2.2: of both families, added to a Service that is served, and taken away."""
    web = app("external", 28)
    addresses = ["203.0.113.80", "2001:db8:113::80"]
    web.reaches()
    web.put(externalIPs=addresses)
    for address in addresses:
        reaches_port(lab, "client", address, 80, PODS)
    web.put(externalIPs=[])
    for address in addresses:
        fails(lab, "client", address)
    web.reaches()


@FAMILIES
def test_2_4_ip_mode_proxy(lab, app, family):
    """2.3, 2.4: an address is ours with ipMode VIP, the balancer's with Proxy, and ours again."""
    web = app("modes", 29, type="LoadBalancer")
    web.balancer()
    reaches_port(lab, "client", outside(29, family), 80, PODS)
    web.balancer("Proxy")
    fails(lab, "client", outside(29, family))
    web.reaches()
    web.balancer()
    reaches_port(lab, "client", outside(29, family), 80, PODS)


@FAMILIES
def test_5_6_source_ranges(lab, app, family):
    """5.6: only clients in the ranges are let in; the cluster IP knows no ranges; without them all are."""
    web = app("ranges", 30, type="LoadBalancer",
              loadBalancerSourceRanges=["198.51.100.11/32", "2001:db8:51::11/128"])
    web.balancer()
    reaches_port(lab, "client", outside(30, family), 80, PODS, source=topology.client_address(family, 11))
    fails(lab, "client", outside(30, family), source=topology.client_address(family, 12))
    web.reaches()
    web.put(loadBalancerSourceRanges=[])
    reaches_port(lab, "client", outside(30, family), 80, PODS, source=topology.client_address(family, 12))


@FAMILIES
def test_4_affinity(lab, app, family):
    """ClientIP: a client keeps its Pod, until that is not ready; None: it does not."""
    web = app("sticky", 31, type="LoadBalancer", sessionAffinity="ClientIP")
    web.balancer()
    until(lambda: not lab["client"].http(outside(31, family), 80, 1)["failed"], "it is served", 10, 0.1)
    (pod,) = answers(lab, "client", outside(31, family), 40)
    web.pods.ready(pod, False)
    until(lambda: pod not in lab["client"].http(outside(31, family), 80, 1)["answers"], "it moves", 10, 0.1)
    assert len(answers(lab, "client", outside(31, family), 40)) == 1
    web.pods.ready(pod)
    web.put(sessionAffinity="None", sessionAffinityConfig=None)
    reaches_port(lab, "client", outside(31, family), 80, PODS)


@FAMILIES
def test_4_affinity_of_pods(lab, app, family):
    """5.5, at sockets: a Pod's connections and datagrams keep their backend, by each protocol's own record; the timeout is
    what the Service says."""
    web = app("stuck", 32, sessionAffinity="ClientIP")
    until(lambda: not lab["cli-1"].http(vip(32, family), 80, 1)["failed"], "it is served", 10, 0.1)
    (pod,) = answers(lab, "cli-1", vip(32, family), 40)
    for connected in (True, False):
        report = lab["cli-1"].udp(vip(32, family), 5353, 20, connected=connected)
        assert report["failed"] == 0 and len(report["answers"]) == 1, report
    web.pods.ready(pod, False)
    until(lambda: pod not in lab["cli-1"].http(vip(32, family), 80, 1)["answers"], "it moves", 10, 0.1)
    (other,) = answers(lab, "cli-1", vip(32, family), 40)
    web.pods.ready(pod)
    is_seen(lab, app)
    assert answers(lab, "cli-1", vip(32, family), 40) == {other}
    web.put(sessionAffinityConfig={"clientIP": {"timeoutSeconds": BRIEF}})
    # a connection makes the time begin anew, so none is made before it is over
    until(lambda: other not in lab["cli-1"].http(vip(32, family), 80, 1)["answers"], "it is forgotten", 20, BRIEF + 0.5)


def health(lab, node, port, family):
    """What a balancer's probe is told: status, and how many are there."""
    address = topology.NODES[node][family]
    shown = f"[{address}]" if family == 6 else address
    done = lab["client"].run(["curl", "-s", "-g", "-w", "\n%{http_code}", "--max-time", "20", f"http://{shown}:{port}/"])
    body, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(body).get("localEndpoints") if body else None


@FAMILIES
def test_5_8_5_local_policy_drains_gracefully(lab, app, family):
    """5.8.5: the last local Pod ends: its node still forwards, and tells the balancer to stop; then it drops."""
    web = app("drained", 14, pods=["web-1a", "web-2a"], type="LoadBalancer", externalTrafficPolicy="Local",
              healthCheckNodePort=32014)
    web.balancer()  # below 16: at node-1
    reaches_port(lab, "client", outside(14, family), 80, ["web-1a"])
    for node in lab.nodes:
        until(lambda n=node: health(lab, n, 32014, family) == (200, 1), f"{node} is asked for", 10, 0.1)
    web.pods.terminate("web-1a")
    until(lambda: health(lab, "node-1", 32014, family) == (503, 0), "node-1 is to be left out", 10, 0.1)
    assert answers(lab, "client", outside(14, family)) == {"web-1a"}
    assert lab["client"].http(outside(14, family), 80, 1)["clients"] == {topology.client_address(family, 10): 1}
    # from inside all that are ready are asked
    reaches(lab, "cli-1", vip(14, family), ["web-2a"])
    web.pods.remove("web-1a")
    until(lambda: lab["client"].http(outside(14, family), 80, 1, timeout=1.0)["failures"] == {"timeout": 1},
          "it is dropped, not refused", 10, 0.1)
    assert health(lab, "node-2", 32014, family) == (200, 1)


def is_seen(lab, app):
    """The agents know what the slices say now: one that is written later is followed."""
    app("marker", 36).reaches()


@FAMILIES
def test_5_4_internal_traffic_policy_local(lab, app, family):
    """Only Pods of the client's node (5.4.1). The last one ends: while it does it is asked still (3.1.3), then clients get
    no answer (5.4.5)."""
    web = app("inside", 33, pods=["web-1a", "web-2a", "web-2b"], internalTrafficPolicy="Local")
    reaches(lab, "cli-1", vip(33, family), ["web-1a"])
    reaches(lab, "cli-2", vip(33, family), ["web-2a", "web-2b"])
    web.pods.terminate("web-2b")
    reaches(lab, "cli-2", vip(33, family), ["web-2a"])
    web.pods.terminate("web-2a")
    is_terminating(lab.cluster, "inside", "web-2a")
    is_seen(lab, app)
    assert answers(lab, "cli-2", vip(33, family)) == {"web-2a", "web-2b"}
    assert answers(lab, "cli-1", vip(33, family)) == {"web-1a"}
    web.pods.remove("web-2a", "web-2b")
    until(lambda: lab["cli-2"].http(vip(33, family), 80, 1, timeout=1.0)["failures"] == {"timeout": 1},
          "none is left", 10, 0.1)
    assert answers(lab, "cli-1", vip(33, family)) == {"web-1a"}


def is_terminating(cluster, service, pod):
    """Wait until the controller's slices say so."""
    def said():
        slices = cluster.request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector="
                                 f"kubernetes.io%2Fservice-name%3D{service}")["items"]
        states = [endpoint["conditions"] for piece in slices for endpoint in piece["endpoints"] or []
                  if endpoint["targetRef"]["name"] == f"{service}-{pod}"]
        return len(states) == 2 and all(state["terminating"] and state["serving"] for state in states)
    until(said, f"{pod} is terminating", 20, 0.1)


def test_3_1_traffic_distribution(lab, app):
    """3.1: the controller's hints are followed: the same zone, the same node; and not when they are gone."""
    web = app("near", 34, pods=["web-1a", "web-1b", "web-2a"])
    web.reaches(["web-1a", "web-1b", "web-2a"])
    for distribution in ("PreferSameZone", "PreferSameNode"):
        web.put(trafficDistribution=distribution)
        web.reaches(["web-1a", "web-1b"], ["cli-1"])
        web.reaches(["web-2a"], ["cli-2"])
        # nearby ones are all away: others will do
        web.pods.ready("web-2a", False)
        web.reaches(["web-1a", "web-1b"], ["cli-2"])
        web.pods.ready("web-2a")
    web.put(trafficDistribution=None)
    web.reaches(["web-1a", "web-1b", "web-2a"])


@FAMILIES
def test_1_10_protocols_side_by_side(lab, app, family):
    """1.10: TCP, UDP and SCTP at one number of one Service; what is not balanced (SCTP) is in nobody's way."""
    app("mixed", 35, ports=[{"name": "t", "port": 80, "protocol": "TCP", "targetPort": 8080},
                            {"name": "u", "port": 80, "protocol": "UDP", "targetPort": 5353},
                            {"name": "s", "port": 80, "protocol": "SCTP", "targetPort": 9}])
    reaches(lab, "cli-1", vip(35, family), PODS)
    report = lab["cli-1"].udp(vip(35, family), 80, 100)
    assert report["failed"] == 0 and set(report["answers"]) == set(PODS), report
    assert "is not balanced yet" in lab.nodes["node-1"].cli("status").stdout


@FAMILIES
def test_host_network(lab, app, family):
    """Pods of the host's network as clients and as backends, on the same node and from the other."""
    server = lab["node-1"].popen([PYTHON, f"{LAB}/server.py", "--pod", "node-1", "--node", "node-1"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        app("hosted", 16, pods=["node-1", "web-2a"], type="LoadBalancer").balancer()
        for client in ("cli-1", "cli-2", "node-1", "node-2"):
            reaches_port(lab, client, vip(16, family), 80, ["node-1", "web-2a"])
        reaches_port(lab, "client", outside(16, family), 80, ["node-1", "web-2a"])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_the_api_server_is_a_service(lab):
    """default/kubernetes, which has no selector: from pods and from the nodes."""
    for client in ("cli-1", "cli-2", "node-1", "node-2"):
        def answered(place=client):
            done = lab[place].run(["curl", "-sk", "--max-time", "5", "-H", f"Authorization: Bearer {lab.cluster.tokens['admin']}",
                                   "https://10.96.0.1/readyz"])
            return done.stdout == "ok"
        until(answered, f"{client} reaches the API server on port {PORT} by its Service", 10, 0.2)


@pytest.mark.parametrize("kind", ["short", "long", "udp"])
def test_rolling_update_under_load(lab, app, kind):
    """Every Pod is replaced, one after the other, while requests run: not one fails. A server ends when its Pod has
    left the lists of both nodes; connections that are open then are the applications' to end, so long ones go on. Sockets
    that send datagrams stay the same, and nobody but the nodes sees to it that they are answered by another Pod."""
    web = app("rolled", 17, type="LoadBalancer")
    web.balancer()
    web.reaches()
    for family in (4, 6):
        reaches_port(lab, "client", outside(17, family), 80, PODS)
    streams = 4 if kind == "short" else 2
    for place, address in (("client", outside), ("cli-1", vip), ("cli-2", vip)):
        # a connected socket of a pod is connected to the Pod itself
        its = "udp-unconnected" if kind == "udp" and address is vip else kind
        lab[place].call("load_start", name="rolling", interval=0.005, targets=[
            {"kind": its, "host": address(17, family), "port": 5353 if kind == "udp" else 80, "streams": streams}
            for family in (4, 6)])
    places = ("client", "cli-1", "cli-2")

    def look():
        return [ledger for place in places for ledger in lab[place].call("load_look", name="rolling").values()]

    def go_on():
        """Until each stream has ended some more, so that what was asked before is answered; how often each Pod
        had answered before."""
        before = look()
        until(lambda: all(now > then + 5 for new, old in zip(look(), before) for now, then in zip(new["ended"], old["ended"])),
              "requests go on", 20, 0.1)
        return {pod: sum(ledger["answers"].get(pod, 0) for ledger in before) for pod in PODS}

    try:
        for pod in PODS:
            backends = {f"{topology.pod_addresses(pod)[4]}:8080", f"[{topology.pod_addresses(pod)[6]}]:8080"}

            def listed(node, those=backends):
                shown = node.cli("service", "get", "default/rolled").stdout
                return {it for it in those if it in shown}
            assert all(listed(node) == backends for node in lab.nodes.values())
            web.pods.terminate(pod)
            for node in lab.nodes.values():
                until(lambda n=node: not listed(n), f"{pod} has left {node.name}", 20, 0.1)
            go_on()
            if kind == "udp":
                # whoever is there already stays with a Pod that ends, as long as it says that it serves
                web.pods.ready(pod, False)
                until(lambda p=pod: go_on()[p] == go_on()[p], f"nobody is answered by {pod} any more", 60, 0.1)
            if kind != "long":
                lab.stop_serving(pod)
                lab.serve(pod)
            web.pods.remove(pod)
            web.pods.add(pod)
            web.reaches()
    finally:
        ledgers = {place: lab[place].call("load_stop", name="rolling") for place in places}
    for place, its in ledgers.items():
        for label, ledger in its.items():
            assert ledger["failed"] == 0, (place, label, ledger["failures"], ledger["events"][:5])
            if kind == "long":
                assert ledger["moved"] == 0, (place, label, ledger)
            elif kind == "udp":
                # each Pod that answered one of them has ended meanwhile
                assert ledger["moved"] > 0 and set(ledger["answers"]) <= set(PODS), (place, label, ledger)
            else:
                assert set(ledger["answers"]) == set(PODS), (place, label, ledger["answers"])
