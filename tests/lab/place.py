# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A place of the lab: a network namespace with a cgroup, and perhaps a mount namespace of its own.

Whatever runs there is started by a small shell that enters the cgroup first and the namespaces next.
`ip netns exec` is not used, because it hides the cgroup and bpf file systems behind a fresh /sys.
"""
import json
import os
import subprocess
import sys

from wait import PATIENCE

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
ENTER = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'


class CallFailed(RuntimeError):
    """A client call could not be made at all (a request that failed is in its report instead)."""


class Place:
    def __init__(self, name, netns, cgroup, addresses):
        self.name = name
        self.netns = netns
        self.cgroup = cgroup
        self.addresses = addresses  # {4: "...", 6: "..."}
        self.mount_pid = None
        self.node = None
        self.server = None
        self._hand = None

    def command(self, argv):
        """The command line that runs `argv` here."""
        enter = ["nsenter", f"--net=/run/netns/{self.netns}"]
        if self.mount_pid:
            # entering a mount namespace leaves for its root: relative paths would mean something else
            enter += [f"--mount=/proc/{self.mount_pid}/ns/mnt", f"--wdns={os.getcwd()}"]
        return ["/bin/sh", "-c", ENTER, "sh", self.cgroup, *enter, "--", *argv]

    def run(self, argv, timeout=30, check=False, **options):
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run(self.command(argv), capture_output=True, text=True, check=check,
                              timeout=timeout * PATIENCE, **options)

    def popen(self, argv, **options):
        return subprocess.Popen(self.command(argv), start_new_session=True, **options)

    def script(self, text):
        """Run a shell script in the network namespace; an error is a bug of the lab."""
        done = subprocess.run(["nsenter", f"--net=/run/netns/{self.netns}", "/bin/sh", "-euc", text],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"lab: setting up {self.name}: {done.stderr.strip()}")

    # ---- client calls ------------------------------------------------------------------------
    def hand(self):
        if self._hand is None or self._hand.poll() is not None:
            self._hand = self.popen([PYTHON, f"{HERE}/hand.py"], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
        return self._hand

    def begin(self, call, /, **args):
        """Ask for a call and do not wait for it; finish() gives the answer."""
        hand = self.hand()
        hand.stdin.write(json.dumps({"call": call, "args": args}) + "\n")
        hand.stdin.flush()

    def finish(self):
        line = self._hand.stdout.readline()
        if not line:
            raise CallFailed(f"{self.name}: the client process died")
        answer = json.loads(line)
        if "error" in answer:
            raise CallFailed(f"{self.name}: {answer['error']}")
        return answer["result"]

    def call(self, call, /, **args):
        self.begin(call, **args)
        return self.finish()

    def http(self, host, port=80, requests=1, **options):
        return self.call("http", host=host, port=port, requests=requests, **options)

    def udp(self, host, port, requests=1, **options):
        return self.call("udp", host=host, port=port, requests=requests, **options)

    def bulk(self, host, port, size):
        return self.call("bulk", host=host, port=port, size=size)

    def udp_bulk(self, host, port, size):
        return self.call("udp_bulk", host=host, port=port, size=size)

    def close(self):
        if self._hand is not None:
            for stream in (self._hand.stdin, self._hand.stdout):
                try:
                    stream.close()
                except OSError:
                    pass
            self._hand.kill()
            self._hand.wait()
            self._hand = None
