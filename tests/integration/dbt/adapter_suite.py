"""dbt's own adapter suite on our engine; run by test_adapter_suite.py in a process of its own.

Not collected by its name: the suite changes dbt's flags and the working directory of its process.
`LAKEHOUSE_SUITE_MACROS=ours` adds this project's macros to those of dbt-spark; without it, dbt-spark is as
shipped.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.tests.adapter.basic.test_adapter_methods import BaseAdapterMethod
from dbt.tests.adapter.basic.test_base import BaseSimpleMaterializations
from dbt.tests.adapter.basic.test_docs_generate import BaseDocsGenerate, BaseDocsGenReferences
from dbt.tests.adapter.basic.test_empty import BaseEmpty
from dbt.tests.adapter.basic.test_ephemeral import BaseEphemeral
from dbt.tests.adapter.basic.test_generic_tests import BaseGenericTests
from dbt.tests.adapter.basic.test_incremental import (
    BaseIncremental,
    BaseIncrementalBadStrategy,
    BaseIncrementalNotSchemaChange,
)
from dbt.tests.adapter.basic.test_singular_tests import BaseSingularTests
from dbt.tests.adapter.basic.test_singular_tests_ephemeral import BaseSingularTestsEphemeral
from dbt.tests.adapter.basic.test_snapshot_check_cols import BaseSnapshotCheckCols
from dbt.tests.adapter.basic.test_snapshot_timestamp import BaseSnapshotTimestamp
from dbt.tests.adapter.basic.test_table_materialization import BaseTableMaterialization
from dbt.tests.adapter.basic.test_validate_connection import BaseValidateConnection
from dbt.tests.adapter.dbt_show.test_dbt_show import (
    BaseShowDoesNotHandleDoubleLimit,
    BaseShowLimit,
    BaseShowSqlHeader,
)
from dbt.tests.adapter.empty.test_empty import (
    BaseTestEmpty,
    BaseTestEmptyInlineSourceRef,
    BaseTestEmptySeedFlag,
    MetadataWithEmptyFlag,
)
from dbt.tests.adapter.persist_docs.test_persist_docs import (
    BasePersistDocs,
    BasePersistDocsAllColumnsMissing,
    BasePersistDocsColumnMissing,
    BasePersistDocsCommentOnQuotedColumn,
    BasePersistDocsQuotedColumnCaseSensitive,
    BasePersistDocsQuotedDescriptionNotAppliedOnMismatch,
)
from dbt.tests.adapter.simple_seed import fixtures as seed_fixtures
from dbt.tests.adapter.simple_seed import seeds
from dbt.tests.adapter.simple_seed import test_seed as seed_tests
from dbt.tests.adapter.simple_seed.test_seed_type_override import BaseSimpleSeedColumnOverride
from dbt.tests.adapter.unit_testing import test_quoted_reserved_word_column_names as reserved_words
from dbt.tests.adapter.unit_testing.test_case_insensitivity import BaseUnitTestCaseInsensivity
from dbt.tests.adapter.unit_testing.test_invalid_input import BaseUnitTestInvalidInput
from dbt.tests.adapter.unit_testing.test_quoted_reserved_word_column_names import (
    BaseUnitTestQuotedReservedWordColumnNames,
)
from dbt.tests.adapter.unit_testing.test_types import (
    BaseUnitTestingTypes,
    BaseUnitTestingVarcharFixtureNoTruncation,
)

from lakehouse.engine.session import connect_environment
from lakehouse.settings import PROJECT_ROOT

OURS = os.environ.get("LAKEHOUSE_SUITE_MACROS") == "ours"


@pytest.fixture(scope="session", autouse=True)
def _connected() -> None:
    connect_environment()


@pytest.fixture(scope="class")
def dbt_profile_target() -> dict[str, Any]:
    return {"type": "spark", "method": "session", "host": "localhost", "threads": 2}


@pytest.fixture(scope="class")
def profile_user() -> str:
    return "nobody"


@pytest.fixture(scope="class")
def unique_schema(prefix: str) -> str:
    return f"suite_{prefix}"


@pytest.fixture(scope="module")
def test_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that does not exist yet, outside of the repository."""
    return tmp_path_factory.mktemp("suite") / "data"


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder


@pytest.fixture(scope="class")
def dbt_project_yml(project_root: Any, project_config_update: Any) -> Iterator[dict[str, Any]]:
    """What each test wants, all of it as Delta tables, and our macros where they are asked for."""
    update = project_config_update or {}
    if isinstance(update, str):
        update = yaml.safe_load(update)
    project: dict[str, Any] = {
        "name": "test",
        "profile": "test",
        "flags": {"send_anonymous_usage_stats": False},
        **update,
    }
    for kind in ("models", "seeds", "snapshots"):
        project[kind] = {"+file_format": "delta", **project.get(kind, {})}
    if OURS:
        project["macro-paths"] = ["macros", str(PROJECT_ROOT / "dbt_project" / "macros")]
        ours = yaml.safe_load((PROJECT_ROOT / "dbt_project.yml").read_text())
        project["vars"] = {**ours["vars"], **project.get("vars", {})}
    (project_root / "dbt_project.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    yield project


# What the suite says in PostgreSQL's words, in Spark's.
_TYPES = {
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "INTEGER": "BIGINT",
    "TEXT": "STRING",
}


def _in_spark(text: str) -> str:
    for theirs, ours in _TYPES.items():
        text = text.replace(theirs, ours).replace(theirs.lower(), ours.lower())
    return text


class SparkSeeds:
    """The table that seeds are compared with, made by statements that Spark takes."""

    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project: Any) -> None:
        _expected_seed(project)


