# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Starts a container as a run-time would, in this mount, pid and cgroup namespace: python3 container.py SPEC.json.

SPEC: root (a directory), mounts ([source, target, read-only]), read_only (of the root), capabilities (all that
it may ever have), argv and env. What is not shared with the node is what containerd does not share either: /proc
with /proc/sys read-only, a /sys that cannot be written, and a view of cgroups that ends at the container's own.
"""
import ctypes
import json
import os
import subprocess
import sys

PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
NUMBERS = {"NET_ADMIN": 12, "PERFMON": 38, "BPF": 39}


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def within(root, path):
    """Where a path of the container is. Its links mean what they mean there: /var/run is often one to /run."""
    at = root
    for part in path.strip("/").split("/"):
        at = f"{at}/{part}"
        if os.path.islink(at):
            to = os.readlink(at)
            at = within(root, to) if to.startswith("/") else os.path.normpath(f"{os.path.dirname(at)}/{to}")
    return at


def bind(source, target, read_only):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    mount("--rbind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    root, libc = spec["root"], ctypes.CDLL(None, use_errno=True)
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    for name in ("proc", "sys", "dev", "tmp"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    mount("-t", "proc", "proc", f"{root}/proc")
    bind("/proc/sys", f"{root}/proc/sys", True)
    mount("-t", "sysfs", "-o", "ro,nosuid,nodev,noexec", "sysfs", f"{root}/sys")
    mount("-t", "cgroup2", "-o", "ro,nosuid,nodev,noexec", "cgroup2", f"{root}/sys/fs/cgroup")
    mount("-t", "tmpfs", "tmpfs", f"{root}/dev")
    for device in ("null", "zero", "urandom"):
        with open(f"{root}/dev/{device}", "w", encoding="utf-8"):
            pass
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    for source, target, read_only in spec["mounts"]:
        bind(source, within(root, target), read_only)
    if spec["read_only"]:
        mount("-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir("/")
    kept = {NUMBERS[name] for name in spec["capabilities"]}
    for number in range(64):
        if number not in kept and libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            if libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"cannot give capability {number} up")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot set no_new_privs")
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


if __name__ == "__main__":
    main()
