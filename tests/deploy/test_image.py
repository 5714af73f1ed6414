# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The container image that `make image` has made: what is in it, and an agent that runs from it."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

import chart
import debian
from kubelet import Container


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """The OCI archive, unpacked."""
    found = glob.glob(f"{chart.REPO}/build/image/fairlead-*.oci.tar")
    if not found:
        pytest.skip("SKIP: needs the image that `make image` makes")
    if not shutil.which("umoci"):
        pytest.skip("SKIP: needs umoci (tools/install-deps packaging)")
    (path,) = found
    directory = tmp_path_factory.mktemp("oci")
    subprocess.run(["tar", "-xf", path, "-C", directory], check=True)
    return str(directory)


def manifest_of(layout):
    with open(f"{layout}/index.json", encoding="utf-8") as file:
        (manifest,) = json.load(file)["manifests"]
    return manifest


def blob(layout, digest):
    with open(f"{layout}/blobs/{digest.replace(':', '/')}", encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture(scope="module")
def root(layout, own_lab):
    tag = manifest_of(layout)["annotations"]["org.opencontainers.image.ref.name"]
    bundle = f"{own_lab.directory}/bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}", bundle], check=True, capture_output=True)
    return debian.Root(f"{bundle}/rootfs")


def test_its_name_is_the_one_the_chart_asks_for(layout):
    (agent,) = chart.pod_of(chart.objects(chart.render()))["containers"]
    assert manifest_of(layout)["annotations"]["io.containerd.image.name"] == agent["image"]


def test_docker_makes_the_same(layout):
    """The same packages, files and command, by the same words."""
    config = blob(layout, blob(layout, manifest_of(layout)["digest"])["config"]["digest"])["config"]
    with open(f"{chart.REPO}/deploy/Dockerfile", encoding="utf-8") as file:
        dockerfile = file.read()
    assert json.loads(re.search(r"^CMD (.*)$", dockerfile, re.M)[1]) == config["Cmd"]
    label, value = re.search(r'^LABEL (\S+)="(.*)"$', dockerfile, re.M).groups()
    assert config["Labels"] == {label: value}
    with open(f"{chart.REPO}/deploy/make-image", encoding="utf-8") as file:
        script = file.read()
    assert "/tmp/install-deps image" in dockerfile and "install-deps\" --print image" in script


def test_run_time_packages_only(root):
    have = root.packages()
    assert not [name for name in have if re.search(debian.BUILD_PACKAGES, name)], have
    wanted = subprocess.run([f"{chart.REPO}/tools/install-deps", "--print", "image"], capture_output=True, text=True,
                            check=True).stdout.split()
    assert set(wanted) <= have
    assert "apt" not in have


def test_programs_start(root):
    for program in ("/usr/sbin/fairleadd", "/usr/bin/fairlead"):
        assert root.must(program, "--version").strip()
        assert "not found" not in root.must("ldd", program)


def test_what_the_charts_other_containers_call_is_there(root):
    pods = [chart.pod_of(chart.objects(chart.render("--set", value)))
            for value in ("cleanup=true", "bpf.autoMount.enabled=true")]
    for pod in pods:
        for container in pod["containers"] + pod["initContainers"]:
            assert os.access(f"{root.path}{container['command'][0]}", os.X_OK), container["command"]
    assert root.must("/bin/sh", "-c", "command -v mount mountpoint").split()


def test_an_agent_serves_from_it(root, own_lab):
    """With the chart's capabilities and a root that cannot be written, from manifests."""
    (agent,) = chart.pod_of(chart.objects(chart.render()))["containers"]
    node, run = own_lab.nodes["node-1"], f"{own_lab.directory}/run-image"
    os.makedirs(run)
    node.own_paths(f"{own_lab.directory}/bpf/fairlead", f"{run}/fairlead.sock")
    node.mark = 0
    rights = agent["securityContext"]
    container = Container(node, {
        "root": root.path, "read_only": rights["readOnlyRootFilesystem"], "env": debian.ENVIRONMENT,
        "capabilities": rights["capabilities"]["add"],
        "argv": [*agent["command"], "--node", "node-1", "--manifests", "/etc/fairlead", "--devices", "eth0", "--mode",
                 "xdp", "--cluster-cidr", "10.244.0.0/16,fd00:244::/32", "--bpffs", "/host/bpf/fairlead",
                 "--cgroup", "/host/cgroup"],
        "mounts": [[f"{own_lab.directory}/bpf", "/host/bpf", False], [node.cgroup, "/host/cgroup", True],
                   [run, "/run/fairlead", False], [own_lab.manifests.directory, "/etc/fairlead", True]]},
        own_lab.directory, node.log_path)
    node.agent = container.process
    node.wait_ready()
    node.wait_status(0)
    report = own_lab["client"].http("10.96.0.10", 80, 24)
    assert report["failed"] == 0 and report["answers"], report
    node.agent = None
    assert container.stop(30) == 0
