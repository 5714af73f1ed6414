# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The faults of tests/model/mutants: each is one small change of one line of the BPF source. To compile it takes longer than
to see what becomes of it, so many are compiled at once: `woven` has a statement as it is and as it would be, and a number
in the programs' constants, `fl_fault`, says which of them holds. The verifier knows that number, and removes the others."""
import re
import struct
import subprocess

# what decides about packets; the sockets' hooks are driven by neither
ROOMS = ("bpf/xdp.bpf.c", "bpf/tc.bpf.c", "bpf/lib/", "bpf/ctx/", "conntrack/", "nodeport/")
NOT = ("conntrack/socket.bpf.h", "bpf/lib/maps.bpf.h")
# what is replaced, and by what
CHANGES = [
    (r" == ", " != "), (r" != ", " == "), (r" <= ", " < "), (r" >= ", " > "), (r" < ", " <= "), (r" > ", " >= "),
    (r" && ", " || "), (r" \|\| ", " && "), (r"\breturn true;", "return false;"), (r"\breturn false;", "return true;"),
    (r" \+ 1\b", " + 2"), (r" \+ ", " - "), (r" - ", " + "), (r" & ~", " & "), (r"\(!", "("),
    (r" \? ([\w>.&*-]+) : ([\w>.&*-]+);", r" ? \2 : \1;"), (r"^(\t+(?:} else )?)if \(.*\)( \{)?$", r"\1if (false)\2"),
    (r"(?<![\w.\[])([2-9]|[1-9]\d+)(?![\w.])", lambda number: str(int(number) + 1)),
    (r"\bsaddr\b", "daddr"), (r"\bdport\b", "sport"), (r"\bfl_flow_(?:unchanged|untouched)\([^()]*\)", "true"),
]
STATEMENT = re.compile(r"^\t+[\w>.*\[\]-]+(\(.*\)| [-+|&^]?= .*);$")
CONSTANT = re.compile(r"^(#define \w+ )(\d+)\b(.*)$")
# lines where a change would be none of what the datapath does with packets
NO_FAULT = re.compile(r"""
      \b__uint\(|\b__type\(                 # what a map is; the agent says how large it is
    | \bfl_loads_in_order\(\)|\bfl_fence\(  # on x86 loads are in order: tests/schedules/variants takes these away
    | _TRIES\b                              # a try more, of which the last is for processors that collide again and again
    | \bpad\b                               # what fills a key up, which nothing reads
    """, re.VERBOSE)
# where the tree's copy says which fault holds: these words, then a number
MAGIC = (0x6661756c, 0x74206f66, 0x20666c20)
BASE = "bpf/lib/base.bpf.h"
CHOICE = f"""
const volatile __u32 fl_fault[4] SEC(".rodata") = {{{", ".join(hex(word) for word in MAGIC)}, 0}};
#define FL_FAULT(number) (fl_fault[3] == (number))
"""
# a condition; a variable with its value; a part of a constant that is made of several
CONDITION = re.compile(r"\s*(?:(?:} )?else )?(?:if|while) (?=\()")
LOOP = re.compile(r"(\s*for \([^;]*;)([^;]*)(;.*)", re.DOTALL)
VARIABLE = re.compile(r"\s*(?:const )?(?:(?:struct|enum) \w+|__\w+|u?int\w*|bool|void|char)[ *]+(?:const )?\w+ = (?!\{)")
MEMBER = re.compile(r"\s*\.[\w.\[\]]+ = ")


class Fault:
    def __init__(self, name, number, before, after):
        self.name, self.number, self.before, self.after = name, number, before, after

    def text(self):
        """As in the list of survivors: it stays when lines are added above."""
        return f"{self.name}: {self.before.strip()}  =>  {self.after.strip()}"


def sources(tree):
    names = subprocess.run(["git", "ls-files", "*.bpf.c", "*.bpf.h"], cwd=tree, check=True, capture_output=True,
                           text=True).stdout.splitlines()
    return [n for n in names if n.startswith(ROOMS) and n not in NOT]


