"""A server that does not answer is said so, and keeps no process from ending."""

import os
import subprocess
import sys
import time

from lakehouse.engine.ports import free_port

_DEADLINE_SECONDS = 2
# PySpark tries for ten minutes.
_MOST_SECONDS = 60


def test_a_process_ends_though_its_server_never_answered() -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from lakehouse.engine.session import spark_session; spark_session()"],
        env={
            **os.environ,
            "SPARK_REMOTE": f"sc://localhost:{free_port()}",
            "LAKEHOUSE_CONNECT_TIMEOUT_SECONDS": str(_DEADLINE_SECONDS),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
    assert f"did not answer within {_DEADLINE_SECONDS} s" in done.stderr
    assert time.monotonic() - started < _MOST_SECONDS
