# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The measurement with objects from the API server runs, for every contender. What it measures is not judged."""
import os
import sys

import pytest

from conftest import E2E, REPO

sys.path.insert(0, f"{REPO}/bench")

import cluster as bench  # noqa: E402


def test_every_row_of_every_contender(own_lab):
    binary = os.path.abspath(f"{E2E.build_directory()}/bench/fairlead-bench")
    if not os.access(binary, os.X_OK):
        pytest.skip(f"SKIP: {binary} is not built (make bench-bin)")
    lines = list(bench.measure(own_lab, binary, services=20, endpoints=3, changes=4, bursts=20, rate=200, restarts=1))
    rows = {(line["contender"], line["row"]) for line in lines}
    assert rows == {("fairlead", row) for row in (9, 10, 11, 12)} | {
        (f"kube-proxy, {mode}", row) for mode in ("iptables", "nftables") for row in (9, 10, 11)}, lines
    assert all(line["ns"] > 0 for line in lines if "ns" in line), lines
    assert len([line for line in lines if line["row"] == 11 and line["contender"] == "fairlead" and "ns" in line]) == 4, lines
