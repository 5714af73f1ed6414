# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every cell of the demo: which pods may answer (5.1.1, 5.4: any usable endpoint of the policy in force), and
which client address the servers see (5.3: masqueraded or the client's own)."""
import pytest

import cells
from conftest import FAMILIES


@FAMILIES
@pytest.mark.parametrize("cell", cells.CELLS, ids=lambda cell: cell.id)
def test_cell(lab, cell, family):
    report = cells.ask(lab, cell, family)
    assert cells.problems(lab, cell, family, report) == []


@FAMILIES
def test_what_is_not_ours_passes_unchanged(lab, family):
    """Pods are reached directly, and nodes answer echo, beside a running datapath."""
    for source in ("client", "cli-1", "cli-2", "node-1"):
        for pod in lab.pods():
            address = lab[pod].addresses[family]
            for report in (lab[source].http(address, 8080, 3), lab[source].udp(address, 5353, 3)):
                assert report["answers"] == {pod: 3}
                assert list(report["clients"]) == [lab[source].addresses[family]]
    for target in ("node-1", "node-2", "web-1a", "web-2b"):
        assert lab["client"].call("ping", host=lab[target].addresses[family])


@FAMILIES
@pytest.mark.parametrize("source,host,port", [
    ("client", cells.vip(10), 80), ("client", cells.node_ip("node-2"), 30080),
    ("cli-1", cells.WEB, 80), ("node-1", cells.WEB, 80)],
    ids=["lb-vip", "node-port", "cluster-ip", "cluster-ip-from-node"])
def test_bulk_data_arrives_whole(lab, source, host, port, family):
    """Megabytes each way: large segments, checksums and path MTU survive the translation."""
    pods = []
    # chance may have a few go to one of four backends
    while len(pods) < 8 or len(set(pods)) == 1 and len(pods) < 24:
        moved = lab[source].bulk(host[family], port, 1500000)
        assert (moved["down"], moved["up"]) == (1500000, 1500000)
        pods.append(moved["pod"])
    assert len(set(pods)) > 1


@FAMILIES
@pytest.mark.parametrize("connected", [True, False], ids=["connected", "unconnected"])
@pytest.mark.parametrize("source,host", [("client", cells.vip(10)), ("cli-1", cells.WEB)],
                         ids=["outside", "pod"])
def test_udp_socket_keeps_its_backend(lab, source, host, connected, family):
    """5.1.3: one source port and one destination stay with one endpoint, also unconnected (5.9.2)."""
    for _ in range(5):
        report = lab[source].udp(host[family], 5353, 20, connected=connected, keep=True)
        assert report["failed"] == 0, report
        assert len(report["answers"]) == 1


@FAMILIES
def test_large_datagrams_come_back(lab, family):
    """A datagram as large as the MTU lets it be, through NAT to local and remote backends."""
    report = lab["client"].udp(cells.vip(10)[family], 5353, cells.REQUESTS, size=1200)
    assert report["failed"] == 0, report
    assert set(report["answers"]) == set(cells.ALL)


@FAMILIES
def test_keep_alive_connection_stays_with_its_backend(lab, family):
    """5.1.2: the choice sticks for the life of the connection."""
    for _ in range(5):
        report = lab["client"].http(cells.vip(10)[family], 80, 30, keep=True)
        assert report["failed"] == 0, report
        assert len(report["answers"]) == 1


@FAMILIES
def test_parallel_clients(lab, family):
    report = lab["client"].http(cells.vip(10)[family], 80, 2000, parallel=8)
    assert report["failed"] == 0, report
    # 5.1.1: chosen evenly; 500 expected, seven standard deviations allowed
    assert all(360 < count < 640 for count in report["answers"].values()), report
