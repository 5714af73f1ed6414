# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""When the builds of the Go programs may be skipped: without Go, or without the modules and a way to them. Nothing else."""
import os
import subprocess

import pytest

from chart import HERE, REPO

BUILDS = pytest.mark.parametrize("build", [f"{HERE}/build", f"{REPO}/tests/kubernetes/build"], ids=["deploy", "kubernetes"])
PROXY = "Get \"https://proxy.golang.org/k8s.io/api/@v/v0.36.3.zip\": "


def run(build, tmp_path, **environment):
    return subprocess.run([build], capture_output=True, text=True, check=False,
                          env={**os.environ, "XDG_CACHE_HOME": f"{tmp_path}/cache", **environment})


def fake_go(tmp_path, text):
    """PATH with a `go` that is this script."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "bin/go").chmod(0o755)
    return f"{tmp_path}/bin:/usr/bin:/bin"


def without_go(tmp_path):
    """PATH with all that this script may need but Go."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname", "basename", "cat", "cut", "sha256sum", "sed", "grep", "mkdir", "mktemp", "rm", "nice", "mv"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    return f"{tmp_path}/bin"


@BUILDS
def test_without_go(build, tmp_path):
    done = run(build, tmp_path, PATH=without_go(tmp_path))
    assert done.returncode == 3 and "needs go" in done.stderr, done.stderr


@BUILDS
@pytest.mark.parametrize("proxy", ["off", "http://127.0.0.1:1"])
def test_without_modules_and_network(build, proxy, tmp_path):
    """The real Go, where there is one."""
    if subprocess.run(["sh", "-c", "command -v go"], capture_output=True, check=False).returncode:
        pytest.skip("SKIP: needs go")
    done = run(build, tmp_path, GOPROXY=proxy, GOMODCACHE=f"{tmp_path}/modules", GOFLAGS="-modcacherw", GONOSUMDB="*")
    assert done.returncode == 3 and "cannot be downloaded" in done.stderr, done.stderr


@BUILDS
@pytest.mark.parametrize("words, status", [
    (PROXY + "dial tcp: lookup proxy.golang.org: no such host", 3),
    (PROXY + "net/http: TLS handshake timeout", 3),
    ("go: go.mod requires go >= 1.99 (running go 1.26; GOTOOLCHAIN=local)", 3),
    ("verifying k8s.io/api@v0.36.3: checksum mismatch", 1),
    ("k8s.io/api@v9.9.9: reading https://proxy.golang.org/k8s.io/api/@v/v9.9.9.mod: 404 Not Found", 1),
    ("go: updates to go.mod needed; to update it: go mod tidy", 1),
    ("no required module provides package k8s.io/api/none", 1),
])
def test_modules_that_cannot_be_had(build, words, status, tmp_path):
    path = fake_go(tmp_path, f"cat >&2 <<'END'\n{words}\nEND\n[ $1 != list ] || exit 1")
    done = run(build, tmp_path, PATH=path)
    assert done.returncode == status, done.stderr
    assert words in done.stderr


@BUILDS
@pytest.mark.parametrize("words", ["main.go:7:2: undefined: nothing", "write: no space left on device",
                                   "link: signal: killed", "dial tcp: a compiler does not say so"])
def test_a_build_that_fails_is_a_failure(build, words, tmp_path):
    path = fake_go(tmp_path, f"[ $1 = list ] || {{ echo '{words}' >&2; exit 1; }}")
    done = run(build, tmp_path, PATH=path)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr and "cannot build" in done.stderr
