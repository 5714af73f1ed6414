# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The rooms of the house: which may include which, no circles inside one, and no name for two things."""
import os
import re

USER_LOW = {"bpf/abi", "lb/base"}
MODEL = USER_LOW | {"lb/model"}
KERNEL_LOW = {"bpf/abi", "bpf/lib"}
# Which rooms a room may include, besides itself: ARCHITECTURE.md says why. A room is a folder; `nodeport`
# and `conntrack` have a kernel half (*.bpf.h), which is a room of its own here.
MAY_INCLUDE = {
    "bpf/abi": set(),
    "bpf/lib": {"bpf/abi"},
    "bpf/ctx": KERNEL_LOW,
    "conntrack (bpf)": KERNEL_LOW,
    "nodeport (bpf)": KERNEL_LOW | {"conntrack (bpf)"},
    "bpf": KERNEL_LOW | {"bpf/ctx", "conntrack (bpf)", "nodeport (bpf)"},
    "lb/base": set(),
    "lb/http": {"lb/base"},
    "lb/maglev": {"lb/base"},
    "lb/model": USER_LOW,
    "lb/k8s": {"lb/base", "lb/model"},
    "lb/kube": {"lb/base"},
    "lb/source": {"lb/base", "lb/model", "lb/k8s", "lb/kube"},
    "lb/dp": USER_LOW,
    # the halves above the maps know them by lb/dp/maps.h
    "conntrack": MODEL | {"lb/dp"},
    "nodeport": USER_LOW,
    # the machine under the agent, which it does not know
    "lb/host": MODEL | {"lb/dp", "nodeport"},
    "lb/settings": MODEL | {"lb/dp", "lb/maglev", "nodeport"},
    "lb/sync": MODEL | {"lb/dp", "lb/maglev", "conntrack"},
    "lb/metrics": USER_LOW | {"lb/model"},
    "lb/duties": {"lb/base", "lb/model", "lb/http"},
    "lb/api": MODEL | {"lb/dp", "lb/http", "lb/sync", "conntrack"},
    "lb/agent": MODEL | {"lb/api", "lb/dp", "lb/duties", "lb/metrics", "lb/host", "lb/http", "lb/kube", "lb/settings", "lb/source", "lb/sync",
                         "conntrack", "nodeport"},
    "lb": {"lb/agent", "lb/base", "lb/model", "lb/settings", "lb/source"},
    "tools": {"conntrack", "lb/api", "lb/base", "lb/dp", "lb/model", "lb/settings", "lb/source"},
    "bench": {"lb/base", "lb/dp", "lb/sync", "conntrack", "nodeport", "bench (bpf)"},
    "bench (bpf)": KERNEL_LOW,
    # tests/schedules has the datapath compiled for this machine
    "tests": MODEL | {"bpf/ctx", "bpf/lib", "nodeport (bpf)", "lb/agent", "lb/api", "lb/dp", "lb/duties", "lb/host", "lb/http", "lb/k8s", "lb/kube",
                      "lb/maglev", "lb/metrics",
                      "lb/settings", "lb/source", "lb/sync", "conntrack", "nodeport", "tools"},
}
KERNEL_INCLUDE = "linux/types.h"  # the one thing from outside that bpf/abi may include
PRODUCT = ("bpf", "conntrack", "lb", "nodeport", "tools")
TAG = re.compile(r"^\s*(?:static |const |typedef )*(struct|union|enum)\s+(\w+)\s*(?:__attribute__\S*\s*)?\{")


def room_of(path):
    """The room of a file by its path in the tree; None if it is in none."""
    kernel = path.endswith((".bpf.h", ".bpf.c"))
    folders = path.split("/")[:-1]
    if not folders:
        return None
    top = folders[0]
    if top in ("nodeport", "conntrack", "bench"):
        return f"{top} (bpf)" if kernel else top
    if top in ("tests", "tools"):
        return top
    if top in ("bpf", "lb"):
        return "/".join(folders[:2])
    return None


def has_skeletons(name, room):
    """The bench and the generator of floods have BPF programs of their own."""
    return room in ("lb/dp", "bench") or name.startswith("tests/flood/")


def check_rooms(tree):
    for name in tree.suffix(".c", ".h"):
        room = room_of(name)
        if room not in MAY_INCLUDE:
            tree.say(name, 1, "this file is in no room of the house")
            continue
        for number, included, of_system in tree.includes(name):
            # one that is not in git yet is of the tree by its path
            there = None if of_system else room_of(tree.resolve(name, included) or included)
            if there not in MAY_INCLUDE:
                if room == "bpf/abi" and included != KERNEL_INCLUDE:
                    tree.say(name, number, f"room bpf/abi is a leaf and may not include <{included}>")
                if included.endswith(".skel.h") and not has_skeletons(name, room):
                    tree.say(name, number, f"room {room} may not include a skeleton; only lb/dp may")
            elif there != room and there not in MAY_INCLUDE[room]:
                tree.say(name, number, f"room {room} may not include {there} ({included})")


def check_ctx(tree):
    """A BPF object is written for one kind of packet: it has one adapter, or none if it has no packet."""
    for name in tree.suffix(".bpf.c"):
        if room_of(name) != "bpf":
            continue
        seen, todo = set(), [name]
        while todo:
            current = todo.pop()
            for _, included, of_system in tree.includes(current):
                target = None if of_system else tree.resolve(current, included)
                if target and target not in seen:
                    seen.add(target)
                    todo.append(target)
        adapters = sorted(f for f in seen if room_of(f) == "bpf/ctx")
        packet = os.path.basename(name).startswith(("xdp", "tc"))
        if len(adapters) > 1 or (packet and not adapters):
            tree.say(name, 1, f"an object includes exactly one bpf/ctx, not {len(adapters)}: "
                     + ", ".join(adapters))


def circles(graph):
    """The sets of nodes that can reach each other (Tarjan 1972), each sorted."""
    order, low, stack, found = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in graph.get(node, ()):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in list(graph):
        if node not in order:
            visit(node)
    return found


def check_circles(tree):
    """No two headers include each other, and no two sources of a room call each other, however indirectly."""
    headers, sources = {}, {}
    for name in tree.suffix(".c", ".h"):
        targets = [tree.resolve(name, included) for _, included, of_system in tree.includes(name)
                   if not of_system]
        targets = [t for t in targets if t and room_of(t) == room_of(name)]
        if name.endswith(".h"):
            headers[name] = targets
        else:
            sources[name] = [f"{t[:-2]}.c" for t in targets
                             if t[:-2] != name[:-2] and f"{t[:-2]}.c" in tree.text]
    for kind in (headers, sources):
        for circle in circles(kind):
            tree.say(circle[0], 1, f"these include each other: {', '.join(circle)}")


def check_tags(tree):
    """Two structs, unions or enums never share a tag in the product; in tests and bench those of headers
    are alone in their folder, and none is one of the product's own (fl_...)."""
    seen = {}
    for name in tree.suffix(".c", ".h"):
        product = name.startswith(tuple(f"{top}/" for top in PRODUCT))
        for number, line in enumerate(tree.text[name], 1):
            found = TAG.match(line)
            if not found:
                continue
            tag = found[2]
            if product or tag.startswith("fl_"):
                where = "the tree"
            elif name.endswith(".h"):
                where = os.path.dirname(name)
            else:
                continue
            other = seen.setdefault((where, tag), f"{name}:{number}")
            if other != f"{name}:{number}":
                tree.say(name, number, f"{found[1]} {tag} is also at {other}: two things never share a tag")
