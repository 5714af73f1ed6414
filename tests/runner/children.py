# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The processes that a test run starts: each ends when the runner does, and takes its own children along.

A child is in a session of its own, so that Ctrl-C reaches the runner alone; it gets SIGKILL when the
runner is gone; and as root it is in a cgroup of its own below the run's, in which all that it started
is found and ended.
"""
import asyncio
import ctypes
import os
import signal
import subprocess

import owner
import reaper
import sweep

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
AFTER_THE_END_S = 2.0  # how long output is awaited that an orphan of the child may still hold open
HANG = "hang"  # instead of a stream's name: nothing was heard for too long


class Nursery:
    """All children of one run."""

    def __init__(self):
        self.count = 0
        self.cgroup = None
        root = owner.cgroup_root()
        if os.geteuid() == 0 and root is not None and os.access(root, os.W_OK):
            self.cgroup = f"{root}/{sweep.RUN}{owner.this_process()}"
            self.reaper = reaper.start()
            sweep.sweep()

    def spawn(self, argv, env=None, pipes=(), together=False):
        """Start a child. `pipes`: names of further streams; the environment variable of that name gives
        the child the descriptor to write to. `together`: its standard error is heard as part of "out", in
        the order in which it writes."""
        self.count += 1
        cgroup = self.cgroup and f"{self.cgroup}/{self.count}"
        if cgroup:
            os.makedirs(cgroup)
        return Child(argv, cgroup, env, pipes, together)

    def close(self):
        """The end of the run: nothing of it stays."""
        if self.cgroup:
            owner.remove_cgroup(self.cgroup)
            sweep.sweep()
            self.reaper.kill()
            self.reaper.wait()


class Child:
    def __init__(self, argv, cgroup, env, pipes, together):
        self.cgroup = cgroup
        runner = os.getpid()

        def enter():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != runner:  # it ended before the call
                os._exit(1)
            if cgroup:
                with open(f"{cgroup}/cgroup.procs", "w", encoding="utf-8") as procs:
                    procs.write("0")

        ends = {name: os.pipe() for name in pipes}
        env = {**(env or os.environ), **{name: str(write) for name, (_, write) in ends.items()}}
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE, cwd=REPO, env=env,
            start_new_session=True, preexec_fn=enter, pass_fds=[w for _, w in ends.values()])
        for _, write in ends.values():
            os.close(write)
        self.streams = {"out": self.process.stdout, **({} if together else {"err": self.process.stderr}),
                        **{name: os.fdopen(read, "rb") for name, (read, _) in ends.items()}}

    # ---- hearing -----------------------------------------------------------------------------
    async def hear(self, is_pulse, hang_s):
        """Yields (stream, line) until the child has ended; (HANG, "") whenever hang_s have gone by without
        one that is_pulse() says is a sign of progress, whatever else it writes."""
        lines, clock = asyncio.Queue(), asyncio.get_running_loop().time
        tasks = [asyncio.create_task(self._read(name, stream, lines))
                 for name, stream in self.streams.items()]
        end = asyncio.create_task(self._end(tasks, lines))
        deadline = clock() + hang_s
        try:
            while True:
                try:
                    # not wait_for(), which loses a cancellation that comes with a line
                    async with asyncio.timeout_at(deadline):
                        item = await lines.get()
                except TimeoutError:
                    item = (HANG, "")
                if item is None:
                    return
                if item[0] == HANG or is_pulse(*item):
                    deadline = clock() + hang_s
                yield item
        finally:
            for task in (*tasks, end):
                task.cancel()

    @staticmethod
    async def _read(name, stream, lines):
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stream)
        rest = b""
        try:
            while data := await reader.read(65536):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    lines.put_nowait((name, line.decode("utf-8", "replace")))
        finally:
            if rest:
                lines.put_nowait((name, rest.decode("utf-8", "replace")))
            transport.close()

    async def _end(self, tasks, lines):
        await self.ended()
        await asyncio.wait(tasks, timeout=AFTER_THE_END_S)
        lines.put_nowait(None)

    async def ended(self):
        """Wait until the child has ended; its status."""
        if self.process.poll() is None:
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            fd = os.pidfd_open(self.process.pid)
            loop.add_reader(fd, done.set)
            try:
                await done.wait()
            finally:
                loop.remove_reader(fd)
                os.close(fd)
        return self.process.wait()

    # ---- ending ------------------------------------------------------------------------------
    def signal(self, number):
        """Signal the child itself; what it started is its own business."""
        self.process.send_signal(number)  # nothing happens if it has ended

    def end(self):
        """Kill the child and all that it started, and wait; its status, negative for a signal."""
        self.process.kill()
        status = self.process.wait()
        if self.cgroup:
            owner.remove_cgroup(self.cgroup)
        else:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)  # its session has its pid
            except (ProcessLookupError, PermissionError):
                pass
        return status
