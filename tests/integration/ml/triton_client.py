"""Asks a Triton server by gRPC; run with the packages of deploy/triton/client.lock, not the project's.

    triton_client.py PORT MODEL REQUESTS.json

Each request is `{"numeric": rows, "categorical": rows}`; eight are sent at a time, so that the
server batches them. Prints the bits of their scores.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpc  # pyright: ignore[reportMissingImports]


def tensors(request: dict) -> list:
    numeric = np.array([[np.nan if x is None else x for x in row] for row in request["numeric"]], np.float64)
    texts = np.array([[text.encode() for text in row] for row in request["categorical"]], object)
    made = []
    for name, kind, values in (("numeric", "FP64", numeric), ("categorical", "BYTES", texts)):
        tensor = grpc.InferInput(name, list(values.shape), kind)
        tensor.set_data_from_numpy(values)
        made.append(tensor)
    return made


def main(port: str, model: str, path: str) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{port}")

    def bits(request: dict) -> list[int]:
        answer = client.infer(model, tensors(request), client_timeout=30)
        return answer.as_numpy("score").view(np.int32)[:, 0].tolist()

    with ThreadPoolExecutor(8) as threads:
        sys.stdout.write(json.dumps(list(threads.map(bits, json.loads(Path(path).read_text())))))


main(*sys.argv[1:])
