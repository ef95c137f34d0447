"""What a model is, as data: `ml/specs/<name>.yml`, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lakehouse.dbt.project import project_vars
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT

SPECS_DIR = PROJECT_ROOT / "ml" / "specs"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone {name!r}") from error
    return name


class EncodingSpec(_Part):
    """How raw columns become numbers.

    Args:
        bins: pieces of a numeric feature's piecewise-linear encoding, at most.
        day_bins: pieces of one that mostly tells days apart, as the weather does, at most: there are few days
            to learn from, and more pieces learn them by heart. None: as many as `bins`.
        min_bin_rows: training rows in each piece, at least.
        rare_below: categories with fewer training rows share one embedding with those never seen.
    """

    bins: int = Field(ge=2, le=256)
    day_bins: int | None = Field(default=None, ge=2, le=256)
    min_bin_rows: int = Field(default=300, ge=1)
    rare_below: int = Field(ge=1)


class NetworkSpec(_Part):
    """The network's shape; see `ml.model.network`."""

    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(min_length=1, max_length=8)
    heads: int = Field(ge=1, le=32)
    embedding_width: int = Field(ge=1, le=256)
    dropout: float = Field(ge=0, lt=1)
    input_dropout: float = Field(ge=0, lt=1)


class TrainingSpec(_Part):
    """The training budget.

    Args:
        epochs: passes over the data, at most; the learning rate's schedule spans all of them.
        patience: epochs without a better validation log loss after which training stops.
        learning_rate: peak of the one-cycle schedule.
        threads: of torch, in each worker; weights are the same again only with the same number.
        workers: processes on Spark that share each batch; 1 trains in this process. See docs/models.md.
        memory_mb: rows that take more than this when encoded are streamed from disk; None: no limit.
        refit: once validation has chosen the epoch, train again on its rows, too: they are the newest.
    """

    epochs: int = Field(ge=1, le=1000)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)
    ema_decay: float = Field(ge=0, lt=1)
    threads: int = Field(ge=1, le=256)
    memory_mb: int | None = Field(default=None, ge=1, le=2**24)
    seed: int = Field(ge=0, lt=2**63)
    workers: int = Field(default=1, ge=1, le=64)
    refit: bool = False


