# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An input that shrinks is not believed at once: what goes wrong with files takes no Service away."""
import json
import mmap
import os
import shutil
import signal

import pytest

import cells
from wait import until

GRACE = ["--manifest-grace", "30"]


@pytest.fixture(scope="module", autouse=True)
def agents(own_lab):
    own_lab.start_agents(extra=GRACE)


@pytest.fixture
def lab(own_lab):
    yield own_lab
    own_lab.manifests.reset()
    for node in own_lab.nodes.values():
        if node.agent.poll() is not None:
            node.start(extra=GRACE)
        node.cli("reload", "--now")
    own_lab.settle()


def text_of(lab, name):
    with open(lab.manifests.path(name), encoding="utf-8") as source:
        return source.read()


def serves(lab, requests=20):
    report = lab["client"].http(cells.vip(10)[4], 80, requests)
    assert report["failed"] == 0, report


def answers(lab, number, pod, timeout=0.5):
    """Whether it does; in so short a time where it is asked again and again."""
    return lab["client"].http(cells.vip(number)[4], 80, 1, timeout=timeout)["answers"] == {pod: 1}


def status(node):
    done = node.cli("status")
    return done.stdout + done.stderr


def all_say(lab, words):
    for node in lab.nodes.values():
        until(lambda n=node: words in status(n), f"{node.name} says \"{words}\"", 5)


def none_says(lab, words):
    for node in lab.nodes.values():
        until(lambda n=node: words not in status(n), f"{node.name} no longer says \"{words}\"", 5)


def add_probe(lab, pod="web-1a", number=13, name="probe"):
    m = lab.manifests
    m.add(name, m.service(name, number), *(m.slice(name, family, (pod,)) for family in (4, 6)))
    until(lambda: answers(lab, number, pod), f"{pod} answers for {name}", 5)
    # that is what one node says; another may not even have seen the file, and then misses nothing when it goes
    for node in lab.nodes.values():
        until(lambda n=node: n.cli("service", "get", f"default/{name}").returncode == 0, f"{node.name} has {name}", 5)


def test_a_file_is_emptied(lab):
    """: > FILE, a full disk, or `kubectl get > FILE` while the API server is away."""
    name, text = "web.yaml", text_of(lab, "web.yaml")
    with open(lab.manifests.path(name), "w", encoding="utf-8"):
        pass
    all_say(lab, "web.yaml: is empty; the last good state of this file stays")
    serves(lab)
    lab.manifests.write(name, text, in_place=True)
    none_says(lab, "is empty")
    serves(lab)


