# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The real kube-proxy, on a node of the lab."""
import os
import signal
import subprocess

import topology
from wait import until

CONFIG = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: {mode}
hostnameOverride: {node}
clientConnection: {{kubeconfig: {kubeconfig}}}
clusterCIDR: {cidr}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
iptables: {{minSyncPeriod: 10ms}}
nftables: {{minSyncPeriod: 10ms}}
"""


# which mode finds which iptables; "iptables-legacy" is no mode of kube-proxy, which takes the one that is first in its path
PROGRAMS = {"iptables": "iptables-nft", "iptables-legacy": "iptables-legacy", "nftables": "iptables-nft"}
LEGACY = "/usr/sbin/xtables-legacy-multi"


def has_legacy():
    """Whether this machine has the old kind of iptables, and its kernel the tables."""
    return os.path.exists(LEGACY) and os.path.exists("/proc/net/ip_tables_names") and os.path.exists("/proc/net/ip6_tables_names")


def legacy_path(cluster):
    """A PATH in which iptables is the old one."""
    directory = cluster.path("legacy")
    os.makedirs(directory, exist_ok=True)
    for family in ("ip", "ip6"):
        for name in (f"{family}tables", f"{family}tables-save", f"{family}tables-restore"):
            if not os.path.exists(f"{directory}/{name}"):
                os.symlink(LEGACY, f"{directory}/{name}")
    return f"{directory}:{os.environ['PATH']}"


class KubeProxy:
    def __init__(self, cluster, node, mode):
        self.node, self.mode, self.program = node, mode, PROGRAMS[mode]
        environment = dict(os.environ)
        if mode == "iptables-legacy":
            mode, environment["PATH"] = "iptables", legacy_path(cluster)
        name = f"kube-proxy-{node.name}"
        cluster.write(f"{name}.yaml", CONFIG.format(
            mode=mode, node=node.name, kubeconfig=cluster.kubeconfig("proxy"),
            cidr=topology.CLUSTER_CIDR))
        self.log_path = cluster.path(f"{name}.log")
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = node.place.popen(
                [f"{cluster.programs}/kube-proxy", "--config", cluster.path(f"{name}.yaml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-25:])

    def rules(self):
        """All that it could have written, as text."""
        if self.mode == "nftables":
            return self.node.place.run(["nft", "list", "ruleset"]).stdout
        return "".join(self.node.place.run([f"{program}-save"]).stdout
                       for program in (self.program, self.program.replace("ip", "ip6", 1)))

    def wait(self, words):
        def there():
            assert self.process.poll() is None, self.log()
            rules = self.rules()
            return all(word in rules for word in words)
        try:
            until(there, f"kube-proxy of {self.node.name} has written its rules", 30, 0.2)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log()}") from late

    def stop(self):
        """It leaves its rules behind (12.3)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
