"""What names a prediction: entity, model version and the score's bits; the same in Spark and in Python."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

_SEPARATOR = "|"


def prediction_id_column(entity: Sequence[str], model_version: str, score_bits: str) -> "Column":
    """The id of each row of a DataFrame.

    Args:
        entity: the columns that name a row.
        score_bits: the column with the bits of the score's float32, as int32.
    """
    from pyspark.sql import functions as F

    parts = [*(F.col(name).cast("string") for name in entity), F.lit(model_version), F.col(score_bits)]
    return F.sha2(F.concat_ws(_SEPARATOR, *parts), 256)


def prediction_id(entity: Iterable[str | int | date], model_version: str, score_bits: int) -> str:
    """The id of one prediction, as `prediction_id_column` has it.

    Args:
        entity: values of the columns that name a row. Spark writes text, integers and dates as Python does.
    """
    parts = [*map(str, entity), model_version, str(score_bits)]
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()
