"""The life of `lakehouse dev`: servers started in order, the front before them, all of it ended together."""

import asyncio
import signal
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from commands.ui.address import Place
from commands.ui.front import front
from commands.ui.processes import Supervised, stop
from commands.ui.servers import Servers
from expectations.pages import site_dir
from lakehouse.dbt.docs import docs_page


@dataclass(frozen=True)
class Ui:
    """What is served.

    Args:
        first_page: makes the first page.
        say: told what people should know.
        ready: called once everything is up.
    """

    place: Place
    first_page: Callable[[], str]
    say: Callable[[str], None]
    ready: Callable[[], None]


class _Front(uvicorn.Server):
    """Signals are ours: they end the servers behind it as well."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def run(ui: Ui, environment: Mapping[str, str]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        environment: all variables of the servers.

    Raises:
        LakehouseError: a server ended before it was up.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    # A folder that only its owner may enter; a warehouse's path may be too long for a socket's.
    with tempfile.TemporaryDirectory(prefix="lakehouse-ui-") as folder:
        servers = Servers(Path(folder))
        servers.prepare()
        running: list[Supervised] = []
        server = _front(ui, servers)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(stopping.wait()),
            asyncio.create_task(server.serve([ui.place.socket])),
            asyncio.create_task(_start(servers, running, environment, ui)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                # What failed says so here.
                task.result()
        finally:
            ui.say("stopping …")
            server.should_exit = True
            await stop(running)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _front(ui: Ui, servers: Servers) -> uvicorn.Server:
    app = front(ui.place.rules, ui.first_page, servers.dagster, servers.mlflow, site_dir(), docs_page())
    return _Front(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))


async def _start(servers: Servers, running: list[Supervised], environment: Mapping[str, str], ui: Ui) -> None:
    """Start all servers; returns when one of them cannot be kept going, with its error."""
    for programs in (servers.first(), servers.second()):
        started = [Supervised(program, environment, ui.say) for program in programs]
        running += started
        for each in started:
            ui.say(f"{each.program.name} …")
            each.start()
        await asyncio.gather(*(each.first_start() for each in started if each.program.ready is not None))
    ui.ready()
    await asyncio.gather(*(each.task for each in running if each.task is not None))
