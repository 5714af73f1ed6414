# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Bad manifests: the agent says file and reason, keeps the last good state and applies the rest."""
import json
import os

import pytest

import cells
from wait import until

# file name, text, words of the reason that must stand in the line about this file
BAD_FILES = {
    "malformed-yaml": ("bad.yaml", "apiVersion: v1\nkind: Service\n  metadata: [\n", "mapping values are not allowed"),
    "tabs-in-yaml": ("bad.yaml", "apiVersion: v1\nkind:\tService\nmetadata:\n\tname: x\n", "cannot start any token"),
    "malformed-json": ("bad.json", '{"apiVersion": "v1", "kind": "Service", "spec": {,}}', "a key was expected"),
    "cut-json": ("bad.json", '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"', "ends inside"),
    "deep-json": ("bad.json", "[" * 200000 + "]" * 200000, "nested deeper"),
    "deep-yaml": ("bad.yaml", "[" * 200000, "nested deeper"),
    "deep-block-yaml": ("bad.yaml", "- " * 50000 + "x\n", "nested deeper"),
    "alias-bomb": ("bad.yaml", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n"
        for p, c in zip("abcdefghi", "bcdefghij")), "aliases"),
    "not-utf8": ("bad.yaml", b"apiVersion: v1\nkind: Service\nmetadata: {name: \xff\xfe}\n", "UTF-8"),
    "nul-bytes": ("bad.json", b'{"kind": "Service"\x00\x00}', "NUL"),
    "duplicate-key": ("bad.yaml", "apiVersion: v1\nkind: Service\nkind: Service\n", "occurs twice"),
    "no-kind": ("bad.yaml", "apiVersion: v1\nmetadata:\n  name: x\n", "kind: missing"),
    "misspelt-kind": ("bad.yaml", "apiVersion: v1\nkind: Servise\nmetadata:\n  name: brown\n",
                      'unknown kind "Servise" (v1) (did you mean Service?)'),
    "empty": ("bad.yaml", "", "is empty"),
    "list-that-is-none": ("bad.yaml", "apiVersion: v1\nkind: List\nitems: 7\n", "items: expected a list"),
}


def status_lines(node):
    return node.cli("status").stdout.splitlines()


def plan_lines(node):
    return node.cli("plan", "--manifests", node.lab.manifests.directory, "--node",
                    node.name).stderr.splitlines()


def problem_texts(node):
    """All that agent and CLI say."""
    status = node.cli("-o", "json", "status")
    return "\n".join([status.stdout, status.stderr, *plan_lines(node), node.log()])


def web_serves(lab):
    report = lab["client"].http(cells.vip(10)[4], 80, 20)
    assert report["failed"] == 0, report
    assert lab["cli-1"].http(cells.WEB[6], 80, 20)["failed"] == 0


def reported(lab, *words):
    for node in lab.nodes.values():
        until(lambda n=node: all(word in problem_texts(n) for word in words),
              f"{node.name}'s agent names {words}", 5)


@pytest.mark.parametrize("case", BAD_FILES, ids=list(BAD_FILES))
def test_bad_file(lab, case):
    name, text, reason = BAD_FILES[case]
    m = lab.manifests
    data = text if isinstance(text, bytes) else text.encode()
    with open(m.path(name), "wb") as out:
        out.write(data)
    # a good object beside it, written later, is applied all the same
    m.add("good", m.service("good", 13), *(m.slice("good", f, ("web-2a",)) for f in (4, 6)))
    until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answers"] == {"web-2a": 1},
          "the good object is applied", 10)
    for node in lab.nodes.values():
        for sayer in (plan_lines, status_lines):
            # the line that names the file: other lines, and the log, may have the reason of another case
            until(lambda s=sayer, n=node: any(f"{name}:" in line and reason in line for line in s(n)),
                  f"{sayer.__name__} of {node.name} say \"{reason}\" of {name}", 5)
    web_serves(lab)
    assert all(node.agent.poll() is None for node in lab.nodes.values())


# what becomes of the text of a good file, and whether that is a fault
DAMAGES = {
    "malformed": lambda text: "addressType: IPv4\nkind: [\n",
    # as a slow writer leaves it for a moment
    "half": lambda text: text[:len(text) // 2].rsplit("\n", 3)[0] + "\n  x: [",
    "scalar": lambda text: "oops\n",
    "no-name": lambda text: "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n",
    "no-kind": lambda text: text.replace("kind: EndpointSlice", "kin: EndpointSlice"),
    "misspelt-kind": lambda text: text.replace("kind: EndpointSlice", "kind: EndpointSlic"),
    "wrong-version": lambda text: text.replace("discovery.k8s.io/v1", "discovery.k8s.io/v7"),
}


@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "rewritten"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_good_file_that_goes_bad_keeps_its_last_good_state(lab, damage, in_place):
    m = lab.manifests
    name = "web-endpointslices.yaml"
    with open(m.path(name), encoding="utf-8") as good:
        text = good.read()
    m.write(name, DAMAGES[damage](text), in_place=in_place)
    reported(lab, name)
    web_serves(lab)
    m.write(name, text, in_place=in_place)
    lab.settle()
    assert set(lab["client"].http(cells.vip(10)[4], 80, cells.REQUESTS)["answers"]) == set(cells.ALL)


def test_empty_documents_are_nothing(lab):
    m = lab.manifests
    name = "web-endpointslices.yaml"
    with open(m.path(name), encoding="utf-8") as good:
        text = good.read()
    m.write(name, "---\n---\n" + text + "\n---\n")
    lab.settle()
    web_serves(lab)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255",
    "::1", "fe80::1", "ff02::1", "::"])
