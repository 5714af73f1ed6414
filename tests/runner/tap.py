# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Unit, golden and packet tests: programs that speak TAP, as cmocka does on request."""
import os
import re
import signal
import time

from children import HANG

RESULT = re.compile(r"^(not )?ok\s+\d+\s*(?:-\s*)?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
PLACE = re.compile(r"^(\S+\.[ch]:\d+): error: Failure!$")
LINES_AT_THE_END = 60
ENV = {"CMOCKA_MESSAGE_OUTPUT": "TAP", "UBSAN_OPTIONS": "print_stacktrace=1"}


def is_tap(_stream, line):
    return bool(RESULT.match(line) or PLAN.match(line) or line.startswith("#"))


def reason_of(before, after):
    """Where a test of cmocka failed, and its words: those of fail_msg() come before the result, those of a comparison
    behind it."""
    lines = [*before, *(line.removeprefix("#").strip() for line in after)]
    place = next((match[1] for line in lines if (match := PLACE.match(line))), "")
    words = " ".join(line.removeprefix("ERROR: ") for line in lines if line and not PLACE.match(line))
    return ": ".join(part for part in (place, words) if part)


class Program:
    """One program: hears its lines, and knows a result when the next one begins or the program ends."""

    def __init__(self, report, group, label, argv, hang_s):
        self.report, self.group, self.label, self.argv, self.hang_s = report, group, label, argv, hang_s
        self.planned = self.seen = self.failed = self.hung = 0
        self.current = None  # (outcome, name, seconds, said) of the result whose lines may still come
        self.about = []  # what TAP says about it
        self.said = []  # anything else, of the test that runs
        self.last_words = []  # whatever test they belong to: what a program says at its end
        self.since = time.monotonic()

    async def run(self, nursery):
        child = nursery.spawn(self.argv, {**os.environ, **ENV}, together=True)
        self.report.test_begins(self.label)
        try:
            async for stream, line in child.hear(is_tap, self.hang_s):
                if stream == HANG:
                    self.hangs(child)
                else:
                    self.hear(line)
        finally:
            status = child.end()
            self.report.test_gone(self.label)
        self.flush()
        self.conclude(status)

    def hangs(self, child):
        """cmocka makes a failure of SIGSYS and goes on with the next test; if it does not, that is that."""
        self.hung += 1
        self.say(f"no result for {self.hang_s:.0f} s")
        child.signal(signal.SIGSYS if self.hung == 1 else signal.SIGKILL)

    def hear(self, line):
        plan, result = PLAN.match(line), RESULT.match(line)
        if plan:
            self.flush()
            self.planned += int(plan[1])
        elif result:
            self.flush()
            self.hung = 0
            now = time.monotonic()
            self.current = ("failed" if result[1] else "passed", result[2], now - self.since, self.said)
            self.since, self.said = now, []
        elif line.startswith("#"):
            self.about.append(line)
        else:
            self.say(line)

    def say(self, line):
        self.said.append(line)
        self.last_words = [*self.last_words[-LINES_AT_THE_END:], line]

    def flush(self):
        """Pass the last result on, now that its lines are there."""
        if self.current is None:
            return
        (outcome, name, seconds, said), about = self.current, self.about
        self.current, self.about = None, []
        self.seen += 1
        text = reason = ""
        if "# SKIP" in name.upper():
            at = name.upper().index("# SKIP")
            before, after = name[:at].strip(), name[at + 6:].strip()
            words = [line[4:].strip(": ") for line in said if line.startswith("SKIP")]
            name = before or after
            outcome, text = "skipped", (after if before else "") or (words[0] if words else "")
        elif outcome == "failed":
            self.failed += 1
            text, reason = "\n".join([*said, *about]), reason_of(said, about)
        self.report.test_ends(self.group, f"{self.label} {name}", outcome, seconds, text, reason)

    def conclude(self, status):
        said = "\n".join(self.last_words)
        if self.planned == 0 and self.seen == 0:
            wrong = f"no test ran (status {status})"
        elif self.seen < self.planned:
            wrong = f"ended with status {status} after {self.seen} of {self.planned} tests"
        elif status != 0 and not self.failed:
            wrong = f"ended with status {status} although no test failed"
        else:
            return
        self.report.test_ends(self.group, self.label, "failed", time.monotonic() - self.since, f"{wrong}\n{said}",
                              f"{wrong}: {self.last_words[0]}" if self.last_words else wrong)
