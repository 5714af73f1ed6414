# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A bare Debian 12 in a directory, and commands in it. The archive is asked once; what it gave is kept as a tar
outside of the tree."""
import os
import shutil
import subprocess

import pytest

# in a mount namespace of its own, so that nothing stays mounted
ENTER = """
mount --make-rprivate / && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/sys" &&
mkdir -p "$1/sys/fs/bpf" && { [ -z "$2" ] || mount --bind "$2" "$1/sys/fs/bpf"; } &&
root=$1 && shift 2 && exec chroot "$root" "$@"
"""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
# what a machine that only runs programs has no use for
BUILD_PACKAGES = r"-dev$|^(gcc(?!-[0-9]+-base$)|g\+\+|cpp|clang|llvm|make|binutils|pkg-?conf|debhelper|dpkg-dev|git|golang|bpftool|cmake)"


def bare_tar():
    """The tar of a bare system with apt; SKIP where it cannot be made."""
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    path = f"{cache}/fairlead/debian/bookworm-minbase.tar"
    if os.path.exists(path):
        return path
    if os.geteuid() != 0:
        pytest.skip("SKIP: needs root, to unpack a Debian system")
    if not shutil.which("mmdebstrap"):
        pytest.skip("SKIP: needs mmdebstrap, for a bare Debian system (tools/install-deps packaging)")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    done = subprocess.run(["mmdebstrap", "--mode=root", "--variant=minbase", "bookworm", f"{path}.new.tar"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"SKIP: needs Debian's archive: {done.stderr.strip().splitlines()[-1]}")
    os.rename(f"{path}.new.tar", path)
    return path


class Root:
    """A Debian system at `path`."""

    def __init__(self, path):
        self.path = str(path)

    def unpack(self, tar):
        os.makedirs(self.path, exist_ok=True)
        subprocess.run(["tar", "-xf", tar, "-C", self.path, "--numeric-owner", "--exclude=./dev/*"], check=True)
        return self

    def run(self, *argv, place=None, bpffs=""):
        """A command in it, in a place of the lab if one is given, with that BPF file system."""
        command = ["unshare", "--mount", "/bin/sh", "-c", ENTER, "sh", self.path, bpffs, *argv]
        return subprocess.run(place.command(command) if place else command, capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT})

    def must(self, *argv, **options):
        done = self.run(*argv, **options)
        assert done.returncode == 0, f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def packages(self):
        return set(self.must("dpkg-query", "-W", "-f", "${Package}\n").split())

    def read(self, path):
        with open(f"{self.path}{path}", encoding="utf-8") as file:
            return file.read()
