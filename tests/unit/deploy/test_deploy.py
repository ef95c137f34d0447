"""Image, compose file and manifests: valid, and they name commands, roles and settings that there are."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from typer.core import TyperGroup

from commands.app import COMMANDS, build
from deploy.container import sbom
from lakehouse.engine.jars import PINNED
from lakehouse.settings import PROJECT_ROOT
from ml.serving.guard import host_of
from ml.serving.server import Options, allowed_hosts
from tests.unit.deploy.reading import (
    COMPOSE,
    CONTAINERFILE,
    DEPLOY,
    NOT_OURS,
    ROLES,
    SETTINGS,
    arguments,
    command_lines,
    compose,
    manifests,
    ours,
    pods,
    variables,
)

# As the entry point has the service listen.
ANYWHERE = "0.0.0.0"  # noqa: S104 - compared, not listened on

# A published port, a healthcheck and a volume of each service: what the format leaves open, and we want.
SERVICE = {
    "type": "object",
    "required": ["image", "healthcheck", "restart"],
    "properties": {
        "image": {"type": "string", "pattern": ":[^:]*[0-9]"},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "healthcheck": {"type": "object", "required": ["test", "interval", "timeout"]},
        "depends_on": {
            "type": "object",
            "additionalProperties": {"properties": {"condition": {"const": "service_healthy"}}},
        },
        "restart": {"const": "unless-stopped"},
    },
}


def test_the_containerfile_has_no_fault_that_a_linter_knows() -> None:
    done = subprocess.run(["hadolint", CONTAINERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "script",
    sorted([*(PROJECT_ROOT / "scripts").glob("*.sh"), *DEPLOY.rglob("*.sh"), PROJECT_ROOT / ".ci" / "run"]),
    ids=lambda path: path.name,
)
def test_each_script_is_bash(script: Path) -> None:
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_each_manifest_is_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_a_wrong_manifest_would_be_seen() -> None:
    manifest = next(each for each in manifests() if each["kind"] == "Deployment")
    wrong = json.loads(json.dumps(manifest).replace('"replicas": 1', '"replicas": "one"'))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_each_file_that_a_kustomization_names_is_there() -> None:
    found = 0
    for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml"):
        said = yaml.safe_load(path.read_text())
        named = [*said["resources"], *(each["path"] for each in said.get("patches", []))]
        named += [name for each in said.get("configMapGenerator", []) for name in each.get("envs", [])]
        assert all((path.parent / name).exists() for name in named), path
        found += len(named)
    assert found > 10


@pytest.mark.parametrize("name", sorted(compose()["services"]))
def test_each_service_is_pinned_healthy_and_on_loopback(name: str) -> None:
    jsonschema.validate(compose()["services"][name], SERVICE)


def test_the_compose_file_names_only_what_it_declares() -> None:
    said = compose()
    for service in said["services"].values():
        assert set(service.get("secrets", [])) <= said["secrets"].keys()
        assert set(service.get("depends_on", {})) <= said["services"].keys()
        mounted = {each.partition(":")[0] for each in service.get("volumes", [])}
        assert {each for each in mounted if not each.startswith(".")} <= said["volumes"].keys()
        assert all((COMPOSE.parent / each).is_file() for each in mounted if each.startswith("."))
    used = {each for service in said["services"].values() for each in service.get("secrets", [])}
    assert used == said["secrets"].keys()


def test_secrets_are_files_that_the_script_makes(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "deploy" / "compose").mkdir(parents=True)
    script = tmp_path / "scripts" / "compose-secrets.sh"
    script.write_bytes((PROJECT_ROOT / "scripts" / script.name).read_bytes())
    subprocess.run(["bash", script], check=True, capture_output=True)
    folder = tmp_path / "deploy" / "compose" / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {Path(each["file"]).name for each in compose()["secrets"].values()}
    assert wanted <= made.keys()
    assert (
        made["dagster_database"]
        == f"postgresql://lakehouse:{made['postgres_password']}@postgres:5432/dagster"
    )
    assert len({text for name, text in made.items() if "_key" in name or "password" in name}) == 4
    subprocess.run(["bash", script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made


def test_no_file_holds_a_password() -> None:
    for path in DEPLOY.rglob("*"):
        if path.suffix in (".yml", ".yaml", ".env", ".sql") and "secrets" not in path.parts:
            for name, value in re.findall(r"(\w*(?:PASSWORD|TOKEN|SECRET)\w*)[:=] *(.+)", path.read_text()):
                assert name.endswith("_FILE") or value.startswith("$$(cat /run/secrets/"), f"{path}: {name}"
    assert "kind: Secret" not in "".join(path.read_text() for path in DEPLOY.rglob("*.yaml"))


def test_no_image_floats() -> None:
    images = [container["image"] for _, pod in pods() for container in pod["containers"]]
    images += [each["image"] for each in compose()["services"].values()]
    assert len(images) > 10
    for image in images:
        assert re.search(r":[^:]*\d[^:]*$", image.removesuffix("}")) and "latest" not in image, image


def test_no_port_is_open_that_the_image_does_not_declare() -> None:
    exposed = set(re.findall(r"^EXPOSE (.*)$", CONTAINERFILE.read_text(), flags=re.MULTILINE)[0].split())
    in_pods = {
        str(port["containerPort"])
        for _, pod in pods()
        for each in pod["containers"]
        for port in each.get("ports", [])
    }
    published = {port.rpartition(":")[2] for each in ours().values() for port in each.get("ports", [])}
    assert in_pods == published == exposed
    others = [name for name, each in compose()["services"].items() if "ports" in each and name not in ours()]
    assert others == []


@pytest.mark.parametrize(
    ("name", "pod"), list(pods()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_each_pod_runs_as_nobody_within_limits(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65534
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod.get("restartPolicy") == "Never" or "livenessProbe" in container


def services() -> Iterator[tuple[list[str], set[str], list[str]]]:
    """Of each container that serves scores: its arguments, its variables, and whom its probes call."""
    served = ours()["service"]
    yield served["command"], set(served["environment"]), ["127.0.0.1"]
    for _, pod in pods():
        for each in pod["containers"]:
            if each["args"][0] == "service":
                probes = [each[f"{when}Probe"]["httpGet"] for when in ("startup", "readiness", "liveness")]
                names = [header["value"] for probe in probes for header in probe["httpHeaders"]]
                yield each["args"], {variable["name"] for variable in each["env"]}, names


def test_the_service_starts_with_what_it_is_given_and_answers_its_probes() -> None:
    found = list(services())
    assert len(found) == 2
    serve = typer.main.get_command(build("serve"))
    assert isinstance(serve, TyperGroup)
    for (_, *options), given, names in found:
        context = serve.commands["serve"].make_context("serve", ["--host", ANYWHERE, *options])
        hosts = tuple(context.params["allow_host"])
        allowed = allowed_hosts(Options(ANYWHERE, hosts=hosts), "a token")
        assert {host_of(name.encode()) for name in names} <= set(allowed)
        assert len(names) in (1, 3)
        # A token's file must be its owner's alone, and a mounted secret is not.
        assert "LAKEHOUSE_SERVING_TOKEN_FILE" in given and context.params["token_file"] is None


def test_each_variable_is_a_setting() -> None:
    named = variables()
    assert {"LAKEHOUSE_WAREHOUSE", "LAKEHOUSE_HEAP_MB", "MLFLOW_TRACKING_URI"} <= named
    assert named - SETTINGS - NOT_OURS == set()


def test_each_container_does_what_the_entrypoint_knows() -> None:
    assert {"engine", "webserver", "daemon", "mlflow", "service"} == ROLES
    started = {words[0] for words in arguments()}
    assert started - {"lakehouse", "bash"} == ROLES
    checked = re.findall(
        r"^  ([a-z]+)\)", (DEPLOY / "container" / "health.sh").read_text(), flags=re.MULTILINE
    )
    assert set(checked) == ROLES


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_the_command_line_takes_what_is_run(line: str) -> None:
    # What a shell fills in.
    line = line.replace('"$(date --date=yesterday +%F)"', "2013-10-01")
    _, name, *words = shlex.split(line.replace('"$@"', ""))
    assert name in COMMANDS
    group = typer.main.get_command(build(name))
    assert isinstance(group, TyperGroup)
    group.commands[name].make_context(name, words)


def test_enough_command_lines_were_found() -> None:
    assert {line.split()[1] for line in command_lines()} >= {"materialize", "train", "up", "serve"}


def test_the_bill_of_materials_has_each_pin_and_each_jar() -> None:
    made = sbom.sbom()
    assert made == sbom.sbom()
    names = {each["purl"] for each in made["components"]}
    lock = (PROJECT_ROOT / "requirements.lock").read_text()
    assert len(names) == len(re.findall(r"^\S+==", lock, flags=re.MULTILINE)) + len(PINNED)
    assert "pkg:maven/io.delta/delta-storage@4.4.0" in names
    assert any(name.startswith("pkg:pypi/pyspark@") for name in names)
    assert len({each["bom-ref"] for each in made["components"]}) == len(made["components"])
