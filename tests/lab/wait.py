# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Waiting for something to become true, with a deadline: the only sleep of the tests."""
import time


class Late(AssertionError):
    """What was waited for did not happen in time."""


def until(condition, what, deadline_s=5.0, every_s=0.02):
    """Call `condition` until it gives something true, and return that."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Late(f"after {deadline_s} s still not: {what}")
        time.sleep(every_s)
