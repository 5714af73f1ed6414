# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""End-to-end tests: a pytest for each module, several side by side, each with labs of its own.

A test that hangs, or that its pytest does not survive, is a failure; the rest of its module is run by
another pytest.
"""
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile

import sweep
from children import HANG, REPO

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
TO_THE_END_S = 30  # how long a pytest may take to remove its labs when it is asked to end
MEMORY_OF_A_LAB = 1 << 30  # two agents with their maps, eight servers and clients
# take long though they have few tests: they go first, so that none of them runs on alone at the end
LONG = ("test_compilers.py", "test_flood.py", "test_modes.py", "test_runner.py", "test_restart.py")
EVENTS = "FAIRLEAD_EVENTS"  # the stream on which pytest_events.py reports, and its environment variable
WORDS_KEPT = 200  # lines of what a pytest wrote besides


def has_pytest():
    return subprocess.run([PYTHON, "-c", "import pytest"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def short(test):
    """test_x.py::test_y[z] as it stands in the report: test_x test_y[z]."""
    path, _, name = test.partition("::")
    return f"{os.path.basename(path).removesuffix('.py')} {name}".strip()


def is_event(stream, _line):
    return stream == EVENTS


def side_by_side(modules):
    """How many modules may run at once: as many as there are processors, if there is memory for their labs."""
    with open("/proc/meminfo", encoding="utf-8") as lines:
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    return max(1, min(len(os.sched_getaffinity(0)), available // MEMORY_OF_A_LAB, modules))


def in_order(found):
    """The modules and their tests, those that take longest first."""
    return sorted(found.items(), key=lambda item: (os.path.basename(item[0]) not in LONG, -len(item[1])))


class Pytest:
    """What all calls of pytest have in common."""

    def __init__(self, report, group, args):
        self.report, self.group, self.args = report, group, args
        self.words = []

    def hear_words(self, line):
        self.words = [*self.words[-WORDS_KEPT:], line]

    def spawn(self, nursery, argv, tests=None):
        env = {**os.environ, "FAIRLEAD_BUILD": os.path.abspath(self.args.build),
               "PYTHONDONTWRITEBYTECODE": "1",
               "PYTHONPATH": os.pathsep.join([f"{REPO}/tests/runner", f"{REPO}/tests/lab"])}
        env.pop("FAIRLEAD_TESTS", None)
        if tests:
            env["FAIRLEAD_TESTS"] = tests
        self.words = []
        return nursery.spawn([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_events",
                              "--tb=short", f"--rootdir={self.args.suite}", *argv], env, (EVENTS,))

    async def collect(self, nursery):
        """The tests there are, by module; modules that cannot be read are failures."""
        match = ["-k", self.args.match] if self.args.match else []
        child, modules, broken = self.spawn(nursery, ["--collect-only", *match, self.args.suite]), {}, False
        try:
            async for stream, line in child.hear(is_event, self.args.hang):
                if stream == HANG:
                    break
                if stream != EVENTS:
                    self.hear_words(line)
                    continue
                event = json.loads(line)
                if event["event"] == "collected":
                    modules.setdefault(event["test"].partition("::")[0], []).append(event["test"])
                elif event["event"] == "broken":
                    broken = True
                    self.report.test_ends(self.group, short(event["test"]), "failed", None, event["text"],
                                          event["reason"])
        finally:
            status = child.end()
        # 5: there is no such test
        if status not in (0, 5) and not broken:
            self.report.test_ends(self.group, "pytest", "failed", None,
                                  f"cannot list the tests (status {status})\n" + "\n".join(self.words))
        return modules


class Module(Pytest):
    """A module's tests, run by one pytest, or by several in turn if it does not survive."""

    def __init__(self, report, group, args, path, tests):
        super().__init__(report, group, args)
        self.path, self.left = path, list(tests)
        self.current = None
        self.hung = False

    async def run(self, nursery):
        while self.left:
            before = len(self.left)
            await self.run_once(nursery)
            if len(self.left) == before:
                for test in self.left:
                    self.report.test_ends(self.group, short(test), "failed", None, "did not run")
                return

    async def run_once(self, nursery):
        with tempfile.NamedTemporaryFile("w", prefix="fairlead-tests-", encoding="utf-8") as tests:
            tests.write("\n".join(self.left))
            tests.flush()
            # or the next test would run before the signal comes
            first = ["-x"] if self.args.first else []
            child = self.spawn(nursery, [*first, f"{self.args.suite}/{self.path}"], tests.name)
            try:
                async for stream, line in child.hear(is_event, self.args.hang):
                    if stream == HANG:
                        self.hangs(child)
                    elif stream == EVENTS:
                        self.hear(json.loads(line))
                    else:
                        self.hear_words(line)
                if self.args.first and self.group.failures:
                    raise asyncio.CancelledError  # that has come, but not got through yet
            except asyncio.CancelledError:
                await self.cut_short(child)
                raise
            finally:
                logs = last_words(child.process.pid)
                status = child.end()
                sweep.sweep()
        if self.current is not None:
            what = f"no result for {self.args.hang:.0f} s" if self.hung else \
                f"pytest ended with status {status} during this test"
            self.fail_current("\n".join([what, *self.words, logs]))
        elif self.left or status not in (0, 1):
            self.report.test_ends(self.group, short(self.path), "failed", None, "\n".join(
                [f"pytest ended with status {status}, {len(self.left)} tests left", *self.words]))

    def hear(self, event):
        if event["event"] == "begins":
            self.current = event["test"]
            self.report.test_begins(short(self.current))
        elif event["event"] == "ends":
            self.left.remove(event["test"])
            self.current = None
            self.report.test_ends(self.group, short(event["test"]), event["outcome"], event["seconds"],
                                  event["text"], event["reason"])

    def hangs(self, child):
        """SIGABRT makes the interpreter say where it is."""
        child.signal(signal.SIGKILL if self.hung else signal.SIGABRT)
        self.hung = True

    def fail_current(self, text):
        test, self.current, self.hung = self.current, None, False
        self.left.remove(test)
        self.report.test_ends(self.group, short(test), "failed", None, text)

    async def cut_short(self, child):
        """The run is over: let pytest remove its labs itself, as far as it does."""
        child.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(child.ended(), TO_THE_END_S)
        except asyncio.TimeoutError:
            pass
        if self.current is not None:
            self.fail_current("the run was ended during this test")


def last_words(pid):
    """The ends of the logs in the labs of a process that could not show them itself."""
    said = []
    for identity, maker in sweep.identities().items():
        if maker.pid != pid:
            continue
        for name in sorted(sweep.entries(f"{sweep.STATE}/{identity}")):
            if name.endswith(".log"):
                try:
                    with open(f"{sweep.STATE}/{identity}/{name}", encoding="utf-8", errors="replace") as log:
                        said += [f"---- {name} of lab {identity}", *log.read().splitlines()[-15:]]
                except OSError:
                    pass
    return "\n".join(said)
