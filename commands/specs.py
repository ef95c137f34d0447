"""Which model a command is about: `--spec`, the only one of ml/specs where there is one."""

from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from ml.spec import Spec

SpecName = Annotated[
    str | None, typer.Option("--spec", help="Which model: a file in ml/specs; the only one by default.")
]


def chosen_spec(name: str | None) -> "Spec":
    """The spec that was named, or the only one.

    Raises:
        LakehouseError: none was named and there are several, or none; or the spec is wrong.
    """
    from ml.spec import load_spec, spec_names

    if name is None:
        names = spec_names()
        if not names:
            raise LakehouseError("there is no model in ml/specs", "docs/models.md says how to add one")
        if len(names) > 1:
            raise LakehouseError(
                "--spec is missing: there is more than one model in ml/specs", f"they are {', '.join(names)}"
            )
        name = names[0]
    return load_spec(name)
