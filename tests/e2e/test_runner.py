# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The test runner itself: what it reports, and that nothing of a run stays however the run ends.

It is given small suites of its own, whose tests make labs, hang, or kill the pytest that runs them.
"""
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

import lab as lab_module
import owner
import sweep
from conftest import REPO, build_directory
from wait import until

RUN = f"{REPO}/tests/run"
CONFTEST = """
import os, threading
import pytest
import lab as lab_module

def pytest_configure():
    lab_module.interrupt_on_signals()

def mark(name):
    open(os.path.join(os.path.dirname(__file__), name), "w").close()

def wait_for_ever():
    threading.Event().wait()

@pytest.fixture
def lab():
    made = lab_module.Lab(build=os.environ["FAIRLEAD_BUILD"])
    made.start_agents()
    yield made
    mark("teardown")
    made.close()
"""
HEAD = "import os, signal, threading\nimport pytest\nfrom conftest import mark, wait_for_ever\n"
STAYS = "def test_stays(lab):\n    mark('runs')\n    wait_for_ever()\n"
PASSES = "def test_passes():\n    pass\n"


SKIPS = "def test_skips():\n    pytest.skip('SKIP: it lacks something')\n"


class Suite:
    """A directory of modules, and the runner at work on it."""

    def __init__(self, directory):
        self.directory = directory
        self.process = None
        self.write("conftest", CONFTEST, "")

    def write(self, name, text, head=HEAD):
        (self.directory / f"{name}.py").write_text(head + text)

    def command(self, *options):
        return [sys.executable, RUN, "--only", "e2e", "--build", build_directory(),
                "--suite", str(self.directory), *options]

    def start(self, *options, stdout=subprocess.PIPE, **more):
        # a shell's background job, or one under nohup, ignores signals, and its children would too
        self.process = subprocess.Popen(["env", "--default-signal=INT,QUIT,HUP", *self.command(*options)],
                                        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT,
                                        text=True, **more)
        self.owner = owner.Owner(self.process.pid, owner.start_time(self.process.pid))

    def run(self, *options):
        """Run to the end; the lines it wrote."""
        self.start(*options)
        return self.process.communicate()[0].splitlines()

    def marked(self, name):
        return (self.directory / name).exists()

    def cgroup(self):
        return f"{owner.cgroup_root()}/{sweep.RUN}{self.owner}"

    def workers(self):
        """The pytests of the run."""
        return [pid for pid in owner.cgroup_members(self.cgroup()) if parent(pid) == self.process.pid]

    def labs(self):
        return [name for name, maker in sweep.identities().items() if maker.pid in self.workers()]

    def left(self, labs):
        """What is there of the run and of these labs."""
        with open("/proc/self/mountinfo", encoding="utf-8") as lines:
            found = [line.split()[4] for line in lines if any(lab in line for lab in labs)]
        found += [name for name in sweep.entries("/run/netns") if name.startswith(tuple(f"{x}-" for x in labs))]
        found += [name for name in sweep.entries(sweep.STATE) if name in labs]
        found += [name for name in sweep.entries(owner.cgroup_root())
                  if str(self.owner) in name or any(lab in name for lab in labs)]
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as cmdline:
                    words = cmdline.read().replace("\0", " ")
            except OSError:
                continue
            if any(lab in words for lab in labs) or f"reaper.py {self.owner}" in words:
                found.append(words)
        return found


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


@pytest.fixture
def suite(tmp_path):
    made = Suite(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def has(lines, words):
    return any(re.search(words, line) for line in lines)


# ---- what it reports ---------------------------------------------------------------------------------
def test_each_test_has_a_line_and_the_last_one_has_the_totals(suite):
    suite.write("test_mixed", PASSES + "def test_fails():\n    assert 6 * 9 == 42\n"
                "def test_skips():\n    pytest.skip('SKIP: no moon')\n"
                "@pytest.fixture\ndef bad():\n    yield\n    assert 0, 'torn'\n"
                "def test_torn_down_badly(bad):\n    pass\n")
    lines = suite.run()
    assert has(lines, r"^e2e .*1/4  ok +\d+\.\d s  test_mixed test_passes$")
    assert has(lines, r"^e2e .*2/4  FAILED +\d+\.\d s  test_mixed test_fails$")
    assert has(lines, r"assert \(6 \* 9\) == 42")
    assert has(lines, r"^e2e .*3/4  skip +\d+\.\d s  test_mixed test_skips: no moon$")
    assert has(lines, r"^e2e .*4/4  FAILED .* test_mixed test_torn_down_badly$")
    assert has(lines, "^    SKIP test_mixed test_skips: no moon$")
    assert lines[-4:-1] == [  # and why, for those who see the end of a log alone
        "    SKIP test_mixed test_skips: no moon",
        "    FAILED test_mixed test_fails: test_mixed.py:7: assert (6 * 9) == 42",
        "    FAILED test_mixed test_torn_down_badly: test_mixed.py:13: AssertionError: torn assert 0"], lines[-4:]
    assert lines[-1] == "fairlead: 1 passed, 2 failed, 1 skipped"
    assert suite.process.returncode == 1


def test_the_summary_says_in_a_line_why_a_test_has_failed(suite):
    """The line of the test itself, whatever it has called, and what the error says, bounded."""
    suite.write("test_why", "from wait import until\n"
                "def compare(a, b):\n    assert a == b, 'they differ ' + 'x' * 500\n"
                "def test_compares():\n    compare(1, 2)\n"
                "def test_waits():\n    until(lambda: False, 'the moon is there', 0)\n"
                "def test_raises():\n    raise ValueError('one\\ntwo')\n"
                "def test_ends():\n    os._exit(3)\n")
    lines = suite.run()[-5:-1]
    assert re.fullmatch(r"    FAILED test_why test_compares: test_why\.py:8: AssertionError: they differ x*\.\.\.", lines[0]), lines
    assert len(lines[0]) < 350
    assert lines[1] == "    FAILED test_why test_waits: test_why.py:10: wait.Late: after 0 s still not: the moon is there", lines
    assert lines[2] == "    FAILED test_why test_raises: test_why.py:12: ValueError: one two", lines
    assert lines[3] == "    FAILED test_why test_ends: pytest ended with status 3 during this test", lines


def test_a_test_that_hangs_is_a_failure_and_the_rest_runs(suite):
    """It is reported with what was captured, where it was included."""
    suite.write("test_hang", PASSES + "def test_hangs():\n    print('so far')\n    wait_for_ever()\n"
                "def test_after():\n    pass\n")
    lines = suite.run("--hang", "15")
    assert has(lines, "FAILED .* test_hang test_hangs$") and has(lines, "no result for 15 s")
    assert has(lines, r"conftest.py.*in wait_for_ever"), "where it hung"
    assert has(lines, "ok .* test_hang test_after$")
    assert lines[-1] == "fairlead: 2 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "os._exit(0)"])
def test_a_test_that_ends_its_pytest_is_a_failure_and_the_rest_runs(suite, end):
    suite.write("test_end", PASSES + f"def test_ends(lab):\n    {end}\ndef test_after():\n    pass\n")
    lines = suite.run()
    assert has(lines, "FAILED .* test_end test_ends$") and has(lines, "pytest ended with status")
    assert has(lines, "---- node-1.log of lab fl"), "the agents' last words"
    assert has(lines, "ok .* test_end test_after$")
    assert lines[-1] == "fairlead: 2 passed, 1 failed, 0 skipped"
    assert suite.left([]) == []


def test_a_module_that_cannot_be_read_is_a_failure(suite):
    suite.write("test_broken", "import nothing_of_the_kind\n")
    suite.write("test_good", PASSES)
    lines = suite.run()
    assert has(lines, "FAILED .* test_broken$") and has(lines, "nothing_of_the_kind")
    assert lines[-1] == "fairlead: 1 passed, 1 failed, 0 skipped"


def test_modules_run_side_by_side(suite):
    """Each of the two waits for the other one, and each has a lab of its own."""
    for mine, other in (("one", "two"), ("two", "one")):
        suite.write(f"test_{mine}", f"from wait import until\ndef test_{mine}(lab):\n    mark('{mine}')\n"
                    f"    until(lambda: os.path.exists(os.path.dirname(__file__) + '/{other}'), '', 10)\n")
    lines = suite.run("--jobs", "2")
    assert lines[-1] == "fairlead: 2 passed, 0 failed, 0 skipped", lines


def test_stop_at_the_first_failure(suite):
    suite.write("test_first", "def test_fails():\n    assert 0\ndef test_after():\n    pass\n")
    lines = suite.run("--first")
    assert lines[-1] == "fairlead: 0 passed, 1 failed, 0 skipped"


TAP = """#!/usr/bin/python3
import signal, sys, threading
class Hung(Exception): pass
def raise_hung(*_): raise Hung
signal.signal(signal.SIGSYS, raise_hung)
print("1..4\\nok 1 - test_good", flush=True)
try:
    while not threading.Event().wait(0.1):
        print("still waiting", file=sys.stderr, flush=True)
