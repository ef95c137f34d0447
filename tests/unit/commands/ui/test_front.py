"""The front before two servers on Unix sockets: what is handed on both ways, and what is kept back."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from commands.ui.front import FirstPage, front
from commands.ui.guard import Rules
from commands.ui.html import POLICY
from commands.ui.proxy import FILES, PAGES
from lakehouse.engine.ports import free_port
from lakehouse.errors import LakehouseError

TOKEN = "a-token-of-this-start-0123"


async def _echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        },
        headers={"X-Own": "kept"},
    )


async def _parts(_: Request) -> Response:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    return StreamingResponse(content())


async def _page(_: Request) -> Response:
    return HTMLResponse("<script src='https://elsewhere.example/a.js'></script>")


async def _shout(socket: WebSocket) -> None:
    await socket.accept(subprotocol="graphql-ws")
    async for said in socket.iter_text():
        await socket.send_text(said.upper())


def _upstream() -> Starlette:
    return Starlette(
        routes=[
            Route("/mlflow/page", _page),
            Route("/mlflow/get-artifact", _page),
            Route("/dagster/parts", _parts),
            WebSocketRoute("/dagster/graphql", _shout),
            Route("/{path:path}", _echo, methods=["GET", "POST", "DELETE"]),
        ]
    )


class _Server(uvicorn.Server):
    def __init__(self, app: Any, **where: Any) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", lifespan="off", **where))
        self.is_up = asyncio.Event()

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The front's address; MLflow's and Dagster's stand-in is one server on two sockets."""
    port = free_port()
    (folder / "data_docs").mkdir()
    (folder / "data_docs" / "index.html").write_text("<script>alert(1)</script>")
    (folder / "dbt.html").write_text("dbt's page")
    app = front(
        Rules(TOKEN, "lakehouse"),
        lambda: "<p>the first page</p>",
        folder / "up.sock",
        folder / "up.sock",
        folder / "data_docs",
        folder / "dbt.html",
    )
    servers = [_Server(_upstream(), uds=str(folder / "up.sock")), _Server(app, port=port)]
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    for server in servers:
        await server.is_up.wait()
    yield f"http://127.0.0.1:{port}"
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


def asked(use: Callable[[httpx.AsyncClient, str], Coroutine[Any, Any, None]]) -> None:
    """Ask the front as a browser that was let in."""

    async def run() -> None:
        # A socket's path has 107 bytes at most.
        with tempfile.TemporaryDirectory(prefix="front-") as folder:
            async with served(Path(folder)) as address, httpx.AsyncClient(base_url=address) as client:
                entered = await client.get(f"/?token={TOKEN}")
                assert entered.status_code == 303
                await use(client, address)

    asyncio.run(run())


def test_what_is_asked_is_handed_on_as_it_is() -> None:
    async def use(client: httpx.AsyncClient, address: str) -> None:
        own = {"Origin": address, "Authorization": "Bearer of something else", "X-Mine": "1"}
        answer = await client.post("/dagster/a%2Fb?x=1&x=%20", content=b"body", headers=own)
        told = answer.json()
        assert (told["method"], told["path"], told["query"]) == ("POST", "/dagster/a%2Fb", "x=1&x=%20")
        assert told["body"] == "body"
        assert told["headers"]["x-mine"] == "1"
        assert answer.headers["x-own"] == "kept"
        # The token is the front's alone.
        assert not {"cookie", "authorization", "origin"} & told["headers"].keys()

    asked(use)


def test_large_answers_come_whole() -> None:
    async def use(client: httpx.AsyncClient, _: str) -> None:
        assert len((await client.get("/dagster/parts")).content) == 64 * 65_536

    asked(use)


def test_pages_load_nothing_from_elsewhere_and_stored_files_run_nothing() -> None:
    async def use(client: httpx.AsyncClient, _: str) -> None:
        async def policy(path: str) -> str:
            return (await client.get(path)).headers["content-security-policy"]

        assert await policy("/mlflow/page") == PAGES
        assert await policy("/mlflow/get-artifact?path=a.html") == FILES
        assert await policy("/data_docs/index.html") == POLICY
        assert await policy("/") == POLICY
        assert "default-src 'self'" in PAGES and "script" not in POLICY and "sandbox" in FILES

    asked(use)


def test_a_connection_stays_and_one_of_another_origin_does_not_begin() -> None:
    async def use(client: httpx.AsyncClient, address: str) -> None:
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
        socket = address.replace("http", "ws") + "/dagster/graphql"
        spoken = [Subprotocol("graphql-ws")]
        async with connect(
            socket,
            subprotocols=spoken,
            origin=address,
            additional_headers=cookie,  # type: ignore[arg-type]
        ) as connection:
            assert connection.subprotocol == "graphql-ws"
            await connection.send("hello")
            assert await connection.recv() == "HELLO"
        with pytest.raises(websockets.InvalidStatus, match="403"):
            async with connect(socket, origin="http://evil.example", additional_headers=cookie):  # type: ignore[arg-type]
                pass

    asked(use)


def test_a_server_that_is_away_is_said_to_be() -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="front-") as folder:
            gone = Path(folder) / "gone.sock"
            app = front(Rules(TOKEN, "l"), str, gone, gone, Path(folder) / "docs", Path(folder) / "dbt.html")
            transport = httpx.ASGITransport(app)
            own = {"Authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=own
            ) as client:
                answer = await client.get("/dagster/runs")
                assert answer.status_code == 503 and "is not there yet" in answer.text
                assert (await client.get("/dbt_docs/")).status_code == 503
                assert (await client.get("/nothing")).status_code == 404

    asyncio.run(run())


def test_the_first_page_leads_on_where_how_things_stand_cannot_be_read() -> None:
    def unread() -> str:
        raise LakehouseError("sc://lake did not answer within 60 s", "is it up?")

    answer = asyncio.run(FirstPage(unread).answer(Request({"type": "http"})))
    said = bytes(answer.body).decode()
    assert answer.status_code == 503
    assert "sc://lake did not answer within 60 s" in said and "is it up?" in said
    assert 'href="/dagster/asset-groups"' in said
