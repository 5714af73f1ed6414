# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A guest: a kernel in qemu, emulated, with this machine's files as its root.

The flags are those that made boots most dependable; a guest that does not get as far as its first
process is started again, one that has got there is not.
"""
import lzma
import os
import select
import shutil
import subprocess
import tempfile
import time
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
TRIES = 3
READY_S = 300  # two seconds of an idle machine; 250 have been seen where a dozen others were at work
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


class Architecture(NamedTuple):
    debian: str
    build: str  # where below build/ the programs are that run in the guest
    program: str  # qemu
    package: str  # where Debian has it
    words: tuple  # of qemu: the machine, and what the kernel's own words go to, {}
    console: str  # what the guest's programs write to; comes out of qemu
    kernel_console: str
    kernel_words: str  # of the kernel's command line
    native: bool = True  # False: the guest's root is not this machine's


X86 = Architecture("amd64", "std", "qemu-system-x86_64", "qemu-system-x86",
                   ("-M", "q35", "-cpu", "qemu64", "-serial", "file:{}"), "ttyS0", "ttyS1",
                   "mitigations=off tsc=reliable clocksource=tsc")
# without what is slow to emulate, and without what the oldest kernels take for a fault (LPA2)
ARM64 = Architecture("arm64", "arm64", "qemu-system-aarch64", "qemu-system-arm",
                     ("-M", "virt,gic-version=3", "-cpu", "max,pauth=off,sve=off,lpa2=off",
                      "-chardev", "file,id=kernel,path={}", "-device", "pci-serial,chardev=kernel"), "ttyAMA0", "ttyS0",
                     "mitigations=off", native=False)
ARCHITECTURES = {"amd64": X86, "arm64": ARM64}


class Died(Exception):
    """A guest that ended, or said nothing, before it was done."""


def lacks(architecture):
    """What of this machine's programs is missing, in words, or ""."""
    wanted = {architecture.program: architecture.package, "cpio": "cpio", "modprobe": "kmod"}
    if architecture.native:
        wanted["/bin/busybox"] = "busybox-static"
    missing = {package for program, package in wanted.items()
               if not shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")}
    return f"packages {' '.join(sorted(missing))} are not installed" if missing else ""


def module_files(kernel, names):
    """The files of modules and of what they need, in the order in which they are loaded."""
    root = kernel.modules.split("/lib/modules/")[0]
    files = []
    for name in names:
        done = subprocess.run(["modprobe", "-d", root, "-S", kernel.release, "--show-depends", name],
                              check=False, capture_output=True, text=True,
                              env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"})
        for line in done.stdout.splitlines():
            verb, path = line.split()[:2]
            if verb == "insmod" and path not in files:
                files.append(path)
    return files


def make_ramdisk(kernel, busybox, path):
    """The guest's first files: busybox, init, and the modules that its root needs."""
    with tempfile.TemporaryDirectory() as tree:
        os.makedirs(f"{tree}/bin")
        os.makedirs(f"{tree}/modules")
        shutil.copy(busybox, f"{tree}/bin/busybox")
        shutil.copy(f"{HERE}/guest/init", f"{tree}/init")
        with open(f"{tree}/modules/order", "w", encoding="utf-8") as order:
            for file in module_files(kernel, MODULES):
                name = os.path.basename(file).removesuffix(".xz")
                with (lzma.open(file) if file.endswith(".xz") else open(file, "rb")) as module, \
                        open(f"{tree}/modules/{name}", "wb") as copy:
                    shutil.copyfileobj(module, copy)
                order.write(f"{name}\n")
        files = "\n".join(os.path.relpath(f"{top}/{name}", tree) for top, directories, names in os.walk(tree)
                          for name in [*directories, *names])
        with open(path, "wb") as image:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=files.encode(), stdout=image,
                           cwd=tree, check=True)


class Guest:
    """Sees three folders of this machine: its root, the repository at /run/repo, and the kernel's modules."""

    def __init__(self, architecture, kernel, directory, repo, environment, memory_mb=2048, root="/"):
        self.architecture, self.kernel, self.directory = architecture, kernel, directory
        self.kernel_log = f"{directory}/kernel.log"
        self.out = f"{directory}/out"
        self.process = None
        self.tries = 0
        self.rest = b""
        os.makedirs(self.out, exist_ok=True)
        os.chmod(self.out, 0o777)
        make_ramdisk(kernel, f"{root.rstrip('/')}/bin/busybox", f"{directory}/ramdisk")
        words = {"fl_console": architecture.console, "fl_release": kernel.release, **environment}
        quoted = " ".join(f'{key}="{value}"' for key, value in words.items())
        folders = {"host": (root, ",readonly=on,multidevs=remap"), "repo": (repo, ",readonly=on,multidevs=remap"),
                   "modules": (kernel.modules, ",readonly=on"), "out": (self.out, "")}
        shared = [word for tag, (path, options) in folders.items()
                  for word in ("-virtfs", f"local,path={path},mount_tag={tag},security_model=none{options}")]
        self.command = [
            "nice", "-n", "10", architecture.program, "-accel", "tcg,tb-size=512", "-smp", "1", "-m", str(memory_mb),
            "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio",
            *(word.format(self.kernel_log) for word in architecture.words), *shared,
            "-kernel", kernel.image, "-initrd", f"{directory}/ramdisk",
            "-append", f"console={architecture.kernel_console} nokaslr panic=-1 loglevel=5 {architecture.kernel_words} "
                       f"rdinit=/init {quoted}"]

    def __enter__(self):
        """Boot, and come back when the guest's first process has its root."""
        for self.tries in range(1, TRIES + 1):
            # nothing of it may outlive this process
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT)
            self.rest = b""
            said = []
            try:
                for line in self.lines(READY_S):
                    if line == "@ready":
                        return self
                    said.append(line)
            except Died as reason:
                said.append(str(reason))
            self.stop()
        raise Died("\n".join([f"no guest after {TRIES} tries", *said, *self.kernel_tail()]))

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def kernel_tail(self, n=40):
        try:
            with open(self.kernel_log, encoding="utf-8", errors="replace") as log:
                return [line.rstrip() for line in log.readlines()[-n:]]
        except FileNotFoundError:
            return []

    def lines(self, patience_s, limit_s=float("inf")):
        """What the guest says, until qemu ends."""
        first = last = time.monotonic()
        while True:
            if time.monotonic() - first > limit_s:
                raise Died(f"it was not done after {limit_s:.0f} s")
            ready, _, _ = select.select([self.process.stdout], [], [], 1)
            if ready:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return
                *lines, self.rest = (self.rest + data).split(b"\n")
                for line in lines:
                    last = time.monotonic()
                    yield line.decode(errors="replace").rstrip("\r")
            elif time.monotonic() - last > patience_s:
                raise Died(f"nothing was heard for {patience_s:.0f} s")
