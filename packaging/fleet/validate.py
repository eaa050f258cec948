#!/usr/bin/env python3
"""Renders the chart and the example of the component, and validates every object against the
schemas of Kubernetes; no cluster and no network.

Needs kubectl (for its kustomize) and, from PyPI: helm-python-sdk, kubernetes-validate, PyYAML.
`make fleet` makes an environment with them."""

import json
import pathlib
import subprocess
import sys

import helm_python
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
# The oldest and the newest with schemas here whose pods differ in nothing that is used.
VERSIONS = ["1.27", "1.33"]
# Kinds of others, whose schemas are not Kubernetes' own.
OTHERS = {"PrometheusRule"}


def chart(values):
    with helm_python.Chart.load(str(HERE / "helm/sigward")) as loaded:
        rendered = loaded.render(values, name="test", namespace="monitoring")
    texts = rendered.values() if isinstance(rendered, dict) else [rendered]
    return [it for text in texts for it in yaml.safe_load_all(text) if it]


def component():
    made = subprocess.run(
        ["kubectl", "kustomize", HERE / "kustomize/example"], check=True, capture_output=True
    )
    return list(yaml.safe_load_all(made.stdout))


def validate(objects):
    for it in objects:
        if it["kind"] in OTHERS:
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(it, version, strict=True)


def main():
    report = helm_python.lint(str(HERE / "helm/sigward"), strict=True)
    print("lint:", json.dumps(report))

    objects = chart({"alerts": True, "dashboard": True})
    validate(objects)
    kinds = sorted(it["kind"] for it in objects)
    assert kinds == ["ConfigMap", "DaemonSet", "PrometheusRule"], kinds
    rules = next(it for it in objects if it["kind"] == "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((HERE / "helm/sigward/files/alerts.yaml").read_text())
    dashboard = next(it for it in objects if it["kind"] == "ConfigMap")["data"]["sigward.json"]
    assert json.loads(dashboard)["panels"]

    for values, outputs in [
        ({}, ["/features/sigward", "/textfiles/sigward.prom"]),
        ({"features": ""}, ["/textfiles/sigward.prom"]),
        ({"textfiles": ""}, ["/features/sigward"]),
        (
            {"features": "", "processes": True},
            ["/textfiles/sigward.prom", "/textfiles/sigward-processes.prom"],
        ),
    ]:
        (daemon,) = chart(values)
        validate([daemon])
        pod = daemon["spec"]["template"]["spec"]
        arguments = pod["containers"][0]["args"]
        found = [it.split("=")[1] for it in arguments if it.startswith("--output=")]
        assert found == outputs, arguments
        reports = " ".join(arguments[arguments.index("--") + 1 :]).split(" , ")
        names = ["doctor" if "processes" in it else "check" for it in outputs]
        assert [it.split()[0] for it in reports] == names, reports
        capabilities = pod["containers"][0]["securityContext"]["capabilities"]
        assert pod.get("hostPID", False) == ("add" in capabilities) == ("doctor" in names)
        mounts = {it["mountPath"] for it in pod["containers"][0]["volumeMounts"]}
        assert all(any(it.startswith(mount) for mount in mounts) for it in outputs)
    for values in [{"features": "", "textfiles": ""}, {"processes": True, "textfiles": ""}]:
        try:
            chart(values)
        except helm_python.HelmError:
            continue
        raise AssertionError(f"a chart that writes nothing was rendered: {values}")

    objects = component()
    validate(objects)
    pod = objects[0]["spec"]["template"]["spec"]
    for container in pod["initContainers"]:
        security = container["securityContext"]
        assert security["runAsNonRoot"] and security["readOnlyRootFilesystem"]
    (container,) = pod["containers"]
    assert container["env"][0]["name"] == "LD_PRELOAD"
    assert container["volumeMounts"][0]["readOnly"]
    print("valid for Kubernetes", ", ".join(VERSIONS))


if __name__ == "__main__":
    sys.exit(main())
