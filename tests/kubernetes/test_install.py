# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The chart's objects at a real API server, and agents that run as its pods say, with its ServiceAccount's rights."""
import json
import os
import shutil
import signal
import stat
import subprocess

import pytest

import chart
import topology
from control_plane import PORT, ControlPlane, Refused
from kubelet import Kubelet
from labs import E2E
from schemas import write_schemas
from test_events import checked_service, held, wait_for
from wait import until

LIBRARIES = ["/usr/lib", "/usr/lib64"]
PODS = ["web-1a", "web-1b", "web-2a", "web-2b"]
ACCOUNT = f"system:serviceaccount:{chart.NAMESPACE}:fairlead"
PATHS = {"ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts", "ConfigMap": "/api/v1/namespaces/{}/configmaps",
         "Service": "/api/v1/namespaces/{}/services", "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
         "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
         "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"}
LAB = ("--set", f"k8sServiceHost={topology.SEGMENT_ROUTER[4]},k8sServicePort={PORT},devices=eth0,"
       "loadBalancer.acceleration=native,config.systemCallFilter=kill",
       "--set-json", f"clusterCIDR={json.dumps(topology.CLUSTER_CIDR.split(','))}")
# a ConfigMap as kubeadm writes it for kube-proxy
KUBEADM = {
    "config.conf": f"""\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: {topology.CLUSTER_CIDR}
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
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: ""
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
""",
    "kubeconfig.conf": f"""\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: https://{topology.SEGMENT_ROUTER[4]}:{PORT}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
"""}


def image_root(directory):
    """The file system of an image: the programs, and places for this machine's libraries (LIBRARIES)."""
    root = f"{directory}/root"
    for program, place in (("fairleadd", "usr/sbin"), ("fairlead", "usr/bin")):
        os.makedirs(f"{root}/{place}", exist_ok=True)
        shutil.copy(f"{E2E.build_directory()}/{program}", f"{root}/{place}/{program}")
    shutil.copy("/bin/sleep", f"{root}/usr/bin/sleep")
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink(f"usr/{name}", f"{root}/{name}")
    for name in ("lib", "lib64"):
        os.makedirs(f"{root}/usr/{name}")
    os.makedirs(f"{root}/etc")
    os.makedirs(f"{root}/var")
    os.makedirs(f"{root}/run")
    os.symlink("/run", f"{root}/var/run")
    return root


