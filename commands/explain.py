"""`lakehouse explain`: the way back from one prediction, and the prediction made again."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.output import AsJson, facts, print_json, progress, table
from commands.specs import SpecName, chosen_spec

if TYPE_CHECKING:
    from ml.explanation.explain import Explanation, Prediction
    from ml.explanation.feature_rows import Deliveries

EPILOG = (
    "Example: lakehouse explain --spec arrival_delay --entity AA-85-JFK-201310021930 "
    "(exit code 1 when the score made again is another)"
)


def explain(
    entity: Annotated[
        list[str],
        typer.Option(
            "--entity",
            help="Key of what was scored; once for each of its columns, by their names.",
        ),
    ],
    model_version: Annotated[str | None, typer.Option(help="Of the model; the champion by default.")] = None,
    prediction: Annotated[
        str | None, typer.Option(help="Id of one of several scores; the first by default, which was served.")
    ] = None,
    spec: SpecName = None,
    as_json: AsJson = False,
) -> None:
    """Follow a score back to model, rows, batches and landing files, and compute it again from them."""
    model = chosen_spec(spec)

    from lakehouse.engine.session import spark_session
    from ml.explanation.explain import explain as explain_score

    found = explain_score(spark_session(), model, entity, model_version, prediction, progress)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not found.identical:
        raise typer.Exit(1)


def _not_known(prediction: "Prediction") -> str:
    unseen = prediction.unseen_categories
    return f"{prediction.missing_features} features (NULL or NaN); unseen or rare: {unseen or 'none'}"


def _print(found: "Explanation") -> None:
    built = "" if found.built_in is None else f", its day built in v{found.built_in}"
    facts(
        {
            **found.entity,
            "asked at": _time(found.asked_at),
            "score": f"{found.prediction.score!r}, made {_time(found.prediction.scored_at)}",
            "made again": f"{found.recomputed!r}: {'identical' if found.identical else 'NOT identical'}",
            "model": f"{found.model_name} version {found.prediction.model_version}",
            "run": f"{found.run_id}, as of {found.as_of}, trained on {found.training_set}",
            "features": f"{found.prediction.features}{built}",
            "not known": _not_known(found.prediction),
        }
    )
    if found.others:
        rows = [
            [_time(each.scored_at), each.score, each.features, each.prediction_id] for each in found.others
        ]
        table("Other scores by this version", ["made", "score", "features", "prediction"], rows)
    names = [
        f"{place} {row.model}{'' if row.version is None else f'@v{row.version}'}"
        for place, row in enumerate(found.rows, 1)
    ]
    table(
        "Features, and the row that each comes from (~ computed from it)",
        ["feature", "value", "row"],
        [
            [
                each.name,
                each.value,
                "not declared" if each.row is None else f"{'' if each.is_copied else '~'}{names[each.row]}",
            ]
            for each in found.features
        ],
    )
    table(
        "Rows, as the build of the features read them",
        ["row", "key", "known at", "read again", "batches behind its day"],
        [
            [
                name,
                " ".join(str(value) for value in row.key.values()),
                _time(row.known_at),
                " ".join([row.state, *row.differing]),
                "\n".join(_deliveries(each) for each in row.computed_from),
            ]
            for name, row in zip(names, found.rows, strict=True)
        ],
    )
    if found.bronze_rows:
        table(
            "Rows of bronze with their keys; what was known later is in no feature",
            ["row", "bronze", "known at", "file", "ingested at"],
            [
                [
                    each.row + 1,
                    each.table if each.version is None else f"{each.table}@v{each.version}",
                    f"{_time(each.known_at)}{', later' if each.is_later else ''}",
                    each.file,
                    _time(each.ingested_at),
                ]
                for each in found.bronze_rows
            ],
        )
    facts({"batches": f"{len(found.batches)} in all; --json names each, with its landing file"})


def _time(at: str | datetime | None) -> str:
    """To the minute, in UTC as all times here."""
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _deliveries(of: "Deliveries") -> str:
    name = f"{of.table.rpartition('.')[2]}@v{of.version}"
    if not of.is_held:
        return f"{name}, recreated since"
    return f"{of.batches} of {name}{f' from {of.first}' if of.first else ''}"
