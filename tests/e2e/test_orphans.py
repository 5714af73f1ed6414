# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A datapath whose agent had another directory, or whose pins are lost, would go on to send clients to
backends that are gone, in front of the next agent's programs. It is found and taken over; and there
is one agent in a network namespace, whatever its directories.
"""
import contextlib
import os
import subprocess

import pytest

import cells
from place import PYTHON
from test_agent import CAPS
from test_changes import Traffic, failures
from test_faults import CLSACT, fresh, serves
from wait import until

RIGHTLESS = ("setpriv", f"--bounding-set=-all,{CAPS}", "--inh-caps=-all")


@contextlib.contextmanager
def other_paths(node, bpffs=None, socket=None):
    """The node's agent and CLI get other paths meanwhile."""
    before = node.bpffs, node.socket
    node.own_paths(bpffs or node.bpffs, socket or node.socket)
    try:
        yield
    finally:
        node.own_paths(*before)


def config(lab, text):
    path = os.path.join(lab.directory, "orphans.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return ["--config", path]


def only_our_programs(node):
    """One program at each hook, and all of them pinned in the node's directory."""
    attached = node.attached().splitlines()
    assert attached and all(line.endswith(" 1") for line in attached), attached
    links = [pin for pin in node.pins() if "/links/" in pin]
    hooks = [line for line in attached if not line.endswith("clsact 1")]
    assert len(links) == len(hooks), (links, hooks)


def conditions(node):
    return {(c["kind"], c["subject"]): c for c in node.json("status").get("conditions", [])}


@pytest.mark.parametrize("wrapper", [(), RIGHTLESS], ids=["all-rights", "few-rights"])
@pytest.mark.parametrize("hook", ["tcx", "clsact"])
def test_another_directory_takes_all_over(own_lab, hook, wrapper):
    """Programs, maps and flows go over; what was established stays, and changes are followed."""
    extra = config(own_lab, CLSACT) if hook == "clsact" else []
    node = fresh(own_lab, extra=extra)
    old = node.bpffs
    traffic = Traffic(own_lab, {"client": cells.vip(10), "cli-1": cells.WEB}, ("long", "udp"))
    traffic.round()
    node.kill()
    own_lab.manifests.set_backends("web", ("web-1a", "web-2b"))
    try:
        with other_paths(node, bpffs=old + "-other"):
            node.start(extra=extra, wrapper=wrapper)
            assert f"with pins in {old} left are taken over, and their flows" in node.log()
            only_our_programs(node)
            assert not os.path.exists(old)
            own_lab.settle()
            traffic.round()
            assert serves(own_lab)
            assert node.cli("status").returncode == 0
            # and back, which finds nothing but what the other directory has
            node.kill()
        node.start(extra=extra, wrapper=wrapper)
        only_our_programs(node)
        traffic.round()
    finally:
        own_lab.manifests.reset()
        ledgers = traffic.stop()
    assert failures(ledgers) == {}
    assert node.stop() == 0
    assert node.cleanup().returncode == 0
    assert node.attached() == ""


@contextlib.contextmanager
def lost_bpffs(node):
    """The node's BPF file system is gone, but another mount namespace still holds it."""
    holder = node.place.popen(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
                               "echo ready && exec sleep infinity >/dev/null"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "ready\n"
        node.place.run(["sh", "-ec", "umount -l /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf"],
                       check=True)
        yield
    finally:
        holder.kill()
        holder.stdout.close()
        holder.wait()


def fresh_node_2(lab, **options):
    """node-2 has a mount namespace of its own, in which /sys/fs/bpf is the lab's."""
    fresh(lab)
    node = lab.nodes["node-2"]
    node.stop()
    assert node.cleanup().returncode == 0
    node.start(**options)
    return node


@pytest.mark.parametrize("hook", ["tcx", "clsact"])
def test_a_lost_bpf_file_system(own_lab, hook):
    """By their numbers, which takes CAP_SYS_ADMIN; it is given up afterwards."""
    extra = config(own_lab, CLSACT) if hook == "clsact" else []
    node = fresh_node_2(own_lab, extra=extra)
    traffic = Traffic(own_lab, {"client": cells.vip(20), "cli-2": cells.WEB}, ("long", "udp"))
    traffic.round()
    node.kill()
    with lost_bpffs(node):
        assert node.pins() == []
        node.start(extra=extra)
        assert "left are taken over, and their flows" in node.log()
        only_our_programs(node)
        traffic.round()
        assert node.cli("status").returncode == 0
        ledgers = traffic.stop()
        assert failures(ledgers) == {}
        # the other hook, which is not in the way any more
        node.kill()
    node.start()
    only_our_programs(node)
    assert node.stop() == 0
    assert node.cleanup().returncode == 0
    assert node.attached() == ""


def test_a_lost_bpf_file_system_without_the_right_to_look(own_lab):
    """What cannot be identified is reported, with the way out; the way out works."""
    node = fresh_node_2(own_lab)
    node.kill()
    with lost_bpffs(node):
        node.start(wrapper=RIGHTLESS, mode="auto")
        condition = conditions(node)["programs", "unknown"]
        assert condition["level"] == "warning"
        assert "fairlead cleanup" in condition["text"]
        assert node.stop() == 0
        assert "eth0" in node.attached()
        done = node.cli("cleanup", "--cgroup", node.cgroup)
        assert done.returncode == 0, done.stderr
        assert node.attached() == ""
        node.start(wrapper=RIGHTLESS, mode="auto")
        assert ("programs", "unknown") not in conditions(node)
        only_our_programs(node)
        assert node.stop() == 0
        assert node.cleanup().returncode == 0
    assert node.attached() == ""


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
def test_cleanup_finds_filters_whose_pins_are_lost(own_lab, shared):
    """And the qdisc, though the note that the agent made it is lost too; not while others have a filter."""
    node = fresh_node_2(own_lab, extra=config(own_lab, CLSACT))
    node.stop()
    if shared:
        pin = next(path for path in node.pins() if "/links/clsact-egress-" in path)
        node.place.run(["tc", "filter", "add", "dev", "eth0", "egress", "prio", "77", "handle", "0x77",
                        "bpf", "da", "object-pinned", pin], check=True)
    with lost_bpffs(node):
        done = node.cli("cleanup", "--cgroup", node.cgroup)
        assert done.returncode == 0, done.stderr
    theirs = {"eth0 clsact 1", "eth0 tc-egress 1"} if shared else set()
    assert set(node.attached().splitlines()) == theirs
    if shared:
        left = node.place.run(["tc", "filter", "show", "dev", "eth0", "egress"]).stdout
        assert "pref 77 " in left and f"pref {0x6661} " not in left, left
        node.place.run(["tc", "qdisc", "del", "dev", "eth0", "clsact"], check=True)


def test_the_hooks_of_another_network_namespace_are_not_touched(own_lab):
    """Sockets of one cgroup, translated for two namespaces: said, and over when it is over."""
    node, other = fresh(own_lab), own_lab.nodes["node-2"]
    other.stop()
    assert other.cleanup().returncode == 0
    cgroup, other.cgroup = other.cgroup, node.cgroup
    try:
        other.start()
        assert conditions(other)["programs", "cgroup"]["level"] == "warning"
        assert "cgroup connect4 2" in node.attached()
        assert node.cli("status").returncode == 0
        assert node.stop() == 0
        assert node.cli("cleanup", "--cgroup", node.cgroup).returncode == 0
        assert "cgroup connect4 1" in node.attached()
        until(lambda: ("programs", "cgroup") not in conditions(other), "it is resolved", 15)
        other.stop()
        assert other.cleanup().returncode == 0
    finally:
        other.cgroup = cgroup
    node.start()
    other.start()


def test_cleanup_finds_what_is_pinned_elsewhere(own_lab):
    """`fairlead cleanup` needs no --bpffs to free this network namespace of Fairlead's programs."""
    node = fresh(own_lab)
    before = node.attached()
    with other_paths(node, bpffs=node.bpffs + "-other"):
        refused = node.cli("cleanup", "--cgroup", node.cgroup)
        assert refused.returncode == 1
        assert f"process {node.pid()}" in refused.stderr
        assert node.attached() == before
        node.stop()
        done = node.cli("cleanup", "--cgroup", node.cgroup)
        assert done.returncode == 0, done.stderr
        assert "removed that were not in" in done.stdout
    assert node.attached() == "" and node.pins() == []


def test_cleanup_of_a_misspelt_directory_is_an_error(own_lab):
    node = fresh(own_lab)
    node.stop()
    for path in ("/nonexistent", own_lab.directory):
        done = node.place.run([node.binary("fairlead"), "--bpffs", path, "cleanup"], timeout=10)
        assert done.returncode == 1
        assert path in done.stderr and "nothing to remove" not in done.stdout
    assert "eth0" in node.attached()


def test_two_agents_in_one_network_namespace(own_lab):
    """Whatever else they do not share: directory, cgroup, socket."""
    node = fresh(own_lab)
    before = node.attached()
    other = own_lab["cli-1"].cgroup
    with other_paths(node, node.bpffs + "-other", node.socket + ".other"):
        argv = node.agent_command()
        argv[argv.index("--cgroup") + 1] = other
        second = node.place.run(argv, timeout=10)
        assert second.returncode == 1
        assert f"another agent (process {node.pid()}) serves this network namespace" in second.stderr
        assert node.pins() == [] and not os.path.exists(node.socket)
    assert node.attached() == before
    assert serves(own_lab)
    # the lock goes with the process, however that ends
    node.kill()
    node.start()
    assert serves(own_lab)


def test_the_socket_of_another_agent(own_lab):
    """A second agent that is given another's socket is refused before it makes a map."""
    fresh(own_lab)
    node, other = own_lab.nodes["node-1"], own_lab.nodes["node-2"]
    other.stop()
    assert other.cleanup().returncode == 0
    with other_paths(other, socket=node.socket):
        second = other.place.run(other.agent_command(), timeout=10)
    assert second.returncode == 1
    assert node.socket in second.stderr
    assert other.pins() == []
    assert node.json("status")["node"] == "node-1"
    other.start()


def test_a_stranger_cannot_keep_an_agent_out(own_lab):
    """The name that agents of a namespace lock may be bound by anybody."""
    node = fresh(own_lab)
    node.stop()
    squat = ("import socket,sys; s=socket.socket(socket.AF_UNIX); "
             "s.bind('\\0fairlead.dev/datapath'); s.listen(); print('ready', flush=True); "
             "sys.stdin.read()")
    stranger = node.place.popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                 PYTHON, "-c", squat],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert stranger.stdout.readline() == "ready\n"
        node.start()
        assert serves(own_lab)
        assert node.stop() == 0
    finally:
        stranger.communicate("")


def test_a_stranger_in_the_directory_of_maps(own_lab):
    """What is no pin is left alone, and named where it is in the way."""
    node = fresh(own_lab)
    node.stop()
    assert node.cleanup().returncode == 0
    maps = f"{node.bpffs}/maps"
    node.place.run(["mkdir", "-p", f"{maps}/junk"], check=True)
    node.start()
    assert serves(own_lab)
    assert node.stop() == 0
    done = node.cleanup()
    assert done.returncode == 1
    assert f"{maps}/junk" in done.stderr and "directory" in done.stderr.lower()
    node.place.run(["rmdir", f"{maps}/junk"], check=True)
    assert node.cleanup().returncode == 0
    node.place.run(["mkdir", "-p", f"{maps}/meta"], check=True)
    done = node.place.run(node.agent_command(), timeout=10)
    assert done.returncode == 1
    assert f"{maps}/meta" in done.stderr
    node.place.run(["rm", "-r", node.bpffs], check=True)
