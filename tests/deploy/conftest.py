# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A lab without agents, for programs that are started from a package or an image."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, f"{TESTS}/lab", f"{TESTS}/kubernetes"]

from labs import E2E  # noqa: E402

pytest_runtest_makereport = E2E.pytest_runtest_makereport


def pytest_configure():
    E2E.pytest_configure()


@pytest.fixture(scope="module")
def own_lab():
    lab = E2E.make_lab(start=False)
    yield lab
    E2E.close_lab(lab)
