# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab itself: what it leaves behind, running or ended."""
import os
import shutil
import subprocess
import tempfile

import pytest

import lab as lab_module
import owner
import sweep
from conftest import REPO, make_lab


def identity(path):
    """Which file an open descriptor is of; None once it is closed, or for /dev/null, which is anybody's."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    null = os.stat(os.devnull)
    return None if about.st_rdev == null.st_rdev else (about.st_dev, about.st_ino)


def processes(base):
    for path, _, _ in os.walk(base):
        with open(f"{path}/cgroup.procs", encoding="utf-8") as procs:
            yield from procs.read().split()


def test_a_lab_that_is_left_does_not_hold_the_output_of_who_made_it(lab):
    """`make lab | tail` ends: no process that stays has the caller's standard output or error open."""
    ours = {identity(f"/proc/self/fd/{fd}") for fd in (1, 2)} - {None}
    for place in lab.places.values():
        place.close()  # as Lab.leave() does; the next call opens another one
    pids = list(processes(lab.base))
    assert len(pids) >= len(lab.pods()) + len(lab.nodes)
    for pid in pids:
        held = {fd for fd in os.listdir(f"/proc/{pid}/fd")
                if identity(f"/proc/{pid}/fd/{fd}") in ours}
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as cmdline:
            assert not held, f"{cmdline.read().split(chr(0))} holds {held}"


def test_the_last_lab_takes_its_directory_along(monkeypatch, tmp_path):
    """Also where the state of labs is kept goes when it is empty, and stays while another lab is there."""
    monkeypatch.setattr(sweep, "STATE", str(tmp_path / "labs"))
    lab = make_lab(start=False)
    other = tmp_path / "labs" / "other"
    other.mkdir()
    lab.close()
    assert other.is_dir() and not os.path.exists(lab.directory)
    other.rmdir()
    sweep.remove("none")
    assert not (tmp_path / "labs").exists()


def test_relative_paths_mean_the_same_at_a_place(lab):
    """`enter node-2 build/std/fairlead status` from the checkout, though node-2 has its own mount namespace."""
    for place in (lab["node-1"], lab["node-2"]):
        assert place.run(["pwd"]).stdout.strip() == os.getcwd()
        assert place.run(["cat", os.path.relpath(f"{REPO}/LICENSE")]).returncode == 0


def test_a_demo_without_rights_refuses_before_it_compiles():
    """In a copy of the sources, because nobody may be let into the directory that they are in."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        copy = f"{directory}/fairlead"
        shutil.copytree(REPO, copy, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "make", "-C", copy, "demo",
                               f"BUILD={directory}/build"], capture_output=True, text=True, check=False, timeout=120,
                              env={**os.environ, "MAKEFLAGS": ""})
        assert done.returncode != 0 and "demo: needs root" in done.stderr, done.stdout + done.stderr
        assert not os.path.exists(f"{directory}/build") and " CC " not in done.stdout


def test_an_agent_at_the_root_of_the_cgroups_keeps_labs_away(lab, monkeypatch):
    """Its hooks would translate the lab's sockets as well, with answers that no test could explain."""
    assert lab_module.foreign_hooks() == []
    monkeypatch.setattr(owner, "cgroup_root", lambda: lab.nodes["node-1"].cgroup)
    assert "fl_connect4" in lab_module.foreign_hooks()
    with pytest.raises(lab_module.Unable, match="fl_"):
        lab_module.check_machine()
