"""`lakehouse export-triton`: a registered version as a model repository of Triton Inference Server."""

from pathlib import Path
from typing import Annotated

import typer

from commands.output import AsJson, facts, print_json, progress
from commands.specs import SpecName, chosen_spec
from lakehouse.errors import LakehouseError

EPILOG = "Example: lakehouse export-triton --spec arrival_delay --to triton-models"


def export_triton(
    to: Annotated[Path, typer.Option(help="Folder of the model repository; other models in it stay.")],
    spec: SpecName = None,
    version: Annotated[int | None, typer.Option(min=1, help="Which registered version of it.")] = None,
    alias: Annotated[
        str | None, typer.Option(help="Or the version with this alias; the champion by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a registered version, with its encoding and code, as a model repository that Triton serves."""
    if version is not None and alias is not None:
        raise LakehouseError("--version and --alias both choose a version", "give one of them")
    chosen = chosen_spec(spec)
    progress("reading the registry")

    from ml.serving.triton.export import export
    from ml.tracking.registry import CHAMPION, model_by_alias, model_version

    name = chosen.registered_model
    model = model_by_alias(name, alias or CHAMPION) if version is None else model_version(name, str(version))
    done = export(model, to)
    if as_json:
        print_json(done)
        return
    facts(
        {
            "model": f"{done.name} version {done.version}",
            "repository": done.repository,
            "version's folder": f"{done.folder}{'' if done.written else ' (was there already)'}",
            "numeric": f"FP64 [rows, {done.numeric_features}]",
            "categorical": f"BYTES [rows, {done.categorical_features}]",
            "serve it": f"tritonserver --model-repository={done.repository}",
        }
    )
