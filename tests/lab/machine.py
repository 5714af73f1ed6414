# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A machine with a systemd of its own: namespaces, a cgroup, and an overlay of this machine's files.

What is installed or written there is in memory and gone with it. Its network is a pair of devices.
"""
import os
import shutil
import subprocess
import sys

import owner
import sweep
from wait import PATIENCE, until

SYSTEMD = "/lib/systemd/systemd"
TARGET = "[Unit]\nDescription=nothing but what a test starts\nAllowIsolate=yes\n"

# $1: where to mount; $2: what is to lie over this machine's files
MAKE = r"""
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2/." "$1/upper"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf -o mode=0700
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# nothing of this machine's own configuration is started
find etc/systemd/system -mindepth 1 -maxdepth 1 ! -name fairlead-test.target -exec rm -rf {} +
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip link set eth0 up
ip link set eth0-peer up
ip addr add 192.0.2.1/24 dev eth0
echo 1 > proc/sys/net/ipv4/ip_forward
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
    "$3" --system --unit=fairlead-test.target --log-target=null --show-status=no
"""


class Unable(Exception):
    """There can be no such machine here, and why."""


class Machine:
    """Up from construction to close(). `files`: a directory that is laid over this machine's files."""

    _count = 0

    def __init__(self, files):
        if os.geteuid() != 0:
            raise Unable("needs root")
        if not os.access(SYSTEMD, os.X_OK):
            raise Unable(f"needs {SYSTEMD}")
        with open("/proc/filesystems", encoding="utf-8") as kinds:
            if "\toverlay\n" not in kinds.read():
                raise Unable("the kernel has no overlay file system")
        if owner.cgroup_root() is None:
            raise Unable("cgroup v2 is not mounted")
        Machine._count += 1
        self.id = f"fl{owner.this_process()}n{1000 + Machine._count}"
        self.directory = f"{sweep.STATE}/{self.id}"
        self.cgroup = f"{owner.cgroup_root()}/fairlead-{self.id}"
        self.holder = None
        os.makedirs(self.directory)
        os.makedirs(self.cgroup)
        try:
            self._start(files)
        except BaseException:
            self.close()
            raise

    def _start(self, files):
        units = f"{files}/etc/systemd/system"
        os.makedirs(units, exist_ok=True)
        with open(f"{units}/fairlead-test.target", "w", encoding="utf-8") as file:
            file.write(TARGET)
        enter = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'
        with open(f"{self.directory}/console", "w", encoding="utf-8") as console:
            self.holder = subprocess.Popen(
                ["/bin/sh", "-c", enter, "sh", self.cgroup, "unshare", "--mount", "--pid", "--net",
                 "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "/bin/sh", "-euc", MAKE, "sh",
                 self.directory, files, SYSTEMD],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        until(self._is_up, "the machine's systemd answers", 15, 0.1)

    def _init(self):
        """The machine's first process, seen from here; None while there is none."""
        path = f"/proc/{self.holder.pid}/task/{self.holder.pid}/children"
        with open(path, encoding="utf-8") as children:
            return next(iter(children.read().split()), None)

    def _is_up(self):
        if self.holder.poll() is not None:
            with open(f"{self.directory}/console", encoding="utf-8") as console:
                raise Unable("the machine did not start: " + console.read().strip()[-300:])
        return self._init() and self.run("systemctl", "is-active", "fairlead-test.target").stdout \
            == "active\n"

    def run(self, *argv, timeout=60 * PATIENCE):
        return subprocess.run(["nsenter", "-t", self._init(), "-a", "-r", "-w", *argv],
                              capture_output=True, text=True, check=False, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def close(self):
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        sweep.remove(self.id)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def files_of(build, directory, repo):
    """What `make install` gives, in `directory`; raises what went wrong."""
    shutil.rmtree(directory, ignore_errors=True)
    done = subprocess.run(["make", "-C", repo, "-o", "all", "install", f"BUILD={build}",
                           f"DESTDIR={directory}"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return directory
