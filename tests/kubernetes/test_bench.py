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
    options = {"services": 20, "endpoints": 3, "changes": 8, "bursts": 20, "restarts": 1, "settle": 0, "idle": 1, "limit": 120,
               "modes": ["iptables", "nftables"], "fairlead": True, "playback": False}
    client = bench.client_of(own_lab, options["endpoints"])
    client.ask(do="fill", services=options["services"])
    lines = list(bench.measure(own_lab, binary, options, client))
    who = ("fairlead", "kube-proxy, iptables", "kube-proxy, nftables")
    assert {(line["contender"], line["row"]) for line in lines} == {(name, row) for name in who for row in (9, 10, 11, 12)}, lines
    assert all(line["ns"] and line["ns"] > 0 for line in lines if line["row"] in (9, 12)), lines
    changes = [line for line in lines if line["row"] == 11]
    assert [(line["contender"], line["way"], line["changes"]) for line in changes] == [
        (name, way, n) for name in who for way, n in (("api", 8), ("api", 20), ("etcd", 20))], lines
    # none is missed, neither by those who say so themselves nor in the maps; but one that is undone at once may never be there
    assert all(line["lost"] == 0 for line in changes if line["contender"] != "fairlead" or line["wanted_rate"] == bench.SLOWLY), lines
    # how many of these there are is a matter of how busy the machine is; some are there on any
    assert all(line["lost"] < line["changes"] for line in changes), lines
    assert all(line["sent_ns_p50"] > 0 for line in changes if line["contender"] == "fairlead"), lines
    assert all(line["mean_ns"] > 0 for line in changes if line["contender"] != "fairlead"), lines
    assert all(bench.tell(line) for line in lines)
