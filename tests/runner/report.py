# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a test run says: a line per test as it ends, what failed, a summary, and the totals.

On a terminal the tests that run stand in one more line at the bottom. The very last line is for
machines: `fairlead: N passed, N failed, N skipped`.
"""
import os
import sys
import time

OUTCOMES = ("passed", "failed", "skipped")
WORDS = {"passed": "ok", "failed": "FAILED", "skipped": "skip"}
LINES_OF_A_FAILURE = 120
LENGTH_OF_A_REASON = 300


class OutputGone(Exception):
    """Nobody reads any more: the terminal was closed, or the pipe."""


def in_a_line(text):
    """Text as one line of bounded length."""
    words = " ".join(text[:4 * LENGTH_OF_A_REASON].split())
    return words if len(words) <= LENGTH_OF_A_REASON else f"{words[:LENGTH_OF_A_REASON - 3]}..."


class Group:
    """The results of one kind of tests."""

    def __init__(self, name):
        self.name = name
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.failures = []  # (name, reason)
        self.reasons = {}
        self.expected = 0  # tests known to be there
        self.began = self.last = time.monotonic()

    def ended(self):
        return sum(self.counts.values())


class Report:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.groups = []
        self.running = {}  # name -> when it began
        self.terminal = out.isatty()
        self.shown = 0  # length of the line at the bottom
        self.gone = False
        self.on_failure = None  # called after each failure

    # ---- writing -----------------------------------------------------------------------------
    def write(self, text):
        if self.gone:
            return
        try:
            self.out.write(text)
            self.out.flush()
        except (OSError, ValueError) as error:
            self.gone = True
            # what the interpreter flushes at its end goes nowhere, without a word
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.out.fileno())
            raise OutputGone from error

    def line(self, text=""):
        if self.shown:
            self.write("\r\033[K")
            self.shown = 0
        self.write(text + "\n")

    def status(self):
        """The line at the bottom of a terminal: what runs, and for how long."""
        if not self.terminal:
            return
        now = time.monotonic()
        text = ", ".join(f"{name} {now - begun:.0f} s" for name, begun in self.running.items())
        width = os.get_terminal_size(self.out.fileno()).columns if self.terminal else 80
        text = text[:max(0, width - 1)]
        if text or self.shown:
            self.write("\r\033[K" + text)
            self.shown = len(text)

    # ---- results -----------------------------------------------------------------------------
    def test_begins(self, name):
        self.running[name] = time.monotonic()
        self.status()

    def test_gone(self, name):
        self.running.pop(name, None)

    def test_ends(self, group, name, outcome, seconds, text="", reason=""):
        """`text`: what went wrong, why the test was skipped, or what it has measured. `reason`: what went wrong, where that
        is not what the text begins with; it stands behind the test's name in the summary."""
        self.running.pop(name, None)
        group.counts[outcome] += 1
        group.last = time.monotonic()
        if outcome == "failed":
            group.failures.append((name, in_a_line(reason or text.strip().split("\n")[0])))
        elif outcome == "skipped":
            reason = f"{name.split('[')[0]}: {text}"
            group.reasons[reason] = group.reasons.get(reason, 0) + 1
        number = f"{group.ended()}/{group.expected}" if group.expected else f"{group.ended()}"
        took = "      -" if seconds is None else f"{seconds:5.1f} s"
        self.line(f"{group.name:7}{number:>8}  {WORDS[outcome]:6} {took}  {name}"
                  + (f": {text}" if outcome != "failed" and text else ""))
        if outcome == "failed":
            lines = text.strip().splitlines()
            if len(lines) > LINES_OF_A_FAILURE:
                lines = [f"({len(lines) - LINES_OF_A_FAILURE} lines left out)", *lines[-LINES_OF_A_FAILURE:]]
            for line in lines:
                self.line(f"        {line}")
            if self.on_failure is not None:
                self.on_failure()

    def close(self, reason=""):
        """The summary and the closing line."""
        totals = dict.fromkeys(OUTCOMES, 0)
        self.running.clear()
        self.line()
        for group in self.groups:
            for name, count in group.counts.items():
                totals[name] += count
            self.line(f"{group.name:7} {group.counts['passed']:5} passed {group.counts['failed']:5} failed "
                      f"{group.counts['skipped']:5} skipped   {group.last - group.began:6.1f} s")
            for words, count in group.reasons.items():
                self.line(f"    SKIP {words}" + (f" ({count} tests)" if count > 1 else ""))
            for name, words in group.failures:
                self.line(f"    FAILED {name}" + (f": {words}" if words else ""))
        if reason:
            self.line(reason)
        self.line("fairlead: " + ", ".join(f"{count} {name}" for name, count in totals.items()))
        return totals
