# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kinds of pod network that a lab may have, as CNI plugins make them.

    routed    a veth and a /32 route for each pod, nodes route to one another
    flannel   pods on bridge cni0 with br_netfilter, a VXLAN device per family, masquerading by the plugin
    calico    a veth and a /32 route for each pod, its gateway by proxy ARP, a VXLAN device per family
    bridge    pods on bridge cni0 without br_netfilter, nodes route to one another, masquerading by the plugin
    card      a veth and a /32 route for each pod, nodes route to one another on a network of their own, by eth1
    unrouted  a veth and a /32 route for each pod, and nobody but its own node has a route to it

All are dual stack. The names of the VXLAN devices, their addresses and options are those that the plugins use; nothing
tells Fairlead about them.
"""
from typing import NamedTuple

import topology

POD_MTU = {"vxlan": 1430, "": 1500}  # what is left in a frame of 1500 behind VXLAN over IPv6
OVERHEAD = {4: 50, 6: 70}


class Overlay(NamedTuple):
    devices: dict  # by family, each over the nodes' addresses of that family
    vni: int
    port: int
    host_number: int  # of the node's block of pod addresses: the device's own address


class PodNetwork(NamedTuple):
    overlay: Overlay = None
    bridge: bool = False
    bridge_netfilter: bool = False  # bridged packets pass iptables
    masquerades: bool = False  # the plugin does it for what leaves the pod network
    proxy_arp: bool = False
    card: str = ""  # the device of the nodes' own network
    unrouted: bool = False  # pods' addresses mean nothing outside of their node

    @property
    def remote_devices(self):
        """The devices that lead to pods of other nodes and nowhere else."""
        return {*(self.overlay.devices.values() if self.overlay else ()), *([self.card] if self.card else ())}

    @property
    def tools(self):
        """The programs that it takes to make one, besides ip."""
        return ("bridge", "nft") if self.overlay or self.bridge else ()

    @property
    def mtu(self):
        return POD_MTU["vxlan" if self.overlay else ""]


NETWORKS = {
    "routed": PodNetwork(),
    "flannel": PodNetwork(Overlay({4: "flannel.1", 6: "flannel-v6.1"}, 1, 8472, 0), bridge=True,
                          bridge_netfilter=True, masquerades=True),
    "calico": PodNetwork(Overlay({4: "vxlan.calico", 6: "vxlan-v6.calico"}, 4096, 4789, 1), proxy_arp=True),
    "bridge": PodNetwork(bridge=True, masquerades=True),
    "card": PodNetwork(card="eth1"),
    "unrouted": PodNetwork(unrouted=True),
}
BRIDGE = "cni0"
POD_PREFIX = {4: "10.244.0.0/16", 6: "fd00:244::/32"}


def block(node, family):
    number = topology.NODES[node]["number"]
    return f"10.244.{number}.0/24" if family == 4 else f"fd00:244:{number}::/64"


def block_address(node, family, host):
    number = topology.NODES[node]["number"]
    return f"10.244.{number}.{host}" if family == 4 else f"fd00:244:{number}::{host:x}" if host else f"fd00:244:{number}::"


def card_address(node, family):
    number = topology.NODES[node]["number"]
    return f"172.19.0.1{number}" if family == 4 else f"fd00:19::1{number}"


def node_addresses(network, node, family):
    """The addresses that a node may be seen with: its own, the overlay device's, the bridge's."""
    found = [topology.NODES[node][family]]
    if network.overlay:
        found.append(block_address(node, family, network.overlay.host_number))
    if network.bridge:
        found.append(block_address(node, family, 1))
    if network.card:
        found.append(card_address(node, family))
    return found


def _gateway(network, node, family):
    """Where other nodes route what is for this node's pods."""
    return card_address(node, family) if network.card else topology.NODES[node][family]


def way_out(network, node, family):
    """The address with which a node masquerades towards pods of other nodes."""
    if network.overlay:
        return block_address(node, family, network.overlay.host_number)
    return _gateway(network, node, family)


def _mac(node, family):
    return f"0e:00:00:00:0{family}:{topology.NODES[node]['number']:02x}"


def _others(node):
    return [other for other in topology.NODES if other != node]


def overlay_lines(network, node, family):
    """A device without learning: the plugin says where each node and its pods are."""
    overlay, dev = network.overlay, network.overlay.devices[family]
    host = 32 if family == 4 else 128
    lines = [f"ip link add {dev} address {_mac(node, family)} mtu {1500 - OVERHEAD[family]} type vxlan id {overlay.vni} "
             f"local {topology.NODES[node][family]} dev eth0 dstport {overlay.port} nolearning",
             f"ip -{family} addr add {block_address(node, family, overlay.host_number)}/{host} dev {dev}"
             + (" nodad" if family == 6 else ""),
             f"ip link set {dev} up"]
    for other in _others(node):
        gateway = block_address(other, family, overlay.host_number)
        lines += [f"ip -{family} neigh replace {gateway} lladdr {_mac(other, family)} dev {dev} nud permanent",
                  f"bridge fdb append {_mac(other, family)} dev {dev} dst {topology.NODES[other][family]}",
                  f"ip -{family} route add {block(other, family)} via {gateway} dev {dev} onlink"]
    return lines


