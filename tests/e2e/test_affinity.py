# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Session affinity (rules 5.5) with real clients and real time; timeouts are made short."""
import time

import cells
import topology
from wait import until
from conftest import FAMILIES

BRIEF = 2  # seconds of affinity


def one(report):
    """The one pod that answered everything."""
    assert report["failed"] == 0, report
    assert len(report["answers"]) == 1, report
    return next(iter(report["answers"]))


def sources(family):
    return [topology.client_address(family, n) for n in (10, *topology.MORE_CLIENTS)]


@FAMILIES
def test_frontends_of_a_service_port_share_the_record(lab, family):
    """5.5.1: what a client got through one frontend it gets through all others."""
    pods = set()
    for source in sources(family):
        pod = one(lab["client"].http(cells.vip(12)[family], 80, 10, source=source))
        again = lab["client"].http(cells.node_ip("node-1")[family], 30082, 10, source=source)
        assert one(again) == pod
        assert one(lab["client"].http(cells.STICKY[family], 80, 10, source=source)) == pod
        pods.add(pod)
    # by chance once in 60 million times
    assert len(pods) > 1, "fourteen clients and one backend: the client does not count"


@FAMILIES
def test_pod_client_has_one_backend_for_all_frontends(lab, family):
    """5.5.1 at the sockets: ClusterIP, LB VIP and NodePort of the pod's node."""
    pod = one(lab["cli-1"].http(cells.STICKY[family], 80, 10))
    assert one(lab["cli-1"].http(cells.vip(12)[family], 80, 10)) == pod
    assert one(lab["cli-1"].http(cells.node_ip("node-1")[family], 30082, 10)) == pod


@FAMILIES
def test_udp_affinity(lab, family):
    """5.5.1 for UDP: datagrams of many sockets of one client go to one backend."""
    one(lab["client"].udp(cells.vip(12)[family], 5353, 20))
    one(lab["cli-1"].udp(cells.STICKY[family], 5353, 20))


@FAMILIES
def test_vanished_backend_is_a_miss(lab, family):
    """5.5.4: a record that names a removed endpoint never drops; 5.5.3: the new choice is kept."""
    pod = one(lab["client"].http(cells.vip(12)[family], 80, 5))
    inside = one(lab["cli-1"].http(cells.STICKY[family], 80, 5))
    left = [p for p in cells.ALL if p not in (pod, inside)]
    m = lab.manifests
    m.add("sticky", m.service("sticky", 12, sessionAffinity="ClientIP"),
          *(m.slice("sticky", f, left) for f in (4, 6)))
    lab.settle()
    assert one(lab["client"].http(cells.vip(12)[family], 80, 10)) in left
    assert one(lab["cli-1"].http(cells.STICKY[family], 80, 10)) in left


def test_timeout_restarts_with_each_connection(lab):
    """5.5.2, 5.5.3: a record lives on while connections use it, and lapses when they stop."""
    m = lab.manifests

    def apply(pods):
        m.add("brief", m.service("brief", 13, sessionAffinity="ClientIP", sessionAffinityConfig={
            "clientIP": {"timeoutSeconds": BRIEF}}), *(m.slice("brief", f, pods) for f in (4, 6)))
        lab.settle()

    asked = {}  # when the last request of each client began

    def ask(source):
        """Who answers, and whether the record may have lapsed since the client's last request."""
        family, before = 6 if ":" in source else 4, asked.get(source, 0.0)
        asked[source] = time.monotonic()
        pod = one(lab["client"].http(cells.vip(13)[family], 80, 1, source=source))
        return pod, time.monotonic() - before >= BRIEF

    busy = [s for f in (4, 6) for s in sources(f)[:3]]
    idle = [s for f in (4, 6) for s in sources(f)[3:]]

    def live_on():
        """Whether the busy ones were asked often enough for twice the timeout: on a busy machine that takes several tries."""
        # all records are made while there is but one backend
        apply(("web-1a",))
        assert {ask(s)[0] for s in idle + busy} == {"web-1a"}
        made = time.monotonic()
        apply(cells.ALL)
        while time.monotonic() - made <= 2 * BRIEF:
            for source in busy:
                pod, may_have_lapsed = ask(source)
                if may_have_lapsed:
                    return False
                assert pod == "web-1a", "a record in use lapsed"
        return True

    until(live_on, "clients are asked in time", 30 * BRIEF)
    # each of 22 lapsed records is chosen again among four backends
    assert {ask(s)[0] for s in idle} != {"web-1a"}, "records out of use did not lapse"


@FAMILIES
def test_affinity_survives_a_restart_of_the_agent(lab, family):
    """5.5.5: records are kernel state."""
    before = {s: one(lab["client"].http(cells.vip(12)[family], 80, 1, source=s))
              for s in sources(family)}
    lab.nodes["node-1"].kill()
    lab.nodes["node-1"].start()
    after = {s: one(lab["client"].http(cells.vip(12)[family], 80, 1, source=s)) for s in before}
    assert after == before
