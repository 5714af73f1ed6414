# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""JSON schemas for kubeconform, made from what an API server says about itself at /openapi/v2."""
import json

STANDS_FOR = {"io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
              "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]}}


def strict(tree):
    """The same with references among the schemas, no unknown members, and null wherever something is optional."""
    if isinstance(tree, list):
        return [strict(branch) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    done = {key: strict(branch) for key, branch in tree.items() if not key.startswith("x-kubernetes-")}
    if "properties" in done and "additionalProperties" not in done:
        done["additionalProperties"] = False
    done.pop("format", None)
    return done


def write_schemas(openapi, directory):
    """A file for each kind, KIND-GROUP-VERSION.json, as kubeconform looks for them."""
    definitions = {name: STANDS_FOR.get(name) or strict(about) for name, about in openapi["definitions"].items()}
    for name, about in openapi["definitions"].items():
        kinds = about.get("x-kubernetes-group-version-kind", [])
        if len(kinds) != 1 or "kind" not in about.get("properties", {}):
            continue
        group, version, kind = (kinds[0][key] for key in ("group", "version", "kind"))
        parts = [kind, *([group.split(".")[0]] if group else []), version]
        with open(f"{directory}/{'-'.join(parts).lower()}.json", "w", encoding="utf-8") as file:
            json.dump({**definitions[name], "definitions": definitions}, file)
