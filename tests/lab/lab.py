# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Builds the lab and removes it: namespaces, bpf file systems, cgroups, servers.

Everything carries the lab's identity, which names its maker (owner.py): it is removed by the maker, at
exit or after a signal, else by the maker's reaper, else by the next lab (sweep.py). Processes are found
and ended through the lab's own cgroup, so nothing foreign can be hit.
"""
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys

import bpf
import owner
import pod_network
import reaper
import sweep
import topology
from manifests import Manifests
from node import Node
from place import HERE, PYTHON, Place
from wait import until

KEPT = "flab"  # the identity of the lab that `make lab` leaves
TOOLS = ("ip", "nsenter", "unshare", "ethtool", "mount", "umount")


class Unable(Exception):
    """This machine cannot have a lab, and why."""


def foreign_hooks():
    """The programs of an agent outside any lab at the root of cgroup v2: they translate every socket of this
    machine, and so those of a lab, whose addresses they may have too."""
    try:
        done = subprocess.run(["bpftool", "-j", "cgroup", "show", owner.cgroup_root()], check=False,
                              capture_output=True, text=True)
        return sorted(about["name"] for about in json.loads(done.stdout or "[]")
                      if about.get("name", "").startswith("fl_"))
    except (OSError, ValueError, TypeError):
        return []


def check_rights():
    """What no package can help with."""
    if os.geteuid() != 0:
        raise Unable("needs root")
    if owner.cgroup_root() is None:
        raise Unable("cgroup v2 is not mounted")
    if not os.access(owner.cgroup_root(), os.W_OK):
        raise Unable("cgroup v2 is mounted read-only")


def check_machine(network="routed"):
    check_rights()
    tools = (*TOOLS, *pod_network.NETWORKS[network].tools)
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise Unable("needs " + ", ".join(missing))
    hooks = foreign_hooks()
    if hooks:
        raise Unable(f"an agent's {hooks[0]} is at the root of cgroup v2 and would translate the lab's sockets")


class Lab:
    """A lab that is up from construction to close()."""

    _count = 0
    _reaper = None

    def __init__(self, build=None, keep=False, devices="prepared", network="routed", **agent_options):
        check_machine(network)
        sweep.sweep()
        Lab._count += 1
        self.keep = keep
        self.devices = devices
        self.network = pod_network.NETWORKS[network]
        self.id = KEPT if keep else f"fl{owner.this_process()}n{Lab._count}"
        self.directory = f"{sweep.STATE}/{self.id}"
        if os.path.isdir(self.directory):
            raise Unable(f"a lab is already up: remove it with `make lab-down` ({self.directory})")
        self.build = build
        self.base = f"{owner.cgroup_root()}/fairlead-{self.id}"
        self.places = {}
        self.nodes = {}
        self._closed = False
        if Lab._reaper is None and not keep:
            Lab._reaper = reaper.start()
        atexit.register(self._at_exit)
        try:
            self._claim()
            self._make(agent_options)
        except BaseException:
            self.close()
            raise

    def netns_of(self, name):
        return f"{self.id}-{name}"

    # ---- making ------------------------------------------------------------------------------
    def _claim(self):
        try:
            os.makedirs(self.directory, mode=0o755)
        except FileNotFoundError:  # somebody has just removed the last lab, and its parent with it
            os.makedirs(self.directory, mode=0o755)

    def _place(self, name, cgroup, addresses):
        path = f"{self.base}/{cgroup}"
        os.makedirs(path)
        subprocess.run(["ip", "netns", "add", self.netns_of(name)], check=True)
        self.places[name] = Place(name, self.netns_of(name), path, addresses)
        return self.places[name]

    def _make(self, agent_options):
        self.manifests = Manifests(f"{self.directory}/manifests")
        client = self._place("client", "outside", topology.OUTSIDE["client"])
        router = self._place("router", "router", topology.OUTSIDE["router"])
        for name, about in topology.NODES.items():
            place = self._place(name, f"{name}/host", {4: about[4], 6: about[6]})
            for pod in about["pods"]:
                self._place(pod, f"{name}/pods/{pod}", topology.pod_addresses(pod)).node = name
            self.nodes[name] = Node(self, place, f"{self.base}/{name}", agent_options)
        os.makedirs(f"{self.directory}/bpf")
        subprocess.run(["mount", "-t", "bpf", "bpf", f"{self.directory}/bpf"], check=True)
        bpf.pin_pass(f"{self.directory}/bpf/pass")
        for place in self.places.values():
            place.script(topology.SYSCTLS)
        router.script(topology.router_script(self.netns_of, f"{self.directory}/bpf/pass", self.devices))
        client.script(topology.client_script(self.devices))
        for name, about in topology.NODES.items():
            lines = pod_network.node_lines(self.network, name, self.netns_of, self.devices)
            self.places[name].script(topology.node_script(about, lines, self.devices))
            for pod in about["pods"]:
                lines = pod_network.pod_lines(self.network, pod, name)
                self.places[pod].script(topology.pod_script(lines, self.devices))
        router.script(topology.router_routes_script(pods=not self.network.unrouted))
        # node-1 shares our mount namespace and has its own bpf file system; node-2 has both
        self.nodes["node-1"].own_paths(f"{self.directory}/bpf/fairlead",
                                       f"{self.directory}/node-1.sock")
        self.nodes["node-2"].own_mounts()
        for pod in self.pods():
            self.serve(pod, wait=False)
        for pod in self.pods():
            self._await_server(pod)

    def add_edge_node(self, name):
        """A node at the same segment that has no pods, and routes to those of the others; its agent is not started."""
        about, pin = topology.EDGE, f"{self.directory}/bpf/pass"
        place = self._place(name, f"{name}/host", {4: about[4], 6: about[6]})
        place.script(topology.SYSCTLS)
        self.places["router"].script("\n".join(
            topology.router_port_lines(about, self.netns_of(name), pin, self.devices)))
        lines = [f"ip -{family} route add {pod_network.block(other, family)} via {topology.NODES[other][family]}"
                 for other in topology.NODES for family in (4, 6) if not self.network.unrouted]
        place.script(topology.node_script(about, lines, self.devices))
        node = Node(self, place, f"{self.base}/{name}", {})
        node.own_paths(f"{self.directory}/bpf/{name}", f"{self.directory}/{name}.sock")
        self.nodes[name] = node
        return node

    # ---- servers -----------------------------------------------------------------------------
    def pods(self):
        """The pods that serve."""
        return [name for name in self.places if name.startswith("web-")]

    def serve(self, pod, wait=True):
        place = self.places[pod]
        with open(f"{self.directory}/{pod}.log", "w", encoding="utf-8") as log:
            place.server = place.popen([PYTHON, f"{HERE}/server.py", "--pod", pod,
                                        "--node", place.node],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self._await_server(pod)

    def _await_server(self, pod):
        def ready():
            if self.places[pod].server.poll() is not None:
                raise RuntimeError(f"lab: the server of {pod} ended: {self.log(pod)}")
            return "ready" in self.log(pod)
        until(ready, f"the server of {pod} is ready", 20)

    def stop_serving(self, pod):
        server = self.places[pod].server
        server.kill()
        server.wait()

    def log(self, name):
        with open(f"{self.directory}/{name}.log", encoding="utf-8", errors="replace") as log:
            return log.read()

    # ---- convenience -------------------------------------------------------------------------
    def __getitem__(self, name):
        return self.places[name]

    def start_agents(self, **options):
        for node in self.nodes.values():
            node.start(wait=False, **options)
        for node in self.nodes.values():
            node.wait_ready()

    def settle(self, deadline_s=10):
        """Wait until every agent that runs has planned what the manifests say now."""
        for node in self.nodes.values():
            if node.agent is not None:
                node.settle(deadline_s)

    # ---- removing ----------------------------------------------------------------------------
    def close(self):
        if self._closed:
            return
        for place in self.places.values():
            place.close()
        sweep.remove(self.id)
        self._closed = True  # and not before: what a signal interrupts is done again at exit

    def leave(self):
        """Leave the lab up when this program ends."""
        for place in self.places.values():
            place.close()
        with open(f"{self.directory}/places.json", "w", encoding="utf-8") as record:
            json.dump({name: {"netns": place.netns, "cgroup": place.cgroup,
                              "mount_pid": place.mount_pid}
                       for name, place in self.places.items()}, record)
        self._closed = True

    def _at_exit(self):
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exit_on_signals():
    """Make signals end the program in an orderly way, so that atexit runs."""
    def leave(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, leave)


def interrupt_on_signals():
    """Make signals do what Ctrl-C does: pytest then tears its fixtures down, and so removes its labs."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
