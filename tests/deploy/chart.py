# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The Helm chart, rendered by the real Helm; what comes out as objects."""
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
CHART = f"{REPO}/deploy/chart/fairlead"
MANIFESTS = f"{REPO}/deploy/kubernetes"
NAMESPACE = "kube-system"


def programs():
    """Where helm, kubeconform and kubectl are; SKIP where they cannot be built."""
    done = subprocess.run([f"{HERE}/build"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 3:
        pytest.skip(f"SKIP: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def helm(*args, **options):
    return subprocess.run([f"{programs()}/helm", *args], capture_output=True, text=True, check=False, **options)


def render(*args):
    """The manifests as text; `args` as for `helm template`."""
    done = helm("template", "fairlead", CHART, "--namespace", NAMESPACE, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(text):
    """The objects of a manifest, by kind; those of a kind as a list."""
    yaml = pytest.importorskip("yaml", reason="SKIP: needs python3-yaml")
    found = {}
    for tree in yaml.safe_load_all(text):
        if tree:
            found.setdefault(tree["kind"], []).append(tree)
    return found


def pod_of(found):
    (daemonset,) = found["DaemonSet"]
    return daemonset["spec"]["template"]["spec"]