def test_addresses_that_must_never_be_backends(lab, address):
    """Robustness C6: refused, and the slice's other endpoints are used."""
    m = lab.manifests
    family = 6 if ":" in address else 4
    tree = m.slice("probe", family, ("web-1a", "web-2a"))
    tree["endpoints"][0]["addresses"] = [address]
    m.add("probe", m.service("probe", 13), tree)
    vip = cells.vip(13)[family]
    until(lambda: lab["client"].http(vip, 80, 1, timeout=0.5)["answers"] == {"web-2a": 1},
          "the good endpoint answers", 5)
    assert lab["client"].http(vip, 80, 20)["answers"] == {"web-2a": 20}
    reported(lab, "probe.yaml", address)


@pytest.mark.parametrize("family,address", [
    (4, "999.1.1.1"), (4, "nonsense"), (4, "fd00::1"), (6, "10.0.0.1"), (6, "::ffff:127.0.0.1")])
def test_an_object_with_a_nonsense_address_is_refused(lab, family, address):
    """The object keeps its last good state, with words about it, and others are applied."""
    m = lab.manifests
    good = m.slice("probe", family, ("web-1a",))
    m.add("probe", m.service("probe", 13), good)
    vip = cells.vip(13)[family]
    until(lambda: lab["client"].http(vip, 80, 1, timeout=0.5)["answers"] == {"web-1a": 1},
          "the good object is applied", 5)
    bad = m.slice("probe", family, ("web-1a", "web-2a"))
    bad["endpoints"][0]["addresses"] = [address]
    m.add("probe", m.service("probe", 13), bad,
          m.service("other", 14), m.slice("other", family, ("web-2b",)))
    other = cells.vip(14)[family]
    until(lambda: lab["client"].http(other, 80, 1, timeout=0.5)["answers"] == {"web-2b": 1},
          "the other objects are applied", 5)
    assert lab["client"].http(vip, 80, 20)["answers"] == {"web-1a": 20}
    reported(lab, "probe.yaml", address)


@pytest.mark.parametrize("port", [0, -1, 65536, 10 ** 20, "http", None])
def test_bad_service_port(lab, port):
    """A port that is none is refused by name, and the other objects of the file are applied."""
    m = lab.manifests
    m.add("probe", m.service("poor", 14, ports=[{"name": "http", "port": port, "protocol": "TCP"}]),
          m.service("probe", 13), m.slice("probe", 4, ("web-2a",)))
    until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answers"] == {"web-2a": 1},
          "the good object is applied", 5)
    reported(lab, "poor")
    web_serves(lab)


