"""What the files of deploy/ say, as the tests compare it with the project."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from lakehouse.settings import PROJECT_ROOT, Settings

DEPLOY = PROJECT_ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yml"
ENTRYPOINT = DEPLOY / "container" / "entrypoint.sh"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"

# Of other programs, that the manifests set beside our settings.
NOT_OURS = {
    "AWS_DEFAULT_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "MLFLOW_ARTIFACTS_DESTINATION",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_SERVER_ALLOWED_HOSTS",
    "MLFLOW_TRACKING_URI",
    "SPARK_REMOTE",
}
SETTINGS = {f"LAKEHOUSE_{name.upper()}" for name in Settings.model_fields}
ROLES = set(re.findall(r"^  ([a-z]+)\)", ENTRYPOINT.read_text(), flags=re.MULTILINE))


def manifests() -> list[dict[str, Any]]:
    """All Kubernetes objects that are written out; not what changes them (patches, kustomizations)."""
    return [each for each in _documents() if each["kind"] != "Kustomization" and not _is_patch(each)]


def _documents() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def _is_patch(manifest: dict[str, Any]) -> bool:
    return "$patch" in str(manifest) or manifest.get("spec", {}).keys() == {"accessModes"}


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and pod's spec of each workload."""
    for manifest in manifests():
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield manifest["metadata"]["name"], spec["template"]["spec"]


def compose() -> dict[str, Any]:
    """The compose file."""
    return yaml.safe_load(COMPOSE.read_text())


def ours() -> dict[str, dict[str, Any]]:
    """Those services of the compose file that run our image."""
    return {name: each for name, each in compose()["services"].items() if "lakehouse" in each["image"]}


def arguments() -> list[list[str]]:
    """What our image is started with, wherever it is."""
    found = [each["command"] for each in ours().values()]
    found += [container["args"] for _, pod in pods() for container in pod["containers"]]
    return [[str(word) for word in each] for each in found]


def variables() -> set[str]:
    """The names of all variables that are set for our image; of a secret's file, that of the secret."""
    found: set[str] = set()
    for each in ours().values():
        found |= each["environment"].keys()
    for _, pod in pods():
        found |= {each["name"] for container in pod["containers"] for each in container.get("env", [])}
    settings = DEPLOY / "kubernetes" / "base" / "settings.env"
    found |= set(re.findall(r"^(\w+)=", settings.read_text(), flags=re.MULTILINE))
    found |= set(re.findall(r"^ +(?:ENV )?(LAKEHOUSE_\w+)=", CONTAINERFILE.read_text(), flags=re.MULTILINE))
    cluster = DEPLOY / "kubernetes" / "overlays" / "cluster" / "kustomization.yaml"
    literals = yaml.safe_load(cluster.read_text())["configMapGenerator"][0]["literals"]
    found |= {each.partition("=")[0] for each in literals}
    return {name if name in NOT_OURS else name.removesuffix("_FILE") for name in found}


def command_lines() -> list[str]:
    """The `lakehouse …` lines that the files of deploy/ run."""
    lines = [" ".join(each) for each in arguments() if each[0] == "lakehouse"]
    lines += [each[-1] for each in arguments() if each[0] == "bash"]
    lines += re.findall(r"^ +(?:exec |while )?(lakehouse .*)$", ENTRYPOINT.read_text(), flags=re.MULTILINE)
    # What follows is the shell's: `; do`.
    return [line[line.index("lakehouse") :].partition(";")[0] for line in lines]
