# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The files git knows, their text, and what was found wrong with them."""
import os
import re
import subprocess

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
SHEBANG = re.compile(r"#!\s*/(?:usr/)?bin/(?:env )?(\w+)")


class Tree:
    def __init__(self, root=REPO):
        self.root = root
        self.wrong = 0
        files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                               capture_output=True, text=True).stdout.splitlines()
        self.files = [name for name in files if os.path.isfile(f"{root}/{name}")]
        self.text = {}
        for name in self.files:
            try:
                with open(f"{root}/{name}", encoding="utf-8") as source:
                    self.text[name] = source.read().splitlines()
            except UnicodeDecodeError:
                self.text[name] = None  # a binary

    def say(self, name, line, what):
        self.wrong += 1
        print(f"{name}:{line}: {what}")

    def suffix(self, *suffixes):
        return [name for name in self.files if name.endswith(suffixes) and self.text[name] is not None]

    def interpreter(self, name):
        """What runs a script: sh, bash, python3, ..., or None for a file that is none."""
        found = SHEBANG.match(self.text[name][0]) if self.text[name] else None
        return found and found[1]

    def language(self, name):
        """c, python, shell, make, or None."""
        if self.text[name] is None:
            return None
        if name.endswith((".c", ".h")):
            return "c"
        interpreter = self.interpreter(name) or ""
        if name.endswith(".py") or interpreter.startswith("python"):
            return "python"
        if name.endswith(".sh") or interpreter in ("sh", "bash"):
            return "shell"
        return "make" if os.path.basename(name) == "Makefile" else None

    def includes(self, name):
        """The include lines of a file: (line number, what is included, whether from the system)."""
        for number, line in enumerate(self.text.get(name) or [], 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found[2], found[1] == "<"

    def resolve(self, name, included):
        """The file of the tree that a quoted include means, or None for one that is not in it."""
        for candidate in (included, os.path.normpath(f"{os.path.dirname(name)}/{included}")):
            if candidate in self.text:
                return candidate
        return None
