# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent as a program: one per node, no traces after cleanup, few privileges, own settings."""
import os
import signal
import subprocess

import pytest

import cells
from test_changes import Traffic, failures
from wait import until

CAPS = "+bpf,+net_admin,+perfmon"


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


def test_few_privileges(own_lab):
    """CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are enough, from loading to restart."""
    probe = subprocess.run(["setpriv", f"--bounding-set=-all,{CAPS}", "true"], check=False,
                           capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"SKIP: setpriv: {probe.stderr.strip()}")
    wrapper = ("setpriv", f"--bounding-set=-all,{CAPS}", "--inh-caps=-all")
    for node in own_lab.nodes.values():
        node.stop()
        node.cleanup()
        node.start(wait=False, wrapper=wrapper)
    for node in own_lab.nodes.values():
        node.wait_ready()
    with open(f"/proc/{own_lab.nodes['node-1'].pid()}/status", encoding="utf-8") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    assert effective & ~(1 << 12 | 1 << 38 | 1 << 39) == 0
    smoke(own_lab)
    node = own_lab.nodes["node-1"]
    node.kill()
    node.start(wrapper=wrapper)
    smoke(own_lab, (4,))
    for node in own_lab.nodes.values():
        node.stop()
        assert node.cleanup().returncode == 0


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
