# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""kube-controller-manager, whose EndpointSlice controller writes the slices, and Pods as kubelets report them.

A Pod here is an object about one of the lab's pods, or about a node of the lab (of the host's network).
"""
import topology
from control_plane import ADMIN, Refused
from wait import until


def start(cluster):
    """The controllers that slices need: as few as possible, since each costs processor time."""
    cluster._spawn("kube-controller-manager", "--kubeconfig", cluster.kubeconfig("admin.conf", ADMIN), "--leader-elect=false",
                   "--controllers", "endpointslice-controller,serviceaccount-controller",
                   "--secure-port", "0", "--cloud-provider", "")
    until(lambda: account(cluster), "the ServiceAccount of pods is there", 60, 0.2)


def account(cluster):
    """Without it no Pod is admitted."""
    try:
        return cluster.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    except Refused:
        return None


class Pods:
    """The Pods of one Service. Those of several Services may be about the same pod of the lab."""

    def __init__(self, cluster, app):
        self.cluster, self.app = cluster, app

    def _at(self, pod=""):
        return "/api/v1/namespaces/default/pods" + (f"/{self.app}-{pod}" if pod else "")

    def add(self, *pods, ready=True):
        families = self.cluster.families
        for pod in pods:
            host = pod in topology.NODES
            node = pod if host else f"node-{pod.split('-')[1][0]}"
            addresses = topology.NODES[pod] if host else topology.pod_addresses(pod)
            self.cluster.request("POST", self._at(), {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{self.app}-{pod}", "labels": {"app": self.app}},
                "spec": {"nodeName": node, "hostNetwork": host, "terminationGracePeriodSeconds": 3600,
                         "automountServiceAccountToken": False,
                         "containers": [{"name": "server", "image": "server"}]}})
            self._status(pod, {"phase": "Running", "hostIP": topology.NODES[node][families[0]],
                               "podIP": addresses[families[0]],
                               "podIPs": [{"ip": addresses[family]} for family in families],
                               "conditions": [{"type": "Ready", "status": str(ready)}]})

    def _status(self, pod, status):
        self.cluster.request("PATCH", f"{self._at(pod)}/status", {"status": status}, kind="application/merge-patch+json")

    def ready(self, pod, value=True):
        """What its readiness probe says."""
        self._status(pod, {"conditions": [{"type": "Ready", "status": str(value)}]})

    def terminate(self, pod):
        """`kubectl delete`: it ends, and serves until it has."""
        self.cluster.request("DELETE", self._at(pod))

    def remove(self, *pods):
        """It has ended, and the kubelet says so."""
        for pod in pods:
            self.cluster.request("DELETE", self._at(pod), {"gracePeriodSeconds": 0})
