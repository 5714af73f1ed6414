# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The manifest directory of a lab: a copy of manifests/, and changes to it as tests need them.

New objects are written as `kubectl get -o yaml` prints them, either by renaming a finished file into
place or by rewriting the file where it is, since an agent has to cope with both.
"""
import json
import os
import re
import shutil

import topology

HERE = os.path.dirname(os.path.abspath(__file__))
HTTP, ECHO = ("http", "TCP", 8080), ("echo", "UDP", 5353)

# what goes without quotes, and what would then be taken for a number, a time or a truth value
PLAIN = re.compile(r"[A-Za-z0-9./][A-Za-z0-9./_:+-]*[A-Za-z0-9-]|[A-Za-z0-9.]|k:\{\S+\}")
QUOTED = re.compile(r"[0-9]+([.][0-9]*)?(e[0-9]+)?|[0-9]{4}-[0-9T:Z.-]+|[0-9]+(:[0-5]?[0-9])+|"
                    r"(?i:true|false|null|yes|no|on|off|y|n)")


def scalar(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value if PLAIN.fullmatch(value) and not QUOTED.fullmatch(value) else json.dumps(value)


def yaml(tree, indent=0):
    """A tree as YAML text in kubectl's manner: block style, lists not indented."""
    pad, lines = " " * indent, []
    if isinstance(tree, dict):
        for key, value in tree.items():
            name = scalar(key)
            if isinstance(value, (dict, list)) and value:
                lines.append(f"{pad}{name}:")
                lines.append(yaml(value, indent + (2 if isinstance(value, dict) else 0)))
            else:
                lines.append(f"{pad}{name}: {inline(value)}")
    else:
        for item in tree:
            if isinstance(item, (dict, list)) and item:
                text = yaml(item, indent + 2)
                lines.append(f"{pad}- {text[indent + 2:]}")
            else:
                lines.append(f"{pad}- {inline(item)}")
    return "\n".join(lines)


def inline(value):
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return scalar(value)


class Manifests:
    def __init__(self, directory):
        self.directory = directory
        self.version = 900000
        shutil.copytree(f"{HERE}/manifests", directory)

    def path(self, name):
        return f"{self.directory}/{name}"

    # ---- files -------------------------------------------------------------------------------
    def write(self, name, text, in_place=False):
        target = self.path(name)
        if in_place:
            with open(target, "w", encoding="utf-8") as out:
                out.write(text)
            return
        # outside the watched directory, on the same file system
        temporary = f"{self.directory}.{name}.new"
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(temporary, target)

    def remove(self, name):
        os.unlink(self.path(name))

    def restore(self, name):
        """Put a file back to what the lab began with."""
        with open(f"{HERE}/manifests/{name}", encoding="utf-8") as text:
            self.write(name, text.read())

    def reset(self):
        """Put the whole directory back."""
        for name in os.listdir(self.directory):
            if not os.path.exists(f"{HERE}/manifests/{name}"):
                os.unlink(self.path(name))
        for name in os.listdir(f"{HERE}/manifests"):
            with open(f"{HERE}/manifests/{name}", encoding="utf-8") as text:
                want = text.read()
            try:
                with open(self.path(name), encoding="utf-8") as text:
                    same = text.read() == want
            except OSError:
                same = False
            if not same:
                self.write(name, want)

    # ---- objects -----------------------------------------------------------------------------
    def metadata(self, name, **more):
        self.version += 1
        return {"creationTimestamp": "2026-03-02T09:15:04Z", "name": name, "namespace": "default",
                "resourceVersion": str(self.version),
                "uid": f"5d0e7a7c-0000-4000-8000-{self.version:012d}", **more}

    def slice(self, service, family, pods, ports=(HTTP, ECHO), conditions=None):
        """An EndpointSlice of `service` with the pods named. conditions: {pod: {...}}."""
        endpoints = []
        for pod in pods:
            state = (conditions or {}).get(pod, {"ready": True, "serving": True,
                                                 "terminating": False})
            endpoints.append({
                "addresses": [topology.pod_addresses(pod)[family]], "conditions": state,
                "nodeName": f"node-{pod.split('-')[1][0]}",
                "targetRef": {"kind": "Pod", "name": pod, "namespace": "default"}})
        return {"addressType": f"IPv{family}", "apiVersion": "discovery.k8s.io/v1",
                "endpoints": endpoints, "kind": "EndpointSlice",
                "metadata": self.metadata(
                    f"{service}-v{family}", generateName=f"{service}-",
                    labels={"endpointslice.kubernetes.io/managed-by":
                            "endpointslice-controller.k8s.io",
                            "kubernetes.io/service-name": service}),
                "ports": [{"name": n, "port": number, "protocol": proto}
                          for n, proto, number in ports]}

    def set_backends(self, service, pods, in_place=False, **options):
        """Give `service` exactly these pods, in both families, as one change of one file."""
        text = self.documents(*(self.slice(service, family, pods, **options) for family in (4, 6)))
        self.write(f"{service}-endpointslices.yaml", text, in_place)

    def service(self, name, number, spec=None, vips=True, ports=None, v6=True, **more_spec):
        """A dual-stack LoadBalancer Service whose addresses and node ports all end in `number`."""
        ports = ports or [
            {"name": "http", "nodePort": 30000 + number, "port": 80, "protocol": "TCP",
             "targetPort": 8080},
            {"name": "echo", "nodePort": 31000 + number, "port": 5353, "protocol": "UDP",
             "targetPort": 5353}]
        # below 16 the VIP is routed to node-1, above to node-2
        addresses = [f"203.0.113.{number}", f"2001:db8:113::{number:x}"][:2 if v6 else 1]
        cluster = [f"10.96.0.{number}", f"fd00:96::{number:x}"][:2 if v6 else 1]
        body = {
            "allocateLoadBalancerNodePorts": True, "clusterIP": cluster[0], "clusterIPs": cluster,
            "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4", "IPv6"][:len(cluster)],
            "ipFamilyPolicy": "PreferDualStack" if v6 else "SingleStack",
            "ports": ports, "selector": {"app": name}, "sessionAffinity": "None",
            "type": "LoadBalancer"}
        body.update(spec or {})
        body.update(more_spec)
        ingress = [{"ip": ip, "ipMode": "VIP"} for ip in addresses] if vips else []
        return {"apiVersion": "v1", "kind": "Service", "metadata": self.metadata(name),
                "spec": body, "status": {"loadBalancer": {"ingress": ingress} if ingress else {}}}

    @staticmethod
    def documents(*objects):
        """Objects as the text of one file."""
        return "\n---\n".join(yaml(tree) for tree in objects) + "\n"

    def add(self, name, *objects, in_place=False):
        """Write objects into file NAME.yaml."""
        self.write(f"{name}.yaml", self.documents(*objects), in_place)
