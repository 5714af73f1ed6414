# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every kind of measurement starts, measures something and ends. What it measures is not judged: the sizes are
far too small for that.
"""
import glob
import json
import os
import signal
import subprocess
import sys

import pytest

from conftest import REPO, build_directory

sys.path.insert(0, os.path.join(REPO, "bench"))

import driver  # noqa: E402
from wait import until  # noqa: E402

ENTRIES = 16384
PROTOCOLS = ("tcp4", "udp4", "tcp6")


@pytest.fixture(scope="module")
def binary():
    path = f"{build_directory()}/bench/fairlead-bench"
    if os.geteuid():
        pytest.skip("SKIP: measuring needs root")
    if not os.access(path, os.X_OK):
        pytest.skip(f"SKIP: {path} is not built (make bench-bin)")
    return path


def measured(lines, contender="fairlead"):
    """The gross times of a contender, which are whole: from net ones an empty program's is subtracted."""
    return [line.get("gross_ns", line["ns"]) for line in lines if line.get("contender") == contender and "ns" in line]


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("kind", ["established", "new"])
def test_flows(binary, kind, proto):
    """Rows 1 and 2. That flows stay established is the bench's own check."""
    lines = list(driver.lines(binary, "flows", kind=kind, proto=proto, sizes="1,64", entries=ENTRIES, rounds=2,
                              repeat=1000, endpoints=8))
    times = measured(lines)
    assert len(times) >= 4 and min(times) > 0, lines
    assert measured(lines, "empty"), lines
    counters = next(line["counters"] for line in lines if "counters" in line)
    assert counters["flows-created"] > 0, counters


def test_replies(binary):
    """Row 1, replies of this node's own endpoints: they pass the egress program, and are still established."""
    lines = list(driver.lines(binary, "flows", kind="replies", sizes="1,64", entries=ENTRIES, rounds=1, repeat=1000))
    assert len(measured(lines, "tc-egress")) == 2 and min(measured(lines, "tc-egress")) > 0, lines


@pytest.mark.parametrize("proto", ["ip4", "ip6"])
def test_foreign(binary, proto):
    """Row 1f: five kinds of packet at three hooks, all left alone, beside a packet that is ours."""
    lines = list(driver.lines(binary, "foreign", proto=proto, sizes="1,64", entries=ENTRIES, rounds=1, repeat=1000, endpoints=8))
    assert len({line["packet"] for line in lines}) == 5, lines
    for contender in ("fairlead", "tc-ingress", "tc-egress", "row 1, one flow"):
        times = measured(lines, contender)
        assert len(times) == 10 and min(times) > 0, (contender, lines)


@pytest.mark.parametrize("proto", ["tcp4", "tcp6"])
@pytest.mark.parametrize("dispatch", ["ipip", "geneve"])
def test_dsr(binary, dispatch, proto):
    """Row 1d: both sides at both hooks, beside row 1. That every packet comes out as it should is the bench's own check."""
    lines = list(driver.lines(binary, "dsr", dispatch=dispatch, proto=proto, sizes="1,64", entries=ENTRIES, rounds=1,
                              repeat=1000, singles=50, endpoints=8))
    for way in ("sent on", "unpacked"):
        for contender in ("fairlead", "tc-ingress", "row 1", "row 1 at tc", "bare-encap" if way == "sent on" else "bare-decap"):
            times = measured([line for line in lines if line["way"] == way], contender)
            assert len(times) == 2 and min(times) > 0, (way, contender, lines)


@pytest.mark.parametrize("kind", ["answered", "no-endpoint", "policy", "source-range", "table-full", "no-port"])
def test_refused(binary, kind):
    """Row 2r. That the packets are refused is the bench's own check."""
    lines = list(driver.lines(binary, "refused", kind=kind, entries=ENTRIES, rounds=1, repeat=1000, endpoints=8,
                              **{"full-entries": 1024}))
    assert min(measured(lines)) > 0 and min(measured(lines, "row 2")) > 0, lines


@pytest.mark.parametrize("contender", ["floor", "routing", "fairlead-xdp", "fairlead-tc"])
def test_node(binary, contender):
    """Rows 3 to 5: packets go all the way, and Fairlead translates them."""
    node = driver.Node(binary, contender, 1, 6)
    try:
        for commands in (("flush", "prepare 64", "run 64 500"), ("flush", "run 0 500")):
            for command in commands:
                answer = node.ask(command)
            assert answer["received"] > 0 and answer["ns"] > 0, answer
            if contender.startswith("fairlead"):
                assert answer["translated"] == answer["received"], answer
    finally:
        node.close()


def test_sockets(binary):
    """Row 7: all three kinds of socket, in every column."""
    lines = list(driver.lines(binary, "sockets", rounds=1, sockets=20, services=4, endpoints=8))
    columns = {line["column"] for line in lines if "column" in line}
    assert columns
    for column in columns:
        for contender in ("direct", "fairlead", "foreign"):
            times = measured([line for line in lines if line.get("column") == column], contender)
            assert times and min(times) > 0, (column, contender, lines)


def test_resteer(binary):
    lines = list(driver.lines(binary, "resteer", seconds=1))
    assert lines and all(value > 0 for line in lines for key, value in line.items() if key.endswith("ns")), lines


def test_sync(binary):
    """Rows 8 and 9."""
    lines = list(driver.lines(binary, "sync", services=20, endpoints=60, changes=3))
    assert {line["row"] for line in lines} == {8, 9}, lines
    assert all(line["ns"] > 0 for line in lines), lines


def test_agent(binary):
    """Rows 10 to 12: an agent starts, starts again, takes changes in and is left alone for a second, with flows too."""
    lines = list(driver.lines(binary, "agent", agent=f"{build_directory()}/fairleadd", services=20, endpoints=3, restarts=1,
                              changes=4, idle=1, settle=0, flows=64))
    assert {line["row"] for line in lines} == {10, 11, 12}, lines
    assert [line["restart"] for line in lines if line["row"] == 12] == [False, True], lines
    assert len([line for line in lines if line["row"] == 11 and "ns" in line]) == 4, lines
    assert [line["flows"] for line in lines if line["row"] == 10] == [0, 64], lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminate", "kill-9"])
def test_an_agent_that_is_cut_short_leaves_nothing(binary, number):
    """Neither a directory nor a cgroup, whatever ends the measurement, in the middle of it."""
    with subprocess.Popen([binary, "agent", "--agent", f"{build_directory()}/fairleadd", "--services", "10", "--restarts", "0",
                           "--idle", "600"], stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["row"] == 12
        name = f"fairlead-bench-{process.pid}"
        root = next(line.split()[1] for line in open("/proc/self/mounts", encoding="utf-8") if line.split()[2] == "cgroup2")
        assert os.path.isdir(f"{root}/{name}")
        process.send_signal(number)
    until(lambda: not os.path.exists(f"{root}/{name}"), "the cgroup is gone")
    # others may measure meanwhile
    assert not glob.glob(f"/tmp/{name}*")