except Hung:
    print("not ok 2 - test_hangs\\n# exception 31")
print("not ok 3 # SKIP test_skips\\nok 4 - test_after", flush=True)
"""


def test_a_c_test_that_hangs_is_a_failure_and_the_rest_runs(tmp_path):
    """As cmocka does it: a signal makes a failure of the test, and the program goes on."""
    program = tmp_path / "tests/packet/packet"
    program.parent.mkdir(parents=True)
    program.write_text(TAP)
    program.chmod(0o755)
    done = subprocess.run([sys.executable, RUN, "--only", "packet", "--build", str(tmp_path), "--hang", "10"],
                          capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert has(lines, "FAILED .* packet test_hangs$") and has(lines, "# exception 31")
    assert has(lines, "ok .* packet test_after$")
    # the program ends with status 0 although a test failed: that is not counted twice
    assert lines[-1] == "fairlead: 2 passed, 1 failed, 1 skipped"


CMOCKA = """#!/bin/sh
echo 1..3
echo ok 1 - test_good
echo ERROR: a word of fail_msg >&2
printf 'not ok 2 - test_says\\n# tests/x.c:7: error: Failure!\\n'
printf 'not ok 3 - test_compares\\n# 0x1 != 0x2\\n# tests/x.c:8: error: Failure!\\n'
exit 2
"""


def test_the_summary_says_why_a_c_test_has_failed(tmp_path):
    """What fail_msg() writes comes before the result, on standard error; what a comparison says comes behind it."""
    program = tmp_path / "tests/packet/packet"
    program.parent.mkdir(parents=True)
    program.write_text(CMOCKA)
    program.chmod(0o755)
    done = subprocess.run([sys.executable, RUN, "--only", "packet", "--build", str(tmp_path)],
                          capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-3:] == ["    FAILED packet test_says: tests/x.c:7: a word of fail_msg",
                                             "    FAILED packet test_compares: tests/x.c:8: 0x1 != 0x2",
                                             "fairlead: 1 passed, 2 failed, 0 skipped"], done.stdout


def test_a_c_program_that_ends_badly_is_a_failure_with_its_last_words(tmp_path):
    """As sanitizers do it: all tests pass, and then the program fails, with a report on standard error."""
    program = tmp_path / "tests/packet/packet"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nprintf '1..2\\nok 1 - test_a\\nok 2 - test_b\\n'\necho ERROR: leaked >&2\nexit 1\n")
    program.chmod(0o755)
    done = subprocess.run([sys.executable, RUN, "--only", "packet", "--build", str(tmp_path)],
                          capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert has(lines, "FAILED .* packet$") and has(lines, "ended with status 1 although no test failed")
    assert has(lines, "ERROR: leaked")
    assert lines[-1] == "fairlead: 2 passed, 1 failed, 0 skipped"


# ---- what stays --------------------------------------------------------------------------------------
def namespaces(suite, number):
    return sum(name.startswith(tuple(f"{lab}-" for lab in suite.labs()))
               for name in sweep.entries("/run/netns")) >= number


POINTS = {
    "directory": lambda suite: suite.labs(),
    "namespaces": lambda suite: suite.labs() and namespaces(suite, 3),
    "mounted": lambda suite: any(os.path.ismount(f"{sweep.STATE}/{lab}/bpf") for lab in suite.labs()),
    "attached": lambda suite: any(os.path.exists(f"{sweep.STATE}/{lab}/bpf/fairlead/maps/meta")
                                  for lab in suite.labs()),
    "runs": lambda suite: suite.marked("runs"),
}


@pytest.fixture(scope="module")
def live_lab():
    lab = lab_module.Lab()
    yield lab
    lab.close()


@pytest.fixture
def neighbour(live_lab):
    """A lab that is alive beside the run, and must not feel anything of what is done to that."""
    yield
    pods = live_lab.pods()
    assert all(live_lab[pod].server.poll() is None for pod in pods)
    assert live_lab["cli-1"].http(live_lab[pods[0]].addresses[4], 8080, 3)["failed"] == 0


def end_and_look(suite, point, end):
    """Start the runner, let it come to `point`, end it, and wait until nothing of it is left."""
    suite.write("test_stays", PASSES + STAYS)
    suite.start()
    until(lambda: POINTS[point](suite), f"the run has come to: {point}", 20)
    labs = suite.labs()
    assert labs and suite.left(labs)
    end()
    suite.process.wait()
    until(lambda: suite.left(labs) == [], f"nothing is left: {suite.left(labs)}", 20)


@pytest.mark.parametrize("point", POINTS)
def test_killed_runner_leaves_nothing(suite, neighbour, point):
    """SIGKILL of the runner: its children end with it, its reaper removes the rest."""
    end_and_look(suite, point, lambda: suite.process.kill())


@pytest.mark.parametrize("point, number", [
    ("runs", signal.SIGINT), ("runs", signal.SIGTERM), ("runs", signal.SIGHUP), ("namespaces", signal.SIGTERM)])
def test_signalled_runner_leaves_nothing_and_reports_what_it_has(suite, neighbour, point, number):
    end_and_look(suite, point, lambda: suite.process.send_signal(number))
    lines = suite.process.stdout.read().splitlines()
    assert has(lines, "ok .* test_stays test_passes$")
    assert has(lines, "FAILED .* test_stays test_stays$"), lines
    assert has(lines, f"ended by {number.name}")
    assert lines[-1] == "fairlead: 1 passed, 1 failed, 0 skipped"
    assert suite.process.returncode == 128 + number


def test_second_signal_does_not_wait(suite):
    """A pytest that does not end when asked to is killed."""
    suite.write("test_deaf", "def test_deaf(lab):\n    for n in (signal.SIGTERM, signal.SIGINT):\n"
                "        signal.signal(n, signal.SIG_IGN)\n    mark('runs')\n    wait_for_ever()\n")
    suite.start()
    until(lambda: suite.marked("runs"), "the test runs", 20)
    labs = suite.labs()
    suite.process.send_signal(signal.SIGTERM)
    until(lambda: suite.process.send_signal(signal.SIGTERM) or suite.process.poll() is not None,
          "the runner ends", 10)
    # a signal that comes while it removes things leaves the rest to its reaper
    until(lambda: suite.left(labs) == [], "nothing is left", 10)


def test_killed_pytest_leaves_nothing(suite):
    """SIGKILL of a child: the runner removes its lab before it goes on."""
    suite.write("test_stays", STAYS + "def test_after():\n    pass\n")
    suite.start()
    until(lambda: suite.marked("runs"), "the test runs", 20)
    labs, (worker,) = suite.labs(), suite.workers()
    os.kill(worker, signal.SIGKILL)
    lines = suite.process.communicate()[0].splitlines()
    assert suite.left(labs) == []
    assert lines[-1] == "fairlead: 1 passed, 1 failed, 0 skipped"


def test_runner_and_reaper_killed_at_once_leave_nothing_after_the_next_run(suite):
    suite.write("test_stays", STAYS)
    suite.start()
    until(lambda: suite.marked("runs"), "the test runs", 20)
    labs, group = suite.labs(), owner.cgroup_members(suite.cgroup())
    reapers = [int(pid) for pid in filter(str.isdigit, os.listdir("/proc")) if is_reaper(pid, group + [suite.process.pid])]
    assert len(reapers) == 2, "the run's and the lab's"
    suite.process.send_signal(signal.SIGSTOP)
    for pid in (*reapers, suite.process.pid):
        os.kill(pid, signal.SIGKILL)
    suite.process.wait()
    assert suite.left(labs)
    (suite.directory / "next").mkdir()
    following = Suite(suite.directory / "next")
    following.write("test_passes", PASSES)
    assert following.run()[-1] == "fairlead: 1 passed, 0 failed, 0 skipped"
    assert suite.left(labs) == []


def is_reaper(pid, of):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as cmdline:
            argv = cmdline.read().split("\0")
    except OSError:
        return False
    return len(argv) > 2 and argv[1].endswith("/reaper.py") and owner.parse(argv[2]).pid in of


def test_closed_terminal_leaves_nothing(suite):
    suite.write("test_stays", STAYS)
    controller, terminal = pty.openpty()
    suite.start(stdout=terminal, start_new_session=True,
                preexec_fn=lambda: os.close(os.open(os.ttyname(terminal), os.O_RDWR)))
    os.close(terminal)
    until(lambda: suite.marked("runs"), "the test runs", 20)
    labs = suite.labs()
    os.close(controller)
    suite.process.wait()
    until(lambda: suite.left(labs) == [], "nothing is left", 20)


def test_reader_that_goes_away_leaves_nothing(suite):
    """`tests/run | head -1`: the run ends, since nobody hears of it any more."""
    suite.write("test_many", "".join(f"def test_{n}(lab):\n    mark('runs')\n" for n in range(9)))
    suite.start()
    suite.process.stdout.readline()
    labs = suite.labs()
    suite.process.stdout.close()
    assert suite.process.wait() != 0
    until(lambda: suite.left(labs) == [], "nothing is left", 20)


def test_sweep_knows_dead_owners_by_their_start(tmp_path):
    """A pid that was given out again is another owner."""
    me = owner.this_process()
    mine, past = f"fl{me}n990", f"fl{me.pid}x{me.started - 1}n990"
    for name in (mine, past):
        subprocess.run(["ip", "netns", "add", f"{name}-x"], check=True)
    sweep.sweep()
    there = sweep.entries("/run/netns")
    sweep.remove(mine)
    assert f"{mine}-x" in there and f"{past}-x" not in there
    assert f"{mine}-x" not in sweep.entries("/run/netns")


def test_a_run_that_skips_everything_fails_unless_it_may(tmp_path):
    """What has looked at nothing is no success (--may-skip: it is one, where nothing has failed)."""
    suite = Suite(tmp_path)
    suite.write("test_one", SKIPS)
    assert suite.run()[-1] == "fairlead: 0 passed, 0 failed, 1 skipped"
    assert suite.process.returncode == 1
    assert suite.run("--may-skip")[-1] == "fairlead: 0 passed, 0 failed, 1 skipped"
    assert suite.process.returncode == 0
    suite.write("test_two", "def test_fails():\n    assert False\n")
    assert suite.run("--may-skip")[-1] == "fairlead: 0 passed, 1 failed, 1 skipped"
    assert suite.process.returncode == 1
    suite.write("test_two", "")
    os.remove(tmp_path / "test_one.py")
    assert suite.run("--may-skip")[-1] == "fairlead: 0 passed, 0 failed, 0 skipped"
    assert suite.process.returncode == 1
