# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""12.4: `fairlead cleanup --kube-proxy` where kube-proxy's IPVS mode was. The virtual servers need a kernel with IPVS:
`make test-kernels` has such."""
import subprocess

from conftest import REPO, build_directory


def test_12_4_what_the_ipvs_mode_left():
    done = subprocess.run([f"{REPO}/tests/kernels/guest/ipvs", build_directory()], capture_output=True, text=True, check=False,
                          timeout=300)
    assert done.returncode == 0 and "ok 4" in done.stdout, done.stdout + done.stderr
