"""The port of `lakehouse dev`: the one of the settings, or another one, which is said."""

import os
import socket

import pytest

from commands.ui.address import listening
from lakehouse import settings


def test_a_taken_port_is_named_with_its_holder_and_another_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("LAKEHOUSE_UI_PORT", str(port))
        settings.settings.cache_clear()
        try:
            with listening(said.append) as place:
                other = place.port
                assert other != port
                assert place.link("/").startswith(f"http://127.0.0.1:{place.port}/?token=")
                assert len(place.token) >= 24
                with socket.create_connection(("127.0.0.1", place.port)):
                    pass
        finally:
            monkeypatch.undo()
            settings.settings.cache_clear()
    assert f"port {port} is taken by process {os.getpid()}" in said[0] and str(other) in said[0]
