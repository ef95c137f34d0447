"""Dagster's UI on a Unix socket, below a path: `python -m orchestration.webserver SOCKET PATH WORKSPACE`.

`dagster-webserver` listens on a port, where each user of the machine could launch runs.
"""

import sys

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from lakehouse.unix_server import serve

_POLL_MILLISECONDS = 2000


def main(socket: str, path: str, workspace: str) -> None:
    """Serve the instance of DAGSTER_HOME until it is interrupted.

    Args:
        workspace: a file that says where the code's server listens.
    """
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(
            instance, version=__version__, workspace_load_target=WorkspaceFileTarget([workspace])
        ) as context,
    ):
        app = create_app_from_workspace_process_context(context, path, _POLL_MILLISECONDS)
        serve(app, socket)


if __name__ == "__main__":
    main(*sys.argv[1:])
