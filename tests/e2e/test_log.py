# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The agent's log says what was done, and is fit for the journal."""
import re
import signal

from wait import until

TO_THE_JOURNAL = ["sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec "$@"', "sh"]


def restart(lab, **options):
    node = lab.nodes["node-1"]
    node.stop()
    node.start(**options)
    return node


def test_a_change_is_a_line_with_its_size(own_lab):
    node = restart(own_lab)
    m = own_lab.manifests
    m.add("probe", m.service("probe", 13), m.slice("probe", 4, ("web-1a", "web-2a")))
    line = re.compile(r"info  applied changes of 1 Services \([1-9]\d* service ports\): "
                      r"endpoints \+[1-9]\d* -0, [1-9]\d* frontends written, [\d.]+ ms\n")
    until(lambda: line.search(node.log()), "the change is in the log", 5)
    m.remove("probe.yaml")
    gone = re.compile(r"endpoints \+0 -[1-9]\d*, [1-9]\d* frontends written")
    until(lambda: gone.search(node.log()), "the removal is in the log", 5)


def test_a_reload_says_what_it_found(own_lab):
    node = restart(own_lab)
    node.agent.send_signal(signal.SIGHUP)
    until(lambda: "info  reload: no object has changed\n" in node.log(), "it has found nothing", 5)


def test_devices_that_come_and_go(own_lab):
    node = restart(own_lab, mode="auto", extra=["--devices", "eth0,dum*"])
    node.place.run(["ip", "link", "add", "dum0", "type", "veth", "peer", "name", "other0"], check=True)
    try:
        node.place.run(["ip", "link", "set", "dum0", "up"], check=True)
        until(lambda: "info  device dum0: " in node.log(), "it has come", 5)
    finally:
        node.place.run(["ip", "link", "del", "dum0"], check=True)
    until(lambda: "device dum0: no longer served, it is gone" in node.log(), "it has gone", 5)


def test_lines_for_the_journal(own_lab):
    """A priority and no time, where standard error is the journal's stream."""
    node = restart(own_lab, wrapper=TO_THE_JOURNAL, extra=["--devices", "nope0"])
    lines = node.log().splitlines()
    assert all(re.match(r"<[3467]>(?!\d{4}-)", line) for line in lines), lines
    assert "<3>there is no device nope0" in lines
    assert any(line.startswith("<6>ready after") for line in lines)


def test_debug_says_why_a_service_is_planned_as_it_is(own_lab):
    node = restart(own_lab, extra=["--log-level", "debug"])
    line = re.compile(r"debug default/web:http TCP IPv4: 10\.96\.0\.\d+:80 ClusterIP, .*; endpoints \d+, "
                      r"ready \d+, on this node \d+; cluster list \d+.*; cluster IP: forward")
    assert line.search(node.log()), node.log_tail()
