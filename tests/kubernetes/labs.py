# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The fixtures of the end-to-end tests, which are a conftest of their own, for the tests of other directories."""
import importlib.util
import os

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def end_to_end():
    spec = importlib.util.spec_from_file_location("e2e_conftest", f"{TESTS}/e2e/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


E2E = end_to_end()
