# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab on paper: addresses and pods, and the shell scripts that set the namespaces up.

    client ---- router (bridge br0) ---- node-1 ---- pods web-1a web-1b cli-1
                                    \\--- node-2 ---- pods web-2a web-2b cli-2

The nodes share a segment, so pod traffic between them goes from node to node and everything else through the
router. How pods hang on their node, and nodes reach one another's pods, is pod_network.py's.
"""

import os

OUTSIDE = {"client": {4: "198.51.100.10", 6: "2001:db8:51::10"},
           "router": {4: "198.51.100.1", 6: "2001:db8:51::1"}}
MORE_CLIENTS = range(11, 24)  # further addresses of the client: 198.51.100.11 ...

SEGMENT_ROUTER = {4: "172.18.0.1", 6: "fd00:18::1"}
NODES = {
    "node-1": {"number": 1, 4: "172.18.0.11", 6: "fd00:18::11", "pods": ("web-1a", "web-1b", "cli-1")},
    "node-2": {"number": 2, 4: "172.18.0.12", 6: "fd00:18::12", "pods": ("web-2a", "web-2b", "cli-2")},
}
# a node without pods at the same segment, which a test may add (Lab.add_edge_node())
EDGE = {"number": 3, 4: "172.18.0.13", 6: "fd00:18::13"}
CLUSTER_CIDR = "10.244.0.0/16,fd00:244::/32"
POD_HOST_NUMBER = {"a": 10, "b": 11, "cli": 100}

# what the router sends to which node: VIPs, external addresses, and the cluster IPs for those outside
ROUTED = {
    "node-1": ("203.0.113.0/28", "203.0.113.80/32", "10.96.0.0/12",
               "2001:db8:113::/124", "2001:db8:113::80/128", "fd00:96::/112"),
    "node-2": ("203.0.113.16/28", "2001:db8:113::10/124"),
}


def pod_addresses(pod):
    """The addresses of a pod by its name: web-1a, cli-2, ..."""
    role, rest = pod.split("-")
    node = int(rest[0])
    number = POD_HOST_NUMBER["cli" if role == "cli" else rest[1]]
    return {4: f"10.244.{node}.{number}", 6: f"fd00:244:{node}::{number:x}"}


def client_address(family, number):
    """One of the client's addresses: number 10 is the one it uses by itself."""
    return f"198.51.100.{number}" if family == 4 else f"2001:db8:51::{number}"


# How devices are left. "prepared": as a lab of veths has to be for native XDP, whose sent frames lose what the
# stack was to complete: checksums are made at the sender, and NAPI runs at the receiver, which has an XDP
# program of its own. "raw": as others leave them, with every offload on and no program at the other end.
# "unfinished": every offload on, so that checksums arrive unfinished, but with that program at the other end.
DEVICES = ("prepared", "unfinished", "raw")
OFFLOADS = "tx on gso on tso on gro on tx-udp-segmentation on"


def offloads(dev, devices, prepared="tx off gro on"):
    """The command that sets the offloads of a device, or an empty one."""
    wanted = prepared if devices == "prepared" else OFFLOADS
    return f"ethtool -K {dev} {wanted} >/dev/null 2>&1" if wanted else ""


SYSCTLS = """
set_all() { for f in /proc/sys/net/$1; do echo "$2" > "$f"; done; }
set_all ipv6/conf/all/accept_dad 0
set_all ipv6/conf/default/accept_dad 0
set_all ipv6/conf/default/accept_ra 0
set_all ipv6/conf/default/disable_ipv6 0
set_all ipv4/conf/all/rp_filter 0
set_all ipv4/conf/default/rp_filter 0
set_all ipv4/icmp_ratelimit 0
set_all ipv6/icmp/ratelimit 0
set_all ipv4/conf/all/send_redirects 0
set_all ipv4/conf/default/send_redirects 0
set_all ipv4/conf/all/accept_redirects 0
set_all ipv4/conf/default/accept_redirects 0
set_all ipv6/conf/all/accept_redirects 0
set_all ipv6/conf/default/accept_redirects 0
ip link set lo up
"""
FORWARDING = """
set_all() { for f in /proc/sys/net/$1; do echo "$2" > "$f"; done; }
set_all ipv4/ip_forward 1
set_all ipv6/conf/all/forwarding 1
"""