def _card_lines(network, node, netns_of):
    """The two nodes' cards are the ends of one veth pair, which the first node makes."""
    dev, first, second = network.card, *topology.NODES
    lines = [f"ip link add {dev} type veth peer name {dev} netns {netns_of(second)}"] if node == first else []
    return lines + [f"ip link set {dev} up", f"ip addr add {card_address(node, 4)}/24 dev {dev}",
                    f"ip -6 addr add {card_address(node, 6)}/64 dev {dev} nodad"]


def _routed_lines(network, node, family):
    if network.unrouted:
        return [f"ip -{family} route add unreachable {block(other, family)}" for other in _others(node)]
    return [f"ip -{family} route add {block(other, family)} via {_gateway(network, other, family)}"
            for other in _others(node)]


def _masquerade_lines(node, family):
    """As flannel does it: what leaves the pod network, and what others send to pods of other nodes."""
    pods, own = POD_PREFIX[family], block(node, family)
    name = "ip" if family == 4 else "ip6"
    rules = [f"{name} saddr {pods} {name} daddr {pods} return",
             f"{name} saddr {pods} masquerade",
             f"{name} saddr != {pods} {name} daddr {own} return",
             f"{name} saddr != {pods} {name} daddr {pods} masquerade"]
    return [f"nft add table {name} plugin",
            f"nft add chain {name} plugin post '{{ type nat hook postrouting priority 100; }}'",
            *(f"nft add rule {name} plugin post {rule}" for rule in rules)]


def _bridge_lines(network, node, netns_of):
    lines = [f"ip link add {BRIDGE} address 02:66:6c:00:00:02 type bridge", f"ip link set {BRIDGE} mtu {network.mtu} up",
             f"ip addr add {block_address(node, 4, 1)}/24 dev {BRIDGE}",
             f"ip -6 addr add {block_address(node, 6, 1)}/64 dev {BRIDGE} nodad"]
    for pod in topology.NODES[node]["pods"]:
        dev = f"veth-{pod}"
        lines += [f"ip link add {dev} mtu {network.mtu} type veth peer name eth0 mtu {network.mtu} netns {netns_of(pod)}",
                  f"ip link set {dev} master {BRIDGE} up", f"bridge link set dev {dev} hairpin on"]
    on = int(network.bridge_netfilter)
    return lines + [f"echo {on} > /proc/sys/net/bridge/bridge-nf-call-{tables}" for tables in ("iptables", "ip6tables")]


def _veth_lines(network, node, netns_of, devices):
    about, lines = topology.NODES[node], []
    for pod in about["pods"]:
        address, dev = topology.pod_addresses(pod), f"veth-{pod}"
        lines += [f"ip link add {dev} mtu {network.mtu} type veth peer name eth0 mtu {network.mtu} netns {netns_of(pod)}",
                  f"ip link set {dev} address ee:ee:ee:ee:ee:ee",
                  f"ip link set {dev} up", topology.offloads(dev, devices, ""),
                  f"ip -6 addr add fe80::1/64 dev {dev} nodad",
                  f"ip route add {address[4]}/32 dev {dev}" + ("" if network.remote_devices else f" src {about[4]}"),
                  f"ip -6 route add {address[6]}/128 dev {dev}" + ("" if network.remote_devices else f" src {about[6]}")]
        if network.proxy_arp:
            lines += [f"echo 1 > /proc/sys/net/ipv4/conf/{dev}/proxy_arp",
                      f"echo 0 > /proc/sys/net/ipv4/neigh/{dev}/proxy_delay"]
    return lines


def node_lines(network, node, netns_of, devices):
    """What makes a node part of the pod network."""
    lines = _card_lines(network, node, netns_of) if network.card else []
    for family in (4, 6):
        lines += overlay_lines(network, node, family) if network.overlay else _routed_lines(network, node, family)
        lines += _masquerade_lines(node, family) if network.masquerades else []
    return lines + (_bridge_lines(network, node, netns_of) if network.bridge
                    else _veth_lines(network, node, netns_of, devices))


def pod_lines(network, pod, node):
    """A pod's addresses and its way out."""
    address = topology.pod_addresses(pod)
    if network.bridge:
        return [f"ip addr add {address[4]}/24 dev eth0", f"ip -6 addr add {address[6]}/64 dev eth0 nodad",
                f"ip route add default via {block_address(node, 4, 1)}",
                f"ip -6 route add default via {block_address(node, 6, 1)}"]
    gateway = "lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent"
    lines = [f"ip addr add {address[4]}/32 dev eth0", f"ip -6 addr add {address[6]}/128 dev eth0 nodad"]
    if not network.proxy_arp:
        lines += [f"ip neigh replace 169.254.1.1 {gateway}", f"ip -6 neigh replace fe80::1 {gateway}"]
    return lines + ["ip route add 169.254.1.1 dev eth0", "ip route add default via 169.254.1.1 dev eth0",
                    "ip -6 route add default via fe80::1 dev eth0"]
