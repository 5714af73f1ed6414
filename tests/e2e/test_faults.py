# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What other programs do to a node, and what a crash leaves: noticed, reported, repaired."""
import json
import os
import re
import signal
import subprocess

import pytest

import cells
from wait import PATIENCE, until

CLSACT = "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ntcHook: clsact\n"


def serves(lab):
    report = lab["client"].http(cells.vip(10)[4], 80, 20)
    return report["failed"] == 0 and report["answered"] == 20


def fresh(lab, **options):
    """node-1's agent with a datapath of its own making; node-2's serves beside it."""
    for node in lab.nodes.values():
        node.stop()
        node.cleanup()
    lab.nodes["node-2"].start()
    node = lab.nodes["node-1"]
    node.start(**options)
    return node


def named_pins(node):
    """Those of two agents compared: an array of programs is pinned under its own number."""
    return sorted(re.sub(r"/slow-\d+$", "/slow-N", pin) for pin in node.pins())


def test_tc_filters_that_somebody_deleted_come_back(own_lab):
    """robustness A8: a network plugin that makes the qdisc again must not end the service."""
    path = os.path.join(own_lab.directory, "clsact.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CLSACT)
    node = fresh(own_lab, mode="tc", extra=["--config", path])
    before = node.attached()
    assert "eth0 clsact 1" in before
    for command in (["tc", "filter", "del", "dev", "eth0", "ingress"],
                    ["tc", "qdisc", "del", "dev", "eth0", "clsact"]):
        with node.frozen():
            node.place.run(command, check=True)
            assert node.attached() != before
        until(lambda: node.attached() == before, f"all is back after {' '.join(command)}", 5)
    node.wait_log("were detached")
    assert serves(own_lab)


def test_a_link_that_was_pinned_but_not_named(own_lab):
    """robustness A2: an agent killed between the two leaves its own program in the next one's way."""
    node = fresh(own_lab, mode="xdp")
    before = node.attached()
    node.kill()
    pin = next(p for p in node.pins() if "/links/xdp-" in p)
    node.place.run(["mv", pin, pin + "~"], check=True)
    assert node.attached() == before
    node.start()
    assert node.attached() == before
    assert pin in node.pins() and pin + "~" not in node.pins()
    node.wait_status()
    assert serves(own_lab)


@pytest.mark.parametrize("which", ["links/*", "maps/*", "programs/*", ""],
                         ids=["links", "maps", "programs", "directory"])
def test_pins_that_somebody_removed_come_back(own_lab, which):
    """robustness A8: the end of an agent whose pins were removed must not end the service."""
    node = fresh(own_lab)
    before, pins = node.attached(), named_pins(node)
    node.place.run(["sh", "-c", f"rm -r {node.bpffs}/{which}"], check=True)
    until(lambda: named_pins(node) == pins, "all pins are back", 5)
    node.wait_log("were removed")
    node.wait_status()
    second = node.place.run([*node.agent_command(), "--socket", node.socket + ".other"], timeout=10)
    assert second.returncode not in (0, None), "the new directory is locked as well"
    node.kill()
    assert node.attached() == before
    assert serves(own_lab)
    node.start()
    node.wait_log("taken over")
    assert node.attached() == before and named_pins(node) == pins
    assert serves(own_lab)


def test_forwarding_that_is_off_is_reported(own_lab):
    """Without forwarding the kernel finds no route for incoming packets: reported at once."""
    node = fresh(own_lab)
    proc = "/proc/sys/net/ipv4/conf/eth0/forwarding"
    words = "IPv4 forwarding is off"
    assert words not in node.cli("status").stdout
    node.place.run(["sh", "-c", f"echo 0 >{proc}"], check=True)
    try:
        until(lambda: words in node.cli("status").stdout, "status reports it", 3)
        assert node.cli("status").returncode == 1, "nothing is forwarded: not healthy"
        node.wait_log(words)
        node.kill()
        node.start()
        node.wait_log(words)
    finally:
        node.place.run(["sh", "-c", f"echo 1 >{proc}"], check=True)
    until(lambda: words not in node.cli("status").stdout, "status no longer reports it", 3)
    assert node.cli("status").returncode == 0


def test_names_of_devices_that_stand_for_nothing(own_lab):
    """A misspelt name, a device that is not there yet, lo, one that is down: not healthy, and said."""
    node = fresh(own_lab, mode="auto", extra=["--devices", "eth0,eth9,lo"])
    try:
        status = node.cli("status")
        assert status.returncode == 1
        assert "there is no device eth9" in status.stdout
        assert "device lo is the loopback device" in status.stdout
        node.place.run(["ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth9-peer"],
                       check=True)
        until(lambda: "device eth9 is down" in node.cli("status").stdout, "it is there, and down", 3)
        node.place.run(["ip", "link", "set", "eth9", "up"], check=True)
        until(lambda: "device eth9 is down" not in node.cli("status").stdout, "it is up", 3)
        node.wait_log("resolved: device eth9 is down")
        assert serves(own_lab)
    finally:
        node.place.run(["ip", "link", "del", "eth9"])
    node.kill()
    node.start()
    assert node.cli("status").returncode == 0


def test_a_socket_that_somebody_removed_comes_back(own_lab):
    """The agent can be asked again, by the same path, without a restart."""
    node = fresh(own_lab)
    open_files = len(os.listdir(f"/proc/{node.pid()}/fd"))
    for _ in range(3):
        os.unlink(node.socket)
        until(lambda: os.path.exists(node.socket), "the socket is back", 5)
        node.wait_status()
        assert os.stat(node.socket).st_mode & 0o777 == 0o600
    until(lambda: len(os.listdir(f"/proc/{node.pid()}/fd")) <= open_files, "nothing stays open", 5)
    assert node.stop() == 0
    assert not os.path.exists(node.socket)


def test_maps_of_which_one_is_missing_are_made_anew(own_lab):
    """robustness A6: an agent that finds part of a datapath serves, instead of ending each time."""
    node = fresh(own_lab)
    before, pins = node.attached(), named_pins(node)
    node.kill()
    node.place.run(["rm", f"{node.bpffs}/maps/frontends"], check=True)
    assert serves(own_lab)
    node.start()
    node.wait_log("new ones were made, the flows it had are lost")
    assert node.attached() == before and named_pins(node) == pins
    node.wait_status()
    assert serves(own_lab)


def test_maps_of_another_layout_are_refused_whatever_they_are(own_lab):
    """robustness A6: another version may have other maps; what is missing is no sign of damage then."""
    node = fresh(own_lab)
    path = f"{node.bpffs}/maps/meta"
    pins = len(node.pins())
    node.stop()
    dump = node.place.run(["bpftool", "-j", "map", "dump", "pinned", path], check=True).stdout
    meta = [int(byte, 16) for byte in json.loads(dump)[0]["value"]]
    meta[0] += 1
    node.place.run(["bpftool", "map", "update", "pinned", path, "key", "0", "0", "0", "0", "value",
                    *map(str, meta)], check=True)
    # without the description, by which its flows could be brought over
    node.place.run(["rm", f"{node.bpffs}/maps/layout"], check=True)
    pins -= 1
    for missing in (0, 1):
        if missing:
            node.place.run(["rm", f"{node.bpffs}/maps/frontends"], check=True)
        node.start(wait=False)
        assert node.agent.wait(10 * PATIENCE) == 1
        node.wait_log(f"ABI version {meta[0]}, this program has {meta[0] - 1}, and its pins do not")
        assert len(node.pins()) == pins - missing
    assert serves(own_lab)


@pytest.mark.parametrize("key, what", [("localAddresses", "addresses"), ("devices", "devices")])
def test_a_node_that_does_not_fit_is_reported(own_lab, key, what):
    """robustness B4: addresses or devices that the maps have no room for are a fault to be seen."""
    path = os.path.join(own_lab.directory, "small.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{CLSACT.replace('tcHook: clsact', 'maps:')}  {key}: 8\n")
    node = fresh(own_lab, extra=["--config", path])
    words = f"cannot write this node's {what}: map "
    node.wait_status()
    for i in range(8):
        node.place.run(["ip", "link", "add", f"many{i}", "type", "veth", "peer",
                        "name", f"more{i}"], check=True)
        node.place.run(["ip", "addr", "add", f"192.0.2.{i + 1}/32", "dev", "eth0"], check=True)
    try:
        until(lambda: words in node.cli("status").stdout, "status reports it", 3)
        node.wait_status(1)
        assert serves(own_lab)
    finally:
        for i in range(8):
            node.place.run(["ip", "link", "del", f"many{i}"])
            node.place.run(["ip", "addr", "del", f"192.0.2.{i + 1}/32", "dev", "eth0"])
    node.wait_status()


def test_all_service_ports_that_do_not_fit_are_named(own_lab):
    """robustness B4: not only the first of a batch."""
    path = os.path.join(own_lab.directory, "small.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CLSACT.replace("tcHook: clsact", "maps: {frontends: 8}"))
    node = fresh(own_lab, extra=["--config", path])
    status = node.api("/v1/status")
    named = [c["subject"] for c in status["conditions"] if c["kind"] == "refused"]
    assert len(set(named)) == status["programmed"]["failedPorts"] > 2, status
    node.wait_status(1)


def test_a_device_without_ethernet_header_is_not_served(own_lab):
    """A tunnel device with a default route gets no program that would misread its packets."""
    node = fresh(own_lab, extra=["--devices", "eth0,tun*"])
    before = node.attached()
    made = node.place.run(["ip", "tuntap", "add", "tun9", "mode", "tun"])
    if made.returncode:
        pytest.skip(f"SKIP: no tun devices here: {made.stderr.strip()}")
    try:
        node.place.run(["ip", "link", "set", "tun9", "up"], check=True)
        until(lambda: "tun9: packets there have no Ethernet header" in node.cli("status").stdout,
              "status reports it", 3)
        assert node.attached() == before
    finally:
        node.place.run(["ip", "link", "del", "tun9"], check=True)


def test_drift_is_repaired_and_gone_from_the_status(own_lab):
    """A frontend that somebody spoiled is missed at the next comparison, and written again."""
    node = fresh(own_lab)
    node.frontends("spoil")
    assert node.cli("status").returncode == 0, "nobody has compared yet"
    node.agent.send_signal(signal.SIGHUP)
    until(lambda: "the maps are as wanted again" in node.log(), "the difference is repaired", 5)
    node.wait_log("frontends")
    node.wait_status()
    assert serves(own_lab)


def test_a_reader_that_has_had_enough(own_lab):
    """`fairlead ... | head` is no reason for a message on standard error."""
    node = fresh(own_lab)
    argv = node.place.command(["sh", "-c", '"$@" | true', "sh", *node.cli_command("status")])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10 * PATIENCE)
    assert done.stderr == ""


@pytest.mark.parametrize("argv", [["version"], ["--version"], ["help"], ["flow", "--help"]], ids=" ".join)
def test_what_cannot_be_written_is_a_failure(own_lab, argv):
    """Exit code 1 and a message, also for commands that ask no agent."""
    node = own_lab.nodes["node-1"]
    done = node.place.run(["sh", "-c", '"$@" >/dev/full', "sh", *node.cli_command(*argv)])
    assert done.returncode == 1
    assert "cannot write: No space left on device" in done.stderr
