"""The manifest of the manual has fields that Kubernetes knows, of the types that they have there.

Without a cluster and a network, the table below is what it is compared with: the fields that a web application may
want, by the reference of the API (apps/v1, v1, policy/v1). A field that is missing here may exist all the same; then
add it with its type.
"""

import copy
import re
from typing import Any, Final

import pytest

from tests.support.servers import ROOT

yaml = pytest.importorskip("yaml")

FILE: Final = ROOT / "docs" / "kubernetes" / "deployment.yaml"

LABELS: Final = {"*": str}
METADATA: Final = {"name": str, "namespace": str, "labels": LABELS, "annotations": LABELS}
QUANTITY: Final = re.compile(r"\d+(\.\d+)?(m|[kMGT]i?)?")
PROBE: Final = {
    "httpGet": {
        "path": str,
        "port": (int, str),
        "host": str,
        "scheme": str,
        "httpHeaders": [{"name": str, "value": str}],
    },
    "exec": {"command": [str]},
    "tcpSocket": {"port": (int, str)},
    "initialDelaySeconds": int,
    "periodSeconds": int,
    "timeoutSeconds": int,
    "successThreshold": int,
    "failureThreshold": int,
    "terminationGracePeriodSeconds": int,
}
HOOK: Final = {"exec": {"command": [str]}, "sleep": {"seconds": int}}
CONTAINER: Final = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "command": [str],
    "args": [str],
    "workingDir": str,
    "env": [{"name": str, "value": str}],
    "ports": [{"name": str, "containerPort": int, "protocol": str}],
    "resources": {"requests": {"cpu": QUANTITY, "memory": QUANTITY}, "limits": {"cpu": QUANTITY, "memory": QUANTITY}},
    "securityContext": {
        "allowPrivilegeEscalation": bool,
        "readOnlyRootFilesystem": bool,
        "runAsNonRoot": bool,
        "runAsUser": int,
        "capabilities": {"add": [str], "drop": [str]},
    },
    "volumeMounts": [{"name": str, "mountPath": str, "readOnly": bool, "subPath": str}],
    "startupProbe": PROBE,
    "readinessProbe": PROBE,
    "livenessProbe": PROBE,
    "lifecycle": {"preStop": HOOK, "postStart": HOOK},
}
POD: Final = {
    "terminationGracePeriodSeconds": int,
    "automountServiceAccountToken": bool,
    "serviceAccountName": str,
    "securityContext": {
        "runAsNonRoot": bool, "runAsUser": int, "runAsGroup": int, "fsGroup": int, "seccompProfile": {"type": str},
    },
    "containers": [CONTAINER],
    "initContainers": [CONTAINER],
    "volumes": [{"name": str, "emptyDir": {"medium": str, "sizeLimit": QUANTITY}, "secret": {"secretName": str}}],
    "nodeSelector": LABELS,
}  # fmt: skip
SELECTOR: Final = {"matchLabels": LABELS}
KINDS: Final[dict[tuple[str, str], Any]] = {
    ("apps/v1", "Deployment"): {
        "replicas": int,
        "selector": SELECTOR,
        "strategy": {"type": str, "rollingUpdate": {"maxSurge": (int, str), "maxUnavailable": (int, str)}},
        "minReadySeconds": int,
        "revisionHistoryLimit": int,
        "template": {"metadata": METADATA, "spec": POD},
    },
    ("v1", "Service"): {
        "type": str,
        "selector": LABELS,
        "ports": [{"name": str, "port": int, "targetPort": (int, str), "protocol": str}],
    },
    ("policy/v1", "PodDisruptionBudget"): {
        "minAvailable": (int, str), "maxUnavailable": (int, str), "selector": SELECTOR,
    },
}  # fmt: skip


def complaints(value: Any, wanted: Any, place: str) -> list[str]:
    """Say where a value has a field that is unknown, or one of the wrong type."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return [f"{place}: a mapping is wanted"]
        known = {name: wanted.get(name, wanted.get("*")) for name in value}
        unknown = [f"{place}.{name}: no such field" for name, kind in known.items() if kind is None]
        fields = (complaints(value[name], kind, f"{place}.{name}") for name, kind in known.items() if kind is not None)
        return unknown + [each for found in fields for each in found]
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [f"{place}: a list is wanted"]
        return [each for index, item in enumerate(value) for each in complaints(item, wanted[0], f"{place}[{index}]")]
    if isinstance(wanted, re.Pattern):
        return [] if wanted.fullmatch(str(value)) else [f"{place}: {value!r} is no quantity"]
    fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    return [] if fits else [f"{place}: {value!r} has the wrong type"]


def objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILE.read_text(encoding="utf-8")))


def problems(documents: list[dict[str, Any]]) -> list[str]:
    found = []
    for document in documents:
        spec = KINDS[document["apiVersion"], document["kind"]]
        wanted = {"apiVersion": str, "kind": str, "metadata": METADATA, "spec": spec}
        found += complaints(document, wanted, document["kind"])
    return found


def test_each_field_is_known_and_has_its_type() -> None:
    assert problems(objects()) == []


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("terminationGracePeriodSecond", 35, "no such field"),
        ("terminationGracePeriodSeconds", "35", "the wrong type"),
        ("automountServiceAccountToken", 0, "the wrong type"),
        ("containers", {"name": "shop"}, "a list is wanted"),
    ],
)
def test_a_field_that_is_wrong_is_found(path: str, value: Any, complaint: str) -> None:
    documents = copy.deepcopy(objects())
    documents[0]["spec"]["template"]["spec"][path] = value
    (found,) = problems(documents)
    assert complaint in found


def test_its_names_fit_each_other() -> None:
    deployment, service, budget = (each["spec"] for each in objects())
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels == deployment["selector"]["matchLabels"] == service["selector"] == budget["selector"]["matchLabels"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["ports"]} <= ports
    probes = [container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")]
    assert set(probes) == {"admin"} <= ports
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert budget["minAvailable"] < deployment["replicas"]


def test_a_file_system_that_cannot_be_written_has_a_place_for_large_bodies() -> None:
    (container,) = objects()[0]["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
