"""Our code runs where it is not installed, in the version of the process that asks for it."""

import subprocess
import sys
from pathlib import Path

import pyspark.cloudpickle as cloudpickle

from lakehouse.engine.worker_code import in_workers

# A Python that has our dependencies and not this checkout, as a worker on another machine.
WORKER = """
import pickle, sys
from pathlib import Path
sys.path[:] = [path for path in sys.path if path != sys.argv[1]]
for sent in sys.argv[2:]:
    print(pickle.loads(Path(sent).read_bytes())(b"one\\ntwo"))
    print(type(sys.modules["lakehouse.ingest.read.encoding"].__spec__.loader).__name__)
"""


def test_code_travels_to_a_worker_without_a_checkout(tmp_path):
    sent = tmp_path / "function"
    sent.write_bytes(cloudpickle.dumps(in_workers("lakehouse.ingest.read.encoding", "as_text")))
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)

    said = subprocess.run(
        [sys.executable, worker, str(Path(__file__).parents[3]), sent],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.split() == ["one", "two", "_Travelled"]
