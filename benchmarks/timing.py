"""How long things take, side by side."""

import time
from collections.abc import Callable, Sequence


def fastest(work: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """Seconds of each, the fastest of `repeat` rounds of all: what else the machine does hits all alike."""
    seconds = [float("inf")] * len(work)
    for _ in range(repeat):
        for at, each in enumerate(work):
            started = time.perf_counter()
            each()
            seconds[at] = min(seconds[at], time.perf_counter() - started)
    return seconds
