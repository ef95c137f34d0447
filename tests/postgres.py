"""A real PostgreSQL for tests: Debian's, as an unprivileged user, on loopback, with a generated password."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/15/bin"))
# Whoever runs the tests; root cannot run the server, and Debian's package has a user for it.
_SERVER_USER = "postgres"


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Args:
        folder: of its data and log.
    """

    folder: Path
    port: int
    user: str
    password: str

    def url(self, database: str = "postgres") -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    def run(self, sql: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements, committed together; returns the last one's rows."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def start(self) -> None:
        self._control("start", "-w", "-l", str(self.folder / "server.log"), "-o", self._options)

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-w", "-m", mode)

    @property
    def _options(self) -> str:
        return f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' -c fsync=off"

    def _control(self, *arguments: str) -> None:
        run_as_server([str(BIN / "pg_ctl"), "-D", str(self.folder / "data"), *arguments], self.folder)


def run_as_server(command: Sequence[str], folder: Path) -> None:
    """Run a command as the server's user, where this one is root."""
    as_user = ["setpriv", f"--reuid={_SERVER_USER}", f"--regid={_SERVER_USER}", "--clear-groups"]
    # Its output is not a pipe: the server would hold it open.
    with (folder / "control.log").open("ab") as log:
        done = subprocess.run(
            [*(as_user if os.geteuid() == 0 else []), *command],
            cwd=folder,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(folder / 'control.log').read_text()}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests; each makes tables or a database of its own."""
    if not (BIN / "initdb").is_file():
        pytest.fail("PostgreSQL is not installed: run scripts/install-servers.sh")
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-postgres-"))
    if os.geteuid() == 0:
        account = pwd.getpwnam(_SERVER_USER)
        os.chown(folder, account.pw_uid, account.pw_gid)
    server = Postgres(folder, _free_port(), "loader", secrets.token_urlsafe(16))
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(server.password)
    shutil.chown(password, *(2 * [_SERVER_USER] if os.geteuid() == 0 else [os.geteuid(), os.getegid()]))
    try:
        run_as_server(
            [
                *(str(BIN / "initdb"), "-D", str(folder / "data"), "--encoding=UTF8", "--locale=C.UTF-8"),
                *("--username=loader", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"),
            ],
            folder,
        )
        password.unlink()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
