# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Waiting for something to become true, with a deadline: the only sleep of the tests.

Deadlines are there to end a test that fails, not to measure. They are written for an idle machine; a
busy one gets PATIENCE times as long before anything counts as failed.
"""
import time

PATIENCE = 6


class Late(AssertionError):
    """What was waited for did not happen in time."""


def until(condition, what, deadline_s=5.0, every_s=0.02):
    """Call `condition` until it gives something true, and return that."""
    end = time.monotonic() + deadline_s * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Late(f"after {deadline_s * PATIENCE:g} s still not: {what}")
        time.sleep(every_s)
