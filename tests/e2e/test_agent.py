# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent as a program: one per node, no traces after cleanup, few privileges, own settings."""
import os
import signal
import socket
import subprocess

import pytest

import cells
from test_changes import Traffic, failures
from wait import PATIENCE, until

CAPS = "+bpf,+net_admin,+perfmon"
KEPT = 1 << 12 | 1 << 39  # CAP_NET_ADMIN, CAP_BPF


def smoke(lab, families=(4, 6)):
    """A few cells from everywhere, TCP and UDP; asserts that all is well."""
    chosen = [c for c in cells.CELLS if c.id in (
        "cli-1-clusterip-tcp", "node-1-clusterip-tcp", "client-lb-vip-at-node-1-tcp",
        "client-lb-vip-at-node-1-udp", "client-nodeport-on-node-2-tcp",
        "client-local-lb-vip-at-node-1-tcp")]
    assert len(chosen) == 6
    for cell in chosen:
        for family in families:
            report = cells.ask(lab, cell, family)
            assert cells.problems(lab, cell, family, report) == [], (cell.id, report)


def test_second_agent_on_the_same_state_refuses_at_once(lab):
    """A second agent, by whatever it shares with the first, ends with an error and changes nothing."""
    node = lab.nodes["node-1"]
    before = node.attached()
    second = node.place.run(node.agent_command(), timeout=10)
    assert second.returncode not in (0, None)
    assert second.stderr.strip(), "it must say why"
    # another socket but the same bpf file system
    argv = node.agent_command()
    argv[argv.index(node.socket)] = node.socket + ".other"
    second = node.place.run(argv, timeout=10)
    assert second.returncode not in (0, None)
    assert second.stderr.strip()
    assert node.agent.poll() is None
    assert node.attached() == before
    smoke(lab, (4,))


def test_agents_do_not_disturb_each_other(lab):
    """node-2's agent is killed, cleaned up and started while node-1 serves."""
    lab.manifests.set_backends("web", ("web-1a", "web-1b"))
    lab.settle()
    traffic = Traffic(lab, {"client": cells.vip(10), "cli-1": cells.WEB})
    traffic.round()
    other = lab.nodes["node-2"]
    other.stop()
    traffic.round()
    assert other.cleanup().returncode == 0
    traffic.round()
    other.start()
    traffic.round()
    ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert not any(ledger["moved"] for ledger in ledgers.values())


def test_cleanup_leaves_nothing(own_lab):
    """`fairlead cleanup` is the one thing that removes the datapath, and it removes all of it."""
    for node in own_lab.nodes.values():
        assert node.attached() == "", "the lab begins without programs"
    own_lab.start_agents()
    smoke(own_lab)
    for node in own_lab.nodes.values():
        assert "cgroup connect4" in node.attached()
        assert "eth0" in node.attached()
        node.stop()
        assert "eth0" in node.attached(), "the datapath stays when the agent ends"
        done = node.cleanup()
        assert done.returncode == 0, done.stderr
        assert node.attached() == ""
        assert node.pins() == []
        assert node.cleanup().returncode == 0, "a second time there is nothing to do"
    report = own_lab["client"].http(cells.vip(10)[4], 80, 1, timeout=0.5)
    assert report["answered"] == 0
    assert own_lab["client"].http(own_lab["web-2a"].addresses[4], 8080, 5)["failed"] == 0


def test_cleanup_while_the_agent_runs_is_refused_or_stops_nothing_silently(own_lab):
    """Either it refuses, or it says so and the datapath is really gone; never half of it."""
    node = own_lab.nodes["node-1"]
    if node.agent is None:
        node.start()
    done = node.cleanup()
    if done.returncode:
        assert done.stderr.strip()
        assert "eth0" in node.attached()
        node.stop()
        assert node.cleanup().returncode == 0
    assert node.attached() == ""


def process_status(node):
    with open(f"/proc/{node.pid()}/status", encoding="utf-8") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def needs(*command):
    """Skip where the wrapper of an agent does not work by itself."""
    probe = subprocess.run([*command, "true"], check=False, capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"SKIP: {command[0]}: {probe.stderr.strip()}")