class PromotionSpec(_Part):
    """When a challenger takes over from the champion; see `ml.evaluation.promotion`.

    Args:
        metric: what both are measured by.
        min_gain: all of the gain's interval must lie above it; below 0 it may be that much worse.
        confidence: of the interval.
        min_days: with fewer days of rows nothing is promoted.
    """

    metric: Literal["auc", "average_precision", "log_loss", "brier"] = "log_loss"
    min_gain: float = Field(default=0.0, ge=-1, le=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    min_days: int = Field(default=14, ge=2)


class RetrainingSpec(_Part):
    """When the graph trains the model again by itself.

    Args:
        monthly: once in each month of data.
        quality_model: the dbt model of how good forecasts were by day: `labelled_count`, `log_loss`,
            `base_log_loss` by `model_name`; None looks at no quality.
        quality_days: how many days since the last training are looked at, the newest ones.
        min_gain: where the log loss over them is not this share better than the plain rate's, it is trained.
    """

    monthly: bool = True
    quality_model: str | None = None
    quality_days: int = Field(default=14, ge=1, le=366)
    min_gain: float = Field(default=0.0, ge=-1, lt=1)


class ServingSpec(_Part):
    """What the online service does with features that are too old, or too many of which are missing.

    Args:
        max_missing: with more missing features than these a row breaks the rule; None: any number is fine.
        max_age_minutes: a row from the online store whose event time lies further back breaks the rule; None:
            no age does.
        otherwise: what a row gets that breaks the rule: a score that says so, or no score.
    """

    max_missing: int | None = Field(default=None, ge=0)
    max_age_minutes: float | None = Field(default=None, gt=0)
    otherwise: Literal["score", "refuse"] = "score"


class MonitoringSpec(_Part):
    """When a day of scores raises an alarm; see `ml.monitoring.judge` and docs/monitoring.md.

    Args:
        drift_model: dbt's mart of drift by day; None where the scores have none, and are not monitored.
        quality_model: dbt's mart of quality by day, for calibration.
        outcomes_model: dbt's mart of scores beside what became of them, for intervals of a report.
        outcome_column: its column with the label, NULL while it is not known.
        bins: of a number, at most, besides missing, below and above the known range.
        season_days: a day is measured against days up to this long before it, and those of the same season a
            year before.
        min_days: with fewer such days nothing is judged.
        tail_share: share of the days that is the tail, from which small probabilities are estimated.
        false_discovery_rate: expected share of false names among the features that are flagged.
        alarm_probability: a day's score drift or calibration that is less likely than this raises an alarm.
        min_labelled_share: share of a day's rows whose label must be known before its calibration is judged.
    """

    drift_model: str | None = None
    quality_model: str | None = None
    outcomes_model: str | None = None
    outcome_column: str | None = None
    bins: int = Field(default=10, ge=2, le=50)
    season_days: int = Field(default=60, ge=7, le=180)
    min_days: int = Field(default=14, ge=5, le=180)
    tail_share: float = Field(default=0.15, ge=0.02, le=0.5)
    false_discovery_rate: float = Field(default=0.001, gt=0, le=0.5)
    alarm_probability: float = Field(default=0.001, gt=0, le=0.1)
    min_labelled_share: float = Field(default=0.8, gt=0, le=1)

    @model_validator(mode="after")
    def _outcomes_have_a_column(self) -> "MonitoringSpec":
        if (self.outcomes_model is None) != (self.outcome_column is None):
            raise ValueError("outcomes_model and outcome_column go together")
        return self


class Range(_Part):
    """Numbers that a search may try for a field: from `low` to `high`, both included.

    Args:
        log: as many tries between 0.001 and 0.01 as between 0.01 and 0.1.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ascending(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, not {self.low}")
        return self

    @property
    def tried(self) -> tuple[Any, ...]:
        """The values to check: what lies between them is valid if they are."""
        return self.low, self.high


class Choices(_Part):
    """Values that a search may try for a field, of whatever type the field has."""

    choices: tuple[Any, ...] = Field(min_length=2)

    @property
    def tried(self) -> tuple[Any, ...]:
        """The values to check."""
        return self.choices


def _kind(value: Any) -> str:
    is_choices = isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value)
    return "choices" if is_choices else "range"


Dimension = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_kind)
]
# Parts of a spec whose fields may be searched.
_SEARCHED = ("encoding", "network", "training")


class Spec(_Part):
    """One model: what it is trained on, how, and where its scores go. Fields as commented in the YAML.

    Args:
        leak_auc: a feature that alone tells the label with a higher AUC is refused.
        retraining: when it is trained again. No part of what was trained: it is not dumped.
        serving: the rule of the online service. Not dumped either.
        monitoring: when a day of scores raises an alarm. Not dumped either.
        tune: the space of the search, by dotted field name. Not dumped either.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    registered_model: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    training_model: str
    features_model: str
    population_model: str | None = None
    predictions_table: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    validation: Literal["last_whole_month"]
    segments: tuple[str, ...] = ()
    crosses: tuple[tuple[str, str], ...] = ()
    encoding: EncodingSpec
    network: NetworkSpec
    training: TrainingSpec
    leak_auc: float = Field(default=0.95, gt=0.5, le=1)
    promotion: PromotionSpec = PromotionSpec()
    retraining: RetrainingSpec = Field(default=RetrainingSpec(), exclude=True)
    serving: ServingSpec = Field(default=ServingSpec(), exclude=True)
    monitoring: MonitoringSpec = Field(default=MonitoringSpec(), exclude=True)
    tune: dict[str, Dimension] = Field(default={}, exclude=True)

    @field_validator("tune")
    @classmethod
    def _in_range(cls, space: dict[str, Dimension], info: ValidationInfo) -> dict[str, Dimension]:
        """Every value that a search may try must be one that the field may have."""
        parts = {name: info.data[name] for name in _SEARCHED if name in info.data}
        known = [f"{part}.{field}" for part, found in parts.items() for field in type(found).model_fields]
        if len(parts) < len(_SEARCHED):
            return space  # A part is wrong itself, and named.
        for name, dimension in space.items():
            if name not in known:
                raise ValueError(f"{name}: no such field; known: {', '.join(known)}")
            part, _, field = name.partition(".")
            own = parts[part].model_dump()
            if isinstance(dimension, Range) and not isinstance(own[field], int | float):
                raise ValueError(f"{name}: a range is of numbers, {own[field]} is none; give choices")
            for value in dimension.tried:
                try:
                    type(parts[part]).model_validate(own | {field: value})
                except ValidationError as error:
                    raise ValueError(f"{name}: {value}: {error.errors()[0]['msg']}") from error
        return space

    def value(self, name: str) -> Any:
        """What a field of `encoding`, `network` or `training` has.

        Args:
            name: such as `training.learning_rate`.
        """
        part, _, field = name.partition(".")
        return getattr(getattr(self, part), field)

    def having(self, values: Mapping[str, Any]) -> "Spec":
        """This spec with other values, checked, and without a space.

        Args:
            values: by dotted field name.
        """
        data = self.model_dump()
        for name, value in values.items():
            part, _, field = name.partition(".")
            data[part][field] = value
        return Spec.model_validate(data)


def spec_names(folder: Path = SPECS_DIR) -> list[str]:
    """The names of all specs."""
    return sorted(path.stem for path in folder.glob("*.yml"))


def load_spec(name: str, folder: Path = SPECS_DIR) -> Spec:
    """Read and check one spec.

    Raises:
        LakehouseError: there is no such spec, or a field is missing, unknown or out of range.
    """
    path = folder / f"{name}.yml"
    if not path.is_file():
        raise LakehouseError(
            f"there is no spec {name!r} in {folder}", f"known: {', '.join(spec_names(folder)) or 'none'}"
        )
    zone = project_vars().get("time_zone")
    try:
        declared: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(declared, dict):
            declared = {"time_zone": zone, **declared}
        spec = Spec.model_validate(declared)
    except yaml.YAMLError as error:
        raise LakehouseError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise LakehouseError(f"{path}: {wrong}", "ml/spec.py says what each field may be") from error
    if spec.name != name:
        raise LakehouseError(
            f"{path} says name: {spec.name}", f"a spec's file is named as the spec: {spec.name}.yml"
        )
    return spec


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `part.field`.

    >>> flat({"training": {"seed": 1}, "name": "m"})
    {'training.seed': '1', 'name': 'm'}
    """
    found: dict[str, str] = {}
    for name, value in nested.items():
        found |= (
            flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": str(value)}
        )
    return found
