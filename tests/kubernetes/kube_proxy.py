# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The real kube-proxy, on a node of the lab."""
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


class KubeProxy:
    def __init__(self, cluster, node, mode):
        self.node, self.mode = node, mode
        name = f"kube-proxy-{node.name}"
        cluster.write(f"{name}.yaml", CONFIG.format(
            mode=mode, node=node.name, kubeconfig=cluster.kubeconfig("proxy"),
            cidr=topology.CLUSTER_CIDR))
        self.log_path = cluster.path(f"{name}.log")
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = node.place.popen(
                [f"{cluster.programs}/kube-proxy", "--config", cluster.path(f"{name}.yaml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-25:])

    def rules(self):
        """All that it could have written, as text."""
        if self.mode == "nftables":
            return self.node.place.run(["nft", "list", "ruleset"]).stdout
        return "".join(self.node.place.run([f"{program}-save"]).stdout
                       for program in ("iptables-nft", "ip6tables-nft"))

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
