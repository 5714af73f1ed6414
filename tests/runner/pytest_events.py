# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""pytest's side of the runner: a plugin that reports each test as it begins and ends.

Lines of JSON go to the descriptor that FAIRLEAD_EVENTS names. FAIRLEAD_TESTS may name a file with the
tests to run, one a line, out of those that were collected.
"""
import json
import os
import re

import pytest

from report import LENGTH_OF_A_REASON

SKIP = re.compile(r"^(Skipped: )?(SKIP:? ?)?")


def reason_of(report):
    """Where in the test itself a phase of it failed, and the words of the error, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:  # an error of pytest's own, such as a fixture that is not there
        return report.longreprtext.strip().split("\n")[-1]
    entries = getattr(report.longrepr.reprtraceback, "reprentries", [])
    places = [entry.reprfileloc for entry in entries if getattr(entry, "reprfileloc", None)]
    module = os.path.basename(report.nodeid.partition("::")[0])
    place = next((place for place in places if os.path.basename(place.path) == module), crash)
    return f"{os.path.basename(place.path)}:{place.lineno}: {crash.message[:4 * LENGTH_OF_A_REASON]}"


class Events:
    def __init__(self, fd):
        os.set_inheritable(fd, False)
        self.out = os.fdopen(fd, "w", encoding="utf-8")
        self.reports = []

    def send(self, **event):
        self.out.write(json.dumps(event) + "\n")
        self.out.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        wanted = os.environ.get("FAIRLEAD_TESTS")
        if wanted:
            with open(wanted, encoding="utf-8") as lines:
                chosen = set(lines.read().split("\n"))
            config.hook.pytest_deselected(items=[i for i in items if i.nodeid not in chosen])
            items[:] = [item for item in items if item.nodeid in chosen]
        for item in items:
            self.send(event="collected", test=item.nodeid)

    def pytest_collectreport(self, report):
        if report.failed:
            self.send(event="broken", test=report.nodeid, text=report.longreprtext, reason=reason_of(report))

    def pytest_runtest_logstart(self, nodeid):
        self.reports = []
        self.send(event="begins", test=nodeid)

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)

    def pytest_runtest_logfinish(self, nodeid):
        """A test is its set-up, itself and its tear-down; what went wrong in any of them is its failure.
        What a test has measured stands behind its name (record_property("words", ...))."""
        outcome, text, reason = "passed", "", ""
        for report in self.reports:
            if report.failed:
                outcome = "failed"
                reason = reason or reason_of(report)
                text += report.longreprtext + "\n"
                text += "\n".join(f"---- {name}\n{body}" for name, body in report.sections) + "\n"
            elif report.skipped and outcome == "passed":
                outcome = "skipped"
                reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
                text = SKIP.sub("", reason)
            elif report.when == "call" and outcome == "passed":
                text = dict(report.user_properties).get("words", "")
        self.send(event="ends", test=nodeid, outcome=outcome, text=text, reason=reason,
                  seconds=sum(report.duration for report in self.reports))


def pytest_configure(config):
    if "FAIRLEAD_EVENTS" in os.environ:
        config.pluginmanager.register(Events(int(os.environ.pop("FAIRLEAD_EVENTS"))))
