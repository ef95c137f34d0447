"""Settings: what is refused, and that the docs list each one."""

import pytest
from pydantic import ValidationError

from lakehouse import settings as module
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_ROOT, Settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEAP_MB", "a lot"),
        ("CORES", "0"),
        ("UI_PORT", "80"),
        ("WAREHOUSE", "/data/a;b"),
        ("WAREHOUSE", "/data/a,b"),
        ("WAREHOUSE", "/data/a%20b"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LAKEHOUSE_{variable}", value)
    module.settings.cache_clear()
    try:
        with pytest.raises(LakehouseError, match=rf"LAKEHOUSE_{variable}='{value}'"):
            module.settings()
    finally:
        module.settings.cache_clear()


def test_the_docs_list_every_setting() -> None:
    text = (PROJECT_ROOT / "docs" / "settings.md").read_text()
    missing = [name for name in Settings.model_fields if f"`LAKEHOUSE_{name.upper()}`" not in text]
    assert missing == []


def test_an_unset_landing_zone_lies_in_the_warehouse(tmp_path) -> None:
    assert Settings(warehouse=tmp_path).landing_dir == tmp_path / "landing"


def test_ranges_hold_for_arguments_too(tmp_path) -> None:
    with pytest.raises(ValidationError):
        Settings(warehouse=tmp_path, idle_minutes=-1)


def test_the_last_day_may_be_open(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("LAKEHOUSE_LAST_DAY", "open")
    assert Settings(warehouse=tmp_path).last_day is None


def test_days_in_the_wrong_order_are_refused_by_the_names_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_FIRST_DAY", "2024-02-01")
    module.settings.cache_clear()
    try:
        with pytest.raises(LakehouseError, match=r"LAKEHOUSE_LAST_DAY=.* is before LAKEHOUSE_FIRST_DAY="):
            module.settings()
    finally:
        module.settings.cache_clear()


def test_a_path_with_blanks_and_letters_of_any_language_is_fine(tmp_path) -> None:
    warehouse = tmp_path / "Jürgen's wärehouse (new)"
    assert Settings(warehouse=warehouse).engine_dir == warehouse / "engine"


@pytest.mark.parametrize("variable", ["LAKEHOUSE_DAGSTER_DATABASE", "LAKEHOUSE_MLFLOW_TRACKING_URI"])
def test_an_address_of_postgresql_names_the_driver_that_is_installed(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLAlchemy takes a bare one for psycopg 3's.
    monkeypatch.setenv(variable, "postgresql://ann:secret@db/records")
    read = getattr(Settings(), variable.removeprefix("LAKEHOUSE_").lower())
    assert read == "postgresql+psycopg2://ann:secret@db/records"


def test_mlflows_own_variable_names_its_server_unless_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:5000")
    assert Settings().mlflow_tracking_uri == "http://theirs:5000"
    monkeypatch.setenv("LAKEHOUSE_MLFLOW_TRACKING_URI", "http://ours:5000")
    assert Settings().mlflow_tracking_uri == "http://ours:5000"


@pytest.mark.parametrize(
    "variable",
    ["MLFLOW_TRACKING_URI", "DAGSTER_DATABASE", "METASTORE_URL", "ONLINE_STORE", "UI_TOKEN"],
)
def test_an_error_and_what_is_shown_of_settings_hold_no_password(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LAKEHOUSE_{variable}", "oracle://ann:secret@db/records")
    module.settings.cache_clear()
    try:
        with pytest.raises(LakehouseError, match=f"LAKEHOUSE_{variable}=…: ") as refused:
            module.settings()
        assert "secret" not in f"{refused.value}"
        assert refused.value.__cause__ is None
    finally:
        module.settings.cache_clear()
    monkeypatch.delenv(f"LAKEHOUSE_{variable}")
    assert "secret" not in repr(Settings(metastore_password="secret"))
