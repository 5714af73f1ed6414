# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lists the BPF programs attached to the devices of this network namespace and to a cgroup.

bpftool of Debian 12 does not know tcx, so the bpf system call is asked itself (BPF_PROG_QUERY).
Prints one line `WHERE HOOK COUNT` for each hook that has programs.
"""
import ctypes
import json
import os
import platform
import subprocess
import sys

BPF_PROG_QUERY = 16
SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
TCX = {"tcx-ingress": 46, "tcx-egress": 47}
CGROUP = {"connect4": 10, "connect6": 11, "sendmsg4": 14, "sendmsg6": 15, "recvmsg4": 19,
          "recvmsg6": 20, "getpeername4": 29, "getpeername6": 30}


class Query(ctypes.Structure):
    _fields_ = [("target", ctypes.c_uint32), ("attach_type", ctypes.c_uint32),
                ("query_flags", ctypes.c_uint32), ("attach_flags", ctypes.c_uint32),
                ("prog_ids", ctypes.c_uint64), ("count", ctypes.c_uint32),
                ("pad", ctypes.c_uint32), ("more", ctypes.c_uint64 * 4)]


def count(target, attach_type):
    """How many programs are attached; 0 also where the kernel does not know the hook."""
    libc = ctypes.CDLL(None, use_errno=True)
    ids = (ctypes.c_uint32 * 64)()
    query = Query(target=target, attach_type=attach_type, prog_ids=ctypes.addressof(ids), count=64)
    if libc.syscall(SYSCALL, BPF_PROG_QUERY, ctypes.byref(query), ctypes.sizeof(query)) < 0:
        return 0
    return query.count


def main():
    found = []
    links = json.loads(subprocess.run(["ip", "-d", "-j", "link"], check=True, capture_output=True,
                                      text=True).stdout)
    for link in links:
        name = link["ifname"]
        if link.get("xdp"):
            mode = {1: "xdp", 2: "xdp-generic", 3: "xdp-offload"}.get(link["xdp"].get("mode"), "xdp")
            found.append((name, mode, 1))
        for hook, number in TCX.items():
            found.append((name, hook, count(link["ifindex"], number)))
        for side in ("ingress", "egress"):
            filters = subprocess.run(["tc", "filter", "show", "dev", name, side],
                                     check=False, capture_output=True, text=True).stdout
            found.append((name, f"tc-{side}", filters.count(" bpf ") and 1))
        qdiscs = subprocess.run(["tc", "qdisc", "show", "dev", name], check=False,
                                capture_output=True, text=True).stdout
        found.append((name, "clsact", int("clsact" in qdiscs)))
    if len(sys.argv) > 1:
        fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
        for hook, number in CGROUP.items():
            found.append(("cgroup", hook, count(fd, number)))
    for where, hook, number in found:
        if number:
            print(where, hook, number)


if __name__ == "__main__":
    main()
