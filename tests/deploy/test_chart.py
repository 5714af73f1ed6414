# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The chart by itself: it is well-formed, asks for no more than it needs, and gives what the agent understands.

What a real API server makes of it, and agents with its rights, is in tests/kubernetes/test_install.py.
"""
import json
import os
import re
import subprocess

import pytest

import chart

BUILD = os.path.abspath(os.environ.get("FAIRLEAD_BUILD", f"{chart.REPO}/build/std"))
KUBE_PROXY = ("--set", "kubeProxy.configMap.enabled=true")
EVERYTHING = ("--set", "prometheus.enabled=true,prometheus.serviceMonitor.enabled=true,bpf.autoMount.enabled=true,"
              "debug.enabled=true,socketLB.enabled=false,loadBalancer.acceleration=native,loadBalancer.mode=dsr,"
              "loadBalancer.dsrDispatch=geneve,devices=eth0 bond*,"
              "nodePort.range=30000\\,32000,hostPort.enabled=true,maglev.tableSize=16381,maglev.hashSeed=seed,detectLocalMode=NodeCIDR,"
              "kubeProxyReplacementHealthzBindAddr=0.0.0.0:10300,k8sServiceHost=172.18.0.1,k8sServicePort=6443,"
              "clusterCIDR=10.244.0.0/16\\,fd00:244::/56,"
              "k8s.apiServerURLs=https://172.18.0.2:6443 https://[fd00::3]:6443",
              "--set-json", 'nodePort.addresses=["10.0.0.0/8"]', "--set-json", 'config={"timeouts":{"udp":"20s"}}')
VALUES = pytest.mark.parametrize("values", [(), KUBE_PROXY, EVERYTHING, ("--set", "cleanup=true")],
                                 ids=["default", "kube-proxy", "everything", "cleanup"])


@VALUES
def test_lint(values):
    done = chart.helm("lint", "--strict", chart.CHART, *values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "kubeadm."])
def test_manifests_are_what_the_chart_gives(name):
    """Otherwise: `make manifests`, and commit them."""
    path = f"{chart.MANIFESTS}/fairlead{'-kubeadm' if name else ''}.yaml"
    with open(path, encoding="utf-8") as file:
        assert file.read() == chart.render("-f", f"{chart.MANIFESTS}/{name}values.yaml")


def test_version_is_that_of_the_programs():
    with open(f"{chart.REPO}/Makefile", encoding="utf-8") as makefile:
        version = re.search(r"^VERSION := (.*)$", makefile.read(), re.M)[1]
    with open(f"{chart.CHART}/Chart.yaml", encoding="utf-8") as file:
        assert re.findall(r'^(?:version|appVersion): "?([^"\n]*)"?$', file.read(), re.M) == [version, version]


def test_the_schema_knows_every_value():
    yaml = pytest.importorskip("yaml", reason="SKIP: needs python3-yaml")
    with open(f"{chart.CHART}/values.yaml", encoding="utf-8") as file:
        values = yaml.safe_load(file)
    with open(f"{chart.CHART}/values.schema.json", encoding="utf-8") as file:
        schema = json.load(file)

    def compare(have, want, at):
        for key, value in have.items():
            assert key in want["properties"], f"{at}{key}"
            if isinstance(value, dict) and "properties" in want["properties"][key]:
                compare(value, want["properties"][key], f"{at}{key}.")
    compare(values, schema, "")


@pytest.mark.parametrize("values, words", [
    ("k8sServicehost=10.0.0.1", "k8sServicehost"),
    ("loadBalancer.acceleration=fast", "acceleration"),
    ("loadBalancer.mode=nat", "mode"),
    ("loadBalancer.dsrDispatch=opt", "dsrDispatch"),
    ("k8sServiceHost=10.0.0.1,kubeProxy.configMap.enabled=true", "not both"),
    ("image.useDigest=true", "needs image.digest"),
    ("daemon.statePath=state", "statePath"),
])
def test_what_makes_no_sense_is_refused(values, words):
    done = chart.helm("template", "fairlead", chart.CHART, "--set", values)
    assert done.returncode != 0 and words in done.stderr, done.stderr


@VALUES
def test_no_container_may_more_than_it_needs(values):
    """Only mounting a BPF file system takes a privileged container, where that is asked for."""
    pod = chart.pod_of(chart.objects(chart.render(*values)))
    assert pod["hostNetwork"] is True
    for flag in ("hostPID", "hostIPC", "shareProcessNamespace"):
        assert not pod.get(flag), flag
    for container in pod["containers"] + pod.get("initContainers", []):
        rights = container["securityContext"]
        if container["name"] == "mount-bpf-fs":
            assert values == EVERYTHING
            continue
        assert not rights.get("privileged") and rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"]["drop"] == ["ALL"]
        assert set(rights["capabilities"].get("add", [])) <= {"BPF", "NET_ADMIN", "PERFMON"}


def test_capabilities_are_those_of_the_unit():
    """The systemd unit and the DaemonSet are two ways to say the same."""
    with open(f"{chart.REPO}/deploy/fairleadd.service", encoding="utf-8") as unit:
        bound = re.search(r"^CapabilityBoundingSet=(.*)$", unit.read(), re.M)[1].split()
    (agent,) = chart.pod_of(chart.objects(chart.render()))["containers"]
    assert sorted(f"CAP_{name}" for name in agent["securityContext"]["capabilities"]["add"]) == sorted(bound)


def test_every_node_runs_it_and_it_is_not_evicted():
    pod = chart.pod_of(chart.objects(chart.render()))
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-node-critical"


def test_the_old_pod_ends_before_the_new_one_starts():
    """Two agents of a network namespace refuse each other; the datapath stays at work in between."""
    (daemonset,) = chart.objects(chart.render())["DaemonSet"]
    assert daemonset["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0
    (agent,) = daemonset["spec"]["template"]["spec"]["containers"]
    assert "lifecycle" not in agent


@pytest.mark.parametrize("values, pods", [((), False), (("--set", "hostPort.enabled=true"), True),
                                          (("--set-json", 'config={"hostPorts":true}'), True)])
def test_pods_are_read_for_host_ports_only(values, pods):
    (role,) = chart.objects(chart.render(*values))["ClusterRole"]
    assert any("pods" in rule["resources"] for rule in role["rules"]) == pods
    (config,) = chart.objects(chart.render(*values))["ConfigMap"]
    assert ("hostPorts: true" in config["data"]["fairleadd.yaml"]) == pods


def test_direct_return():
    """By values, and nothing is said of it without them, so that another document may."""
    def about(*values):
        (config,) = chart.objects(chart.render(*values))["ConfigMap"]
        return re.findall(r"^(forwardingMode: .*|dsr:\n.*)$", config["data"]["fairleadd.yaml"], re.M)
    assert about() == []
    assert about("--set", "loadBalancer.mode=hybrid") == ["forwardingMode: hybrid"]
    assert about("--set", "loadBalancer.mode=dsr,loadBalancer.dsrDispatch=geneve") == ["dsr:\n  dispatch: geneve", "forwardingMode: dsr"]


def test_a_state_directory_of_the_node():
    """It outlives pod and node, and is where the agent is told to keep its state; without one it keeps none."""
    def about(*values):
        found = chart.objects(chart.render(*values))
        pod, (config,) = chart.pod_of(found), found["ConfigMap"]
        return [volume["hostPath"] for volume in pod["volumes"] if volume["name"] == "state"], \
               [at["mountPath"] for at in pod["containers"][0]["volumeMounts"] if at["name"] == "state"], \
               re.findall(r"^stateDir: (.*)$", config["data"]["fairleadd.yaml"], re.M)
    within = "/var/lib/fairlead"
    assert about() == ([{"path": within, "type": "DirectoryOrCreate"}], [within], [within])
    assert about("--set", "daemon.statePath=/srv/state") == ([{"path": "/srv/state", "type": "DirectoryOrCreate"}], [within], [within])
    assert about("--set", "daemon.statePath=") == ([], [], [])


@pytest.mark.parametrize("values", [("--set", "k8s.apiServerURLs=https://10.0.0.2:6443 https://10.0.0.3:6443"),
                                    ("--set-json", 'k8s.apiServerURLs=["https://10.0.0.2:6443","https://10.0.0.3:6443"]')],
                         ids=["words", "list"])
def test_other_api_servers(values):
    (config,) = chart.objects(chart.render(*values))["ConfigMap"]
    assert "apiServerURLs:\n- https://10.0.0.2:6443\n- https://10.0.0.3:6443\n" in config["data"]["fairleadd.yaml"]


def test_another_configuration_is_another_pod():
    """A running agent follows a few settings only."""
    sums = {chart.objects(chart.render(*values))["DaemonSet"][0]["spec"]["template"]["metadata"]["annotations"]
            ["checksum/config"] for values in ((), ("--set", "debug.enabled=true"), ("--set", "debug.enabled=false"))}
    assert len(sums) == 2


def test_probes_ask_where_health_is_served():
    for values, port in (((), 10256), (EVERYTHING, 10300)):
        (agent,) = chart.pod_of(chart.objects(chart.render(*values)))["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert agent[probe]["httpGet"]["port"] == port
            assert agent[probe]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_the_agent_understands_its_configuration(values, tmp_path):
    """Each key that the chart writes is one that the agent knows, with a value that it takes."""
    (config,) = chart.objects(chart.render(*values))["ConfigMap"]
    (tmp_path / "fairleadd.yaml").write_text(config["data"]["fairleadd.yaml"])
    (tmp_path / "manifests").mkdir()
    done = subprocess.run([f"{BUILD}/fairleadd", "--config", tmp_path / "fairleadd.yaml", "--node", "node-1",
                           "--manifests", tmp_path / "manifests", "--check"], capture_output=True, text=True,
                          check=False, env={"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"})
    assert done.returncode == 0, done.stdout + done.stderr
