# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What tests/schedules says of the source is there: the code of each step of the flow table's protocol, and the places
that its variants change."""
import importlib.machinery
import importlib.util
import re

STEPS, VARIANTS, BOOK = "tests/schedules/steps", "tests/schedules/variants", "ARCHITECTURE.md"
LINE = re.compile(r"(?P<step>[a-z ]+): (?P<file>[\w/.]+): (?P<function>\w+)\(\): (?P<code>.+)")
# the table of the protocol: | step | how |
ROW = re.compile(r"\| ([a-z ]+) \| .+ \|$")


def squeezed(text):
    return re.sub(r"\s+", "", text)


def body_of(lines, function):
    """Of a function that begins at the left margin; None: there is none."""
    text = "\n".join(lines)
    found = re.search(rf"^[\w][^\n;{{}}]*\b{function}\([^;{{}}]*\)\n\{{\n(.*?)^\}}", text, re.S | re.M)
    return found and found[1]


def protocol(lines):
    """The steps that the book has."""
    at = lines.index("| take | cmpxchg from what was seen to (generation + 1, BUSY); the one that wins owns the entry |")
    steps = []
    while at < len(lines) and ROW.match(lines[at]):
        steps.append(ROW.match(lines[at])[1])
        at += 1
    return steps


def check_steps(tree):
    if STEPS not in tree.text:
        return
    named = set()
    for number, line in enumerate(tree.text[STEPS], 1):
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if not found:
            tree.say(STEPS, number, "not STEP: FILE: FUNCTION(): code")
            continue
        named.add(found["step"])
        body = body_of(tree.text.get(found["file"]) or [], found["function"])
        if body is None:
            tree.say(STEPS, number, f"{found['file']} has no function {found['function']}()")
        elif squeezed(found["code"]) not in squeezed(body):
            tree.say(STEPS, number, f"{found['function']}() does not say this any more")
    for step in protocol(tree.text[BOOK]):
        if step not in named:
            tree.say(STEPS, 1, f"no code for the step {step} of {BOOK}")


def check_variants(tree):
    if VARIANTS not in tree.text:
        return
    loader = importlib.machinery.SourceFileLoader("variants", f"{tree.root}/{VARIANTS}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("variants", loader))
    loader.exec_module(module)
    for name, file, old, *_ in module.VARIANTS:
        if old not in "\n".join(tree.text.get(file) or []):
            tree.say(VARIANTS, 1, f"variant \"{name}\": {file} has no such place any more")