def test_a_slow_writer_is_not_caught_half_way(lab):
    """cp of a file over a slow line: whatever there is of it so far, the last state is served."""
    name, text = "web.yaml", text_of(lab, "web.yaml")
    with open(lab.manifests.path(name), "w", encoding="utf-8") as target:
        for at in range(0, len(text), len(text) // 7):
            target.write(text[at:at + len(text) // 7])
            target.flush()
            for node in lab.nodes.values():
                assert node.cli("reload").returncode == 0  # a look at everything
            serves(lab, 3)
    lab.settle()
    serves(lab)


@pytest.mark.parametrize("cut", [0.3, 0.55, 0.8, 0.97])
def test_a_writer_that_died(lab, cut):
    """What a file lost at its end is held, reported, and forgotten when it is whole again."""
    name = "web-endpointslices.yaml"
    text = text_of(lab, name)
    lab.manifests.write(name, text[:int(len(text) * cut)], in_place=True)
    all_say(lab, name)
    serves(lab)
    lab.manifests.write(name, text, in_place=True)
    none_says(lab, name)
    assert set(lab["client"].http(cells.vip(10)[4], 80, cells.REQUESTS)["answers"]) == set(cells.ALL)


def test_files_are_removed_and_copied_again(lab):
    """rm *; cp: nothing is missed in between, even where the new files have other names."""
    m = lab.manifests
    beside = f"{m.directory}.beside"
    shutil.copytree(m.directory, beside)
    try:
        for name in os.listdir(m.directory):
            os.unlink(m.path(name))
        all_say(lab, "web.yaml: is gone; 1 Service that it had stay for 30 s")
        serves(lab)
        for name in os.listdir(beside):
            shutil.copyfile(f"{beside}/{name}", m.path(f"new-{name}"))
        none_says(lab, "is gone")
        serves(lab)
    finally:
        shutil.rmtree(beside)


def test_a_directory_is_removed_and_copied_again(lab):
    """rm -rf; cp -r."""
    m = lab.manifests
    beside = f"{m.directory}.beside"
    shutil.copytree(m.directory, beside)
    shutil.rmtree(m.directory)
    all_say(lab, "No such file or directory")
    serves(lab)
    shutil.copytree(beside, m.directory)
    shutil.rmtree(beside)
    none_says(lab, "No such file or directory")
    none_says(lab, "is gone")
    serves(lab)


def test_an_unmounted_directory(lab):
    """A directory that is out of sight is no order to remove everything, however long that lasts."""
    m = lab.manifests
    os.rename(m.directory, f"{m.directory}.away")
    try:
        all_say(lab, "No such file or directory")
        serves(lab)
    finally:
        os.rename(f"{m.directory}.away", m.directory)
    none_says(lab, "No such file or directory")


@pytest.mark.parametrize("how", ["reload --now", "SIGHUP"])
def test_somebody_who_means_it(lab, how):
    add_probe(lab)
    lab.manifests.remove("probe.yaml")
    all_say(lab, "probe.yaml: is gone")
    assert answers(lab, 13, "web-1a", 10)
    for node in lab.nodes.values():
        assert node.cli("reload").returncode == 0
    assert answers(lab, 13, "web-1a", 10)  # a look alone is not enough
    for node in lab.nodes.values():
        if how == "SIGHUP":
            node.agent.send_signal(signal.SIGHUP)
        else:
            assert node.cli("reload", "--now").returncode == 0
    until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answered"] == 0,
          "the Service is gone", 5)
    none_says(lab, "is gone")


def test_a_rename_is_believed_at_once(lab):
    """However much shorter the file is: that is what renames are for."""
    add_probe(lab)
    m = lab.manifests
    service = m.service("probe", 14)
    m.write("probe.yaml", m.documents(service, *(m.slice("probe", f, ("web-2a",)) for f in (4, 6))))
    until(lambda: answers(lab, 14, "web-2a"), "the new address answers", 5)
    # in one step; a request may come in its middle, and before this is said it is over
    lab.nodes["node-1"].settle()
    assert lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answered"] == 0


def test_a_start_with_an_empty_directory(lab):
    """After a reboot the mount may be late: what the datapath serves stays, and status says why."""
    m = lab.manifests
    for node in lab.nodes.values():
        node.kill()
    os.rename(m.directory, f"{m.directory}.late")
    os.mkdir(m.directory)
    try:
        for node in lab.nodes.values():
            node.start(wait=False, extra=GRACE)
            node.wait_answers()
        all_say(lab, "there is no manifest in it")
        serves(lab)
    finally:
        os.rmdir(m.directory)
        os.rename(f"{m.directory}.late", m.directory)
    lab.settle()
    none_says(lab, "there is no manifest in it")
    serves(lab)


ODD = {
    "slice-of-nobody": {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                        "metadata": {"name": "leases"}, "endpoints": [], "ports": []},
    "deployment": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}},
    "no-object": {"resources": ["web.yaml"]},
    "faulty-service": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "faulty"},
                       "spec": {"clusterIP": "nonsense", "ports": [{"port": 80}]}},
    "faulty-slice": {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                     "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "faulty"}},
                     "endpoints": [{"addresses": ["x"]}]},
}


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_object_keeps_nothing_from_settling(lab, odd):
    """Robustness: an agent that starts beside it forgets what was deleted meanwhile, and is well."""
    m = lab.manifests
    add_probe(lab)
    for node in lab.nodes.values():
        node.kill()
    m.remove("probe.yaml")
    m.write("odd.json", json.dumps(ODD[odd]))
    for node in lab.nodes.values():
        node.start(wait=False, extra=GRACE)
        node.wait_answers()
    until(lambda: lab["client"].http(cells.vip(13)[4], 80, 1, timeout=0.5)["answered"] == 0,
          "the deleted Service is gone", 5)
    serves(lab)
    for node in lab.nodes.values():
        node.wait_status(1 if odd.startswith("faulty") else 0)


