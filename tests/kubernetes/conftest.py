# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A lab whose agents follow a real API server. SKIP where it cannot be built or run."""
import contextlib
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, f"{REPO}/tests/lab", f"{REPO}/tests/deploy"]

from control_plane import ControlPlane  # noqa: E402
from labs import E2E  # noqa: E402

pytest_runtest_makereport = E2E.pytest_runtest_makereport


def pytest_configure():
    E2E.pytest_configure()


@pytest.fixture(scope="session")
def programs():
    done = subprocess.run([f"{HERE}/build"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 3:
        pytest.skip(f"SKIP: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def a_lab(programs, families=(4, 6)):
    """A lab without agents, whose router is the control plane; `lab.cluster`."""
    lab = E2E.make_lab(start=False)
    lab.cluster = ControlPlane(lab, programs, families)
    try:
        lab.cluster.start_etcd()
        lab.cluster.start_api()
        lab.cluster.populate()
        yield lab
    finally:
        for node in lab.nodes.values():
            node.stop()
        lab.cluster.close()
        E2E.close_lab(lab)


@pytest.fixture(scope="module")
def own_lab(programs):
    with a_lab(programs) as lab:
        yield lab


@pytest.fixture(scope="module")
def cluster(own_lab):
    """The same with its agents."""
    own_lab.start_agents(manifests=False, extra=["--kubeconfig", own_lab.cluster.kubeconfig()])
    return own_lab.cluster
