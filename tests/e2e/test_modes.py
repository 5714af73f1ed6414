# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One implementation, several hooks: XDP native and generic, tc, pod-side devices. Each way the cells of
the demo must come out the same.
"""
import os

import pytest

import cells
from conftest import outside_of_its_cgroup
from test_agent import smoke

OUTSIDE = [cell for cell in cells.CELLS if cell.source == "client"]


def fresh(lab, **options):
    for node in lab.nodes.values():
        node.stop()
        node.cleanup()
    lab.start_agents(**options)


@pytest.mark.parametrize("mode,hooks", [
    ("xdp", ("eth0 xdp ",)), ("xdp-generic", ("eth0 xdp-generic ",)),
    ("tc", ("eth0 tcx-ingress ", "eth0 tc-ingress "))], ids=["xdp", "xdp-generic", "tc"])
def test_mode(own_lab, mode, hooks):
    fresh(own_lab, mode=mode)
    for node in own_lab.nodes.values():
        attached = node.attached()
        assert any(hook in attached for hook in hooks), attached
        if mode == "tc":
            assert "eth0 xdp" not in attached
    for cell in OUTSIDE:
        for family in (4, 6):
            report = cells.ask(own_lab, cell, family)
            assert cells.problems(own_lab, cell, family, report) == [], cell.id
    for family in (4, 6):
        moved = own_lab["client"].bulk(cells.vip(10)[family], 80, 500000)
        assert (moved["down"], moved["up"]) == (500000, 500000)
    smoke(own_lab)


def test_mode_changes_without_cleanup(own_lab):
    """Another mode at the next start takes over from the pinned one and leaves no second hook."""
    fresh(own_lab, mode="xdp")
    for node in own_lab.nodes.values():
        node.stop()
    own_lab.start_agents(mode="tc")
    assert "eth0 xdp" not in own_lab.nodes["node-1"].attached()
    smoke(own_lab, (4,))
    for node in own_lab.nodes.values():
        node.stop()
    own_lab.start_agents(mode="xdp")
    assert "eth0 xdp" in own_lab.nodes["node-1"].attached()
    smoke(own_lab, (4,))


CLSACT = "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ntcHook: clsact\n"


@pytest.mark.parametrize("mode", ["xdp", "tc"])
def test_clsact(own_lab, mode):
    """Without tcx the tc programs are filters; the agent changes from one to the other and back
    without a cleanup, never leaves both, and takes away the qdisc that it made.
    """
    path = f"{own_lab.directory}/clsact.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(CLSACT)
    clsact, tcx = ["--config", path, "--pod-devices", "veth-*"], ["--pod-devices", "veth-*"]
    node = own_lab.nodes["node-1"]
    fresh(own_lab, mode=mode, extra=clsact)
    for extra, mine, other in ((clsact, "tc", "tcx"), (clsact, "tc", "tcx"), (tcx, "tcx", "tc"),
                               (clsact, "tc", "tcx")):
        for each in own_lab.nodes.values():
            each.stop()
        own_lab.start_agents(mode=mode, extra=extra)
        attached = node.attached()
        for device in ("eth0", "veth-web-1a"):
            for side in ("ingress", "egress"):
                assert f"{device} {mine}-{side} 1" in attached
                assert f"{device} {other}-{side} " not in attached
        assert ("eth0 xdp 1" in attached) == (mode == "xdp")
        smoke(own_lab)
    for cell in OUTSIDE:
        for family in (4, 6):
            report = cells.ask(own_lab, cell, family)
            assert cells.problems(own_lab, cell, family, report) == [], cell.id
    for each in own_lab.nodes.values():
        each.stop()
        assert each.cleanup().returncode == 0
    left = node.attached()
    assert not any(hook in left for hook in ("clsact", "tc-", "tcx-", "xdp")), left


def test_clsact_of_others_stays(own_lab):
    """A filter of another program on the qdisc that the agent made stays after a cleanup, with the qdisc."""
    path = f"{own_lab.directory}/clsact.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(CLSACT)
    fresh(own_lab, mode="tc", extra=["--config", path])
    node = own_lab.nodes["node-1"]
    pins = f"{own_lab.directory}/bpf/fairlead/links"
    pin = next(name for name in os.listdir(pins) if name.startswith("clsact-egress-"))
    node.place.script("tc filter add dev eth0 egress prio 77 handle 0x77 bpf da object-pinned "
                      f"{pins}/{pin}")
    for each in own_lab.nodes.values():
        each.stop()
        assert each.cleanup().returncode == 0
    left = node.place.run(["tc", "filter", "show", "dev", "eth0", "egress"]).stdout
    assert "pref 77 " in left and f"pref {0x6661} " not in left, left
    assert node.place.run(["tc", "filter", "show", "dev", "eth0", "ingress"]).stdout == ""
    node.place.script("tc qdisc del dev eth0 clsact")


@pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
def test_pod_side_devices(own_lab, family):
    """Workloads that the socket hooks do not reach are served per packet, when asked for."""
    fresh(own_lab, extra=["--pod-devices", "veth-*"])
    host = cells.WEB[family]
    with outside_of_its_cgroup(own_lab, "cli-1") as pod:
        for call, port in ((pod.http, 80), (pod.udp, 5353)):
            report = call(host, port, cells.REQUESTS)
            assert report["failed"] == 0, report
            assert set(report["answers"]) == set(cells.ALL)
            assert list(report["clients"]) == [pod.addresses[family]], "5.3: pods keep their address"
        moved = pod.bulk(host, 80, 500000)
        assert (moved["down"], moved["up"]) == (500000, 500000)
    assert pod.http(host, 80, 20)["failed"] == 0, "and those it does reach still are"
