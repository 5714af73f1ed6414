# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A node as it is: kubeadm's configuration of kube-proxy, and a Node object that comes, changes and goes."""
import pytest

import topology
from wait import until

VIP = {4: "10.96.0.20", 6: "fd00:96::14"}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])

# what `kubectl get configmap kube-proxy -o yaml` shows, shortened
CONFIG = """apiVersion: v1
kind: ConfigMap
metadata:
  name: kube-proxy
  namespace: kube-system
data:
  config.conf: |-
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    bindAddress: 0.0.0.0
    bindAddressHardFail: false
    clientConnection:
      acceptContentTypes: ""
      burst: 0
      contentType: ""
      kubeconfig: {kubeconfig}
      qps: 0
    clusterCIDR: 10.244.0.0/16,fd00:244::/32
    configSyncPeriod: 0s
    conntrack:
      maxPerCore: null
      min: null
      tcpBeLiberal: false
      tcpCloseWaitTimeout: null
      tcpEstablishedTimeout: null
      udpStreamTimeout: 0s
      udpTimeout: 0s
    detectLocal:
      bridgeInterface: ""
      interfaceNamePrefix: ""
    detectLocalMode: NodeCIDR
    enableProfiling: false
    healthzBindAddress: ""
    hostnameOverride: ""
    iptables:
      localhostNodePorts: null
      masqueradeAll: false
      masqueradeBit: null
      minSyncPeriod: 0s
      syncPeriod: 0s
    ipvs:
      excludeCIDRs: null
      minSyncPeriod: 0s
      scheduler: ""
      strictARP: false
    kind: KubeProxyConfiguration
    logging:
      flushFrequency: 0
      options:
        json:
          infoBufferSize: "0"
        text:
          infoBufferSize: "0"
      verbosity: 0
    metricsBindAddress: ""
    mode: ""
    nftables:
      masqueradeAll: false
      masqueradeBit: null
      minSyncPeriod: 0s
      syncPeriod: 0s
    nodePortAddresses: null
    oomScoreAdj: null
    portRange: ""
    showHiddenMetricsForVersion: ""
    winkernel:
      enableDSR: false
      forwardHealthCheckVip: false
      networkName: ""
      rootHnsEndpointName: ""
      sourceVip: ""
---
apiVersion: fairlead.dev/v1
kind: FairleadConfiguration
"""


def node_object(number=1, pods=None, zone="zone-a", addresses=None):
    name = f"node-{number}"
    pods = pods or [f"10.244.{number}.0/24", f"fd00:244:{number}::/64"]
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "spec": {"podCIDR": pods[0], "podCIDRs": pods},
            "status": {"addresses": [{"type": "InternalIP", "address": topology.NODES[name][family]}
                                     for family in (4, 6)] if not addresses else
                       [{"type": "InternalIP", "address": address} for address in addresses]}}


def start(lab, node, wait=True, **options):
    node.start(wait=wait, manifests=False, cluster_cidr=None, extra=["--config", lab.cluster.path("kube-proxy.yaml")],
               **options)


def answers(lab, family):
    return lab["cli-1"].http(VIP[family], 80, 8)["failed"] == 0


@pytest.fixture(scope="module")
def lab(own_lab):
    """Its agents know nothing but their names and kubeadm's ConfigMap."""
    own_lab.cluster.write("kube-proxy.yaml", CONFIG.replace("{kubeconfig}", own_lab.cluster.kubeconfig()))
    own_lab.cluster.put(own_lab.manifests.service("web", 20))
    for family in (4, 6):
        own_lab.cluster.put(own_lab.manifests.slice("web", family, ["web-1a", "web-2a"]))
    yield own_lab


def test_10_11_node_object_appears_later(lab):
    """10.11: without its Node nothing is served, which a condition says; when it comes, everything is."""
    node = lab.nodes["node-1"]
    lab.cluster.delete("Node", "node-1")
    start(lab, node, wait=False)
    node.wait_answers(60)
    until(lambda: "has no Node named node-1 with podCIDRs yet" in node.cli("status").stdout, "it waits", 20, 0.1)
    assert not answers(lab, 4)
    lab.cluster.put(node_object())
    node.wait_status(0)
    for family in (4, 6):
        until(lambda f=family: answers(lab, f), "it is served", 10, 0.1)


