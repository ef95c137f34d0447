"""How long things take, side by side."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def fastest(work: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """Seconds of each, the fastest of `repeat` rounds of all: what else the machine does hits all alike."""
    seconds = [float("inf")] * len(work)
    for _ in range(repeat):
        for at, each in enumerate(work):
            seconds[at] = min(seconds[at], _seconds(each))
    return seconds


def fastest_alone(work: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """The same, each time in a process of its own: as something finds memory that is done once.

    Starting the process and its imports are not counted.

    Args:
        work: functions of modules, or partials of these.
    """
    seconds = [float("inf")] * len(work)
    start = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=start, max_tasks_per_child=1) as processes:
        for _ in range(repeat):
            for at, each in enumerate(work):
                seconds[at] = min(seconds[at], processes.submit(_seconds, each).result())
    return seconds


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
