"""An application on a Unix socket, which says on its output when it listens."""

from typing import Any

import uvicorn


def listens(socket: str) -> str:
    """The line that says so."""
    return f"listens on {socket}"


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(listens(str(self.config.uds)), flush=True)  # noqa: T201


def serve(app: Any, socket: str) -> None:
    """Serve until the process is interrupted.

    Args:
        app: an ASGI application, or `module:name` of one.
        socket: its file; one that a killed server left is replaced.
    """
    _Server(uvicorn.Config(app, uds=socket, log_level="warning")).run()
