# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""deploy/Dockerfile, line by line, in bare Debian systems in the place of Docker's: what it makes is what `make image` makes."""
import os
import re
import shlex
import shutil
import subprocess

import pytest

import chart
import debian

BASES = {"debian:12", "debian:12-slim"}  # the same packages; the smaller one lacks manuals and translations


def lines():
    """The instructions, as (WORD, rest)."""
    with open(f"{chart.REPO}/deploy/Dockerfile", encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def source(directory):
    """The tree as Docker is given it: what git knows, as it is here."""
    names = subprocess.run(["git", "-C", chart.REPO, "ls-files", "-z"], check=True, capture_output=True).stdout
    os.makedirs(directory)
    tar = subprocess.run(["tar", "-C", chart.REPO, "-c", "--null", "-T", "-"], input=names, check=True, capture_output=True)
    subprocess.run(["tar", "-C", directory, "-x"], input=tar.stdout, check=True)
    return directory


def copy(tree, root, rest):
    """COPY SOURCE TARGET, of a file or of what is in a directory."""
    what, target = shlex.split(rest)
    what, target = os.path.normpath(f"{tree}/{what}"), f"{root.path}/{target}"
    if os.path.isdir(what):
        shutil.copytree(what, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(what, target)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Each stage's system, as it is at its end, and what the last one is told besides."""
    directory = tmp_path_factory.mktemp("dockerfile")
    tar, tree, made, names, about = debian.bare_tar(), source(f"{directory}/context"), [], {}, {}
    for word, rest in lines():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            assert base in BASES, base
            made.append(debian.Root(f"{directory}/stage-{len(made)}").unpack(tar))
            names[name.strip()] = made[-1]
            shutil.copy("/etc/resolv.conf", f"{made[-1].path}/etc/resolv.conf")
            asked = made[-1].run("apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any")
            if asked.returncode:
                pytest.skip(f"SKIP: needs Debian's archive: {asked.stderr.strip().splitlines()[-1]}")
        elif word == "COPY":
            whose = re.match(r"--from=(\S+) (.*)", rest)
            copy(names[whose[1]].path if whose else tree, made[-1], whose[2] if whose else rest)
        elif word == "RUN":
            done = made[-1].run("/bin/sh", "-c", rest)
            assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        else:
            about[word] = rest
    return made, about


def test_it_makes_an_image(stages):
    made, about = stages
    assert len(made) == 2 and set(about) == {"CMD", "LABEL"}
    last = made[-1]
    wanted = subprocess.run([f"{chart.REPO}/tools/install-deps", "--print", "image"], capture_output=True, text=True,
                            check=True).stdout.split()
    have = last.packages()
    assert set(wanted) <= have and not [name for name in have if re.search(debian.BUILD_PACKAGES, name)], have
    for program in ("/usr/sbin/fairleadd", "/usr/bin/fairlead"):
        assert last.must(program, "--version").strip()
        assert "not found" not in last.must("ldd", program)
    assert not os.path.exists(f"{last.path}/tmp/install-deps") and not os.path.exists(f"{last.path}/src")


def test_it_has_the_files_that_make_image_installs(stages, tmp_path):
    """Both install by `make install-image`."""
    subprocess.run(["make", "-s", "-C", chart.REPO, "install-image", f"DESTDIR={tmp_path}"], check=True, capture_output=True)
    wanted = {os.path.relpath(f"{at}/{name}", tmp_path) for at, _, names in os.walk(tmp_path) for name in names}
    last = stages[0][-1]
    assert wanted and [name for name in wanted if not os.path.exists(f"{last.path}/{name}")] == []
