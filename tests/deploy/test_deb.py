# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The package that `make deb` has made: installed, started, installed again and removed in a bare Debian 12."""
import glob
import os
import re
import shlex
import subprocess

import pytest

import chart
import debian
from kubelet import Container

PODS = {"web-1a", "web-1b", "web-2a", "web-2b"}


@pytest.fixture(scope="module")
def package():
    found = glob.glob(f"{chart.REPO}/build/deb/fairlead_*.deb")
    if not found:
        pytest.skip("SKIP: needs the package that `make deb` makes")
    (path,) = found
    return path


@pytest.fixture(scope="module")
def root(package, own_lab):
    """A bare system with the package; `root.before` is what was installed without it."""
    root = debian.Root(f"{own_lab.directory}/debian").unpack(debian.bare_tar())
    root.before = root.packages()
    subprocess.run(["cp", "-L", "/etc/resolv.conf", f"{root.path}/etc/resolv.conf"], check=True)
    subprocess.run(["cp", package, f"{root.path}/fairlead.deb"], check=True)
    done = root.run("apt-get", "update", "-q")
    if done.returncode or "Err:" in done.stdout:
        pytest.skip(f"SKIP: needs Debian's archive: {(done.stderr.strip() or done.stdout).splitlines()[-1]}")
    root.must("apt-get", "install", "-y", "-q", "--no-install-recommends", "/fairlead.deb")
    return root


def test_run_time_dependencies_only(root):
    new = root.packages() - root.before
    assert "fairlead" in new
    assert not [name for name in new if re.search(debian.BUILD_PACKAGES, name)], new


def test_dependencies_are_those_of_the_documentation(package):
    """What `tools/install-deps run` installs for files that were carried over by hand."""
    field = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
    named = {word.split()[0] for word in field.split(",")} - {"libc6"}
    by_hand = subprocess.run([f"{chart.REPO}/tools/install-deps", "--print", "run"], capture_output=True, text=True,
                             check=True).stdout.split()
    assert named == set(by_hand)


def test_programs_manuals_completions(root):
    for program in ("fairleadd", "fairlead"):
        assert root.must(program, "--version").strip()
    for path in ("/usr/share/man/man8/fairleadd.8.gz", "/usr/share/man/man1/fairlead.1.gz",
                 "/usr/share/bash-completion/completions/fairlead", "/usr/share/zsh/vendor-completions/_fairlead",
                 "/usr/share/fish/vendor_completions.d/fairlead.fish", "/usr/share/doc/fairlead/docs/install.md",
                 "/usr/share/doc/fairlead/CHANGELOG.md", "/usr/share/doc/fairlead/copyright",
                 "/usr/share/doc/fairlead/examples/fairleadd.yaml"):
        assert os.path.exists(f"{root.path}{path}"), path


def test_the_unit_waits_for_a_configuration(root):
    """It is enabled, and starts nothing before the machine's owner has written one."""
    wanted = f"{root.path}/etc/systemd/system/multi-user.target.wants/fairleadd.service"
    assert os.path.islink(wanted)
    assert "ConditionPathExists=/etc/fairlead/fairleadd.yaml" in root.read("/lib/systemd/system/fairleadd.service")
    assert not os.path.exists(f"{root.path}/etc/fairlead/fairleadd.yaml")


class Service:
    """What systemd makes of the unit, as far as the agent can tell."""

    def __init__(self, lab, root):
        self.lab, self.root, self.node = lab, root, lab.nodes["node-1"]
        self.run = f"{lab.directory}/run-fairlead"
        os.makedirs(self.run)
        self.node.own_paths(f"{lab.directory}/bpf/fairlead", f"{self.run}/fairlead.sock")
        self.node.mark = 0

    def start(self):
        unit = self.root.read("/lib/systemd/system/fairleadd.service")
        argv = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1])
        rights = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].replace("CAP_", "").split()
        self.container = Container(self.node, {
            "root": self.root.path, "read_only": True, "argv": argv, "env": debian.ENVIRONMENT, "capabilities": rights,
            "mounts": [[f"{self.lab.directory}/bpf", "/sys/fs/bpf", False], [self.run, "/run/fairlead", False],
                       [self.node.cgroup, "/sys/fs/cgroup", False]]}, self.lab.directory, self.node.log_path)
        self.node.agent = self.container.process
        self.node.wait_ready()

    def stop(self):
        self.node.agent = None
        return self.container.stop(30)


@pytest.fixture(scope="module")
def service(root, own_lab):
    sample = root.read("/usr/share/doc/fairlead/examples/fairleadd.yaml")
    with open(f"{root.path}/etc/fairlead/fairleadd.yaml", "w", encoding="utf-8") as file:
        file.write(sample.replace("mode: auto", "mode: xdp\nnodeName: node-1\nsystemCallFilter: kill")
                   .replace("devices: [auto]", "devices: [eth0]")
                   .replace('clusterCIDR: ""', "clusterCIDR: 10.244.0.0/16,fd00:244::/32"))
    subprocess.run(["cp", "-rT", own_lab.manifests.directory, f"{root.path}/etc/fairlead/manifests"], check=True)
    return Service(own_lab, root)


def answers(lab):
    report = lab["client"].http("10.96.0.10", 80, 24)
    assert report["failed"] == 0 and report["answers"], report
    return set(report["answers"])


def test_started_as_the_unit_says(service, own_lab):
    """With the sample configuration, edited in three places; requests are answered, also after it has stopped."""
    service.start()
    service.node.wait_status(0)
    assert answers(own_lab) <= PODS
    assert service.stop() == 0
    assert answers(own_lab) <= PODS


def test_an_upgrade_leaves_the_datapath_at_work(service, own_lab):
    pins = service.node.pins()
    assert any("/maps/" in pin for pin in pins)
    service.root.must("dpkg", "-i", "/fairlead.deb", place=own_lab["node-1"], bpffs=f"{own_lab.directory}/bpf")
    assert service.node.pins() == pins
    service.start()
    assert service.node.log().count("taken over from an earlier agent") == 1, service.node.log()
    assert service.stop() == 0


def test_removal_takes_the_datapath_away(service, own_lab):
    """What the machine's owner wrote stays until it is purged by hand."""
    assert service.node.attached()
    service.root.must("apt-get", "remove", "-y", "-q", "fairlead", place=own_lab["node-1"],
                      bpffs=f"{own_lab.directory}/bpf")
    assert not service.node.attached(), service.node.attached()
    assert not [pin for pin in service.node.pins() if "/maps/" in pin]
    assert not glob.glob(f"{service.root.path}/usr/*bin/fairlead*")
    assert os.path.exists(f"{service.root.path}/etc/fairlead/fairleadd.yaml")