class Installation(ControlPlane):
    """A control plane that writes down who asks for what, with the chart's objects, and a kubelet per node."""

    def __init__(self, lab, programs):
        super().__init__(lab, programs)
        self.audit = self.path("audit.log")
        self.write("audit.yaml", json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
            {"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}]}))
        self.more_flags = ["--audit-policy-file", "audit.yaml", "--audit-log-path", self.audit]
        self.root = image_root(self.directory)
        self.kubelets = {}
        for name, node in lab.nodes.items():
            run = f"{self.directory}/{name}-run"
            if name == "node-2":
                run = "/run/fairlead"
                host = {"/sys/fs/bpf": "/sys/fs/bpf"}
            else:
                node.own_paths(f"{lab.directory}/bpf/fairlead", f"{run}/fairlead.sock")
                host = {"/sys/fs/bpf": f"{lab.directory}/bpf"}
            # not there yet: the kubelet makes it
            host.update({"/sys/fs/cgroup": node.cgroup, "/run/fairlead": run, "/proc/sys/net": "/proc/sys/net",
                         "/var/lib/fairlead": f"{self.directory}/{name}-state"})
            self.kubelets[name] = Kubelet(self, node, self.root, LIBRARIES, host)

    def apply(self, tree, how=""):
        """Server-side apply, strict about unknown fields; the object as it is then."""
        at = PATHS[tree["kind"]].format(tree["metadata"].get("namespace"))
        return self.request("PATCH", f"{at}/{tree['metadata']['name']}?fieldManager=tests&force=true"
                            f"&fieldValidation=Strict{how}", tree, kind="application/apply-patch+yaml")

    def install(self, *values):
        """Apply what the chart gives, and run its pods; the DaemonSet."""
        found = chart.objects(chart.render(*values))
        for trees in found.values():
            for tree in trees:
                done = self.apply(tree)
        (daemonset,) = found["DaemonSet"]
        done = self.request("GET", PATHS["DaemonSet"].format(chart.NAMESPACE) + f"/{daemonset['metadata']['name']}")
        for kubelet in self.kubelets.values():
            kubelet.stop()
            kubelet.run(done)
        return done

    def asked(self):
        """What the ServiceAccount has asked for: {(verb, group, resource): statuses}."""
        found = {}
        with open(self.audit, encoding="utf-8") as log:
            for line in log:
                event = json.loads(line)
                about = event.get("objectRef", {})
                if event["stage"] in ("ResponseStarted", "ResponseComplete"):
                    found.setdefault((event["verb"], about.get("apiGroup", ""), about.get("resource")), set()) \
                        .add(event["responseStatus"]["code"])
        return found


@pytest.fixture(scope="module")
def lab(programs):
    chart.programs()
    lab = E2E.make_lab(start=False)
    lab.cluster = None
    try:
        lab.cluster = Installation(lab, programs)
        lab.cluster.start_etcd()
        lab.cluster.start_api()
        until(lab.cluster._has_namespace, "the API server has made its namespaces", 60, 0.2)
        until(lambda: lab.cluster.request("GET", "/api/v1/namespaces?fieldSelector=metadata.name%3Dkube-system")["items"],
              "the API server has made kube-system", 60, 0.2)
        lab.cluster.populate()
        lab.cluster.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/fairlead")
        for family in (4, 6):
            lab.cluster.put(lab.manifests.slice("web", family, PODS))
        lab.cluster.put(lab.manifests.service("web", 12))
        yield lab
    finally:
        if lab.cluster:
            for kubelet in lab.cluster.kubelets.values():
                kubelet.stop()
            lab.cluster.close()
        E2E.close_lab(lab)


def serves(lab, clients=("cli-1", "cli-2", "client")):
    for address in ("10.96.0.12", "fd00:96::c"):
        for client in clients:
            def same():
                report = lab[client].http(address, 80, 24)
                return report["failed"] == 0 and set(report["answers"]) == set(PODS)
            until(same, f"{client} reaches all backends at {address}", 20, 0.1)


@pytest.mark.parametrize("values", [
    (), ("--set", "kubeProxy.configMap.enabled=true"), ("--set", "cleanup=true"),
    ("--set", "prometheus.enabled=true,k8sServiceHost=10.0.0.1,k8sServicePort=6443"),
], ids=["default", "kube-proxy", "cleanup", "more"])
def test_the_api_server_takes_every_object(lab, values):
    """A dry run, strict: no unknown field, no field twice, nothing that validation or admission refuses."""
    for trees in chart.objects(chart.render(*values)).values():
        for tree in trees:
            done = lab.cluster.apply(tree, "&dryRun=All")
            assert done["metadata"]["name"] == tree["metadata"]["name"]


def test_only_mounting_a_bpf_file_system_takes_a_privileged_pod(lab):
    """This API server allows no privileged containers at all (--allow-privileged is off)."""
    (daemonset,) = chart.objects(chart.render("--set", "bpf.autoMount.enabled=true"))["DaemonSet"]
    with pytest.raises(Refused, match=r"initContainers\[0\].*privileged: Forbidden"):
        lab.cluster.apply(daemonset, "&dryRun=All")


@pytest.mark.parametrize("name", ["fairlead", "fairlead-kubeadm"])
def test_kubeconform(lab, name, tmp_path):
    """The plain manifests, by the schemas of this API server."""
    write_schemas(lab.cluster.request("GET", "/openapi/v2"), tmp_path)
    done = subprocess.run([f"{chart.programs()}/kubeconform", "-strict", "-summary", "-schema-location",
                           f"{tmp_path}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
                           f"{chart.MANIFESTS}/{name}.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Skipped: 0" in done.stdout, done.stdout + done.stderr


def test_kubeconform_sees_a_wrong_field(lab, tmp_path):
    """So that the test above is worth something."""
    write_schemas(lab.cluster.request("GET", "/openapi/v2"), tmp_path)
    with open(f"{chart.MANIFESTS}/fairlead.yaml", encoding="utf-8") as file:
        (tmp_path / "wrong.yaml").write_text(file.read().replace("hostNetwork:", "hostnetwork:"))
    done = subprocess.run([f"{chart.programs()}/kubeconform", "-strict", "-schema-location",
                           f"{tmp_path}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", f"{tmp_path}/wrong.yaml"],
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "hostnetwork" in done.stdout, done.stdout


def test_agents_serve_as_the_pods_say(lab):
    """With the chart's capabilities, mounts, ServiceAccount and probes, and a root that cannot be written."""
    daemonset = lab.cluster.install(*LAB)
    serves(lab)
    (agent,) = daemonset["spec"]["template"]["spec"]["containers"]
    for kubelet in lab.cluster.kubelets.values():
        for which in ("startupProbe", "livenessProbe", "readinessProbe"):
            kubelet.wait_probe(agent, which)
        kubelet.node.wait_status(0)
        with open(f"/proc/{kubelet.running['fairleadd'].pid()}/status", encoding="utf-8") as status:
            about = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        # CAP_NET_ADMIN and CAP_BPF are left
        assert int(about["CapEff"], 16) == 1 << 12 | 1 << 39, about["CapEff"]
        assert about["NoNewPrivs"] == "1"
        # 9.5: by the node's sysctls, which the chart mounts, since a container's /proc/sys is read-only
        shown = kubelet.node.place.run(["cat", "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait",
                                        "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"]).stdout
        assert shown.split() == ["3600", "86400"]


def test_it_may_what_it_does_and_nothing_else(lab):
    """Each right that the ClusterRole grants has been used, and nothing was asked that it does not grant."""
    role = lab.cluster.request("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/fairlead")
    granted = {(verb, group, resource) for rule in role["rules"] for verb in rule["verbs"]
               for group in rule["apiGroups"] for resource in rule["resources"]}

    def used():
        # a server that streams its lists is not asked for any: one that does not is
        return {key for key, codes in lab.cluster.asked().items() if codes & {200, 201}}
    lab.cluster.stop("kube-apiserver")
    lab.cluster.start_api("--feature-gates", "WatchList=false")
    for kubelet in lab.cluster.kubelets.values():
        kubelet.stop()
    lab.cluster.install(*LAB)
    # an Event, and the same again
    with held(lab.nodes["node-1"]):
        for times in (1, 2):
            checked_service(lab)
            wait_for(lab.cluster, "FailedToStartServiceHealthcheck", "checked",
                     lambda event, n=times: event.get("series", {}).get("count", 1) == n)
            checked_service(lab, "Cluster")
            until(lambda: "health checks of Service" not in lab.nodes["node-1"].cli("status").stdout,
                  "nobody wants the port", 20, 0.1)
    lab.cluster.delete("Service", "checked")
    until(lambda: used() == granted, "every right has been used", 60, 0.3)
    # what was refused counts too: had it asked for more it would be here
    assert set(lab.cluster.asked()) == granted, lab.cluster.asked()


def test_a_missing_right_shows(lab):
    """So that the test above is worth something: without the role's Services the agent says what it may not."""
    role = lab.cluster.request("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/fairlead")
    less = {**role, "rules": [{**rule, "resources": [name for name in rule["resources"] if name != "services"]}
                              for rule in role["rules"]]}
    at = "/apis/rbac.authorization.k8s.io/v1/clusterroles/fairlead"
    node = lab.nodes["node-1"]
    lab.cluster.request("PUT", at, less)
    try:
        lab.cluster.stop("kube-apiserver")
        lab.cluster.start_api()
        until(lambda: "services" in node.cli("status").stdout and "403" in node.cli("status").stdout,
              "node-1 says that it may not", 60, 0.3)
    finally:
        now = lab.cluster.request("GET", at)
        lab.cluster.request("PUT", at, {**role, "metadata": {**role["metadata"], "resourceVersion":
                                                             now["metadata"]["resourceVersion"]}})
    node.wait_status(0, 120)


def test_an_update_leaves_the_datapath_at_work(lab):
    """A pod ends with status 0 and the next takes over; requests meanwhile, and between them, are answered."""
    node, kubelet = lab.nodes["node-1"], lab.cluster.kubelets["node-1"]
    before = [pin for pin in node.pins() if "/maps/" in pin]
    assert kubelet.stop() == {"fairleadd": 0}
    for _ in range(3):
        assert lab["client"].http("10.96.0.12", 80, 24)["failed"] == 0
        assert lab["cli-1"].http("fd00:96::c", 80, 24)["failed"] == 0
    assert [pin for pin in node.pins() if "/maps/" in pin] == before
    kubelet.run(lab.cluster.request("GET", PATHS["DaemonSet"].format(chart.NAMESPACE) + "/fairlead"))
    node.wait_status(0, 60)
    serves(lab, ("cli-1", "client"))


def test_a7_a_reboot_while_the_api_server_is_down(lab):
    """Robustness A7: what a reboot takes is gone, and so is the API server; the pod that its kubelet starts serves, from the
    node's state directory, in which the agent may write without capabilities for files."""
    node, kubelet = lab.nodes["node-1"], lab.cluster.kubelets["node-1"]
    daemonset = lab.cluster.install(*LAB)
    serves(lab)
    path = f"{lab.cluster.directory}/node-1-state/api-state"

    def is_kept():
        if not os.path.exists(path):
            return False
        with open(path, encoding="utf-8") as file:
            return '"web"' in file.read()
    until(is_kept, "the Service is kept", 60, 0.2)
    about = os.stat(path)
    assert (stat.S_IMODE(about.st_mode), about.st_uid) == (0o600, 0)
    assert kubelet.stop() == {"fairleadd": 0}
    assert node.cleanup().returncode == 0
    assert not node.pins()
    assert lab["cli-1"].http("10.96.0.12", 80, 1, timeout=1.0)["failed"] == 1
    lab.cluster.stop("kube-apiserver")
    kubelet.alone = True
    try:
        kubelet.run(daemonset)
        serves(lab, ("cli-1", "client"))
        assert "it has not been reached since" in node.cli("status").stdout
    finally:
        kubelet.alone = False
        lab.cluster.start_api()
    until(lambda: "it has not been reached since" not in node.cli("status").stdout, "the API server is followed", 120, 0.2)
    node.wait_status(0, 60)


def test_9_1_settings_from_the_config_map_of_kube_proxy(lab):
    """9.1: API server, token and clusterCIDR from what kubeadm wrote for kube-proxy, as it is."""
    lab.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": KUBEADM,
                       "metadata": {"name": "kube-proxy", "namespace": chart.NAMESPACE}})
    lab.cluster.install("--set", "kubeProxy.configMap.enabled=true,devices=eth0,loadBalancer.acceleration=native,"
                        "config.systemCallFilter=kill")
    serves(lab)
    for node in lab.nodes.values():
        node.wait_status(0, 60)


def test_cleanup_takes_the_datapath_away(lab):
    """`cleanup: true`, before the chart is uninstalled: no program is attached and nothing is pinned afterwards."""
    assert all(node.attached() for node in lab.nodes.values())
    lab.cluster.install("--set", "cleanup=true")
    for node in lab.nodes.values():
        assert not node.attached(), node.attached()
        assert not [pin for pin in node.pins() if "/maps/" in pin]
    # and back
    for kubelet in lab.cluster.kubelets.values():
        for container in kubelet.running.values():
            os.kill(container.pid(), signal.SIGKILL)  # sleep is process 1 and has no handler
            container.process.wait(10)
        kubelet.running = {}
    lab.cluster.install(*LAB)
    serves(lab)
