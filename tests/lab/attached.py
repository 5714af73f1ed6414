# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Lists the BPF programs attached to the devices of this network namespace and to a cgroup.

bpftool of Debian 12 does not know tcx, so the bpf system call is asked itself.
Prints one line `WHERE HOOK COUNT` for each hook that has programs.
"""
import json
import os
import subprocess
import sys

import bpf

TCX = {"tcx-ingress": 46, "tcx-egress": 47}
CGROUP = {"connect4": 10, "connect6": 11, "sendmsg4": 14, "sendmsg6": 15, "recvmsg4": 19,
          "recvmsg6": 20, "getpeername4": 29, "getpeername6": 30, "post_bind4": 12, "post_bind6": 13,
          "sock_release": 34, "egress": 1}


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
            found.append((name, hook, bpf.attached(link["ifindex"], number)))
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
            found.append(("cgroup", hook, bpf.attached(fd, number)))
    for where, hook, number in found:
        if number:
            print(where, hook, number)


if __name__ == "__main__":
    main()
