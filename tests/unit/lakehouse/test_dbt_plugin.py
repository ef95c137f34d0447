"""What dbt prints of Spark's errors."""

import pytest

from dbt_lakehouse import without_plan

CLEAR = "[TABLE_OR_VIEW_NOT_FOUND] The table `a`.`b` cannot be found. Verify the spelling. ; line 2 pos 5"


@pytest.mark.parametrize(
    "plan",
    [
        ";\n'Project [*]\n+- 'UnresolvedRelation [a, b], [], false",
        ";\n'CreateViewCommand `dev`.`b`, select 1, false\n   +- 'WithCTE\n      :- CTERelationDef 0",
        "\n\nJVM stacktrace:\norg.apache.spark.sql.AnalysisException\n\tat org.apache.spark.Main",
        "",
    ],
)
def test_an_error_is_told_without_the_statements_plan(plan: str) -> None:
    assert without_plan(CLEAR + plan) == CLEAR


def test_a_message_of_many_lines_is_kept() -> None:
    message = (
        "[PARSE_SYNTAX_ERROR] Syntax error at or near 'frm'. (line 1, pos 9)\n\n== SQL ==\nselect * frm a"
    )
    assert without_plan(message) == message
