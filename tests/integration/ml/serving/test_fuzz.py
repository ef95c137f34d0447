"""The service under requests that schemathesis draws from its own OpenAPI document: no server error."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error

from tests.integration.ml.serving.light import LIMITS, Running, light, running

# LAKEHOUSE_FUZZ_EXAMPLES: of each operation; docs/serving.md says what was tried.
EXAMPLES = int(os.environ.get("LAKEHOUSE_FUZZ_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    made = light(tmp_path_factory.mktemp("served"))
    made.register(1)
    with running(made, tmp_path_factory.mktemp("journal"), replace(LIMITS, max_in_flight=1000)) as found:
        yield found


def _fuzz(service: Running, examples: int) -> int:
    schema = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
    sent = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        def call(case) -> None:
            nonlocal sent
            answer = case.call()
            case.validate_response(answer, checks=[not_a_server_error])
            sent += 1

        # One that takes no input has one request.
        count = examples if operation.method == "post" else 3
        drawn = settings(
            max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )(schemathesis_given(operation)(call))
        drawn()
    return sent


def schemathesis_given(operation):
    """Valid and invalid requests alike."""
    from hypothesis import given
    from schemathesis import GenerationMode

    strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    return given(case=strategy | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def test_no_request_makes_a_server_error(service: Running) -> None:
    assert _fuzz(service, EXAMPLES) >= EXAMPLES
    assert 'status="500"' not in service.client.get("/metrics").text
    assert service.by_key("f0001").status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_request_of_ten_thousand_does(service: Running) -> None:
    sent = _fuzz(service, 10_000)
    assert sent >= 10_000
    assert service.by_key("f0001").status_code == 200
