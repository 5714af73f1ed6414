# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Removes what labs and test runs leave behind when they could not do it themselves.

All names say whose they are (owner.py). sweep() takes what belongs to dead processes and never touches
what a live one owns, so any lab and any run may call it at any time, several at once too.
"""
import os
import re
import shutil
import subprocess

import owner
from wait import until

STATE = "/run/fairlead-lab"
LAB = re.compile(r"fl(\d+x\d+)n\d+")
RUN = "fairlead-run"  # cgroup of a test run: this and the run's owner
PACKET = re.compile(r"fairlead-packet-(\d+)$")  # cgroup of the packet tests, by their pid


def quiet(*argv):
    return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL, check=False).returncode == 0


def entries(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def remove(identity):
    """Remove all that a lab left, by its identity alone; safe to repeat."""
    directory = f"{STATE}/{identity}"
    base = f"{owner.cgroup_root()}/fairlead-{identity}"
    if os.path.isdir(base):
        owner.remove_cgroup(base)
    if os.path.ismount(f"{directory}/bpf"):
        quiet("umount", "-l", f"{directory}/bpf")
    for name in entries("/run/netns"):
        if name.startswith(f"{identity}-"):
            quiet("ip", "netns", "del", name)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        os.rmdir(STATE)
    except OSError:  # other labs are there
        pass


def identities():
    """The labs of which there is anything: a directory, a namespace or a cgroup."""
    root = owner.cgroup_root()
    names = entries(STATE) + entries("/run/netns")
    names += [name.removeprefix("fairlead-") for name in entries(root) if name.startswith("fairlead-fl")]
    found = (LAB.match(name) for name in names)
    return {match[0]: owner.parse(match[1]) for match in found if match}


def sweep():
    """Remove what dead processes own."""
    root = owner.cgroup_root()

    def dead(who):
        return who is not None and not who.alive()

    # first the processes that could still make something, then what was made
    for name in entries(root):
        if name.startswith(RUN) and dead(owner.parse(name.removeprefix(RUN))):
            owner.remove_cgroup(f"{root}/{name}")
    for identity, maker in identities().items():
        if dead(maker):
            remove(identity)
    for name in entries(root):
        packet = PACKET.match(name)
        if packet and owner.start_time(packet[1]) is None:
            until(lambda at=f"{root}/{name}": not owner.cgroup_members(at), f"{name} is empty", 10)
            try:
                os.rmdir(f"{root}/{name}")
            except OSError:
                pass