def test_few_privileges(own_lab):
    """robustness G18: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are enough, from loading to restart."""
    wrapper = ("setpriv", f"--bounding-set=-all,{CAPS}", "--inh-caps=-all")
    needs(*wrapper)
    for node in own_lab.nodes.values():
        node.stop()
        node.cleanup()
        node.start(wait=False, wrapper=wrapper)
    for node in own_lab.nodes.values():
        node.wait_ready()
    assert int(process_status(own_lab.nodes["node-1"])["CapEff"], 16) == KEPT
    smoke(own_lab)
    node = own_lab.nodes["node-1"]
    node.kill()
    node.start(wrapper=wrapper)
    smoke(own_lab, (4,))
    for node in own_lab.nodes.values():
        node.stop()
        assert node.cleanup().returncode == 0


def test_rights_are_given_up(own_lab):
    """robustness G18: an agent that began as root has little of that left, and cannot get it back."""
    node = own_lab.nodes["node-1"]
    node.start()
    status = process_status(node)
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) & ~KEPT == 0, (kind, status[kind])
    assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    if "san" not in own_lab.build:
        assert status["Seccomp"] == "2"
    node.stop()
    path = f"{own_lab.directory}/unfiltered.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n"
                   "systemCallFilter: false\n")
    node.start(extra=["--config", path])
    assert process_status(node)["Seccomp"] == "0"
    node.stop()
    node.cleanup()


def test_another_user_than_root(own_lab):
    """robustness G18: with three capabilities and a directory of its own any user will do."""
    wrapper = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
               f"--inh-caps=-all,{CAPS}", f"--ambient-caps=-all,{CAPS}",
               f"--bounding-set=-all,{CAPS}")
    needs(*wrapper)
    node = own_lab.nodes["node-1"]
    bpffs, socket_path = node.bpffs, node.socket
    place = f"{own_lab.directory}/nobody"
    os.makedirs(place, mode=0o700)
    os.chown(place, 65534, 65534)
    os.chmod(own_lab.directory, 0o755)
    # as an administrator would make it: the file system is root's, the directory the agent's
    os.makedirs(f"{bpffs}-nobody", mode=0o700)
    os.chown(f"{bpffs}-nobody", 65534, 65534)
    node.own_paths(f"{bpffs}-nobody", f"{place}/fairlead.sock")
    try:
        node.start(wrapper=wrapper)
        status = process_status(node)
        assert status["Uid"].split()[:2] == ["65534", "65534"]
        assert int(status["CapEff"], 16) == KEPT
        own_lab.nodes["node-2"].start()
        smoke(own_lab)
        own_lab.manifests.set_backends("web", ("web-2b",))
        node.settle()
        own_lab.manifests.reset()
        node.kill()
        node.start(wrapper=wrapper)
        own_lab.settle()
        smoke(own_lab, (4,))
        assert node.cli("status").returncode == 0
        # root's agent cannot tell from the name alone that it is not the only one
        argv = node.agent_command()
        argv[argv.index("--bpffs") + 1] = bpffs
        argv[argv.index("--socket") + 1] = socket_path
        second = node.place.run(argv, timeout=20)
        assert second.returncode == 1
        assert "an agent of another user serves this network namespace" in second.stderr
        node.stop()
        done = node.place.run([*wrapper, *node.cli_command("cleanup")])
        assert done.returncode == 0, done.stderr
    finally:
        own_lab.manifests.reset()
        node.stop()
        node.own_paths(bpffs, socket_path)
        own_lab.nodes["node-2"].stop()
    assert "eth0" not in node.attached()


def test_the_service_manager_is_told(own_lab):
    """sd_notify(3): ready, a line for people, beats of the watchdog, a reload, the end."""
    node = own_lab.nodes["node-1"]
    path = f"{own_lab.directory}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(60 * PATIENCE)
        os.chmod(path, 0o777)

        def hear(word):
            while True:
                heard = manager.recv(4096).decode()
                if word in heard.split("\n"):
                    return heard

        node.start(wait=False, wrapper=("env", f"NOTIFY_SOCKET={path}", "WATCHDOG_USEC=2000000"))
        hear("STATUS=healthy")
        hear("READY=1")
        assert node.ready()
        for _ in range(3):
            hear("WATCHDOG=1")
        node.agent.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in hear("RELOADING=1")
        hear("READY=1")
        assert node.stop() == 0
        hear("STOPPING=1")
    node.cleanup()


