"""The front: one application before all servers, with the first page and the pages that are files."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from commands.ui.guard import HEALTH, Guard, Rules
from commands.ui.html import POLICY, document, link
from commands.ui.page import unread
from commands.ui.proxy import PAGES, Upstream
from lakehouse.addresses import DAGSTER, DATA_DOCS, DBT_DOCS, MLFLOW
from lakehouse.errors import LakehouseError

# Many windows that look again and again cost what one does.
_FRESH_SECONDS = 5.0


class _Pages(StaticFiles):
    """Files of a folder, in which no script runs."""

    def file_response(self, *args: object, **options: object) -> Response:
        """A file, with its policy."""
        answer = super().file_response(*args, **options)  # pyright: ignore[reportArgumentType]
        answer.headers["Content-Security-Policy"] = POLICY
        return answer


class FirstPage:
    """The first page, made anew when it is older than some seconds.

    Args:
        make: makes it, in another thread.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make, self._made_at, self._made = make, 0.0, ""

    async def answer(self, _: Request) -> Response:
        """The page, fresh enough."""
        if not self._made or time.monotonic() - self._made_at > _FRESH_SECONDS:
            try:
                self._made = await run_in_threadpool(self._make)
            except LakehouseError as error:
                return self._page(unread(error), 503)
            self._made_at = time.monotonic()
        return self._page(self._made)

    def _page(self, content: str, status: int = 200) -> Response:
        return HTMLResponse(
            content, status, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        )


def front(
    rules: Rules,
    first_page: Callable[[], str],
    dagster: Path,
    mlflow: Path,
    data_docs: Path,
    dbt_docs: Path,
) -> ASGIApp:
    """The application.

    Args:
        dagster, mlflow: sockets of these servers.
        data_docs: folder of the pages that say what gates checked.
        dbt_docs: the page of dbt's documentation, which may not be there yet.
    """
    servers = {DAGSTER: Upstream("Dagster", dagster), MLFLOW: Upstream("MLflow", mlflow, has_pages=True)}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        for server in servers.values():
            await server.close()

    async def dbt_page(_: Request) -> Response:
        if dbt_docs.is_file():
            return FileResponse(dbt_docs, headers={"Content-Security-Policy": PAGES})
        return HTMLResponse(document("dbt docs", "<p>dbt writes this page; it looks again.</p>", 2), 503)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def no_page(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        page = document("There is no such page", f"<p>{link('/', 'The first page')} lists what there is.</p>")
        return HTMLResponse(page, status, headers={"Content-Security-Policy": POLICY})

    data_docs.mkdir(parents=True, exist_ok=True)
    app = Starlette(
        lifespan=lifespan,
        exception_handlers={404: no_page},
        routes=[
            Route("/", FirstPage(first_page).answer),
            Route(HEALTH, health),
            Route(f"{DBT_DOCS}/", dbt_page),
            Mount(DATA_DOCS, app=_Pages(directory=data_docs, html=True)),
            *(Mount(path, app=server) for path, server in servers.items()),
        ],
    )
    return Guard(app, rules)
