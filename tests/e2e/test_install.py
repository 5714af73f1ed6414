# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""`make install`: what a machine has afterwards, and that its configuration is left alone."""
import os
import re
import shutil

import pytest

from conftest import REPO, build_directory, run


@pytest.fixture
def installed(tmp_path):
    """Twice, as an upgrade does, over a configuration that somebody wrote."""
    own = tmp_path / "etc/fairlead/fairleadd.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# mine\n")
    for _ in range(2):
        done = run("make", "-C", REPO, "-o", "all", "install", f"BUILD={build_directory()}",
                   f"DESTDIR={tmp_path}", "PREFIX=/usr", env={**os.environ, "MAKEFLAGS": ""})
        assert done.returncode == 0, done.stderr
    assert own.read_text() == "# mine\n"
    return tmp_path


def test_the_unit_finds_what_it_names(installed):
    unit = (installed / "usr/lib/systemd/system/fairleadd.service").read_text()
    agent = re.search(r"^ExecStart=(\S+)", unit, re.M)[1]
    assert os.access(f"{installed}{agent}", os.X_OK)
    # what the unit waits for has a sample where the documentation says
    wanted = re.search(r"^ConditionPathExists=(\S+)", unit, re.M)[1]
    sample = f"/usr/share/doc/fairlead/examples/{os.path.basename(wanted)}"
    assert os.path.isfile(f"{installed}{sample}")
    for words in ("README.md", "docs/install.md"):
        assert sample in (installed / "usr/share/doc/fairlead" / words).read_text(), words


def test_a_node_needs_the_libraries_that_are_named(installed):
    """What the programs are linked with is in the list for nodes, and nothing else is."""
    direct = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", f"{installed}/usr/sbin/fairleadd",
                                                     f"{installed}/usr/bin/fairlead").stdout))
    named = run(f"{REPO}/tools/install-deps", "--print", "run").stdout.split()
    assert named
    files = run("dpkg", "-L", *named)
    if files.returncode:
        pytest.skip(f"SKIP: not a Debian with these packages: {files.stderr.strip()}")
    given = {os.path.basename(path) for path in files.stdout.split()}
    assert direct - given <= {"libc.so.6", "libm.so.6"}, direct - given
    assert all(direct & {os.path.basename(p) for p in run("dpkg", "-L", name).stdout.split()}
               for name in named), "one of them is not needed"
    text = (installed / "usr/share/doc/fairlead/docs/install.md").read_text()
    assert all(name in text for name in named)


def test_the_sample_is_a_good_configuration(installed, tmp_path):
    text = (installed / "usr/share/doc/fairlead/examples/fairleadd.yaml").read_text()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/web.yaml").write_text("{apiVersion: v1, kind: Node, metadata: {name: a}}\n")
    mine = tmp_path / "config.yaml"
    mine.write_text(text.replace("/etc/fairlead/manifests", str(tmp_path / "manifests")))
    done = run(f"{installed}/usr/sbin/fairleadd", "--config", str(mine), "--check")
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_unit_and_not_the_sample_sets_the_oom_score(installed):
    """The unit's capabilities do not let the agent lower it: the sample would begin with a warning."""
    unit = (installed / "usr/lib/systemd/system/fairleadd.service").read_text()
    capabilities = re.search(r"^CapabilityBoundingSet=(.*)", unit, re.M)[1].split()
    assert "CAP_SYS_RESOURCE" not in capabilities
    assert re.search(r"^OOMScoreAdjust=-999$", unit, re.M)
    sample = (installed / "usr/share/doc/fairlead/examples/fairleadd.yaml").read_text()
    assert not re.search(r"^\s*oomScoreAdj:", sample, re.M)


def test_the_unit_is_closed(installed):
    """robustness G18: what systemd itself thinks of it."""
    unit = installed / "usr/lib/systemd/system/fairleadd.service"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("SKIP: systemd-analyze is not there")
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager",
               str(unit))
    if "offline" in done.stderr:
        pytest.skip(f"SKIP: systemd-analyze: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-200:]


def test_documentation_is_whole(installed):
    """README, licences and all that the installed pages link to."""
    docs = installed / "usr/share/doc/fairlead"
    for name in ("README.md", "LICENSE", "LICENSES/GPL-2.0-only.txt", "LICENSES/BSD-2-Clause.txt"):
        assert (docs / name).is_file(), name
    for page in docs.rglob("*.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#:]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(docs)} links to {link}"


def test_the_edge_example_is_installed_and_good(installed):
    """What docs/edge.md copies is there, and plans without a complaint."""
    example = installed / "usr/share/doc/fairlead/examples/edge"
    done = run(f"{installed}/usr/bin/fairlead", "plan", "--manifests", str(example), "--node", "edge-1", "-o", "name")
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "default/web" in done.stdout and "default/dns" in done.stdout