def test_check_and_once(own_lab):
    """--check looks at the configuration only; --once programs the node and ends."""
    node = own_lab.nodes["node-1"]
    node.stop()
    node.cleanup()
    done = node.place.run(node.agent_command(extra=["--check"]), timeout=10)
    assert done.returncode == 0, done.stderr
    assert node.attached() == ""
    done = node.place.run(node.agent_command(extra=["--once"]), timeout=20)
    assert done.returncode == 0, done.stderr
    assert own_lab["client"].http(cells.vip(10)[4], 80, 20)["failed"] == 0
    assert node.cleanup().returncode == 0


@pytest.mark.parametrize("argv", [["--mode", "warp"], ["--no-such-option"],
                                  ["--cluster-cidr", "10.244.0.0/99"],
                                  ["--manifests", "/nonexistent"], ["--cgroup", "/nonexistent"]],
                         ids=lambda argv: argv[0].strip("-") + "=" + (argv[1:] or [""])[0])
def test_bad_settings_are_refused_with_words(own_lab, argv):
    node = own_lab.nodes["node-1"]
    node.stop()
    node.cleanup()
    try:
        done = node.place.run(node.agent_command(extra=argv), timeout=5)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the agent runs with {argv}")
    assert done.returncode != 0
    assert argv[-1].split("/")[0] in done.stderr or argv[0].strip("-") in done.stderr
    assert node.attached() == ""


def test_everybodys_bpf_file_system_is_refused(own_lab):
    """The pins need a directory of their own: what holds them is closed to others, and cleaned up."""
    node = own_lab.nodes["node-2"]  # has /sys/fs/bpf to itself
    node.stop()
    argv = node.agent_command(extra=["--bpffs", "/sys/fs/bpf/"])
    mode = node.place.run(["stat", "-c", "%a", "/sys/fs/bpf"]).stdout
    for command in (argv, [node.binary("fairlead"), "--bpffs", "/sys/fs/bpf", "cleanup"]):
        done = node.place.run(command, timeout=10)
        assert done.returncode == 1
        assert "name a directory below it" in done.stderr
    assert node.place.run(["stat", "-c", "%a", "/sys/fs/bpf"]).stdout == mode


def test_stops_on_signals_and_leaves_the_datapath(own_lab):
    """12.3: SIGTERM and SIGINT end the agent with status 0 and leave everything in place."""
    node = own_lab.nodes["node-1"]
    for number in (signal.SIGTERM, signal.SIGINT):
        node.start()
        assert node.stop(number) == 0
        assert own_lab["client"].http(cells.vip(10)[4], 80, 20)["failed"] == 0
    assert not os.path.exists(node.socket), "the socket goes with the agent"


def test_a_reload_during_the_start_is_no_end(own_lab):
    """SIGHUP means reload from the first moment on: `systemctl reload` may come early."""
    node = own_lab.nodes["node-1"]
    node.stop()
    node.start(wait=False)
    until(lambda: "fairleadd " in node.log(), "the agent has begun")
    node.agent.send_signal(signal.SIGHUP)
    node.wait_ready()
    assert node.stop() == 0


def test_cli_without_agent_reads_the_pins(own_lab):
    """The CLI falls back to the pinned maps when the agent is down, and says so."""
    node = own_lab.nodes["node-1"]
    node.start()
    node.stop()
    answer = node.cli("service", "list")
    assert "10.96.0.10" in answer.stdout, answer.stderr
    assert answer.stderr.strip(), "it must say that the agent is not there"
    node.cleanup()
    assert node.cli("status").returncode in (1, 4)


def test_flows_are_shown_and_flushed(lab):
    node = lab.nodes["node-1"]
    lab["client"].http(cells.vip(10)[4], 80, 20)
    shown = node.cli("flow", "list")
    assert shown.returncode == 0, shown.stderr
    assert "203.0.113.10" in shown.stdout and "198.51.100.10" in shown.stdout
    flushed = node.cli("flow", "flush", "--all")
    assert flushed.returncode == 0, flushed.stderr
    assert "198.51.100.10" not in node.cli("flow", "list").stdout
    assert lab["client"].http(cells.vip(10)[4], 80, 20)["failed"] == 0
