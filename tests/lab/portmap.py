# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The CNI plugin portmap itself, called as a container run-time calls it for a pod that has been given its addresses."""
import contextlib
import json
import os

import topology

PROGRAM = "/usr/lib/cni/portmap"  # of Debian's containernetworking-plugins
FORMS = ("iptables-nft", "iptables-legacy")  # what the plugin calls as iptables


def unable(place, form):
    """Why it cannot be called there, or None."""
    if not os.path.exists(PROGRAM):
        return "needs portmap (containernetworking-plugins)"
    done = place.run([form, "-t", "nat", "-S"])
    return f"needs {form}: {done.stderr.strip()}" if done.returncode else None


def _call(lab, node, command, configuration, environment):
    place = lab[node]
    done = place.run(["env", f"CNI_COMMAND={command}", *environment, PROGRAM], input=json.dumps(configuration))
    assert done.returncode == 0, f"portmap {command}: {done.stdout}{done.stderr}"


@contextlib.contextmanager
def ports(lab, pod, mappings, form=FORMS[0]):
    """The pod has these ports of its node: {(protocol, port of the node): port of the pod}."""
    node, addresses = f"node-{pod.split('-')[1][0]}", topology.pod_addresses(pod)
    programs = f"{lab.directory}/{form}"
    os.makedirs(programs, exist_ok=True)
    for name, family in (("iptables", ""), ("ip6tables", "6")):
        for suffix in ("", "-save", "-restore"):
            with contextlib.suppress(FileExistsError):
                os.symlink(f"/usr/sbin/{form.replace('ip', f'ip{family}')}{suffix}", f"{programs}/{name}{suffix}")
    netns = f"/run/netns/{lab[pod].netns}"
    configuration = {
        "cniVersion": "0.4.0", "name": "lab", "type": "portmap", "capabilities": {"portMappings": True},
        "runtimeConfig": {"portMappings": [
            {"hostPort": host_port, "containerPort": port, "protocol": protocol}
            for (protocol, host_port), port in mappings.items()]},
        "prevResult": {"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "sandbox": netns}],
                       "ips": [{"version": str(family), "interface": 0,
                                "address": f"{addresses[family]}/{24 if family == 4 else 64}"} for family in (4, 6)]}}
    environment = [f"CNI_CONTAINERID={pod}", f"CNI_NETNS={netns}", "CNI_IFNAME=eth0", "CNI_PATH=/usr/lib/cni",
                   f"PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin"]
    _call(lab, node, "ADD", configuration, environment)
    try:
        assert "CNI-HOSTPORT-DNAT" in lab[node].run([form, "-t", "nat", "-S", "PREROUTING"]).stdout
        yield
    finally:
        _call(lab, node, "DEL", configuration, environment)
