"""How long things take, side by side."""

import time
from collections.abc import Callable, Sequence


def fastest(
    work: Sequence[Callable[[], object]], repeat: int, before: Callable[[], object] = lambda: None
) -> list[float]:
    """Seconds of each, the fastest of `repeat` rounds of all: what else the machine does hits all alike.

    Args:
        before: called before each, its time not counted: to clear what the one before left behind.
    """
    seconds = [float("inf")] * len(work)
    for _ in range(repeat):
        for at, each in enumerate(work):
            before()
            started = time.perf_counter()
            each()
            seconds[at] = min(seconds[at], time.perf_counter() - started)
    return seconds
