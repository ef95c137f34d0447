"""Who can reach the service, and by what: refused before anything is listened on."""

from pathlib import Path

import pytest

from lakehouse.errors import LakehouseError
from ml.serving.guard import host_of
from ml.serving.server import Options, allowed_hosts, is_loopback, read_token

EVERYWHERE = "0.0.0.0"  # noqa: S104 - never listened on here
TOKEN = "a-secret-of-twenty-letters"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        (EVERYWHERE, False),
        ("h", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_beyond_loopback_a_token_and_a_name_are_needed() -> None:
    with pytest.raises(LakehouseError, match="does not start there without a token"):
        allowed_hosts(Options(host=EVERYWHERE, hosts=("scores.example.com",)), None)
    with pytest.raises(LakehouseError, match="not a name"):
        allowed_hosts(Options(host=EVERYWHERE), TOKEN)
    assert "scores.example.com" in allowed_hosts(
        Options(host=EVERYWHERE, hosts=("Scores.example.com",)), TOKEN
    )
    assert "10.0.0.7" in allowed_hosts(Options(host="10.0.0.7"), TOKEN)


def test_on_loopback_only_its_names_are_known() -> None:
    assert set(allowed_hosts(Options(), None)) == {"localhost", "127.0.0.1", "[::1]"}
    assert host_of(b"[::1]:8100") in allowed_hosts(Options(host="::1"), None)
    assert host_of(b"evil.example:8100") not in allowed_hosts(Options(), None)


def test_a_token_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(LakehouseError, match="others may read the token"):
        read_token(path, None)
    path.chmod(0o600)
    assert read_token(path, None) == TOKEN
    path.write_text("short")
    with pytest.raises(LakehouseError) as refused:
        read_token(path, None)
    assert "short" not in str(refused.value)
    with pytest.raises(LakehouseError, match="cannot be read"):
        read_token(tmp_path / "none", None)
    assert read_token(None, None) is None
