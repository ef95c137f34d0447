"""`lakehouse serve`: what may be listened on, and the process that does."""

import gc
import ipaddress
import os
import secrets
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from pydantic import SecretStr

from lakehouse.dbt.manifest import DbtModels
from lakehouse.errors import LakehouseError
from lakehouse.online.store import open_store
from lakehouse.settings import settings
from ml.serving.app import Limits, Service, create_app
from ml.serving.journal import Journal
from ml.serving.registry import open_registry
from ml.serving.schema import served
from ml.spec import Spec

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SHORTEST_TOKEN = 16
_MAKE_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe())'"  # noqa: S105 - how to make one
_SEGMENT_BYTES = 16 * 2**20
# Half a millisecond: the thread that scores gives way to the one that reads requests.
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class Options:
    """Where and how to serve.

    Args:
        host, port: what is listened on; port 0 takes a free one.
        hosts: names by which requests may call the service, beside loopback's and `host`.
        token_file: holds the token; None: the setting's, if there is one.
        canary: the share of entities that the challenger answers.
        shadow: whether the challenger scores the others, unheard.
    """

    host: str = "127.0.0.1"
    port: int = 0
    hosts: tuple[str, ...] = ()
    token_file: Path | None = None
    canary: float = 0.0
    shadow: bool = True


def serve(
    specs: Sequence[Spec], models: DbtModels, options: Options, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that have begun are answered first.

    Args:
        ready: is told the address once requests are answered.

    Raises:
        LakehouseError: the port is taken, or others could reach the service without a token.
    """
    token = read_token(options.token_file, settings().serving_token)
    # Children have no use for it.
    os.environ.pop("LAKEHOUSE_SERVING_TOKEN", None)
    hosts = allowed_hosts(options, token)
    listening = _listen(options.host, options.port)
    config = settings()
    journal = Journal(
        config.serving_dir / "journal",
        secrets.token_hex(8),
        segment_bytes=_SEGMENT_BYTES,
        segment_seconds=config.serving_segment_seconds,
        max_bytes=config.serving_journal_mb * 2**20,
    )
    limits = Limits(
        max_rows=config.serving_max_rows,
        max_body_bytes=config.serving_max_body_kb * 1024,
        max_in_flight=config.serving_max_in_flight,
        requests_per_second=config.serving_requests_per_second,
    )
    service = Service(
        specs=[served(spec, models) for spec in specs],
        registry=open_registry(),
        open_store=open_store,
        journal=journal,
        limits=limits,
        hosts=hosts,
        token=token,
        canary=options.canary,
        shadow=options.shadow,
    )
    sys.setswitchinterval(_SWITCH_SECONDS)
    name = f"[{options.host}]" if ":" in options.host else options.host
    server = _Server(
        uvicorn.Config(
            create_app(service),
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=20,
            limit_concurrency=16 * limits.max_in_flight,
        ),
        lambda: ready(f"http://{name}:{listening.getsockname()[1]}"),
    )
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; from then on the garbage collector looks only at what comes after."""
        await super().startup(sockets)
        if self.started:
            gc.freeze()
            gc.enable()
            self._ready()


def _listen(host: str, port: int) -> socket.socket:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(kind, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise LakehouseError(
            f"port {port} of {host} cannot be listened on: {error.strerror}",
            "another service may have it; LAKEHOUSE_SERVING_PORT or --port names another one",
        ) from error
    return listening


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def allowed_hosts(options: Options, token: str | None) -> tuple[str, ...]:
    """The names by which requests may call the service.

    Raises:
        LakehouseError: others can reach it, and there is no token, or no name to call it by.
    """
    named = tuple(name.lower() for name in options.hosts)
    if is_loopback(options.host):
        return (*_LOOPBACK, *named)
    if token is None:
        raise LakehouseError(
            f"others can reach {options.host}: the service does not start there without a token",
            f"give one by --token-file FILE or LAKEHOUSE_SERVING_TOKEN; {_MAKE_TOKEN} makes one",
        )
    address = f"[{options.host}]" if ":" in options.host else options.host.lower()
    if options.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        named = (*named, address)
    elif not named:
        raise LakehouseError(
            f"{options.host} is not a name that a request can call",
            "--allow-host NAME for each name or address by which clients call the service",
        )
    return (*_LOOPBACK, *named)


def read_token(file: Path | None, setting: SecretStr | None) -> str | None:
    """The token of a file, or else of the setting; None where neither is given.

    Raises:
        LakehouseError: the file cannot be read, others may read it, or the token is too short.
    """
    if file is not None:
        found = _read_private(file)
    else:
        found = None if setting is None else setting.get_secret_value()
    if found is not None and (len(found) < _SHORTEST_TOKEN or not found.isascii() or not found.isprintable()):
        raise LakehouseError(
            f"the token is not {_SHORTEST_TOKEN} or more letters of ASCII",
            f"{_MAKE_TOKEN} makes one",
        )
    return found


def _read_private(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            raise LakehouseError(f"others may read the token in {path}", f"chmod 600 {path}")
        return path.read_text().strip()
    except OSError as error:
        raise LakehouseError(f"the token's file {path} cannot be read: {error.strerror}") from error
