# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Objects that another compiler made load and serve as well (robustness E1: what a verifier accepts depends
on the compiler).
"""
import fcntl
import os
import shutil
import subprocess

import pytest

from conftest import REPO, make_lab
from test_agent import smoke


def other_build(compiler):
    """The agent with BPF objects of another clang, built once for all runs."""
    if shutil.which(compiler) is None:
        pytest.skip(f"SKIP: {compiler} is not installed")
    build = f"build/{compiler}"
    os.makedirs(f"{REPO}/{build}", exist_ok=True)
    with open(f"{REPO}/{build}/.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-s", "-j2", f"BUILD={build}", f"CLANG={compiler}", "CFLAGS=-O1", "WERROR=0",
             f"{build}/fairleadd", f"{build}/fairlead"], cwd=REPO, check=False,
            env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "SAN")},
            capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return f"{REPO}/{build}"


@pytest.mark.parametrize("compiler", ["clang-19"])
def test_objects_of_another_compiler(compiler):
    build = other_build(compiler)
    for mode in ("xdp", "tc"):
        lab = make_lab(build=build, mode=mode, extra=["--pod-devices", "veth-*"])
        try:
            smoke(lab)
        finally:
            lab.close()
