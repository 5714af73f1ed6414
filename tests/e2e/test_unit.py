# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The systemd unit as it is installed, under a systemd: nothing that it closes is needed, and all that
it promises holds.
"""
import os
import shutil

import pytest

import machine as machine_module
from conftest import REPO, build_directory
from wait import until

CONFIG = """apiVersion: fairlead.dev/v1
kind: FairleadConfiguration
manifests: [/etc/fairlead/manifests]
nodeName: node-1
devices: [eth0]
"""
# for a test's sake the watchdog has less patience
DROP_IN = ("[Unit]\nDefaultDependencies=no\n[Service]\nWatchdogSec=12\n"
           "StandardError=file:/tmp/agent.log\n")
UNIT = "fairleadd.service"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    files = str(tmp_path_factory.mktemp("machine"))
    machine_module.files_of(build_directory(), files, REPO)
    for path, text in {"etc/fairlead/fairleadd.yaml": CONFIG,
                       f"usr/lib/systemd/system/{UNIT}.d/test.conf": DROP_IN}.items():
        os.makedirs(os.path.dirname(f"{files}/{path}"), exist_ok=True)
        with open(f"{files}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    shutil.copytree(f"{REPO}/tests/lab/manifests", f"{files}/etc/fairlead/manifests")
    try:
        made = machine_module.Machine(files)
    except machine_module.Unable as reason:
        pytest.skip(f"SKIP: {reason}")
    with made:
        yield made


def start(machine):
    done = machine.run("systemctl", "start", UNIT)
    log = machine.run("cat", "/tmp/agent.log").stdout
    assert done.returncode == 0, done.stderr + log[-2000:]


def pins(machine):
    return sorted(machine.run("find", "/sys/fs/bpf/fairlead").stdout.split())


def status_line(machine):
    return machine.show(UNIT, "StatusText")


def test_start_is_over_when_the_node_serves(machine):
    start(machine)
    status = machine.run("fairlead", "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "healthy" in status.stdout and "eth0" in status.stdout
    assert status_line(machine) == "healthy"
    links = machine.run("ls", "/sys/fs/bpf/fairlead/links").stdout.split()
    assert "cgroup-connect4" in links


def test_rights_in_the_unit(machine):
    """robustness G18: three capabilities at the start, two for the rest, and a filter."""
    start(machine)
    pid = machine.show(UNIT, "MainPID")
    text = machine.run("cat", f"/proc/{pid}/status").stdout
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == 1 << 12 | 1 << 39
    assert int(status["CapBnd"], 16) == 1 << 12 | 1 << 38 | 1 << 39
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_what_the_agent_repairs_it_can_repair_in_the_unit(machine):
    """Pins and the socket that somebody removed, a file that changes, links that come and go."""
    start(machine)
    pinned = pins(machine)
    machine.run("rm", "-r", "/sys/fs/bpf/fairlead", "/run/fairlead/fairlead.sock")
    until(lambda: machine.run("fairlead", "status").returncode == 0, "the socket is back", 10, 0.1)
    until(lambda: pins(machine) == pinned, "pins are back", 10, 0.1)
    before = machine.run("fairlead", "service", "list", "-o", "name").stdout
    machine.run("mv", "/etc/fairlead/manifests/sticky.yaml", "/tmp/")
    until(lambda: machine.run("fairlead", "service", "list", "-o", "name").stdout != before,
          "a Service is gone", 10, 0.1)
    machine.run("mv", "/tmp/sticky.yaml", "/etc/fairlead/manifests/")
    until(lambda: machine.run("fairlead", "service", "list", "-o", "name").stdout == before,
          "it is back", 10, 0.1)
    machine.run("ip", "link", "set", "eth0", "down")
    until(lambda: "is down" in status_line(machine), "systemd shows what is wrong", 10, 0.1)
    machine.run("ip", "link", "set", "eth0", "up")
    until(lambda: status_line(machine) == "healthy", "and that it is over", 10, 0.1)
    assert machine.show(UNIT, "NRestarts") == "0"


def test_a_reload_is_over_when_it_is(machine):
    start(machine)
    done = machine.run("systemctl", "reload", UNIT)
    assert done.returncode == 0, done.stderr
    # the command waits for the signal to be sent; the agent says itself when it begins to reload, and when it is done
    until(lambda: machine.show(UNIT, "ActiveState") == "active", "the unit is reloaded", 10, 0.1)


def test_an_agent_that_hangs_is_started_anew(machine):
    """And the datapath does not notice."""
    start(machine)
    restarts = int(machine.show(UNIT, "NRestarts"))
    links = machine.run("ls", "/sys/fs/bpf/fairlead/links").stdout
    machine.run("kill", "-STOP", machine.show(UNIT, "MainPID"))
    until(lambda: int(machine.show(UNIT, "NRestarts")) > restarts, "the watchdog acts", 15, 0.2)
    assert machine.run("ls", "/sys/fs/bpf/fairlead/links").stdout == links
    until(lambda: machine.show(UNIT, "ActiveState") == "active", "it serves again", 15, 0.2)
    assert machine.run("fairlead", "status").returncode == 0


def test_stop_leaves_the_datapath(machine):
    start(machine)
    assert machine.run("systemctl", "stop", UNIT).returncode == 0
    assert machine.show(UNIT, "Result") == "success"
    assert "tc-ingress" in machine.run("ls", "/sys/fs/bpf/fairlead/links").stdout
    done = machine.run("fairlead", "cleanup")
    assert done.returncode == 0, done.stderr
    assert "fairlead" not in machine.run("ls", "/sys/fs/bpf").stdout.split()