def test_10_12_zone_is_followed(lab):
    """10.12: without a restart. Endpoints are those whose hints name the zone that the node is in now."""
    node = lab.nodes["node-1"]
    zones = {"web-1a": "zone-a", "web-2a": "zone-z"}

    def put(hinted):
        for family in (4, 6):
            piece = lab.manifests.slice("web", family, list(zones))
            for endpoint in piece["endpoints"] if hinted else ():
                endpoint["hints"] = {"forZones": [{"name": zones[endpoint["targetRef"]["name"]]}]}
            lab.cluster.put(piece)

    def asked(*pods):
        for family in (4, 6):
            until(lambda f=family: set(lab["cli-1"].http(VIP[f], 80, 24)["answers"]) == set(pods), f"{pods} are asked", 10, 0.1)
    put(hinted=True)
    asked("web-1a")
    lab.cluster.put(node_object(zone="zone-z"))
    asked("web-2a")
    assert "zone-z" in node.cli("status").stdout
    # nobody is for this one
    lab.cluster.put(node_object(zone="zone-b"))
    asked("web-1a", "web-2a")
    lab.cluster.put(node_object())
    asked("web-1a")
    assert "zone-a" in node.cli("status").stdout
    assert node.agent.poll() is None
    put(hinted=False)


def test_2_15_other_addresses(lab):
    """2.15, 10.13: `primary` is what the Node says now, unlike with kube-proxy, which ends."""
    node, other = lab.nodes["node-1"], {4: "172.18.0.91", 6: "fd00:18::91"}
    config = CONFIG.replace("{kubeconfig}", lab.cluster.kubeconfig())
    lab.cluster.write("kube-proxy.yaml", config.replace("nodePortAddresses: null", "nodePortAddresses: [primary]"))
    node.place.script(f"ip addr add {other[4]}/24 dev eth0; ip addr add {other[6]}/64 dev eth0 nodad")
    try:
        node.stop()
        start(lab, node)
        node.wait_status(0)

        def served_at(family):
            return {address for address in (topology.NODES["node-1"][family], other[family])
                    if lab["client"].http(address, 30020, 1, timeout=1.0)["failed"] == 0}
        for family in (4, 6):
            until(lambda f=family: served_at(f) == {topology.NODES["node-1"][f]}, "its first address is served", 10, 0.1)
        lab.cluster.put(node_object(addresses=other.values()))
        for family in (4, 6):
            until(lambda f=family: served_at(f) == {other[f]}, "its other address is served", 20, 0.1)
        lab.cluster.put(node_object())
        for family in (4, 6):
            until(lambda f=family: served_at(f) == {topology.NODES["node-1"][f]}, "its first address is back", 20, 0.1)
        assert node.agent.poll() is None
    finally:
        node.place.script(f"ip addr del {other[4]}/24 dev eth0; ip addr del {other[6]}/64 dev eth0")
        lab.cluster.write("kube-proxy.yaml", config)
        node.stop()
        start(lab, node)


@FAMILIES
def test_10_13_node_object_goes(lab, family):
    """10.13: what was known of it stays, unlike with kube-proxy."""
    node = lab.nodes["node-1"]
    lab.cluster.delete("Node", "node-1")
    until(lambda: "has no Node named node-1" in node.cli("status").stdout, "the node says so", 10, 0.1)
    assert answers(lab, family)
    assert node.agent.poll() is None
    lab.cluster.put(node_object())
    node.wait_status(0)
    assert node.agent.poll() is None


