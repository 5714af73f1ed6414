# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The objects of a measurement, as an API server stores them: Services, and slices as the EndpointSlice controller
writes them, with all that a real one carries besides what a service proxy needs.
"""
import datetime
import ipaddress
import json

NAMESPACE = "bench"
NODES = 100
FIRST_ADDRESS = ipaddress.IPv4Address("10.96.1.0")  # those before are for what the cluster makes itself
CREATED = "2026-01-01T00:00:00Z"
TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"


def address(s):
    return str(FIRST_ADDRESS + s)


def uid(kind, number):
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


def metadata(name, identity, manager, version, fields, **more):
    """`fields`: what the manager set, as fieldsV1 has it."""
    return {"name": name, "namespace": NAMESPACE, "uid": identity, "creationTimestamp": CREATED, "generation": 1, **more,
            "managedFields": [{"manager": manager, "operation": "Update", "apiVersion": version, "time": CREATED,
                               "fieldsType": "FieldsV1", "fieldsV1": fields}]}


def service(s):
    app = {"app": f"s{s}"}
    fields = {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
        "f:internalTrafficPolicy": {}, "f:selector": {}, "f:sessionAffinity": {}, "f:type": {},
        "f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {},
                                                               "f:targetPort": {}}}}}
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": metadata(f"s{s}", uid(1, s), "kubectl-create", "v1", fields, labels=app),
            "spec": {"type": "ClusterIP", "clusterIP": address(s), "clusterIPs": [address(s)], "ipFamilies": ["IPv4"],
                     "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                     "selector": app, "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]},
            "status": {"loadBalancer": {}}}


def endpoint(e):
    return {"addresses": [f"100.{64 + (e >> 16)}.{e >> 8 & 255}.{e & 255}"], "nodeName": f"n{e % NODES}", "zone": f"zone-{e % 3}",
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": f"pod-{e}", "uid": uid(3, e)}}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


def slice_(s, endpoints, n=None, changed=CREATED):
    """With the first `n` of its endpoints. `changed`: when they did, as text."""
    fields = {"f:addressType": {}, "f:endpoints": {}, "f:ports": {}, "f:metadata": {
        "f:annotations": {".": {}, f"f:{TRIGGERED}": {}}, "f:generateName": {},
        "f:labels": {".": {}, "f:app": {}, "f:endpointslice.kubernetes.io/managed-by": {}, "f:kubernetes.io/service-name": {}},
        "f:ownerReferences": {".": {}, f'k:{{"uid":"{uid(1, s)}"}}': {}}}}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": metadata(
                f"s{s}-1", uid(2, s), "kube-controller-manager", "discovery.k8s.io/v1", fields, generateName=f"s{s}-",
                labels={"app": f"s{s}", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                        "kubernetes.io/service-name": f"s{s}"},
                annotations={TRIGGERED: changed},
                ownerReferences=[{"apiVersion": "v1", "kind": "Service", "name": f"s{s}", "uid": uid(1, s), "controller": True,
                                  "blockOwnerDeletion": True}]),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint(s * endpoints + i) for i in range(endpoints if n is None else n)]}


def allocation(s):
    """Says whose the cluster IP is: without it the API server would make one for each Service, one by one."""
    return {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
            "metadata": {"name": address(s), "uid": uid(4, s), "creationTimestamp": CREATED,
                         "labels": {"ipaddress.kubernetes.io/ip-family": "IPv4",
                                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": NAMESPACE, "name": f"s{s}"}}}


def namespace():
    """Its key and text in etcd."""
    return f"/registry/namespaces/{NAMESPACE}", json.dumps({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "uid": uid(5, 0), "creationTimestamp": CREATED},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})


def slice_key(s):
    return f"/registry/endpointslices/{NAMESPACE}/s{s}-1"


def stored(s, endpoints):
    """What etcd has of one Service: keys and texts."""
    return [(f"/registry/services/specs/{NAMESPACE}/s{s}", json.dumps(service(s))),
            (slice_key(s), json.dumps(slice_(s, endpoints))),
            (f"/registry/ipaddresses/{address(s)}", json.dumps(allocation(s)))]
