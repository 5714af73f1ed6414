# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Fixtures of the end-to-end tests: one lab with running agents for all, put back after each test."""
import contextlib
import os
import subprocess
import sys

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tests", "lab"))

import bpf  # noqa: E402
import lab as lab_module  # noqa: E402

FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


def pytest_configure():
    lab_module.interrupt_on_signals()


def build_directory():
    return os.path.abspath(os.environ.get("FAIRLEAD_BUILD", f"{REPO}/build/std"))


def make_lab(build=None, start=True, devices="prepared", network="routed", **options):
    """A lab of one's own, with agents unless start is False; skips where there can be none."""
    build = build or build_directory()
    try:
        lab_module.check_machine(network)
    except lab_module.Unable as reason:
        pytest.skip(f"SKIP: {reason}")
    if not os.access(f"{build}/fairleadd", os.X_OK):
        pytest.fail(f"{build}/fairleadd is not built")
    lab = lab_module.Lab(build=build, devices=devices, network=network)
    try:
        if start:
            lab.start_agents(**options)
    except BaseException:
        lab.close()
        raise
    return lab


def close_lab(lab):
    """End a lab in an orderly way, so that sanitizers can speak, and hear what they say."""
    try:
        for node in lab.nodes.values():
            node.stop()
        reports = [report for n in lab.nodes.values()
                   for report in (n.sanitizer_report(), n.filter_report()) if report]
    finally:
        lab.close()
    assert not reports, "\n".join(reports)


@pytest.fixture(scope="session")
def shared_lab():
    lab = make_lab()
    yield lab
    close_lab(lab)


@pytest.fixture
def lab(shared_lab):
    """The shared lab as it was at the beginning: both agents run and hold the original manifests."""
    yield shared_lab
    reports = [report for node in shared_lab.nodes.values() if (report := node.filter_report())]
    for node in shared_lab.nodes.values():
        if node.agent is None or node.agent.poll() is not None:
            node.start()
    for pod in shared_lab.pods():
        if shared_lab[pod].server.poll() is not None:
            shared_lab.serve(pod)
    shared_lab.manifests.reset()
    shared_lab.settle()
    assert not reports, "\n".join(reports)


@pytest.fixture(scope="module")
def own_lab():
    """A lab for a module whose tests start, stop and clean up agents."""
    lab = make_lab(start=False)
    yield lab
    close_lab(lab)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the agents' last words beside a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        hooks = lab_module.foreign_hooks()
        if hooks:
            report.sections.append(("another agent on this machine", f"at the root of cgroup v2: {hooks}"))
        for name in ("shared_lab", "own_lab"):
            found = item.funcargs.get(name) or item.funcargs.get("lab")
            if found is not None and getattr(found, "nodes", None):
                for node in found.nodes.values():
                    if os.path.exists(node.log_path):
                        report.sections.append((f"agent of {node.name}", node.log_tail(25)))
                break


@contextlib.contextmanager
def outside_of_its_cgroup(lab, pod):
    """A pod whose clients are in its network but outside the node's cgroup: no socket hook sees them."""
    place = lab[pod]
    place.close()
    inside, place.cgroup = place.cgroup, lab["client"].cgroup
    try:
        yield place
    finally:
        place.close()
        place.cgroup = inside


@contextlib.contextmanager
def opened_at_once(place):
    """No connection that this place opens meanwhile needs a second SYN, which would hide a lost answer."""
    before = place.call("tcp_counter", name="TCPSynRetrans")
    with bpf.patient_connections(place.cgroup):
        yield
    assert place.call("tcp_counter", name="TCPSynRetrans") == before, "a SYN had to be sent again"


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **options)