def test_10_13_other_pod_cidrs(lab):
    """10.13: other podCIDRs are followed by the agent that serves. (An API server lets nobody change them: the Node
    is another one.) A client outside that they make a pod keeps its address towards web-1a of this node."""
    node, client = lab.nodes["node-1"], lab["client"]
    config = CONFIG.replace("{kubeconfig}", lab.cluster.kubeconfig())
    own = {family: topology.OUTSIDE["client"][family] for family in (4, 6)}

    def seen(family):
        report = client.http(VIP[family], 80, 4)
        assert not report["failed"], report
        return set(report["clients"])

    for family in (4, 6):
        lab.cluster.put(lab.manifests.slice("web", family, ["web-1a"]))
    lab.cluster.write("kube-proxy.yaml", config + "masqueradeLocal: true\npodDevices: [veth-*]\n")
    node.stop()
    start(lab, node)
    node.wait_status(0)
    for family in (4, 6):
        until(lambda f=family: seen(f) == {topology.NODES["node-1"][f]}, "the client is no pod", 10, 0.1)
    lab.cluster.delete("Node", "node-1")
    lab.cluster.put(node_object(pods=["198.51.100.0/24", "2001:db8:51::/64"]))
    for family in (4, 6):
        until(lambda f=family: seen(f) == {own[f]}, "the client is a pod", 20, 0.1)
    assert node.agent.poll() is None
    node.wait_status(0)
    lab.cluster.write("kube-proxy.yaml", config)
    for family in (4, 6):
        lab.cluster.put(lab.manifests.slice("web", family, ["web-1a", "web-2a"]))
    node.stop()
    start(lab, node)


def sysctl(node, name, value=None):
    path = f"/proc/sys/net/netfilter/nf_conntrack_{name}"
    write = f"echo {value} > {path}; " if value else ""
    return node.place.run(["/bin/sh", "-c", f"{write}cat {path}"]).stdout.strip()


def test_9_5_kernel_conntrack(lab):
    """9.5: what kube-proxy sets of the kernel, by its ConfigMap. Where the size is not the namespace's it is left."""
    node = lab.nodes["node-1"]
    config = CONFIG.replace("{kubeconfig}", lab.cluster.kubeconfig())
    before = sysctl(node, "max")
    for name in ("tcp_timeout_established", "tcp_timeout_close_wait", "udp_timeout", "udp_timeout_stream"):
        sysctl(node, name, 77)
    lab.cluster.write("kube-proxy.yaml", config.replace("udpTimeout: 0s", "udpTimeout: 40s")
                      .replace("tcpBeLiberal: false", "tcpBeLiberal: true")
                      .replace("tcpCloseWaitTimeout: null", "tcpCloseWaitTimeout: 30m"))
    node.stop()
    start(lab, node)
    node.wait_status(0)
    assert "net.netfilter" not in node.cli("status").stdout
    assert {name: sysctl(node, name) for name in ("tcp_timeout_established", "tcp_timeout_close_wait", "udp_timeout",
                                                  "udp_timeout_stream", "tcp_be_liberal", "max")} == {
        "tcp_timeout_established": "86400", "tcp_timeout_close_wait": "1800", "udp_timeout": "40",
        "udp_timeout_stream": "77", "tcp_be_liberal": "1", "max": before}
    lab.cluster.write("kube-proxy.yaml", config)


def test_9_5_read_only_proc(lab):
    """9.5: what cannot be written is a warning that names the sysctl, and the node is well; `set: false` ends it."""
    node = lab.nodes["node-1"]
    config = CONFIG.replace("{kubeconfig}", lab.cluster.kubeconfig())
    read_only = ("unshare", "--mount", "/bin/sh", "-c", "mount --rbind /proc/sys /proc/sys && "
                 'mount -o remount,bind,ro /proc/sys && exec "$@"', "sh")
    sysctl(node, "tcp_timeout_close_wait", 78)
    node.stop()
    start(lab, node, wrapper=read_only)
    node.wait_status(0)
    assert "cannot set net.netfilter.nf_conntrack_tcp_timeout_close_wait to 3600, from 78: Read-only file system" \
        in node.cli("status").stdout
    lab.cluster.write("kube-proxy.yaml", config + "kernelConntrack: {set: false}\n")
    node.stop()
    start(lab, node)
    node.wait_status(0)
    assert "net.netfilter" not in node.cli("status").stdout
    assert sysctl(node, "tcp_timeout_close_wait") == "78"
    lab.cluster.write("kube-proxy.yaml", config)
