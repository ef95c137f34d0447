"""Data Docs belong to one gate at a time, and the next mends what a killed one left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expectations import docs, pages
from expectations.docs import Page
from expectations.suite import Suite
from expectations.validate import Validation
from lakehouse.delta.table import TableVersion
from lakehouse.engine.state import is_locked
from lakehouse.settings import settings


def shown(table: str) -> Page:
    return Page(Suite(table, "bronze", ("id",)), TableVersion(table, "t", 1), Validation(0, 0, {}, (), ()))


@pytest.fixture
def data_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKEHOUSE_WAREHOUSE", str(tmp_path))
    own = settings.__wrapped__()
    for module in (docs, pages):
        monkeypatch.setattr(module, "settings", lambda: own)
    return own.data_docs_dir


def test_a_gate_holds_the_pages_for_itself_from_the_first_result_to_the_list(
    data_docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def then(step: Callable[..., None]) -> Callable[..., None]:
        def noted(*args: Any) -> None:
            held.append(is_locked(data_docs / "pages.lock"))
            step(*args)

        return noted

    context = docs.context()
    store = context.validation_results_store
    monkeypatch.setattr(store, "set", then(store.set))
    monkeypatch.setattr(docs, "write_index", then(docs.write_index))
    docs.write_pages(context, [shown("s.a")], "run")
    assert held == [True, True]
    assert not is_locked(data_docs / "pages.lock")


def test_the_next_gate_mends_what_a_killed_one_left(data_docs: Path) -> None:
    context = docs.context()
    docs.write_pages(context, [shown("s.a")], "killed")
    (result,) = (data_docs / docs.RESULTS).rglob("version_1.json")
    result.write_text(result.read_text()[:20])
    (page,) = (data_docs / "site" / "validations").rglob("*.html")
    page.write_text('<html><head><script src="https://cdn.example/x.js"></script></head></html>')
    docs.write_pages(context, [shown("s.b")], "next")
    assert "cdn.example" not in page.read_text()
    index = (data_docs / "site" / "index.html").read_text()
    assert index.count("unreadable") == index.count(">passed<") == 1
