# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Licences, sizes, words, sleeps, and what other programs say about shell, Python and formatting."""
import re
import shutil
import subprocess

MAX_LINES = 800
WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
SLEEP = re.compile(r"\btime\.sleep\(|\b(?:u|nano)?sleep\(|(?:^|[;&|]\s*)sleep [0-9]")
BANNER = re.compile(r"/\* ?[-=*]{3,}")
SLEEP_ALLOWED = {"tests/lab/wait.py"}  # polls a condition until a deadline


def check_texts(tree):
    for name in tree.files:
        if tree.language(name) is None:
            continue
        text = tree.text[name]
        if not any("SPDX-License-Identifier:" in line for line in text[:3]):
            tree.say(name, 1, "no SPDX-License-Identifier in the first three lines")
        if len(text) > MAX_LINES:
            tree.say(name, MAX_LINES + 1, f"{len(text)} lines, more than {MAX_LINES}")
        for number, line in enumerate(text, 1):
            word = WORDS.search(line)
            if word:
                tree.say(name, number, f"the word {word[0]}")
            if line != line.rstrip():
                tree.say(name, number, "space at the end of the line")
            if name.startswith("tests/") and name not in SLEEP_ALLOWED and SLEEP.search(line):
                tree.say(name, number, "a sleep: wait for an event with a deadline instead")


def check_comments(tree):
    """A comment that ends on a line of its own begins on one too; a heading is words, not a banner."""
    for name in tree.suffix(".c", ".h"):
        begin = 0
        for number, line in enumerate(tree.text[name], 1):
            if "/*" in line:
                begin = number
            if line.strip() == "*/" and tree.text[name][begin - 1].strip() not in ("/*", "/**"):
                tree.say(name, number, "the end of a comment alone on its line, though the comment begins beside text")
            if BANNER.search(line):
                tree.say(name, number, "a banner: a heading needs no dashes")


def check_shell(tree):
    scripts = [name for name in tree.files if tree.language(name) == "shell"]
    if shutil.which("shellcheck") is None:
        print("SKIP shellcheck: not installed")
    elif scripts:
        done = subprocess.run(["shellcheck", "-f", "gcc", *scripts], cwd=tree.root, check=False,
                              capture_output=True, text=True)
        for line in done.stdout.splitlines():
            tree.wrong += 1
            print(line)


def check_python(tree):
    for name in tree.files:
        if tree.language(name) == "python":
            try:
                compile("\n".join(tree.text[name]) + "\n", name, "exec")
            except SyntaxError as error:
                tree.say(name, error.lineno, error.msg)


def check_format(tree):
    tool = shutil.which("clang-format-14")
    if tool is None:
        print("SKIP formatting: clang-format-14 is not installed")
        return
    names = tree.suffix(".c", ".h")
    done = subprocess.run([tool, "--dry-run", "--ferror-limit=0", *names], cwd=tree.root, check=False,
                          capture_output=True, text=True)
    first = {}
    for line in done.stderr.splitlines():
        found = re.match(r"(.+?):(\d+):\d+: warning: code should be clang-formatted", line)
        if found:
            first.setdefault(found[1], int(found[2]))
    for name, number in sorted(first.items()):
        tree.say(name, number, "not formatted (`make format`)")
