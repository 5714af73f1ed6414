# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernels that are asked for: a name, where Debian has them, and what their package is called."""
from typing import NamedTuple


class Row(NamedTuple):
    name: str
    suites: tuple
    package: str  # a pattern; the newest that matches is taken
    serves: bool = True  # False: below the floor, fairleadd refuses to start


def rows(architecture):
    common = [
        Row("5.10", ("bullseye", "bullseye-security"), rf"linux-image-5\.10\.0-\d+-{architecture}", serves=False),
        Row("6.1", ("bookworm", "bookworm-security"), rf"linux-image-6\.1\.0-\d+-{architecture}"),
        Row("6.12", ("trixie", "trixie-security"), rf"linux-image-6\.12\.\d+\+deb13-{architecture}"),
        Row("6.18", ("trixie-backports",), rf"linux-image-6\.18\.\d+\+deb\d+-{architecture}"),
        Row("newest", ("trixie-backports", "sid"), rf"linux-image-\d+\.\d+\.\d+\+deb\d+-{architecture}"),
    ]
    pages = [
        Row("6.12-16k", ("trixie", "trixie-security"), r"linux-image-6\.12\.\d+\+deb13-arm64-16k"),
    ]
    return common + (pages if architecture == "arm64" else [])


def suites(wanted):
    return sorted({suite for row in wanted for suite in row.suites})
