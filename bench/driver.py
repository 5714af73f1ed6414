# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Running fairlead-bench: commands that print JSON lines, and node workers that take commands on stdin."""
import json
import os
import shutil
import subprocess
import time


class Failed(Exception):
    """A contender could not be measured; the text says why."""


def lines(binary, command, **options):
    """Run a command to its end; yields its results as they come."""
    argv = [binary, command]
    for name, value in options.items():
        argv += ["--" + name, str(value)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                yield json.loads(line)
        except BaseException:
            process.kill()
            raise
        words = process.stderr.read().strip()
    if process.returncode:
        raise Failed(words or f"fairlead-bench {command}: exit status {process.returncode}")


class Node:
    """One contender's three namespaces, which go when the worker does."""

    def __init__(self, binary, contender, services, endpoints):
        self.process = subprocess.Popen(
            [binary, "node", "--contender", contender, "--services", str(services), "--endpoints", str(endpoints)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self._answer()
        self.netns = f"/proc/{first['pid']}/fd/{first['fd']}"

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            words = self.process.stderr.read().strip()
            self.process.wait()
            raise Failed(words or "fairlead-bench node ended")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def inside(self, argv, text, time_limit=900):
        """Run a tool in the load balancer's namespace; returns (wall, CPU) seconds."""
        cpu = os.times()
        start = time.monotonic()
        done = subprocess.run(["nsenter", "--net=" + self.netns, "--"] + argv, input=text, text=True, capture_output=True,
                              timeout=time_limit, check=False)
        wall = time.monotonic() - start
        after = os.times()
        if done.returncode:
            raise Failed(f"{argv[0]}: {done.stderr.strip()[:300]}")
        return wall, after.children_user + after.children_system - cpu.children_user - cpu.children_system

    def close(self):
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self.process.terminate()
        self.process.wait()


def iptables_restore():
    """The xt backend where it is there: the nf_tables one of Debian 12 needs over ten minutes for 75,000 chains."""
    return shutil.which("iptables-legacy-restore") or shutil.which("iptables-restore")


def machine():
    def read(path, fallback=""):
        try:
            with open(path, encoding="utf-8") as f:
                return f.read().strip()
        except OSError:
            return fallback

    cpuinfo = read("/proc/cpuinfo")
    model = next((line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "unknown")
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    folder = "/sys/devices/system/cpu/vulnerabilities"
    mitigations = {name: read(f"{folder}/{name}") for name in sorted(os.listdir(folder))} if os.path.isdir(folder) else {}
    def version(argv):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {
        "iptables": version([iptables_restore(), "--version"]) if iptables_restore() else "",
        "nftables": version(["nft", "--version"]) if shutil.which("nft") else "",
        "cpu": model,
        "cpus": os.cpu_count(),
        "virtual": "hypervisor" in flags.split(),
        "caches": {read(f"{d}/level") + read(f"{d}/type")[:1].lower(): read(f"{d}/size")
                   for d in (f"/sys/devices/system/cpu/cpu0/cache/index{i}" for i in range(4)) if os.path.isdir(d)},
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "jit": read("/proc/sys/net/core/bpf_jit_enable"),
        "jitHarden": read("/proc/sys/net/core/bpf_jit_harden"),
        "load": read("/proc/loadavg"),
        "mitigations": {name: text for name, text in mitigations.items() if text and text != "Not affected"},
    }
