# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Waits for a process to end, however that comes, and then removes what it could not remove itself.

A program that makes labs, or runs tests that do, starts one of these. It is in a session of its own, so
that a closed terminal or a signal to the program's group does not end it too.
"""
import os
import select
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import owner  # noqa: E402
import sweep  # noqa: E402


def start():
    """A reaper for this process."""
    return subprocess.Popen([sys.executable, os.path.abspath(__file__), str(owner.this_process())],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True, cwd="/")


def wait_for_the_end(who):
    try:
        fd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return
    if who.alive():  # else the pid is another process's by now
        select.select([fd], [], [])
    os.close(fd)


def main():
    who = owner.parse(sys.argv[1])
    try:  # out of the cgroup of a test run, which may be removed with all that is in it
        with open(f"{owner.cgroup_root()}/cgroup.procs", "w", encoding="utf-8") as procs:
            procs.write("0")
    except OSError:
        pass
    wait_for_the_end(who)
    sweep.sweep()


if __name__ == "__main__":
    main()
