# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Debian's packages of any architecture, kernels above all: found by name, downloaded by apt, unpacked into a cache.

apt works in a tree of its own, so that the machine's lists of packages stay as they are; only where
Debian's archives are is taken from the machine's settings. Nothing is installed.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LISTS_FRESH_S = 24 * 3600


class Missing(Exception):
    """A kernel that cannot be had here, and why."""


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return f"{base}/fairlead/kernels"


def by_version(name):
    """A sorting key: the numbers in a package's name."""
    return [int(number) for number in re.findall(r"\d+", name)]


class Kernel:
    """An unpacked kernel."""

    def __init__(self, directory):
        self.directory = directory
        self.package, self.version = os.path.basename(directory).split("_", 1)
        images = glob.glob(f"{directory}/boot/vmlinuz-*") + glob.glob(f"{directory}/usr/lib/modules/*/vmlinuz")
        modules = [path for where in ("lib", "usr/lib")
                   for path in glob.glob(f"{directory}/{where}/modules/*") if os.path.isdir(f"{path}/kernel")]
        if not images or not modules:
            raise Missing(f"{self.package} has no {'modules' if images else 'image'} where they are expected")
        self.image, self.modules = images[0], modules[0]
        self.release = os.path.basename(self.modules)


class Archive:
    def __init__(self, architecture, directory=None):
        self.architecture = architecture
        self.directory = directory or cache_directory()
        self.apt = f"{self.directory}/apt-{architecture}"
        self.failure = ""  # why the lists could not be fetched

    # ---- apt in a tree of its own ------------------------------------------------------------
    def options(self):
        tree = {"Dir::State": f"{self.apt}/state", "Dir::State::status": f"{self.apt}/status",
                "Dir::Cache": f"{self.apt}/cache", "Dir::Cache::pkgcache": "pkgcache.bin",
                "Dir::Cache::srcpkgcache": "srcpkgcache.bin",  # which machines made from images switch off
                "Dir::Etc::sourcelist": f"{self.apt}/sources.list",
                "Dir::Etc::sourceparts": "-", "APT::Architecture": self.architecture,
                "APT::Architectures": self.architecture, "Acquire::Languages": "none",
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
                "APT::Sandbox::User": "root" if os.geteuid() == 0 else "", "Acquire::Retries": "2"}
        return [word for key, value in tree.items() for word in ("-o", f"{key}={value}")]

    def call(self, *argv, **options):
        command = [argv[0], *self.options(), *argv[1:]]
        return subprocess.run(command, check=False, capture_output=True, text=True, **options)

    @staticmethod
    def addresses():
        """Where this machine gets Debian and Debian's security updates from."""
        try:
            done = subprocess.run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)"],
                                  check=False, capture_output=True, text=True)
        except OSError as error:
            raise Missing(f"this machine has no apt-get: {error}") from error
        found = dict(line.split() for line in done.stdout.splitlines()
                     if line.split()[:1] in (["Debian"], ["Debian-Security"]))
        if "Debian" not in found:
            raise Missing("apt-get on this machine knows no archive of Debian")
        return found

    def update(self, suites):
        """Fetch the lists of these suites, at most once a day."""
        known = self.addresses()
        lines = [f"deb [signed-by={KEYRING}] {address} {suite} main\n" for suite in suites
                 if (address := known.get("Debian-Security" if suite.endswith("-security") else "Debian"))]
        stamp = f"{self.apt}/updated"
        for part in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(f"{self.apt}/{part}", exist_ok=True)
        with open(f"{self.apt}/status", "a", encoding="utf-8"):
            pass  # no package is installed in this tree
        try:
            with open(stamp, encoding="utf-8") as fetched:
                if set(lines) <= set(fetched) and time.time() - os.path.getmtime(stamp) < LISTS_FRESH_S:
                    return
            os.unlink(stamp)
        except FileNotFoundError:
            pass
        with open(f"{self.apt}/sources.list", "w", encoding="utf-8") as sources:
            sources.writelines(lines)
        done = self.call("apt-get", "update", "-q")
        wrong = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
        if done.returncode or any("Failed to fetch" in line for line in wrong):
            self.failure = wrong[0] if wrong else f"apt-get update ended with {done.returncode}"
            return
        with open(stamp, "w", encoding="utf-8") as fetched:
            fetched.writelines(lines)

    def newest(self, pattern):
        """The newest package whose whole name is like this, or None."""
        names = self.call("apt-cache", "pkgnames", "linux-").stdout.split()
        return max((name for name in names if re.fullmatch(pattern, name)), key=by_version, default=None)

    def show(self, package, field):
        text = self.call("apt-cache", "show", "--no-all-versions", package).stdout
        found = re.search(rf"^{field}: (.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    # ---- kernels -----------------------------------------------------------------------------
    def unpack(self, packages, into):
        """Download packages and lay out what is in them."""
        with tempfile.TemporaryDirectory(dir=self.directory) as download:
            done = self.call("apt-get", "download", "-q", *packages, cwd=download)
            if done.returncode:
                raise Missing(f"cannot download {' '.join(packages)}: {done.stderr.strip()}")
            for deb in glob.glob(f"{download}/*.deb"):
                subprocess.run(["dpkg-deb", "-x", deb, into], check=True)

    def unpack_whole(self, packages, into):
        """Packages and all that they need, laid out as a system of which nothing has been set up."""
        cache = f"{self.apt}/cache/archives"
        done = self.call("apt-get", "install", "-q", "-y", "--download-only", "--no-install-recommends", *packages)
        if done.returncode:
            raise Missing(f"cannot download {' '.join(packages)}: {done.stderr.strip()}")
        # links, which packages unpack through: tar is told to keep them
        for name in ("bin", "sbin", "lib"):
            os.makedirs(f"{into}/usr/{name}")
            os.symlink(f"usr/{name}", f"{into}/{name}")
        for deb in sorted(glob.glob(f"{cache}/*.deb")):
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
                subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", into], stdin=files.stdout, check=True)
            os.unlink(deb)

    def fetch(self, package, version):
        """Make the directory of a kernel, whole or not at all."""
        place = self.place(package, version)
        part = f"{place}.part"
        shutil.rmtree(part, ignore_errors=True)
        # what is in one package up to 6.18 is in several later
        self.unpack([package, *re.findall(r"linux-(?:binary|modules|base)-\d[^ ,]*", self.show(package, "Depends"))], part)
        root = f"{part}/usr" if os.path.isdir(f"{part}/usr/lib/modules") else part
        for path in glob.glob(f"{root}/lib/modules/*"):
            subprocess.run(["depmod", "-b", root, os.path.basename(path)], check=True, capture_output=True)
        os.rename(part, place)
        return Kernel(place)

    def place(self, package, version):
        return f"{self.directory}/{package}_{version.replace(':', '%')}"

    def cached(self, pattern):
        found = [path for path in glob.glob(f"{self.directory}/linux-image-*_*")
                 if re.fullmatch(pattern, os.path.basename(path).split("_")[0]) and not path.endswith(".part")]
        return max(found, key=by_version, default=None)

    def kernel(self, pattern):
        """The newest kernel like this; without a network, the newest in the cache."""
        package = self.newest(pattern)
        if package:
            version = self.show(package, "Version")
            if os.path.isdir(self.place(package, version)):
                return Kernel(self.place(package, version))
            try:
                return self.fetch(package, version)
            except Missing as reason:
                self.failure = self.failure or str(reason)
        old = self.cached(pattern)
        if old:
            return Kernel(old)
        raise Missing(self.failure or f"Debian's archive has no package {pattern}")
