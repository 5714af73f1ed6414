# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""docs/cluster.md, followed word by word: what it says to be typed, with this lab's API server in the place of the page's."""
import re
import subprocess

import chart
from control_plane import ADMIN
from test_install import KUBEADM, PATHS, lab  # noqa: F401
from wait import until

AT = "/apis/apps/v1/namespaces/kube-system/daemonsets"


def commands(section):
    """The commands of a section of docs/cluster.md, in order."""
    with open(f"{chart.REPO}/docs/cluster.md", encoding="utf-8") as page:
        text = page.read().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ")).replace("\\\n", " ").splitlines()


def sentences(section):
    """The commands that stand in the text of a section, in order."""
    with open(f"{chart.REPO}/docs/cluster.md", encoding="utf-8") as page:
        text = page.read().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [" ".join(words.split()) for words in re.findall(r"`((?:helm|kubectl|fairlead) [^`]+)`", text)]


def shell(lab, command):  # noqa: F811
    """On the control plane's machine, with the page's API server being this one; what it prints."""
    cluster = lab.cluster
    done = cluster.place.run(["env", f"KUBECONFIG={cluster.kubeconfig('admin.conf', ADMIN)}", f"HOME={cluster.directory}",
                              f"PATH={chart.programs()}:/usr/bin:/bin", "sh", "-c", f"cd {chart.REPO} && {command}"],
                             timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def roll_out(lab):  # noqa: F811
    """What the DaemonSet's controller and the kubelets do."""
    at = PATHS["DaemonSet"].format(chart.NAMESPACE) + "/fairlead"
    daemonset = lab.cluster.request("GET", at)
    for kubelet in lab.cluster.kubelets.values():
        kubelet.stop()
        kubelet.run(daemonset)
    n = len(lab.cluster.kubelets)
    lab.cluster.request("PATCH", f"{at}/status", {"status": {
        "observedGeneration": daemonset["metadata"]["generation"], "desiredNumberScheduled": n,
        "currentNumberScheduled": n, "updatedNumberScheduled": n, "numberAvailable": n, "numberReady": n}},
        kind="application/merge-patch+json")


def in_pod(lab, node, command):  # noqa: F811
    """`kubectl exec`, whose kubelet is ours: what follows `--`, in the pod of that node."""
    before, _, after = command.partition(" -- ")
    assert before == "kubectl --namespace kube-system exec daemonset/fairlead", command
    pid = lab.cluster.kubelets[node].running["fairleadd"].pid()
    done = subprocess.run(["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--root", "--wd", "--",
                           *after.split()], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def works(lab):  # noqa: F811
    """"Whether it works"."""
    status, services = commands("Whether it works")
    for name, node in lab.nodes.items():
        node.wait_status(0, 60)
        assert "healthy" in in_pod(lab, name, status)
        assert "web" in in_pod(lab, name, services)


def is_gone(lab):  # noqa: F811
    for kind in ("DaemonSet", "ConfigMap", "ServiceAccount"):
        listed = lab.cluster.request("GET", PATHS[kind].format(chart.NAMESPACE))["items"]
        assert "fairlead" not in [item["metadata"]["name"] for item in listed], kind


def leave(lab):  # noqa: F811
    """"Update, and back": the datapath goes, then the rest."""
    clean, uninstall = [line for line in sentences("Update, and back") if " " in line.removeprefix("helm ")][:2]
    assert "cleanup=true" in clean and uninstall.startswith("helm uninstall"), (clean, uninstall)
    shell(lab, clean)
    roll_out(lab)
    for node in lab.nodes.values():
        assert not node.attached(), node.attached()
        assert not [pin for pin in node.pins() if "/maps/" in pin]
    for kubelet in lab.cluster.kubelets.values():
        for container in kubelet.running.values():
            container.process.kill()  # its `sleep`, which has no handler, ends with it
            container.process.wait()
        kubelet.running = {}
    shell(lab, uninstall)
    is_gone(lab)


def test_the_chart(lab):  # noqa: F811
    """Install it, look whether it works, update it, and leave."""
    install, status, _ = commands("The chart")
    shell(lab, install.replace("192.0.2.10", lab.cluster.address))
    roll_out(lab)
    assert "successfully rolled out" in shell(lab, status)
    works(lab)
    before = lab.cluster.request("GET", f"{AT}/fairlead")["metadata"]["generation"]
    shell(lab, "helm upgrade fairlead deploy/chart/fairlead --namespace kube-system --reuse-values --set debug.enabled=true")
    assert lab.cluster.request("GET", f"{AT}/fairlead")["metadata"]["generation"] == before + 1
    roll_out(lab)
    works(lab)
    leave(lab)


def kube_proxy(lab):  # noqa: F811
    """The objects of a cluster of kubeadm's."""
    lab.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": KUBEADM,
                       "metadata": {"name": "kube-proxy", "namespace": chart.NAMESPACE}})
    labels = {"k8s-app": "kube-proxy"}
    lab.cluster.apply({"apiVersion": "apps/v1", "kind": "DaemonSet",
                       "metadata": {"name": "kube-proxy", "namespace": chart.NAMESPACE},
                       "spec": {"selector": {"matchLabels": labels}, "template": {
                           "metadata": {"labels": labels},
                           "spec": {"containers": [{"name": "kube-proxy", "image": "kube-proxy"}]}}}})


def daemonsets(lab):  # noqa: F811
    return {item["metadata"]["name"] for item in lab.cluster.request("GET", AT)["items"]}


def test_kubeadm(lab):  # noqa: F811
    """Its ConfigMap is all that is read: no API server and no prefix is named."""
    kube_proxy(lab)
    delete, install = commands("kubeadm")
    shell(lab, delete)
    assert daemonsets(lab) == set()
    shell(lab, install)
    roll_out(lab)
    works(lab)
    leave(lab)


def test_the_plain_manifests(lab):  # noqa: F811
    """Each as a file by kubectl; that of kubeadm's clusters is what runs."""
    kube_proxy(lab)
    _, _, apply = commands("The chart")
    shell(lab, f"{apply} --dry-run=server")
    shell(lab, apply.replace("fairlead.yaml", "fairlead-kubeadm.yaml"))
    roll_out(lab)
    works(lab)
    for address in ("10.96.0.12", "fd00:96::c"):
        assert lab["cli-1"].http(address, 80, 24)["failed"] == 0
    shell(lab, apply.replace("apply", "delete").replace("fairlead.yaml", "fairlead-kubeadm.yaml"))
    until(lambda: "fairlead" not in daemonsets(lab), "it is gone", 20, 0.1)
