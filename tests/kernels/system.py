# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A Debian of another architecture, unpacked: what programs for it are linked with, and a guest's root.

It is of this machine's release, with the libraries that a build needs (tools/install-deps), and with the
programs that a guest runs. Nothing of it is set up, and nothing of this machine is touched.
"""
import hashlib
import os
import platform
import shutil
import subprocess

from archive import Archive, Missing, cache_directory

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ["bash", "busybox-static", "coreutils", "dash", "findutils", "grep", "iproute2", "kmod", "mount", "procps", "python3",
            "util-linux"]


def packages():
    said = subprocess.run([f"{REPO}/tools/install-deps", "--print", "build"], check=True, capture_output=True, text=True)
    return sorted([*PROGRAMS, "libc6-dev", "libcmocka-dev", *(name for name in said.stdout.split() if name.endswith("-dev"))])


def root(architecture):
    """Its folder, made when there is none with these packages."""
    wanted = packages()
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    digest = hashlib.sha256(" ".join([suite, *wanted]).encode()).hexdigest()[:12]
    place = f"{cache_directory()}/system-{architecture}-{digest}"
    if os.path.isdir(place):
        return place
    archive = Archive(architecture, f"{cache_directory()}/system")
    archive.update([suite, f"{suite}-security"])
    if archive.failure:
        raise Missing(archive.failure)
    part = f"{place}.part"
    shutil.rmtree(part, ignore_errors=True)
    archive.unpack_whole(wanted, part)
    os.rename(part, place)
    return place