def of_tree(tree):
    """All there are, each once."""
    seen = set()
    for name in sources(tree):
        with open(f"{tree}/{name}", encoding="utf-8") as source:
            lines = source.read().split("\n")
        for number, line in enumerate(lines):
            code = line.split("/*")[0]
            constant = CONSTANT.match(code)
            if NO_FAULT.search(code):
                continue
            if constant:
                yield Fault(name, number, line, f"{constant[1]}{int(constant[2]) + 1}{constant[3]}")
            if not line.startswith("\t") or line.lstrip().startswith(("*", "/*", "#", "_Static")) or line.endswith("\\"):
                continue
            made = [line[:at.start()] + (new(at[1]) if callable(new) else at.expand(new)) + line[at.end():]
                    for old, new in CHANGES for at in re.finditer(old, code)]
            if STATEMENT.match(line) and "return" not in line:
                made.append(line[:len(line) - len(line.lstrip())] + "(void)0;")
            for after in made:
                if after != line and (name, number, after) not in seen:
                    seen.add((name, number, after))
                    yield Fault(name, number, line, after)


def plain(lines, fault):
    """The lines of its file with the fault."""
    return lines[:fault.number] + [fault.after] + lines[fault.number + 1:]


def extent(lines, number):
    """First and last line of the statement, or of its part that ends with a brace, that a line belongs to."""
    code = [re.sub(r"/\*.*?\*/", "", line).rstrip() for line in lines]
    first = last = number
    while code[first - 1] and not code[first - 1].endswith((";", "{", "}", ":", "else", "*/", "\\")):
        first -= 1
    while not code[last].endswith((";", "{", "}")):
        last += 1
    return first, last


def closing(text, at):
    """Behind the parenthesis that closes the one there."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if not depth:
            return i + 1
    return len(text)


def values(text):
    """What is between the commas that are in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def either(number, before, after, bool_of=""):
    return f"(FL_FAULT({number}) ? {bool_of}({after}) : {bool_of}({before}))"


def woven_value(before, after, number):
    """Of a variable; of the second of several with its name."""
    name = re.match(r"\s*\**\w+ = ", before)
    name = name[0] if name and after.startswith(name[0]) else ""
    return name + either(number, before[len(name):], after[len(name):])


def woven_statement(before, after, number):
    """Both of them, without comments; None: not where this would be the same."""
    head = CONDITION.match(before)
    if head:
        ends = closing(before, head.end()), closing(after, head.end())
        if before[ends[0]:] == after[ends[1]:]:
            return (f"{head[0]}({either(number, before[head.end():ends[0]], after[head.end():ends[1]], '!!')})"
                    f"{before[ends[0]:]}")
        body = woven_statement(before[ends[0]:], after[ends[0]:], number) if ends[0] == ends[1] else None
        return body and before[:ends[0]] + body
    loops = LOOP.match(before), LOOP.match(after)
    if all(loops):
        if (loops[0][1], loops[0][3]) != (loops[1][1], loops[1][3]):
            return None
        return loops[0][1] + either(number, loops[0][2], loops[1][2], "!!") + loops[0][3]
    for kind, end in (VARIABLE, ";"), (MEMBER, ","):
        heads = kind.match(before), kind.match(after)
        if all(heads):
            if heads[0][0] != heads[1][0] or not before.endswith(end) or not after.endswith(end):
                return None
            parts = [values(text[head.end():-1]) for text, head in ((before, heads[0]), (after, heads[1]))]
            return heads[0][0] + ",".join(one if one == other else woven_value(one, other, number)
                                          for one, other in zip(*parts)) + end
    if not before.endswith(";") or not after.endswith(";") or "{" in before:
        return None
    return f"{{ if (FL_FAULT({number})) {{ {after} }} else {{ {before} }} }}"


def woven(lines, fault, number):
    """The place and the lines that have both the source and the fault, or None."""
    constant = CONSTANT.match(fault.before), CONSTANT.match(fault.after)
    if all(constant):
        return fault.number, fault.number, f"{constant[0][1]}{either(number, constant[0][2], constant[1][2])}{constant[0][3]}"
    try:
        first, last = (fault.number,) * 2 if MEMBER.match(fault.before) else extent(lines, fault.number)
    except IndexError:
        return None
    both = ["\n".join(which[first:last + 1]) for which in (lines, plain(lines, fault))]
    text = woven_statement(*(re.sub(r"\s*/\*.*?\*/", "", one, flags=re.DOTALL) for one in both), number)
    return text and (first, last, text)


def weave(lines, changes):
    """The lines of a file with several woven() changes, which have no line in common."""
    for first, last, text in sorted(changes, reverse=True):
        lines = lines[:first] + [text] + lines[last + 1:]
    return lines


def choose(program, number):
    """A program that has the objects in it, in which this fault holds."""
    return program.replace(struct.pack("<4I", *MAGIC, 0), struct.pack("<4I", *MAGIC, number))