def _expected_seed(project: Any) -> None:
    create, insert = _in_spark(seeds.seeds__expected_sql).split(";", 1)
    project.run_sql(create)
    typed = re.sub(r"('\d{4}-\d\d-\d\d \d\d:\d\d:\d\d')", r"timestamp\1", insert)
    project.run_sql(typed.replace('"', "").rstrip().rstrip(";"))


class TestAdapterMethod(BaseAdapterMethod): ...


class TestSimpleMaterializations(BaseSimpleMaterializations): ...


class TestDocsGenerate(BaseDocsGenerate): ...


class TestDocsGenReferences(BaseDocsGenReferences): ...


class TestEmptyProject(BaseEmpty): ...


class TestEphemeral(BaseEphemeral): ...


class TestGenericTests(BaseGenericTests): ...


class TestIncremental(BaseIncremental): ...


class TestIncrementalBadStrategy(BaseIncrementalBadStrategy): ...


class TestIncrementalNotSchemaChange(BaseIncrementalNotSchemaChange): ...


class TestSingularTests(BaseSingularTests): ...


class TestSingularTestsEphemeral(BaseSingularTestsEphemeral): ...


class TestSnapshotCheckCols(BaseSnapshotCheckCols): ...


class TestSnapshotTimestamp(BaseSnapshotTimestamp): ...


class TestTableMaterialization(BaseTableMaterialization): ...


class TestValidateConnection(BaseValidateConnection): ...


class TestShowLimit(BaseShowLimit): ...


class TestShowSqlHeader(BaseShowSqlHeader): ...


class TestShowDoubleLimit(BaseShowDoesNotHandleDoubleLimit): ...


class TestEmpty(BaseTestEmpty): ...


class TestEmptyInlineSourceRef(BaseTestEmptyInlineSourceRef): ...


class TestEmptySeedFlag(BaseTestEmptySeedFlag): ...


class TestMetadataWithEmptyFlag(MetadataWithEmptyFlag): ...


class TestPersistDocs(BasePersistDocs): ...


class TestPersistDocsColumnMissing(BasePersistDocsColumnMissing): ...


class TestPersistDocsAllColumnsMissing(BasePersistDocsAllColumnsMissing): ...


class TestPersistDocsQuotedColumnCaseSensitive(BasePersistDocsQuotedColumnCaseSensitive): ...


class TestPersistDocsQuotedDescriptionMismatch(BasePersistDocsQuotedDescriptionNotAppliedOnMismatch): ...


class TestPersistDocsCommentOnQuotedColumn(BasePersistDocsCommentOnQuotedColumn): ...


class TestSeedBasic(SparkSeeds, seed_tests.BaseBasicSeedTests): ...


class TestSeedFullRefreshOn(SparkSeeds, seed_tests.BaseSeedConfigFullRefreshOn): ...


class TestSeedFullRefreshOff(SparkSeeds, seed_tests.BaseSeedConfigFullRefreshOff): ...


class TestSeedCustomSchema(SparkSeeds, seed_tests.BaseSeedCustomSchema): ...


class TestSeedUniqueDelimiter(SparkSeeds, seed_tests.BaseSeedWithUniqueDelimiter): ...


class TestSeedWrongDelimiter(SparkSeeds, seed_tests.BaseSeedWithWrongDelimiter): ...


class TestSeedEmptyDelimiter(SparkSeeds, seed_tests.BaseSeedWithEmptyDelimiter): ...


class TestSeedEnabledViaConfig(seed_tests.BaseSimpleSeedEnabledViaConfig): ...


class TestSeedParsing(SparkSeeds, seed_tests.BaseSeedParsing): ...


class TestSeedWithBom(seed_tests.BaseSimpleSeedWithBOM):
    @pytest.fixture(scope="class", autouse=True)
    def setUp(self, project: Any) -> None:
        _expected_seed(project)
        source = Path(seed_tests.__file__).with_name("seed_bom.csv")
        shutil.copy(source, Path(project.project_root) / "seeds" / "seed_bom.csv")


class TestSeedSpecificFormats(seed_tests.BaseSeedSpecificFormats): ...


class TestEmptySeed(seed_tests.BaseTestEmptySeed): ...


class TestSeedColumnOverride(BaseSimpleSeedColumnOverride):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"schema.yml": _in_spark(seed_fixtures.properties__schema_yml)}

    @staticmethod
    def seed_enabled_types() -> dict[str, str]:
        return {"seed_id": "string", "birthday": "date"}

    @staticmethod
    def seed_tricky_types() -> dict[str, str]:
        return dict.fromkeys(("seed_id_str", "looks_like_a_bool", "looks_like_a_date"), "string")


class TestUnitTestCaseInsensitivity(BaseUnitTestCaseInsensivity): ...


class TestUnitTestInvalidInput(BaseUnitTestInvalidInput): ...


class TestUnitTestReservedWords(BaseUnitTestQuotedReservedWordColumnNames):
    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {
            "my_model.sql": reserved_words.my_model_sql,
            "my_upstream_model.sql": "select 1 as `GROUP`",
            "unit_tests.yml": reserved_words.test_my_model_csv_fixtures_yml,
        }


class TestUnitTestTypes(BaseUnitTestingTypes):
    @pytest.fixture
    def data_types(self) -> list[list[str]]:
        return [
            ["1", "1"],
            ["2.0", "2.0"],
            ["'12345'", "12345"],
            ["true", "true"],
            ["date '2011-11-11'", "2011-11-11"],
            ["timestamp '2013-11-03 00:00:00-0'", "2013-11-03 00:00:00-0"],
            ["array(1, 2, 3)", "'array(1, 2, 3)'"],
        ]


class TestUnitTestVarchar(BaseUnitTestingVarcharFixtureNoTruncation): ...
