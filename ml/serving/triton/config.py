"""The `config.pbtxt` of an exported model: tensors, batching, warm-up, and the version that is served."""

import json
from collections.abc import Mapping

from ml.encoding.encode import Encoding

# Rows of one request, and of requests that are scored together.
MAX_BATCH_ROWS = 1024
# A request waits no longer than this for others to be scored with.
QUEUE_DELAY_MICROSECONDS = 500
# More requests than this are answered at once with an error, not late with a score.
MAX_QUEUED = 256
QUEUE_TIMEOUT_MICROSECONDS = 1_000_000


def config_of(name: str, version: str, encoding: Encoding, facts: Mapping[str, str]) -> str:
    """The text of a `config.pbtxt`.

    Args:
        facts: of the version, for who asks the server for the model's configuration.
    """
    inputs = _inputs(encoding)
    categorical = len(encoding.categories)
    outputs = [("score", "FP32", 1), ("missing_features", "INT32", 1)]
    if categorical:
        outputs.append(("unseen", "BOOL", categorical))
    parameters = {
        "numeric_features": json.dumps([*encoding.edges]),
        "categorical_features": json.dumps([*encoding.categories]),
        **facts,
    }
    return "\n".join(
        [
            f"name: {_text(name)}",
            'backend: "python"',
            f"max_batch_size: {MAX_BATCH_ROWS}",
            *(_tensor("input", *each) for each in inputs),
            *(_tensor("output", *each) for each in outputs),
            "instance_group [ { kind: KIND_CPU count: 1 } ]",
            # The newest number is not always the champion: a rollback serves an older one.
            f"version_policy {{ specific {{ versions: [ {int(version)} ] }} }}",
            "dynamic_batching {",
            f"  max_queue_delay_microseconds: {QUEUE_DELAY_MICROSECONDS}",
            "  default_queue_policy {",
            f"    max_queue_size: {MAX_QUEUED}",
            "    timeout_action: REJECT",
            f"    default_timeout_microseconds: {QUEUE_TIMEOUT_MICROSECONDS}",
            "  }",
            "}",
            *(_warm_up(rows, inputs) for rows in (1, MAX_BATCH_ROWS)),
            *(_parameter(key, value) for key, value in parameters.items()),
            "",
        ]
    )


def _inputs(encoding: Encoding) -> list[tuple[str, str, int]]:
    """Those that there are: a tensor without columns cannot be declared."""
    both = [("numeric", "FP64", len(encoding.edges)), ("categorical", "STRING", len(encoding.categories))]
    return [each for each in both if each[2]]


def _tensor(kind: str, name: str, data_type: str, columns: int) -> str:
    return f"{kind} [ {{ name: {_text(name)} data_type: TYPE_{data_type} dims: [ {columns} ] }} ]"


def _warm_up(rows: int, inputs: list[tuple[str, str, int]]) -> str:
    """Before a version is ready it scores rows of zeros and empty texts, few and many."""
    tensors = "\n".join(
        f"  inputs {{ key: {_text(name)} value: {{ data_type: TYPE_{data_type} dims: [ {columns} ] "
        "zero_data: true } }"
        for name, data_type, columns in inputs
    )
    return f"model_warmup [ {{\n  name: {_text(f'{rows} rows')}\n  batch_size: {rows}\n{tensors}\n}} ]"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_text(key)} value: {{ string_value: {_text(value)} }} }}"


def _text(value: str) -> str:
    """As protobuf's text format quotes it."""
    # It knows JSON's short escapes, but not \u0000: no name of a model or a column has such a letter.
    return json.dumps(value, ensure_ascii=False)