def test_two_services_that_claim_one_frontend(lab):
    """2.21: the older wins, the conflict is named, and the loser takes over when the winner goes."""
    m = lab.manifests
    older, younger = m.service("older", 13), m.service("younger", 13)
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    younger["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    m.add("younger", younger, m.slice("younger", 4, ("web-2b",)), m.slice("younger", 6, ("web-2b",)))
    lab.settle()
    m.add("older", older, m.slice("older", 4, ("web-1a",)), m.slice("older", 6, ("web-1a",)))

    def answers(pod):
        return lab["client"].http(cells.vip(13)[4], 80, 5)["answers"] == {pod: 5}

    until(lambda: answers("web-1a"), "the older one has the address", 5)
    sentence = (f"TCP {cells.vip(13)[4]}:80 belongs to default/older:http, "
                "default/younger:http wants it too")

    def logged(words):
        return [node.log().count(words) for node in lab.nodes.values()]

    for node in lab.nodes.values():
        until(lambda n=node: f"warn  {sentence}" in n.log(), f"{node.name}'s agent warns", 5)
        assert sentence in node.cli("status").stdout
        plan = node.cli("plan", "--manifests", m.directory, "--node", node.name)
        assert plan.returncode == 0 and f"warning: {sentence}\n" in plan.stderr, plan.stderr
    # further changes of either are no reason to log it again
    m.add("older", older, m.slice("older", 4, ("web-1b",)), m.slice("older", 6, ("web-1b",)))
    until(lambda: answers("web-1b"), "the winner's endpoints have changed", 5)
    assert logged(sentence) == [1] * len(lab.nodes)
    m.remove("older.yaml")
    until(lambda: answers("web-2b"), "the loser takes over", 5)
    until(lambda: logged(f"resolved: {sentence}") == [1] * len(lab.nodes), "the agents log that it is resolved", 5)


def test_two_ports_of_one_service_that_claim_one_frontend(lab):
    """2.21: the first port has it, and the conflict is reported."""
    m = lab.manifests
    service = m.service("twice", 14, ports=[{"name": "first", "port": 80, "protocol": "TCP"},
                                            {"name": "second", "port": 80, "protocol": "TCP"}])
    m.add("twice", service)
    lab.settle()
    sentence = f"TCP {cells.vip(14)[4]}:80 belongs to default/twice:first, default/twice:second wants it too"
    for node in lab.nodes.values():
        node.wait_log(f"warn  {sentence}")
        assert node.log().count(f"warn  {sentence}") == 1, node.log_tail()
        check = node.place.run([*node.agent_command(), "--check"])
        assert check.returncode == 0 and f"warning: {sentence}\n" in check.stderr, check.stderr
        assert "0 errors, 4 warnings" in check.stdout, check.stdout  # two addresses in both families
        assert sentence in node.cli("status").stdout


def test_unreadable_things_in_the_directory(lab):
    """A FIFO must not block the agent; a dangling link, a directory and a device are no manifests."""
    m = lab.manifests
    os.mkfifo(m.path("pipe.yaml"))
    os.symlink("/nonexistent/file", m.path("dangling.yaml"))
    os.symlink("/dev/zero", m.path("zero.yaml"))
    os.symlink(m.directory, m.path("loop.yaml"))
    try:
        m.add("good", m.service("good", 13), *(m.slice("good", f, ("web-2a",)) for f in (4, 6)))
        until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answers"]
              == {"web-2a": 1}, "the good object is applied", 5)
        web_serves(lab)
        # and a start with them in place
        lab.nodes["node-1"].kill()
        lab.nodes["node-1"].start(wait=False)
        lab.nodes["node-1"].wait_answers()
        web_serves(lab)
        reported(lab, "pipe.yaml")
    finally:
        for name in ("pipe.yaml", "dangling.yaml", "zero.yaml", "loop.yaml"):
            os.unlink(m.path(name))


def test_start_with_a_bad_file_in_place(lab):
    """10.3: an agent that starts among bad files serves what is good and removes nothing."""
    m = lab.manifests
    m.write("bad.yaml", "kind: [\n")
    for node in lab.nodes.values():
        node.kill()
        node.start(wait=False)
    for node in lab.nodes.values():
        node.wait_answers()
    reported(lab, "bad.yaml")
    web_serves(lab)


def test_start_with_a_bad_object_in_place(lab):
    """10.3: an object that has gone bad is served on, by an agent that never saw it good as well."""
    m = lab.manifests
    service, slices = m.service("probe", 13), [m.slice("probe", f, ("web-1a",)) for f in (4, 6)]
    m.add("probe", service, *slices)
    lab.settle()
    bad = json.loads(json.dumps(service))
    bad["spec"]["clusterIP"] = bad["spec"]["clusterIPs"][0] = "10.96.1.999"
    m.add("probe", bad, *slices)
    reported(lab, "probe.yaml", "10.96.1.999")
    for node in lab.nodes.values():
        node.kill()
        node.start(wait=False)
    for node in lab.nodes.values():
        node.wait_answers()
    reported(lab, "probe.yaml", "10.96.1.999")
    assert lab["client"].http(cells.vip(13)[4], 80, 20)["answers"] == {"web-1a": 20}
    # what is known to be gone goes then
    m.remove("probe.yaml")
    until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answered"] == 0,
          "the object is gone", 5)


def test_a_file_of_many_objects(lab):
    """A List of 2,000 Services in JSON is taken, and taken back."""
    m = lab.manifests
    items = []
    for number in range(2000):
        tree = m.service("many", 13, ports=[{"name": "http", "port": 80, "protocol": "TCP"}])
        name = f"many-{number}"
        tree["metadata"]["name"] = name
        ip = f"10.97.{number // 250}.{number % 250 + 1}"
        tree["spec"].update(clusterIP=ip, clusterIPs=[ip], ipFamilies=["IPv4"], type="ClusterIP")
        tree["status"] = {"loadBalancer": {}}
        items += [tree, m.slice(name, 4, ("web-1a", "web-2a"))]
    m.write("many.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    last = "10.97.7.250"
    until(lambda: lab["cli-1"].http(last, 80, 1, timeout=0.5)["answered"] == 1, "the last one serves", 10)
    web_serves(lab)
    m.remove("many.json")
    until(lambda: lab["cli-1"].http(last, 80, 1, timeout=0.5)["answered"] == 0, "it is gone", 10)
