# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Unit, golden and packet tests: programs that speak TAP, as cmocka does on request."""
import os
import re
import signal
import time

from children import HANG

RESULT = re.compile(r"^(not )?ok\s+\d+\s*(?:-\s*)?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)")
LINES_AT_THE_END = 60
ENV = {"CMOCKA_MESSAGE_OUTPUT": "TAP", "UBSAN_OPTIONS": "print_stacktrace=1"}


class Program:
    """One program: hears its lines, and knows a result when the next one begins or the program ends."""

    def __init__(self, report, group, label, argv, hang_s):
        self.report, self.group, self.label, self.argv, self.hang_s = report, group, label, argv, hang_s
        self.planned = self.seen = self.failed = self.hung = 0
        self.current = None  # (outcome, name, seconds) of the result whose lines may still come
        self.about = []
        self.errors = []
        self.last_errors = []  # whatever result they belong to: what a program says at its end
        self.since = time.monotonic()

    async def run(self, nursery):
        child = nursery.spawn(self.argv, {**os.environ, **ENV})
        self.report.test_begins(self.label)
        try:
            async for stream, line in child.hear("out", self.hang_s):
                if stream == HANG:
                    self.hangs(child)
                elif stream == "out":
                    self.hear(line)
                elif stream == "err":
                    self.errors.append(line)
                    self.last_errors = [*self.last_errors[-LINES_AT_THE_END:], line]
        finally:
            status = child.end()
            self.report.test_gone(self.label)
        self.flush()
        self.conclude(status)

    def hangs(self, child):
        """cmocka makes a failure of SIGSYS and goes on with the next test; if it does not, that is that."""
        self.hung += 1
        self.errors.append(f"no result for {self.hang_s:.0f} s")
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
            self.current = ("failed" if result[1] else "passed", result[2], now - self.since)
            self.since = now
        else:
            self.about.append(line)

    def flush(self):
        """Pass the last result on, now that its lines are there."""
        if self.current is None:
            return
        (outcome, name, seconds), about, errors = self.current, self.about, self.errors
        self.current, self.about, self.errors = None, [], []
        self.seen += 1
        text = ""
        if "# SKIP" in name.upper():
            at = name.upper().index("# SKIP")
            before, after = name[:at].strip(), name[at + 6:].strip()
            said = [line[4:].strip(": ") for line in errors if line.startswith("SKIP")]
            name = before or after
            outcome, text = "skipped", (after if before else "") or (said[0] if said else "")
        elif outcome == "failed":
            self.failed += 1
            text = "\n".join([*about, *errors])
        self.report.test_ends(self.group, f"{self.label} {name}", outcome, seconds, text)

    def conclude(self, status):
        errors = "\n".join(self.last_errors)
        if self.planned == 0 and self.seen == 0:
            wrong = f"no test ran (status {status})"
        elif self.seen < self.planned:
            wrong = f"ended with status {status} after {self.seen} of {self.planned} tests"
        elif status != 0 and not self.failed:
            wrong = f"ended with status {status} although no test failed"
        else:
            return
        self.report.test_ends(self.group, self.label, "failed", time.monotonic() - self.since,
                              f"{wrong}\n{errors}")
