"""Gates whose suites are a test's own."""

from collections.abc import Callable

import pytest

from expectations import gate
from expectations.suite import Gate, Suite


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the gates consist of these suites."""

    def declare(*suites: Suite) -> None:
        def declared_suites(_: Gate) -> tuple[Suite, ...]:
            return suites

        monkeypatch.setattr(gate, "suites_of", declared_suites)

    return declare
