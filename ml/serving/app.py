"""The HTTP service: requests in, scores out. The modules beside this one score and log."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from lakehouse.online.store import OnlineStore
from ml.serving import openapi
from ml.serving.answers import Job
from ml.serving.features import Features
from ml.serving.guard import IS_KNOWN, Application, Guard
from ml.serving.journal import Journal, size_of
from ml.serving.metrics import Metrics
from ml.serving.models import InService, Loaded, Models
from ml.serving.refusal import Refusal, overloaded
from ml.serving.registry import Registry
from ml.serving.rows import Row
from ml.serving.schema import Served
from ml.serving.scorer import Scorer
from ml.tracking.names import CHALLENGER, CHAMPION

_PAGE = Path(__file__).parent / "page"
_KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
_BODY_SECONDS = 10.0
# Longer than the store, the scorer's queue and the disk take together; past it something hangs.
_ANSWER_SECONDS = 60.0
# Rows that may wait, in requests of the largest size.
_LARGEST_WAITING = 4


@dataclass(frozen=True)
class Limits:
    """What is taken; fields as in the settings."""

    max_rows: int
    max_body_bytes: int
    max_in_flight: int
    requests_per_second: float


@dataclass(frozen=True)
class Service:
    """What a service is made of.

    Args:
        open_store: makes a connection to the online store.
        hosts, token: see `Guard`.
        canary: the share of entities that the challenger answers.
        shadow: whether the challenger scores the others, unheard.
    """

    specs: Sequence[Served]
    registry: Registry
    open_store: Callable[[], OnlineStore]
    journal: Journal
    limits: Limits
    hosts: Sequence[str]
    token: str | None = None
    canary: float = 0.0
    shadow: bool = True


class _Pace:
    """Lets so many requests pass a second, and that many at once after a quiet one."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = max(1.0, per_second)
        self._at = time.monotonic()

    def passes(self) -> bool:
        """Whether one more may; called by one thread."""
        if not self._per_second:
            return True
        now = time.monotonic()
        self._left = min(max(1.0, self._per_second), self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def create_app(service: Service) -> Application:
    """The service as an ASGI application; its threads live from start-up to shut-down."""
    limits, metrics = service.limits, Metrics()
    models = Models(
        service.specs, service.registry, limits.max_rows, with_challenger=service.shadow or service.canary > 0
    )
    features = Features(service.open_store, [each.table for each in service.specs])
    scorer = Scorer(
        features,
        service.journal,
        metrics,
        canary=service.canary,
        shadow=service.shadow,
        max_rows_waiting=_LARGEST_WAITING * limits.max_rows,
    )
    pace, in_flight = _Pace(limits.requests_per_second), 0

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        models.start()
        features.start()
        service.journal.start()
        scorer.start()
        yield
        scorer.close()
        service.journal.close()
        features.close()
        models.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> Response:
        return _json(200, {"status": "alive"})

    @app.get("/ready")
    async def ready(request: Request) -> Response:
        in_service = {name: _described(models[name]) for name in models.specs}
        lacking = [name for name, found in in_service.items() if found["champion"] is None]
        dead = not (scorer.is_alive and service.journal.is_alive)
        status = f"no champion of {', '.join(lacking)}" if lacking else "ready"
        status = "a thread has died: start the service again" if dead else status
        body = {
            "status": status,
            "models": in_service,
            "problems": models.problems,
            "online_store": {"away": features.away, "releases": features.releases},
        }
        # Beyond a word it is for those who have the token: it names files and hosts.
        told = body if request.scope.get(IS_KNOWN) else {"status": status}
        failed = dead or bool(lacking)
        return _json(503 if failed else 200, told | ({"detail": status} if failed else {}))

    @app.get("/metrics")
    async def counted() -> Response:
        metrics.in_flight.set(in_flight)
        metrics.journal_bytes.set(size_of(service.journal.folder))
        metrics.store_up.set(features.away is None)
        for name in models.specs:
            for alias, loaded in (
                ("champion", models[name].champion),
                ("challenger", models[name].challenger),
            ):
                metrics.versions.labels(name, alias).set(int(loaded.version) if loaded else 0)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/openapi.json")
    async def described() -> Response:
        document = openapi.document(models, installed("lakehouse"), with_token=service.token is not None)
        return _json(200, document)

    @app.get("/docs")
    async def page() -> Response:
        return _file("index.html")

    @app.get("/docs/{name}")
    async def part(name: str) -> Response:
        return (
            _file(name)
            if name in ("page.js", "page.css")
            else _json(404, {"detail": "there is no such page"})
        )

    @app.post("/v1/models/{spec}/predict")
    async def predict(spec: str, request: Request) -> Response:
        nonlocal in_flight
        started = time.monotonic()
        in_flight += 1
        try:
            if not pace.passes():
                raise overloaded(f"more than {limits.requests_per_second:g} requests a second")
            if in_flight > limits.max_in_flight:
                raise overloaded(f"{in_flight - 1} requests are being worked on")
            of, versions = _chosen(models, spec)
            body = await _body(request, limits.max_body_bytes)
            answer = await _scored(scorer, _job(of, versions, body))
            status, headers = 200, {}
        except Refusal as refusal:
            status, answer, headers = refusal.status, refusal.body, refusal.headers
        finally:
            in_flight -= 1
        label = spec if spec in models.specs else "none"
        metrics.requests.labels(label, status).inc()
        metrics.seconds.labels(label).observe(time.monotonic() - started)
        return _json(status, answer, headers)

    return Guard(app, service.hosts, service.token)


def _chosen(models: Models, spec: str) -> tuple[Served, InService]:
    if spec not in models.specs:
        raise Refusal(404, f"there is no model {spec[:100]}; there is {', '.join(models.specs)}")
    versions = models[spec]
    if versions.champion is None:
        why = models.problems.get(spec, "train and promote one")
        raise Refusal(503, f"{spec} has no champion yet: {why}", headers={"retry-after": "10"})
    return models.specs[spec], versions


async def _body(request: Request, max_bytes: int) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        # A form of another site could send anything else without being asked.
        raise Refusal(415, "the body has to be application/json")
    too_large = Refusal(413, f"the body is larger than {max_bytes} bytes", headers={"connection": "close"})
    if int(request.headers.get("content-length", "0")) > max_bytes:
        raise too_large
    found = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                found += chunk
                if len(found) > max_bytes:
                    raise too_large
    except TimeoutError as error:
        raise Refusal(408, f"the body did not come within {_BODY_SECONDS:g} s") from error
    return bytes(found)


def _job(of: Served, versions: InService, body: bytes) -> Job:
    """What is to be scored; who answers is told later.

    Raises:
        Refusal: 422, naming each field that is wrong.
    """
    assert versions.champion is not None  # noqa: S101 - looked at before
    try:
        asked = versions.champion.request.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(422, [_problem(each) for each in error.errors(include_url=False)[:20]]) from error
    if (asked.entities is None) == (asked.features is None):
        what = "give either entities or features"
        raise Refusal(422, [{"loc": ["body"], "msg": what, "type": "one_of"}])
    job = Job(uuid.uuid4().hex, of, versions)
    if asked.entities is not None:
        job.keys = [dict(entity.__dict__) for entity in asked.entities]
    else:
        job.rows = [Row(dict(given.__dict__)) for given in asked.features or ()]
    return job


def _problem(error: Any) -> dict[str, Any]:
    return {"loc": ["body", *error["loc"]], "msg": error["msg"], "type": error["type"]}


async def _scored(scorer: Scorer, job: Job) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[dict[str, Any] | Refusal] = loop.create_future()

    def deliver(answer: dict[str, Any] | Refusal) -> None:
        # A client that went away has cancelled it.
        if not answered.done():
            answered.set_result(answer)

    def reply(answer: dict[str, Any] | Refusal) -> None:
        loop.call_soon_threadsafe(deliver, answer)

    job.reply = reply
    scorer.submit(job)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await answered
    except TimeoutError as error:
        raise Refusal(
            503, f"no answer within {_ANSWER_SECONDS:g} s", headers={"retry-after": "10"}
        ) from error
    if isinstance(answer, Refusal):
        raise answer
    return answer


def _by_alias(versions: InService) -> tuple[tuple[str, Loaded | None], ...]:
    return (CHAMPION, versions.champion), (CHALLENGER, versions.challenger)


def _described(versions: InService) -> dict[str, Any]:
    return {
        alias: None if loaded is None else {"version": loaded.version, "blocks": loaded.blocks}
        for alias, loaded in _by_alias(versions)
    }


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _file(name: str) -> Response:
    path = _PAGE / name
    return Response(path.read_bytes(), media_type=_KINDS[path.suffix])
