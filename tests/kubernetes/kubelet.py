# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a kubelet makes of a DaemonSet's pod, on the lab's nodes: volumes, environment, token, probes.

Only what the chart uses is known; anything else in a pod is a fault of the test that is reported, not ignored.
"""
import json
import os
import re
import signal
import subprocess
import sys

from wait import PATIENCE, until

HERE = os.path.dirname(os.path.abspath(__file__))
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
KNOWN = {"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "hostNetwork", "priorityClassName",
         "restartPolicy", "terminationGracePeriodSeconds", "nodeSelector", "tolerations", "initContainers", "containers",
         "volumes", "dnsPolicy", "schedulerName", "securityContext"}
KNOWN_OF_CONTAINER = {"name", "image", "imagePullPolicy", "command", "args", "env", "startupProbe", "livenessProbe",
                      "readinessProbe", "securityContext", "resources", "volumeMounts", "terminationMessagePath",
                      "terminationMessagePolicy"}


class Container:
    """One that runs; its process is number 1 of its namespace."""

    def __init__(self, node, spec, directory, log):
        path = f"{directory}/spec.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(spec, file)
        with open(log, "a", encoding="utf-8") as out:
            self.process = node.place.popen(
                ["unshare", "--mount", "--cgroup", "--pid", "--fork", "--kill-child", sys.executable,
                 f"{HERE}/container.py", path], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def pid(self):
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(children, encoding="utf-8") as file:
            (child,) = file.read().split()
        return int(child)

    def stop(self, grace_s):
        """As a run-time does it: SIGTERM; the exit status."""
        if self.process.poll() is None:
            os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(grace_s * PATIENCE)


class Kubelet:
    """The kubelet of one node. `root`: the image's file system. `libraries`: what this machine lends to it.
    `host`: the node's paths that pods may ask for."""

    def __init__(self, cluster, node, root, libraries, host):
        self.cluster, self.node, self.root, self.libraries, self.host = cluster, node, root, libraries, host
        self.directory = f"{cluster.directory}/{node.name}"
        self.running = {}
        self.alone = False  # without an API server, what was written for the last pod serves again
        # where the lab looks for the agent's words when a test fails
        self.log, node.mark = node.log_path, 0
        os.makedirs(self.directory, exist_ok=True)

    # ---- volumes -----------------------------------------------------------------------------
    def _write(self, volume, files):
        path = f"{self.directory}/volumes/{volume}"
        os.makedirs(path, exist_ok=True)
        for name, text in files.items():
            with open(f"{path}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def _volume(self, volume, namespace):
        name = volume["name"]
        if "configMap" in volume:
            about = volume["configMap"]
            if self.alone:
                return self._written(name)
            data = self.cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{about['name']}")["data"]
            items = {item["path"]: data[item["key"]] for item in about.get("items", [])} or data
            return self._write(name, items)
        path = self.host[volume["hostPath"]["path"]]
        if volume["hostPath"]["type"] == "DirectoryOrCreate":
            os.makedirs(path, exist_ok=True)
        # the node may have a mount namespace of its own
        assert self.node.place.run(["test", "-d", path]).returncode == 0, path
        return path

    def _written(self, volume):
        path = f"{self.directory}/volumes/{volume}"
        assert os.listdir(path), path
        return path

    def _account(self, namespace, account):
        if self.alone:
            return self._written("account")
        token = self.cluster.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})
        with open(self.cluster.path("ca.crt"), encoding="utf-8") as ca:
            return self._write("account", {"token": token["status"]["token"], "ca.crt": ca.read(),
                                           "namespace": namespace})

    # ---- pods --------------------------------------------------------------------------------
    def _environment(self, container):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self.node.name,
               # the API server's Service, as every pod is told it
               "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        for item in container.get("env", []):
            if "value" in item:
                env[item["name"]] = item["value"]
            else:
                assert item["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName", item
                env[item["name"]] = self.node.name
        return env

    def _container(self, pod, container, namespace):
        assert not set(container) - KNOWN_OF_CONTAINER, set(container) - KNOWN_OF_CONTAINER
        rights, env = container["securityContext"], self._environment(container)
        assert rights.get("capabilities", {}).get("drop") == ["ALL"] and not rights.get("privileged")
        volumes = {volume["name"]: self._volume(volume, namespace) for volume in pod["volumes"]}
        argv = [re.sub(r"\$\((\w+)\)", lambda m: env[m[1]], word)
                for word in container["command"] + container.get("args", [])]
        spec = {"root": self.root, "read_only": bool(rights.get("readOnlyRootFilesystem")), "argv": argv, "env": env,
                "capabilities": rights["capabilities"].get("add", []),
                "mounts": [[path, path, True] for path in self.libraries] + [[self._account(namespace, pod["serviceAccountName"]), ACCOUNT, True]]
                + [[volumes[at["name"]], at["mountPath"], bool(at.get("readOnly"))]
                   for at in container.get("volumeMounts", [])]}
        return Container(self.node, spec, self.directory, self.log)

    def run(self, daemonset):
        """Run the pod: its init containers one by one, then its containers."""
        pod, namespace = daemonset["spec"]["template"]["spec"], daemonset["metadata"]["namespace"]
        assert not set(pod) - KNOWN, set(pod) - KNOWN
        assert pod["hostNetwork"]
        for container in pod.get("initContainers", []):
            status = self._container(pod, container, namespace).process.wait(60 * PATIENCE)
            assert status == 0, f"{container['name']}: exit {status}\n{self.log_tail()}"
        for container in pod["containers"]:
            self.running[container["name"]] = self._container(pod, container, namespace)
            if "startupProbe" in container:
                self.wait_probe(container, "startupProbe")

    def stop(self, grace_s=30):
        """End the pod; the exit status of each container."""
        done = {name: container.stop(grace_s) for name, container in self.running.items()}
        self.running = {}
        return done

    # ---- probes ------------------------------------------------------------------------------
    def probe(self, container, which):
        """The probe's HTTP status; 0 if nobody answers."""
        about = container[which]["httpGet"]
        done = self.node.place.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30",
                                    f"http://{about['host']}:{about['port']}{about['path']}"])
        return int(done.stdout or 0)

    def wait_probe(self, container, which):
        def good():
            ended = self.running[container["name"]].process.poll()
            assert ended is None, f"{container['name']} ended with {ended}\n{self.log_tail()}"
            return self.probe(container, which) == 200
        until(good, f"the {which} of {self.node.name} succeeds", 60, 0.1)

    def log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-30:])
