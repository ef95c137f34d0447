"""A real Redis for tests: Debian's, on loopback, with a generated password, and nothing kept on disk."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from lakehouse.engine.ports import free_port
from lakehouse.process import dying_with_us

_START_SECONDS = 20


@dataclass
class RedisServer:
    """A server that can be stopped, frozen and started again.

    Args:
        folder: of its configuration and log.
    """

    folder: Path
    port: int
    password: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        return redis.Redis.from_url(self.address, socket_timeout=5)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\ndir {self.folder}\n'
            f"logfile {self.folder / 'server.log'}\n"
        )
        self._process = subprocess.Popen(dying_with_us(["redis-server", str(configuration)]))
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client().ping()
            except redis.RedisError:
                assert self._process.poll() is None and time.monotonic() < until, self._log()
                time.sleep(0.05)
            else:
                return

    def _log(self) -> str:
        log = self.folder / "server.log"
        return log.read_text() if log.exists() else "it wrote no log"

    def kill(self) -> None:
        """End it at once, with all that it holds."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It keeps its connections, and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server for all tests; each has a warehouse id of its own, or tables."""
    if shutil.which("redis-server") is None:
        pytest.fail("Redis is not installed: run scripts/install-servers.sh")
    server = RedisServer(
        Path(tempfile.mkdtemp(prefix="lakehouse-redis-")), free_port(), secrets.token_urlsafe(16)
    )
    try:
        server.start()
        yield server
        server.kill()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def own_redis(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, which it may end."""
    server = RedisServer(tmp_path, free_port(), redis_server.password)
    server.start()
    yield server
    server.thaw()
    server.kill()
