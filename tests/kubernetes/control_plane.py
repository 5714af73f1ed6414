# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""etcd and kube-apiserver in the lab's router, and objects written through its API.

The agents are a user of their own, with the ClusterRole that kube-proxy has and nothing more. Their
kubeconfig names the router's address on the nodes' segment, and a token file.
"""
import json
import os
import signal
import subprocess

import topology
from wait import until

PORT = 6443
SECOND = "172.18.0.2"  # an address for another server
USER, ADMIN = "fairlead", "admin"
RANGES = {4: "10.96.0.0/16", 6: "fd00:96::/112"}
# what kubeadm writes into the certificate of each API server, beside its own address; and loopback, for the tests
NAMES = ("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:kubernetes.default.svc.cluster.local",
         "IP:10.96.0.1", "DNS:localhost", "IP:127.0.0.1")


class Refused(AssertionError):
    """The API server did not do what was asked."""


class ControlPlane:
    def __init__(self, lab, programs, families=(4, 6)):
        """`families`: those of Services, Nodes and pods; the API server is in the first."""
        self.lab, self.families = lab, families
        self.place = lab["router"]
        self.programs = programs
        self.directory = f"{lab.directory}/kubernetes"
        self.processes = {}
        self.address = topology.SEGMENT_ROUTER[families[0]]
        self.more_flags = []
        os.makedirs(self.directory, mode=0o700)
        self._certificates()
        self._tokens({USER: "fairlead-1", ADMIN: "admin-1"})
        self.write("token", "fairlead-1\n")

    @property
    def url(self):
        """Of the API server."""
        return f"https://[{self.address}]:{PORT}" if ":" in self.address else f"https://{self.address}:{PORT}"

    # ---- files -------------------------------------------------------------------------------
    def path(self, name):
        return f"{self.directory}/{name}"

    def write(self, name, text):
        """As the kubelet does it: the file is replaced."""
        with open(self.path(f".{name}"), "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(self.path(f".{name}"), self.path(name))

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.directory)

    def _certificates(self, name="lab"):
        """A new CA, and a certificate of the API server by it."""
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", "ca.key", "-out", "ca.crt", "-days", "3", "-subj", f"/CN={name}")
        self.certificate("server", self.address)
        self._openssl("genrsa", "-out", "accounts.key", "2048")

    def certificate(self, name, address, names=NAMES):
        """NAME.key and NAME.crt of a server at this address, by the CA that there is."""
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self.write(f"{name}.ext", f"subjectAltName={','.join([*names, f'IP:{address}'])}\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", f"{name}.crt", "-days", "3", "-extfile", f"{name}.ext")

    def _tokens(self, tokens):
        self.tokens = tokens
        self.write("tokens.csv", "".join(
            f"{token},{user},{user}" + (',"system:masters"' if user == ADMIN else "") + "\n"
            for user, token in tokens.items()))

    def kubeconfig(self, name="kubeconfig", user=USER, **cluster):
        """A kubeconfig, of the agents where nothing else is said; its path. That of another user has the token in it."""
        cluster = {"server": self.url, "certificate-authority": "ca.crt", **cluster}
        self.write(name, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": {"tokenFile": "token"} if user == USER else {"token": self.tokens[user]}}]}))
        return self.path(name)

    # ---- processes ---------------------------------------------------------------------------
    def _spawn(self, name, *args):
        with open(self.path(f"{name}.log"), "a", encoding="utf-8") as log:
            self.processes[name] = self.place.popen([f"{self.programs}/{name}", *args], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, cwd=self.directory)

    def start_etcd(self):
        self._spawn("etcd", "--data-dir", self.path("etcd"), "--listen-client-urls", "http://127.0.0.1:2379",
                    "--advertise-client-urls", "http://127.0.0.1:2379",
                    "--listen-peer-urls", "http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level", "warn")

    def etcd(self, call, body):
        """A call of etcd's own API, in JSON."""
        done = self.place.run(["curl", "-sS", "--max-time", "20", "--data-binary", "@-", f"http://127.0.0.1:2379/v3/{call}"],
                              input=json.dumps(body))
        return json.loads(done.stdout)

    def compact(self):
        """Make etcd forget every state but the last."""
        now = self.etcd("kv/range", {"key": "Lw=="})["header"]["revision"]
        done = self.etcd("kv/compaction", {"revision": now, "physical": True})
        assert "header" in done, done

    def start_api(self, *more, bind=None, certificate="server"):
        self._spawn("kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379",
                    "--bind-address", bind or {4: "0.0.0.0", 6: "::"}[self.families[0]], "--advertise-address", self.address,
                    "--secure-port", str(PORT), "--service-cluster-ip-range", ",".join(RANGES[family] for family in self.families),
                    "--tls-cert-file", f"{certificate}.crt", "--tls-private-key-file", f"{certificate}.key",
                    "--service-account-issuer", "https://kubernetes.default.svc",
                    "--service-account-key-file", "accounts.key",
                    "--service-account-signing-key-file", "accounts.key",
                    "--token-auth-file", "tokens.csv", "--authorization-mode", "RBAC",
                    "--cert-dir", self.path("certificates"), "--v", "1", *self.more_flags, *more)
        until(self._ready, "the API server is ready", 60, 0.2)

    def _ready(self):
        process = self.processes["kube-apiserver"]
        if process.poll() is not None:
            raise RuntimeError(f"kube-apiserver ended with {process.returncode}:\n{self.log_tail()}")
        return self.request("GET", "/readyz", raw=True) == "ok"

    def stop(self, name, number=signal.SIGKILL):
        process = self.processes.pop(name, None)
        if process and process.poll() is None:
            process.send_signal(number)
            process.wait(60)

    def close(self):
        for name in list(self.processes):
            self.stop(name)

    def log_tail(self, name="kube-apiserver"):
        with open(self.path(f"{name}.log"), encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-15:])

    # ---- the API -----------------------------------------------------------------------------
    def request(self, method, path, body=None, raw=False, kind="application/json"):
        """What the API says, from JSON; None if it does not answer."""
        command = ["curl", "-sS", "-g", "--max-time", "60", "--cacert", self.path("ca.crt"), "-X", method,
                   "-H", f"Authorization: Bearer {self.tokens[ADMIN]}", "-H", f"Content-Type: {kind}",
                   f"{self.url}{path}"]
        if body is not None:
            command += ["--data-binary", "@-"]
        done = self.place.run(command, input=json.dumps(body) if body is not None else "", timeout=60)
        if raw or done.returncode:
            return done.stdout if done.returncode == 0 else None
        answer = json.loads(done.stdout)
        if answer.get("kind") == "Status" and answer.get("status") != "Success":
            raise Refused(f"{method} {path}: {answer.get('message')}")
        return answer

    GROUPS = {"Service": ("/api/v1", "services"), "Node": ("/api/v1", "nodes"),
              "Namespace": ("/api/v1", "namespaces"),
              "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
              "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings")}

    def where(self, tree, name=None):
        group, plural = self.GROUPS[tree["kind"]]
        space = f"/namespaces/{tree['metadata'].get('namespace', 'default')}" \
            if tree["kind"] in ("Service", "EndpointSlice") else ""
        return f"{group}{space}/{plural}" + (f"/{name}" if name else "")

    def put(self, tree):
        """Create an object, or change it to this one; its status too. The object as it is now."""
        tree = json.loads(json.dumps(tree))
        for field in ("resourceVersion", "uid", "creationTimestamp", "generateName"):
            tree["metadata"].pop(field, None)
        at = self.where(tree, tree["metadata"]["name"])
        status = tree.pop("status", None)
        try:
            old = self.request("GET", at)
            tree["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            now = self.request("PUT", at, tree)
        except Refused as why:
            if "not found" not in str(why):
                raise
            now = self.request("POST", self.where(tree), tree)
        if status:
            now = self.request("PATCH", f"{at}/status", {"status": status}, kind="application/merge-patch+json")
        return now

    def delete(self, kind, name, namespace="default"):
        return self.request("DELETE", self.where({"kind": kind, "metadata": {"namespace": namespace}}, name))

    def _has_namespace(self):
        try:
            return self.request("GET", "/api/v1/namespaces/default")
        except Refused:
            return None

    # ---- what every cluster has --------------------------------------------------------------
    def populate(self):
        """The agents' rights, and the nodes."""
        until(self._has_namespace, "the API server has made its namespaces", 60, 0.2)
        self.put({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                  "metadata": {"name": "fairlead"},
                  "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                              "name": "system:node-proxier"},
                  "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}]})
        for name, about in topology.NODES.items():
            number = about["number"]
            pods = {4: f"10.244.{number}.0/24", 6: f"fd00:244:{number}::/64"}
            self.put({"apiVersion": "v1", "kind": "Node",
                      "metadata": {"name": name, "labels": {
                          "topology.kubernetes.io/zone": f"zone-{'ab'[number - 1]}"}},
                      "spec": {"podCIDR": pods[self.families[0]], "podCIDRs": [pods[family] for family in self.families]},
                      "status": {"addresses": [{"type": "InternalIP", "address": about[family]}
                                               for family in self.families]}})
