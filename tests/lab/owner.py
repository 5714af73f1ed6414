# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Who owns what the tests make: a process, named by its pid and its start time, for good.

Namespaces, cgroups and directories carry that name, so that what belongs to a process that is gone can
be told from what a live one uses, with no record that could be missing or half written.
"""
import os
import re
import signal
from typing import NamedTuple

from wait import until

NAME = re.compile(r"(\d+)x(\d+)")


class Owner(NamedTuple):
    pid: int
    started: int  # in ticks since boot

    def __str__(self):
        return f"{self.pid}x{self.started}"

    def alive(self):
        return start_time(self.pid) == self.started


def this_process():
    return Owner(os.getpid(), start_time(os.getpid()))


def parse(text):
    """The owner that a name begins with, or None."""
    found = NAME.match(text)
    return Owner(int(found[1]), int(found[2])) if found else None


def start_time(pid):
    """When a process began, in ticks since boot; None if there is no such process, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


# ---- cgroups ---------------------------------------------------------------------------------------
def cgroup_root():
    """Where cgroup v2 is mounted, by mountinfo (hybrid hierarchies put it in unusual places), or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            left, right = line.split(" - ")
            if right.split()[0] == "cgroup2":
                return left.split()[4]
    return None


def cgroup_members(base):
    """The pids in a cgroup and in those below it."""
    pids = []
    for path, _, _ in os.walk(base):
        try:
            with open(f"{path}/cgroup.procs", encoding="utf-8") as procs:
                pids += [int(pid) for pid in procs.read().split()]
        except OSError:  # gone meanwhile
            pass
    return pids


def remove_cgroup(base, deadline_s=10):
    """End every process in a cgroup and below, and remove it; safe to repeat."""
    def gone():
        for pid in cgroup_members(base):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            try:
                os.waitpid(pid, os.WNOHANG)  # it may be a child of this process
            except ChildProcessError:
                pass
        return not cgroup_members(base)

    until(gone, f"the processes in {base} are gone", deadline_s)
    for path, _, _ in os.walk(base, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            pass
