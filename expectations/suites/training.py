"""What is expected of the training set: labels known later than their features, and a usual late share."""

from expectations.suite import Profile, Suite, at_most, between, day_column, not_null, unique
from expectations.suites.features import NO_LEAK

# Below so many labels the share of late flights says little: single days of 2013 go from 4 % to 79 %.
_LABELS = 5000


def suites() -> tuple[Suite, ...]:
    """The training set's suite."""
    return (
        Suite(
            table="training.flight_training_set",
            gate="training",
            key=("flight_id", "label_known_at"),
            day=day_column("flight_date"),
            rows=(
                *not_null("flight_id", "flight_date", "predict_at", "is_late_15", "label_known_at"),
                unique("flight_id", "label_known_at"),
                between("arr_delay_minutes", -120, 2880),
            ),
            rules={
                "late_from_15_minutes_on": "is_late_15 = (arr_delay_minutes >= 15)",
                "label_known_after_prediction": "label_known_at > predict_at",
                "label_superseded_later": (
                    "label_superseded_at is null or label_superseded_at > label_known_at"
                ),
                **NO_LEAK,
            },
            daily=Profile(
                {"excess_labels": "count_if(label_superseded_at is null) - count(distinct flight_id)"},
                (at_most("row_count", 2400), at_most("excess_labels", 0)),
            ),
            whole=Profile(
                {"late_share": f"if(count(*) >= {_LABELS}, avg(if(is_late_15, 1, 0)), null)"},
                (between("late_share", 0.1, 0.4),),
            ),
        ),
    )
