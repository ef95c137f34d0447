"""Where the front listens, and the link that lets a browser in."""

import secrets
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from commands.ui.guard import Rules
from lakehouse.settings import settings


@dataclass(frozen=True)
class Place:
    """A port that is listened on, and the token that opens what is behind it."""

    socket: socket.socket
    token: str = field(repr=False)

    @property
    def port(self) -> int:
        """The port."""
        return int(self.socket.getsockname()[1])

    @property
    def rules(self) -> Rules:
        """Whom to let in."""
        hosts = [name.strip().lower() for name in settings().ui_hosts.split(",")]
        # Browsers send a cookie to all ports of a host: each has a name of its own.
        return Rules(self.token, f"lakehouse_{self.port}", frozenset(filter(None, hosts)))

    def link(self, path: str) -> str:
        """A page's address with the token in it."""
        return f"http://127.0.0.1:{self.port}{path}?token={self.token}"


@contextmanager
def listening(say: Callable[[str], None]) -> Generator[Place]:
    """Listen on the port of the settings, or on another one where it is taken.

    Args:
        say: told that another one was taken, and who has the first.
    """
    config = settings()
    family = socket.AF_INET6 if ":" in config.ui_address else socket.AF_INET
    with socket.socket(family) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((config.ui_address, config.ui_port))
        except OSError:
            found.bind((config.ui_address, 0))
            say(
                f"port {config.ui_port} is taken{holder(config.ui_port)}: listening on "
                f"{found.getsockname()[1]}; LAKEHOUSE_UI_PORT chooses another one"
            )
        found.listen(128)
        yield Place(found, config.ui_token or secrets.token_urlsafe(24))


def holder(port: int) -> str:
    """Who has a port, for people; nothing where that cannot be seen."""
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
            continue
        _, listens_on = connection.laddr
        if listens_on == port:
            return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
