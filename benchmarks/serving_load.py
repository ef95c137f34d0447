"""The service under a steady load: what is answered, how fast, and its memory; see `benchmarks.serving`."""

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

JSON = {"content-type": "application/json"}


@contextmanager
def _synced(folder: Path) -> Generator[list[float]]:
    """Writes and syncs a file of its own twice a second: what no service on this disk can be faster than.

    Yields:
        the longest time so far, in milliseconds.
    """
    longest, done = [0.0], threading.Event()
    with (folder / "synced").open("w+b") as file:
        file.write(bytes(4096))

        def sync() -> None:
            while not done.wait(0.5):
                started = time.perf_counter()
                os.pwrite(file.fileno(), b"x", 0)
                os.fdatasync(file.fileno())
                longest[0] = max(longest[0], (time.perf_counter() - started) * 1000)

        thread = threading.Thread(target=sync)
        thread.start()
        try:
            yield longest
        finally:
            done.set()
            thread.join()


async def load(
    made: Any, path: str, keys: list[str], pid: int, minutes: float, folder: Path, rate: float
) -> None:
    """Requests of one row at a pace, by keys at random; halfway a new champion comes.

    Args:
        folder: on the disk of the journal.
        rate: requests a second.
    """
    process = psutil.Process(pid)
    body = json.dumps({"entities": [{"flight_id": keys[0]}]}).encode()
    seconds = minutes * 60
    statuses: dict[tuple[str, str], int] = {}
    memory: list[float] = []
    slow: list[float] = []
    phase = "quiet"
    draw = random.Random(1)  # noqa: S311 - which flight is asked for
    # More connections than requests that are taken at once: an overload is answered, and does not wait here.
    limits = httpx.Limits(max_connections=512)
    # The service's queue is bounded; what it answers in time with 429 is counted as such.
    with _synced(folder) as longest_sync:
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:

            async def one() -> None:
                asked = {"entities": [{"flight_id": draw.choice(keys)}]}
                sent, during = time.perf_counter(), phase
                try:
                    said = str((await client.post(path, json=asked)).status_code)
                except httpx.HTTPError as error:
                    said = type(error).__name__
                if during == "quiet":
                    slow.append((time.perf_counter() - sent) * 1000)
                key = (during, said)
                statuses[key] = statuses.get(key, 0) + 1

            started, tasks, number = time.perf_counter(), set[asyncio.Task[None]](), 0
            promoted = False
            registering: asyncio.Future[Any] | None = None
            while (at := time.perf_counter() - started) < seconds:
                if not promoted and at > seconds / 2:
                    promoted, phase = True, "new champion"
                    registering = asyncio.get_running_loop().run_in_executor(None, _promote, made)
                if phase == "new champion" and registering is not None and registering.done():
                    phase = "quiet"
                if number % max(1, int(rate)) == 0:
                    memory.append(process.memory_info().rss / 2**20)
                tasks.add(task := asyncio.create_task(one()))
                task.add_done_callback(tasks.discard)
                number += 1
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            await asyncio.gather(*tasks)
            version = (await client.post(path, content=body, headers=JSON)).json()["predictions"][0][
                "model_version"
            ]
    quarter = max(1, len(memory) // 4)
    print(f"load: {number} requests, {rate:.0f}/s, {minutes:g} minutes; at last version {version}")
    for (during, status), count in sorted(statuses.items()):
        print(f"  {during:<14} {status}: {count}")
    print(
        f"  quiet p50 {np.quantile(slow, 0.5):.2f} ms, p99 {np.quantile(slow, 0.99):.2f} ms, "
        f"longest {max(slow):.0f} ms; longest sync of another file on this disk {longest_sync[0]:.0f} ms"
    )
    print(
        f"  memory MiB: second quarter {np.mean(memory[quarter : 2 * quarter]):.0f}, "
        f"last quarter {np.mean(memory[-quarter:]):.0f}, peak {max(memory):.0f}"
    )


def _promote(made: Any) -> None:
    from ml.tracking.registry import promote

    promote(made.spec.registered_model, made.register(2))
