# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A node of the lab: where its agent's things are, and the agent itself."""
import contextlib
import json
import os
import signal
import socket
import subprocess

import topology
from place import HERE, PYTHON
from wait import PATIENCE, until


class Node:
    def __init__(self, lab, place, cgroup, options):
        self.lab = lab
        self.place = place
        self.name = place.name
        self.cgroup = cgroup
        self.options = options
        self.bpffs = None  # None: the agent's default
        self.socket = None
        self.agent = None
        self.agents = []  # each that filter_report() has not judged
        self.log_path = f"{lab.directory}/{self.name}.log"

    # ---- where things are --------------------------------------------------------------------
    def own_paths(self, bpffs, socket):
        self.bpffs, self.socket = bpffs, socket

    def own_mounts(self):
        """A mount namespace of its own, in which the agent's default paths are this node's."""
        make = ("umount -R -l /run/netns 2>/dev/null; mkdir -p /sys/fs/bpf /run/fairlead && "
                "mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs tmpfs /run/fairlead && "
                "echo ready && exec sleep infinity >/dev/null 2>&1")
        holder = self.place.popen(["unshare", "--mount", "--propagation", "private",
                                   "/bin/sh", "-c", make],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"lab: {self.name} got no mount namespace of its own")
        holder.stdout.close()
        # the shell is replaced by what it runs, so the holder's pid stays what it is
        self.place.mount_pid = holder.pid

    def paths(self):
        """The settings that say where the agent's state is, for agent and CLI."""
        args = ["--bpffs", self.bpffs] if self.bpffs else []
        return args + (["--socket", self.socket] if self.socket else [])

    # ---- the agent ---------------------------------------------------------------------------
    def binary(self, name, build=None):
        return os.path.abspath(f"{build or self.lab.build}/{name}")

    def agent_command(self, mode=None, manifests=None, extra=(), build=None,
                      cluster_cidr=topology.CLUSTER_CIDR, **_):
        args = [self.binary("fairleadd", build), "--node", self.name,
                # False: the objects come from elsewhere
                *(["--manifests", manifests or self.lab.manifests.directory] if manifests is not False else []),
                "--cgroup", self.cgroup, *self.paths(), "--devices", "eth0",
                # what a test removes is gone at once, except where a test is about that
                "--manifest-grace", "0",
                *(["--cluster-cidr", cluster_cidr] if cluster_cidr else [])]
        # a system call that is not on the agent's list ends it here, so that tests see it
        if not self.lab.keep:
            args += ["--config", self._strict_config(extra)]
        # of its own accord the agent leaves a veth to tc
        if mode is None and self.lab.devices != "raw":
            mode = "xdp"
        return args + (["--mode", mode] if mode else []) + list(extra)

    def _strict_config(self, extra):
        """The configuration of an agent: that which a test gives, made strict unless it says otherwise."""
        path, kind = f"{self.lab.directory}/strict.yaml", "kind: FairleadConfiguration\n"
        text = f"apiVersion: fairlead.dev/v1\n{kind}"
        if "--config" in extra:
            path = extra[list(extra).index("--config") + 1]
            with open(path, encoding="utf-8") as file:
                text = file.read()
        elif os.path.exists(path):
            return path
        if kind in text and "systemCallFilter" not in text:
            # in one step, since another node's agent may read it
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(text.replace(kind, f"{kind}systemCallFilter: kill\n"))
            os.rename(f"{path}.new", path)
        return path

    def start(self, wait=True, wrapper=(), **options):
        """Start the agent. `wrapper`: a command that runs it, such as setpriv with options."""
        options = {**self.options, **options}
        self.mark = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.agent = self.place.popen([*wrapper, *self.agent_command(**options)],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=environment)
        self.agents.append(self.agent)
        if wait:
            self.wait_ready()

    def ready(self):
        if self.agent is not None and self.agent.poll() is not None:
            raise RuntimeError(f"the agent of {self.name} ended with {self.agent.returncode}:\n"
                               + self.log_tail())
        status = self.api("/v1/status")
        return status is not None and bool(find_key(status, "synced"))

    def wait_answers(self, deadline_s=20):
        """Wait until the agent answers, even if its input is such that it is not ready."""
        until(lambda: self.api("/v1/status"), f"the agent of {self.name} answers", deadline_s, 0.05)

    def wait_ready(self, deadline_s=20):
        try:
            until(self.ready, f"the agent of {self.name} is ready", deadline_s, 0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log_tail()}") from late

    def pid(self):
        """The agent's own pid: start_new_session and exec keep it that of the child."""
        return self.agent.pid

    def stop(self, number=signal.SIGTERM, deadline_s=10):
        """End the agent; its exit status."""
        if self.agent is None:
            return None
        if self.agent.poll() is None:
            self.agent.send_signal(number)
        status = self.agent.wait(deadline_s * PATIENCE)
        self.agent = None
        return status

    def kill(self):
        return self.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self):
        """The agent does nothing meanwhile, so that what is done to its datapath can be seen."""
        self.agent.send_signal(signal.SIGSTOP)

        def stopped():
            with open(f"/proc/{self.pid()}/stat", encoding="utf-8", errors="replace") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "T"

        try:
            until(stopped, f"the agent of {self.name} is stopped")
            yield
        finally:
            self.agent.send_signal(signal.SIGCONT)

    def log(self):
        """What the agent has logged since it was last started."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(self.mark)
            return log.read()

    def wait_log(self, words, deadline_s=5):
        """Wait until the agent has logged this: what it does can be seen before it says so."""
        try:
            until(lambda: words in self.log(), f"{self.name}'s agent logs \"{words}\"", deadline_s)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log_tail()}") from late

    def wait_status(self, code=0, deadline_s=15):
        """Wait until `fairlead status` ends with this code."""
        def same():
            return self.cli("status").returncode == code
        try:
            until(same, f"status of {self.name} is {code}", deadline_s, 0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.cli('status').stdout}") from late

    def sanitizer_report(self):
        """What a sanitizer reported about this node's agents since the lab began, or None."""
        if not os.path.exists(self.log_path):
            return None
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            text = log.read()
        found = [text.find(w) for w in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                        "runtime error: ") if w in text]
        return text[max(0, min(found) - 200):min(found) + 3000] if found else None

    def filter_report(self):
        """Whether one of this node's agents made a system call that its filter forbids: text, or None."""
        ended = [agent for agent in self.agents if agent.poll() is not None]
        self.agents = [agent for agent in self.agents if agent not in ended]
        if all(agent.returncode != -signal.SIGSYS for agent in ended):
            return None
        # where the kernel was built with auditing it names the call
        lines = subprocess.run(["dmesg"], capture_output=True, text=True, check=False).stdout.splitlines()
        found = [line for line in lines if "type=1326" in line and "fairleadd" in line]
        return "\n".join([f"an agent of {self.name} made a system call that is not on its list", *found[-3:]])

    def log_tail(self, lines=30):
        return "\n".join(self.log().splitlines()[-lines:])

    def api(self, path):
        """What the agent's API says about `path`, from JSON; None while nobody answers."""
        at = self.socket or f"/proc/{self.place.mount_pid}/root/run/fairlead/fairlead.sock"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5 * PATIENCE)
            try:
                sock.connect(at)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while data := sock.recv(262144):
                    answer += data
            except OSError:
                return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return json.loads(body) if head.split()[1:2] == [b"200"] else None

    # ---- the CLI -----------------------------------------------------------------------------
    def cli_command(self, *args, build=None):
        return [self.binary("fairlead", build), *self.paths(), *args]

    def cli(self, *args, **options):
        return self.place.run(self.cli_command(*args), **options)

    def json(self, *args):
        answer = self.cli("-o", "json", *args)
        if answer.returncode != 0:
            raise AssertionError(f"fairlead {' '.join(args)}: exit {answer.returncode}: "
                                 f"{answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def settle(self, deadline_s=10):
        """Wait until the agent's plan is what the manifest directory gives by itself."""
        def same():
            want = self.cli("plan", "--manifests", self.lab.manifests.directory,
                            "--node", self.name, "-o", "json").stdout
            have = self.api("/v1/plan")
            return want and have is not None and json.loads(want)["items"] == have["items"]
        until(same, f"{self.name}'s agent has planned what the manifests say", deadline_s)
        self.notice()

    def notice(self):
        """What lay there for the agent before, such as a message of the kernel's about a route, is done after this. It
        is heard by the turn of the agent's loop that answers the first request, or by an earlier one; and a turn does
        what it has heard at its end, which is over when the next one answers. A turn that is at its requests may still
        take the second one: so there is a third."""
        for _ in range(3):
            assert self.api("/v1/status") is not None

    def cleanup(self):
        return self.cli("cleanup")

    # ---- what the kernel holds ---------------------------------------------------------------
    def attached(self):
        """The programs attached in this node's network namespace and at its cgroup, a line each."""
        return self.place.run([PYTHON, f"{HERE}/attached.py", self.cgroup], check=True).stdout

    def pins(self):
        """All that is pinned for this node."""
        return self.place.run(["find", self._directory()]).stdout.split()

    def frontends(self, command):
        """What the table of frontends has, a line each, or a change of it: frontends.py."""
        pin = f"{self._directory()}/maps/frontends"
        return self.place.run([PYTHON, f"{HERE}/frontends.py", pin, command], check=True).stdout

    def _directory(self):
        return self.bpffs or "/sys/fs/bpf/fairlead"


def find_key(tree, key):
    """The first value of `key` anywhere in a JSON tree, or None."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            value = find_key(branch, key)
            if value is not None:
                return value
    return None