def router_script(netns_of, pass_pin, devices):
    lines = [FORWARDING,
             # given, it stays when a port is added, and with it what the nodes know of their router
             "ip link add br0 address 02:66:6c:00:00:01 type bridge", "ip link set br0 up",
             f"ip addr add {SEGMENT_ROUTER[4]}/24 dev br0",
             f"ip -6 addr add {SEGMENT_ROUTER[6]}/64 dev br0 nodad",
             f"ip link add out0 type veth peer name eth0 netns {netns_of('client')}",
             "ip link set out0 up", offloads("out0", devices),
             f"ip addr add {OUTSIDE['router'][4]}/24 dev out0",
             f"ip -6 addr add {OUTSIDE['router'][6]}/64 dev out0 nodad"]
    for node, about in NODES.items():
        lines += router_port_lines(about, netns_of(node), pass_pin, devices)
    return "\n".join(lines)


def router_port_lines(about, netns, pass_pin, devices):
    port = f"port{about['number']}"
    # the node's XDP_TX lies in the port's ring until the port's NAPI runs, and veth starts that
    # only if the port has an XDP program as well
    return [f"ip link add {port} type veth peer name eth0 netns {netns}",
            f"ip link set {port} master br0 up", offloads(port, devices),
            f"ip link set {port} xdpdrv pinned {pass_pin}" if devices != "raw" else ""]


def router_routes_script(pods=True):
    lines = []
    for node, about in NODES.items():
        number = about["number"]
        blocks = (f"10.244.{number}.0/24", f"fd00:244:{number}::/64")
        for prefix in ROUTED[node] + (blocks if pods else ()):
            family = 6 if ":" in prefix else 4
            lines.append(f"ip -{family} route add {prefix} via {about[family]}")
        if not pods:
            lines += [f"ip -{6 if ':' in block else 4} route add unreachable {block}" for block in blocks]
    return "\n".join(lines)


def client_script(devices):
    lines = ["ip link set eth0 up", offloads("eth0", devices)]
    for number in (10, *MORE_CLIENTS):
        lines += [f"ip addr add {client_address(4, number)}/24 dev eth0",
                  f"ip -6 addr add {client_address(6, number)}/64 dev eth0 nodad"
                  # all others are for those that ask by name
                  + ("" if number == 10 else " preferred_lft 0")]
    lines += [f"ip route add default via {OUTSIDE['router'][4]}",
              f"ip -6 route add default via {OUTSIDE['router'][6]}"]
    return "\n".join(lines)


def node_script(about, network_lines, devices):
    """A node; `network_lines` make it part of the pod network (pod_network.py)."""
    lines = [FORWARDING, "ip link set eth0 up", offloads("eth0", devices, "tx off"),
             f"ip addr add {about[4]}/24 dev eth0", f"ip -6 addr add {about[6]}/64 dev eth0 nodad",
             f"ip route add default via {SEGMENT_ROUTER[4]}",
             f"ip -6 route add default via {SEGMENT_ROUTER[6]}"]
    return "\n".join(lines + network_lines)


def one_processor_per_flow(device):
    """A pod's kernel (Linux 6.18) was seen to answer a client's first data with a reset, 12 us after the handshake's last
    acknowledgement: most likely another processor had the data while the socket was taking the handshake's place, and found
    neither. So each flow's packets stay on one processor (receive packet steering), where the kernel can do that."""
    mask = (1 << min(os.cpu_count(), 32)) - 1
    return (f"unshare --mount /bin/sh -euc 'mount -t sysfs sysfs /sys; for cpus in /sys/class/net/{device}/queues/rx-*/rps_cpus; "
            f"do [ ! -e $cpus ] || echo {mask:x} >$cpus; done'")


def pod_script(network_lines, devices):
    return "\n".join(["ip link set eth0 up", offloads("eth0", devices), one_processor_per_flow("eth0"), *network_lines])
