# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An agent that starts again keeps the programs that an earlier one has loaded, which is most of what a start takes:
if they are what it would load itself, and only then.
"""
import glob
import os

import pytest

from test_faults import fresh, serves

KEPT = "programs too"


def attached_programs(node):
    """The numbers of the programs that the agent's links hold."""
    found = set()
    for path in glob.glob(f"/proc/{node.pid()}/fdinfo/*"):
        try:
            with open(path, encoding="utf-8") as info:
                lines = dict(line.split(":", 1) for line in info if ":" in line)
        except OSError:
            continue
        if "link_type" in lines:
            found.add(int(lines["prog_id"]))
    assert found
    return found


def again(node, **options):
    """Start it anew; whether it has kept the programs."""
    node.start(**options)
    node.wait_log("datapath in")
    return KEPT in node.log()


def test_a_restart_keeps_the_programs(own_lab):
    node = fresh(own_lab)
    before = attached_programs(node)
    assert KEPT not in node.log()
    for _ in range(2):
        node.kill()
        assert again(node)
        assert attached_programs(node) == before
        node.wait_status()
        assert serves(own_lab)


@pytest.mark.parametrize("harm", [
    "rm {pins}/loaded-fl_xdp",
    "rm {pins}/slow-*",
    "rm {pins}/live-tc",
    "rm {pins}/record",
    # a program that is another one's; one of another kind; an array that has lost one
    "mv {pins}/loaded-fl_xdp_slow4 {pins}/loaded-fl_xdp_slow6",
    "mv {pins}/loaded-fl_arriving4 {pins}/loaded-fl_xdp",
    "for pin in {pins}/slow-*; do bpftool map delete pinned $pin key 0 0 0 0; done",
], ids=["program", "array", "live", "record", "mixed-up", "other-kind", "emptied"])
def test_what_is_not_as_it_was_loaded_is_not_kept(own_lab, harm):
    node = fresh(own_lab)
    before = attached_programs(node)
    node.kill()
    node.place.run(["sh", "-c", harm.replace("{pins}", node.pins()[0] + "/programs")], check=True)
    assert not again(node)
    assert attached_programs(node).isdisjoint(before)
    assert serves(own_lab)
    node.kill()
    assert again(node)
    assert serves(own_lab)


def test_other_settings_are_loaded(own_lab):
    """What is a constant of the programs; and what may change while they run, but was changed while no agent did."""
    path = os.path.join(own_lab.directory, "keep.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\ntimeouts: {tcpClosing: 1s}\n")
    node = fresh(own_lab)
    for change, options in ((":", {"extra": ["--config", path]}),
                            ("echo 1024-29500 > /proc/sys/net/ipv4/ip_local_reserved_ports", {"extra": ["--config", path]})):
        before = attached_programs(node)
        node.kill()
        node.place.run(["sh", "-c", change], check=True)
        assert not again(node, **options)
        assert attached_programs(node).isdisjoint(before)
        node.kill()
        assert again(node, **options)
        assert serves(own_lab)
