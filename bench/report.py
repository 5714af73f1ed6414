# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Samples to medians, spreads and ratios; a table for people and JSON for scripts."""
import json
import statistics

TITLES = {
    1: "established flows: ns per packet, net of the empty program (BPF_PROG_TEST_RUN)",
    "1f": "packets that are none of ours: ns per packet, net of the empty program",
    "1d": "DSR, packets of established flows: ns per packet, net of the empty program",
    2: "new flows, both directions recorded, table full: ns per packet, net of the empty program",
    "2r": "first packets that are refused: ns per packet, net of the empty program",
    3: "node path over veth, UDP, IPv4: CPU ns per packet, whole path (generator, node, sink)",
    7: "socket hooks, IPv4 UDP: CPU ns per call, in a cgroup with hooks; direct: in one without",
    8: "one endpoint change",
    9: "services from nothing",
    11: "a changed file until the maps show it, and what it takes of the agent",
    12: "an agent until it is ready",
}

ORDER = ["empty", "tx", "bits", "bare", "bare-insert", "bare-encap", "bare-decap", "floor", "direct", "row 1", "row 1, one flow",
         "row 2", "fairlead", "foreign", "fairlead-xdp", "fairlead-tc", "empty-tc", "bits-tc", "bare-encap at tc", "bare-decap at tc",
         "row 1 at tc", "tc-ingress", "tc-egress", "textbook", "textbook-fib", "routing", "nftables", "iptables"]

# What Fairlead is to reach: row, words that the column has, contender, beside whom, at most so many times that ("x") or so much
# above it ("+", ns). The first that fits counts.
GOALS = [
    (1, ", 1 flow", "fairlead", "bare", "+", 30),
    (1, ", 524288 flows", "fairlead", "bare", "x", 1.25),
    (1, " flows", "fairlead", "bare", "x", 1.15),
    ("1f", "", "fairlead", "row 1, one flow", "x", 0.5),
    ("1f", "", "tc-ingress", "row 1, one flow", "x", 0.5),
    ("1f", "", "tc-egress", "row 1, one flow", "x", 0.5),
    ("1d", "", "fairlead", "row 1", "+", 15),
    ("1d", "", "tc-ingress", "row 1 at tc", "+", 15),
    (2, "10000 services", "fairlead", "bare-insert", "x", 3),
    (2, "16384 entries", "fairlead", "bare-insert", "x", 8),
    (2, "", "fairlead", "bare-insert", "x", 2.2),
    ("2r", "table full", "fairlead", "row 2", "x", 2),
    ("2r", "no source port", "fairlead", "row 2", "x", 2),
    ("2r", "", "fairlead", "row 2", "x", 0.333),
    (7, "connect() of a new socket", "fairlead", "direct", "+", 250),
]


def goal_of(row, column, contender, contenders):
    for goal_row, words, who, beside, kind, limit in GOALS:
        if goal_row == row and words in column and who == contender and beside in contenders:
            return beside, kind, limit
    return None


def median_of_goal(contenders, contender, beside, kind):
    """Of the rounds, how far from what it is measured beside."""
    rounds = contenders[contender]
    other = contenders[beside]
    if kind == "+":
        values = [rounds[r] - other[r] for r in rounds if r in other]
    else:
        values = [rounds[r] / other[r] for r in rounds if other.get(r, 0) > 0]
    return statistics.median(values) if values else None


class Results:
    def __init__(self):
        self.samples = {}  # (row, column) -> contender -> {round: value}
        self.order = []
        self.notes = []

    def add(self, row, column, contender, round_, value):
        key = (row, column)
        if key not in self.samples:
            self.samples[key] = {}
            self.order.append(key)
        self.samples[key].setdefault(contender, {})[round_] = value

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def items(self):
        for row, column in sorted(self.order, key=lambda k: list(TITLES).index(k[0])):
            contenders = self.samples[row, column]
            base = reference(contenders)
            for contender, rounds in sorted(contenders.items(), key=lambda c: ORDER.index(c[0])):
                values = sorted(rounds.values())
                item = {
                    "row": row, "column": column, "contender": contender, "unit": "ns", "rounds": len(values),
                    "median": statistics.median(values), "min": values[0], "max": values[-1],
                    "samples": [rounds[r] for r in sorted(rounds)],
                }
                ratios = sorted(rounds[r] / contenders[base][r] for r in rounds
                                if base and r in contenders[base] and contenders[base][r] > 0)
                if ratios:
                    item["ratio"] = {"to": base, "median": statistics.median(ratios), "min": ratios[0], "max": ratios[-1]}
                goal = goal_of(row, column, contender, contenders)
                reached = median_of_goal(contenders, contender, goal[0], goal[1]) if goal else None
                if reached is not None:
                    item["goal"] = {"to": goal[0], "kind": "times" if goal[1] == "x" else "above", "limit": goal[2], "median": reached}
                yield item


def reference(contenders):
    """What the others of a column are compared with, round by round."""
    for name in ("fairlead", "fairlead-xdp"):
        if name in contenders:
            return name
    return None


def human(ns):
    for limit, scale, unit in ((1e4, 1, "ns"), (1e7, 1e3, "us"), (1e10, 1e6, "ms")):
        if abs(ns) < limit:
            return f"{ns / scale:.{0 if scale == 1 else 1}f} {unit}"
    return f"{ns / 1e9:.1f} s"


def goal_text(goal):
    if goal["kind"] == "above":
        return f"+{goal['median']:.0f} of +{goal['limit']} ns to {goal['to']}"
    return f"{goal['median']:.2f} of {goal['limit']:.3g} x {goal['to']}"


def print_table(results, out):
    last = None
    for item in results.items():
        if item["row"] != last:
            last = item["row"]
            out.write(f"\nrow {last}{'-5' if last == 3 else ''}  {TITLES[last]}\n")
            out.write(f"  {'':<44}{'contender':<16}{'median':>11}  {'min .. max':<25}{'x Fairlead':>11}  goal\n")
            column = None
        spread = f"{human(item['min'])} .. {human(item['max'])}"
        ratio = f"{item['ratio']['median']:.2f}" if "ratio" in item else ""
        head = item["column"] if item["column"] != column else ""
        column = item["column"]
        goal = goal_text(item["goal"]) if "goal" in item else ""
        line = f"  {head:<44}{item['contender']:<16}{human(item['median']):>11}  {spread:<25}{ratio:>11}  {goal}"
        out.write(line.rstrip() + "\n")
    for note in results.notes:
        out.write(f"\nnote: {note}\n")


def to_json(results, machine, options):
    return json.dumps({
        "apiVersion": "fairlead.dev/v1",
        "kind": "BenchReport",
        "machine": machine,
        "options": options,
        "items": list(results.items()),
        "notes": results.notes,
    }, indent=1) + "\n"
