"""The servers behind the front: what each is started by, and where it listens."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from commands.ui.processes import Program
from lakehouse.addresses import DAGSTER, MLFLOW, mlflow_pages
from lakehouse.unix_server import listens
from orchestration import LOCATION, MODULE


@dataclass(frozen=True)
class Servers:
    """The programs behind the front, by what they need.

    Args:
        folder: of their sockets; only its owner may enter it.
    """

    folder: Path

    @property
    def dagster(self) -> Path:
        """The socket of Dagster's UI."""
        return self.folder / "dagster.sock"

    @property
    def mlflow(self) -> Path:
        """The socket of MLflow."""
        return self.folder / "mlflow.sock"

    @property
    def _code(self) -> Path:
        return self.folder / "code.sock"

    @property
    def _workspace(self) -> Path:
        return self.folder / "workspace.yaml"

    def prepare(self) -> None:
        """Write what the others read: where the code's server listens."""
        server = {"grpc_server": {"socket": str(self._code), "location_name": LOCATION}}
        # JSON is YAML.
        self._workspace.write_text(json.dumps({"load_from": [server]}))

    def first(self) -> list[Program]:
        """What has to be up before the others start."""
        return [
            Program(
                "Dagster's code",
                [
                    *(sys.executable, "-m", "dagster", "code-server", "start", "--socket", str(self._code)),
                    *("--module-name", MODULE, "--location-name", LOCATION, "--log-level", "info"),
                ],
                re.compile("Started Dagster code"),
            ),
            # A server of the team's own has its pages already.
            *([self._mlflow_server()] if mlflow_pages() == MLFLOW else []),
        ]

    def _mlflow_server(self) -> Program:
        command = [sys.executable, "-m", "ml.tracking.server", str(self.mlflow), MLFLOW]
        return Program("MLflow", command, _listening(self.mlflow))

    def second(self) -> list[Program]:
        """What asks the first ones."""
        return [
            Program(
                "Dagster",
                [
                    *(sys.executable, "-m", "orchestration.webserver"),
                    *(str(self.dagster), DAGSTER, str(self._workspace)),
                ],
                _listening(self.dagster),
            ),
            Program(
                "Dagster's daemon",
                [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(self._workspace)],
                None,
            ),
            Program("dbt docs", [sys.executable, "-m", "lakehouse.dbt.docs"], None, once=True),
        ]


def _listening(socket: Path) -> re.Pattern[str]:
    return re.compile(re.escape(listens(str(socket))))