def test_helm_output_is_served_as_it_is(lab):
    """Services without clusterIP, objects of other kinds, merge keys: and `plan` and --check agree."""
    text = f"""# Source: edge/templates/all.yaml
x-labels: &labels {{app: edge}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: edge}}
---
apiVersion: v1
kind: Service
metadata:
  name: edge
  labels: &l {{app: edge}}
  annotations: {{<<: *l, more: x}}
spec:
  type: LoadBalancer
  loadBalancerIP: {cells.vip(13)[4]}
  selector: {{<<: *l}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
status:
  loadBalancer: {{}}
"""
    m = lab.manifests
    m.write("edge.yaml", text)
    m.write("edge-slices.yaml", m.documents(m.slice("edge", 4, ("web-2b",))))
    until(lambda: answers(lab, 13, "web-2b"), "it is served", 5)
    node = lab.nodes["node-1"]
    plan = node.cli("plan", "-f", "-", "--node", "node-1", "-o", "json", input=text)
    assert (plan.returncode, plan.stderr) == (0, "")
    assert [port["name"] for port in json.loads(plan.stdout)["items"]] == ["edge"]
    check = node.place.run([*node.agent_command(), "--check"])
    assert check.returncode == 0, check.stderr
    assert "edge" not in check.stderr


def test_a_directory_behind_a_link_is_switched(lab):
    """Releases in directories of their own: `current` leads to another one, by rename."""
    node, m = lab.nodes["node-1"], lab.manifests
    base = f"{m.directory}.releases"
    shutil.copytree(m.directory, f"{base}/one")
    shutil.copytree(m.directory, f"{base}/two")
    probe = m.documents(m.service("probe", 13), m.slice("probe", 4, ("web-1a",)))
    with open(f"{base}/two/probe.yaml", "w", encoding="utf-8") as out:
        out.write(probe)
    os.symlink("one", f"{base}/current")
    try:
        node.kill()
        node.start(manifests=f"{base}/current", extra=GRACE)
        os.symlink("two", f"{base}/next")
        os.rename(f"{base}/next", f"{base}/current")
        until(lambda: any(port["name"] == "probe" for port in node.api("/v1/plan")["items"]),
              "the other release is served", 5)
    finally:
        node.kill()
        node.start(extra=GRACE)
        shutil.rmtree(base)


def test_a_writer_through_a_mapping(lab):
    """No event tells, and the file stays open: it is seen all the same."""
    add_probe(lab)
    path = lab.manifests.path("probe.yaml")
    old, new = cells.vip(13)[4].encode(), cells.vip(14)[4].encode()
    assert len(old) == len(new)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as text:
        for at in range(len(text) - len(old)):
            if text[at:at + len(old)] == old:
                text[at:at + len(old)] = new
        text.flush()
        until(lambda: answers(lab, 14, "web-1a"), "the new address answers", 8)


def test_a_large_file_stops_nothing(lab):
    """60 MB: while it is read, other changes come through, and it does in the end."""
    m = lab.manifests
    add_probe(lab)
    piece = ("apiVersion: v1\nkind: Service\nmetadata: {{name: large-{0}}}\nspec: {{clusterIP: 10.98.{1}.{2}, "
             "ports: [{{port: 80}}]}}\nx-padding: [" + "xxxxxxxx, " * 3000 + "]\n---\n")
    text = "".join(piece.format(i, i // 250, i % 250 + 1) for i in range(2000))
    assert 58_000_000 < len(text) < 64_000_000
    large = f"{m.directory}.large"
    with open(large, "w", encoding="utf-8") as out:
        out.write(text)

    def served(node):
        return node.cli("service", "get", "default/large-1999").returncode == 0

    os.rename(large, m.path("large.yaml"))
    try:
        add_probe(lab, "web-2a")
        assert not all(served(node) for node in lab.nodes.values()), "it was not read beside the loop"
        for node in lab.nodes.values():
            until(lambda n=node: served(n), f"{node.name} serves the last one", 60)
        serves(lab)
    finally:
        m.remove("large.yaml")
        for node in lab.nodes.values():
            node.cli("reload", "--now")
