"""What an online score costs: `lakehouse serve`, a FastAPI echo, and `mlflow models serve`, in one run.

`python -m benchmarks.serving` makes a model of the demo's size (146 numbers, 7 categories) of random weights.
All get the same rows by value; `lakehouse serve`, on the echo's one core, by key as well. `--minutes N` then
loads it at half of what it can do, while a new champion comes, and reads its memory.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.serving_load import JSON, load

ECHO = """
import os, sys, uvicorn
os.sched_setaffinity(0, {int(sys.argv[2])})
from fastapi import FastAPI, Request, Response
app = FastAPI()
@app.post("/")
async def echo(request: Request):
    return Response(await request.body(), media_type="application/json")
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
"""
SERVE = """
import json, os, sys
os.sched_setaffinity(0, {int(sys.argv[2])})
from lakehouse.dbt.manifest import DbtModels
from ml.serving.server import Options, serve
from ml.spec import Spec
made = json.load(open(sys.argv[1]))
serve([Spec.model_validate(made["spec"])], DbtModels(made["manifest"]), Options(port=int(sys.argv[3])),
      lambda address: print(address, flush=True))
"""
_WARM_UP = 200


@dataclass(frozen=True)
class Timed:
    """Milliseconds of requests, and how many were not answered 200."""

    milliseconds: np.ndarray[Any, np.dtype[np.float64]]
    seconds: float
    failed: int
    cpu_seconds: float = 0.0

    def row(self, name: str, rows: int) -> str:
        p50, p99 = np.quantile(self.milliseconds, (0.5, 0.99))
        rate = len(self.milliseconds) / self.seconds
        cpu = self.cpu_seconds * 1000 / len(self.milliseconds)
        failed = f"  {self.failed} failed" if self.failed else ""
        return f"{name:<34} {rows:>5} {p50:>9.2f} {p99:>9.2f} {rate:>9.0f} {cpu:>9.2f}{failed}"


async def paced(address: str, body: bytes, per_second: float, seconds: float) -> Timed:
    """Requests at a steady pace, however long each takes; the time begins when each was due."""
    found: list[float] = []
    failed = 0
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=64)) as client:

        async def one(due: float) -> None:
            nonlocal failed
            answer = await client.post(address, content=body, headers=JSON)
            found.append((time.perf_counter() - due) * 1000)
            failed += answer.status_code != 200

        # What is loaded or opened once is no part of it.
        for _ in range(_WARM_UP):
            await client.post(address, content=body, headers=JSON)
        started, tasks = time.perf_counter(), []
        for number in range(int(per_second * seconds)):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
    return Timed(np.array(found), time.perf_counter() - started, failed)


async def closed(address: str, body: bytes, clients: int, seconds: float) -> Timed:
    """So many clients, each of which sends its next request when it has an answer."""
    found: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=64)) as client:

        async def send() -> None:
            nonlocal failed
            while time.perf_counter() < end:
                started = time.perf_counter()
                answer = await client.post(address, content=body, headers=JSON)
                found.append((time.perf_counter() - started) * 1000)
                failed += answer.status_code != 200

        started = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(clients)))
    return Timed(np.array(found), time.perf_counter() - started, failed)


@contextmanager
def server(command: list[str], health: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, once it answers."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        end = time.monotonic() + 180
        while True:
            assert process.poll() is None and time.monotonic() < end, f"{command[:3]} did not start"
            try:
                if httpx.get(health, timeout=2).status_code < 500:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def made_model(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """A registered model of the demo's size, and rows in the online store; what a client sends by value."""
    import pyarrow as pa

    from ml.encoding.encode import Cross, Encoding
    from ml.model.network import Shape
    from tests.integration.ml.serving import light

    random_numbers = np.random.default_rng(0)
    names = [f"n{number:03d}" for number in range(146)]
    sizes = {"c0": 3, "c1": 16, "c2": 100, "c3": 700, "c4": 7, "c5": 12, "c6": 40}
    encoding = Encoding(
        {
            name: tuple(map(float, np.unique((random_numbers.normal(size=13) * 10).astype(np.float32))))
            for name in names
        },
        {name: tuple(sorted(f"v{each}" for each in range(size))) for name, size in sizes.items()},
        (Cross("c0", "c1", tuple(range(0, 40, 3))), Cross("c1", "c2", tuple(range(0, 900, 7)))),
    )
    rows = pa.table(
        {name: light.feature_rows(1000)[name] for name in ("flight_id", "flight_date", "predict_at")}
        | {name: random_numbers.normal(size=1000) * 10 for name in names}
        | {name: [f"v{each % size}" for each in range(1000)] for name, size in sizes.items()}
    )
    made = light.light(folder, encoding, Shape((96, 48), 2, 6, 0.3, 0.15), rows)
    made.register(1)
    return made, rows.select(list(encoding.features)).to_pylist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--minutes", type=float, default=0, help="of the load run; 0: none")
    parser.add_argument("--no-mlflow", action="store_true", help="leave `mlflow models serve` out")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-serving-"))
    os.environ["LAKEHOUSE_WAREHOUSE"] = str(folder)
    try:
        _measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    from lakehouse.engine.ports import free_port
    from lakehouse.settings import settings

    made, rows = made_model(settings().online_dir)
    (folder / "made.json").write_text(
        json.dumps({"spec": made.spec.model_dump(mode="json"), "manifest": made.models.manifest})
    )
    core = sorted(os.sched_getaffinity(0))[-1]
    echo_port, mlflow_port, port = free_port(), free_port(), free_port()
    keys = [f"f{row:04d}" for row in range(1000)]
    path = f"http://127.0.0.1:{port}/v1/models/{made.spec.name}/predict"
    by_key = {
        size: json.dumps({"entities": [{"flight_id": key} for key in keys[:size]]}) for size in (1, 100)
    }
    by_value = {size: json.dumps({"features": rows[:size]}) for size in (1, 100)}
    records = {size: json.dumps({"dataframe_records": rows[:size]}) for size in (1, 100)}
    print(f"{'server':<34} {'rows':>5} {'p50 ms':>9} {'p99 ms':>9} {'per s':>9} {'CPU ms':>9}")

    started = time.monotonic()
    ours = [sys.executable, "-c", SERVE, str(folder / "made.json"), str(core), str(port)]
    with server(ours, f"http://127.0.0.1:{port}/ready") as process:
        start_seconds = time.monotonic() - started
        for name, bodies in (("lakehouse serve, by key", by_key), ("lakehouse serve, by value", by_value)):
            _print(process, f"{name}, 100/s", 1, paced(path, bodies[1].encode(), 100, options.seconds))
            _print(process, f"{name}, 8 clients", 1, closed(path, bodies[1].encode(), 8, options.seconds))
            _print(process, f"{name}, 1 client", 100, closed(path, bodies[100].encode(), 1, options.seconds))
        print(f"start until ready: {start_seconds:.1f} s")
        if options.minutes:
            rate = len(asyncio.run(closed(path, by_key[1].encode(), 8, 5)).milliseconds) / 5 / 2
            asyncio.run(load(made, path, keys, process.pid, options.minutes, folder, rate))
    with server(
        [sys.executable, "-c", ECHO, str(echo_port), str(core)], f"http://127.0.0.1:{echo_port}/"
    ) as process:
        address = f"http://127.0.0.1:{echo_port}/"
        _print(
            process, "bare FastAPI echo, 100/s", 1, paced(address, by_value[1].encode(), 100, options.seconds)
        )
        _print(
            process,
            "bare FastAPI echo, 8 clients",
            1,
            closed(address, by_value[1].encode(), 8, options.seconds),
        )
        _print(
            process,
            "bare FastAPI echo, 1 client",
            100,
            closed(address, by_value[100].encode(), 1, options.seconds),
        )
    if options.no_mlflow:
        return
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", f"models:/{made.spec.registered_model}/1", "-p", str(mlflow_port), "-h", "127.0.0.1"]
    tracking = f"sqlite:///{settings().mlflow_dir / 'mlflow.db'}"
    started = time.monotonic()
    with server(command, f"http://127.0.0.1:{mlflow_port}/ping", MLFLOW_TRACKING_URI=tracking) as process:
        print(f"mlflow models serve: start until ready {time.monotonic() - started:.1f} s")
        address = f"http://127.0.0.1:{mlflow_port}/invocations"
        _print(
            process,
            "mlflow models serve, 1 client",
            1,
            closed(address, records[1].encode(), 1, options.seconds),
        )
        _print(
            process,
            "mlflow models serve, 8 clients",
            1,
            closed(address, records[1].encode(), 8, options.seconds),
        )
        _print(
            process,
            "mlflow models serve, 1 client",
            100,
            closed(address, records[100].encode(), 1, options.seconds),
        )


def _print(process: subprocess.Popen[bytes], name: str, rows: int, work: Any) -> None:
    before = _cpu(process.pid)
    timed = asyncio.run(work)
    print(replace(timed, cpu_seconds=_cpu(process.pid) - before).row(name, rows), flush=True)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a server and its children took: what else the machine does is not in them."""
    parent = psutil.Process(pid)
    times = [each.cpu_times() for each in (parent, *parent.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()
