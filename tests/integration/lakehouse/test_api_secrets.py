"""An API's secret goes to its own host, and nowhere else: no other host, file, message or log has it."""

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lakehouse.ingest.api.secrets import read_secret
from tests.integration.lakehouse.api_server import (
    Answered,
    Asked,
    delivered,
    fetch,
    landed_files,
    record,
    serving,
    source_of,
)

SECRET = "s3cr3t /+&=%"
BASIC = base64.b64encode(f"ana:{SECRET}".encode()).decode()
KINDS = {
    "bearer": {"kind": "bearer", "token_env": "READINGS_SECRET"},
    "header": {"kind": "header", "name": "X-Api-Key", "value_env": "READINGS_SECRET"},
    "basic": {"kind": "basic", "user_env": "READINGS_USER", "password_env": "READINGS_SECRET"},
    "query": {"kind": "query", "name": "api_key", "value_env": "READINGS_SECRET"},
}
ITEMS = {"data": {"items": [record(0)], "next": None}}
LINKS = {"kind": "next_link", "next": "data.next"}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READINGS_SECRET", SECRET)
    monkeypatch.setenv("READINGS_USER", "ana")


def has_it(asked: Asked) -> bool:
    return (
        asked.headers.get("authorization") in (f"Bearer {SECRET}", f"Basic {BASIC}")
        or asked.headers.get("x-api-key") == SECRET
        or asked.query.get("api_key") == SECRET
    )


def mentions(text: str) -> bool:
    """Whether a text has the secret, however it is spelled."""
    return any(word in text for word in (SECRET, quote(SECRET, safe=""), quote_plus(SECRET), BASIC, "s3cr3t"))


def texts_below(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        yield path.name
        if path.is_file():
            yield path.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_secret_is_sent_with_each_page(tmp_path, kind):
    def answer(asked: Asked) -> Answered:
        if not has_it(asked):
            return Answered(status=401)
        link = None if "page" in asked.query else "/readings?page=2"
        return Answered({"data": {"items": [record(0)], "next": link}})

    with serving(answer) as server:
        report = fetch(tmp_path, source_of(server, auth=KINDS[kind], pagination=LINKS))
    assert not report.refused
    assert len(delivered(tmp_path)) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["redirect", "next link", "link header"])
def test_another_host_does_not_get_the_secret_though_the_api_leads_there(tmp_path, kind, how):
    with serving(lambda _: Answered(ITEMS)) as other:
        # As some servers do, it repeats the query that it was asked by, with the key.
        leads = f"{other.url}/elsewhere?token=mine&api_key={quote_plus(SECRET)}"

        def answer(_: Asked) -> Answered:
            if how == "redirect":
                return Answered(status=302, headers={"Location": leads})
            if how == "link header":
                return Answered(ITEMS, headers={"Link": f'<{leads}>; rel="next"'})
            return Answered({"data": {"items": [record(0)], "next": leads}})

        pagination = {"kind": "link_header"} if how == "link header" else LINKS
        with serving(answer) as server:
            api = {"auth": KINDS[kind], "headers": {"X-Client": "readings"}, "pagination": pagination}
            report = fetch(tmp_path, source_of(server, **api))

    assert not report.refused
    assert has_it(server.asked[0])
    assert server.asked[0].headers["x-client"] == "readings"
    (asked,) = other.asked
    assert asked.query["token"] == "mine"
    if kind == "query":
        assert "api_key" not in asked.query
    assert not {"authorization", "x-api-key", "x-client"} & asked.headers.keys()


def test_the_same_host_at_another_port_is_another_host(tmp_path):
    with serving(lambda _: Answered(status=401)) as other:
        leads = Answered(status=307, headers={"Location": f"{other.url}/readings"})
        with serving(lambda _: leads) as server:
            (refusal,) = fetch(tmp_path, source_of(server, auth=KINDS["bearer"])).refused
    assert not has_it(other.asked[0])
    assert f"it came from {other.url}/readings, where the secret is not sent" in refusal.reason


@pytest.mark.parametrize("kind", KINDS)
def test_no_message_log_or_kept_page_has_the_secret(tmp_path, caplog, kind):
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    def answer(asked: Asked) -> Answered:
        number = int(asked.query.get("page", 1))
        # As some servers do, it repeats the query that it was asked by.
        repeated = f"api_key={quote_plus(SECRET)}" if kind == "query" else ""
        if number == 1 and "moved" not in asked.query:
            return Answered(status=302, headers={"Location": f"/readings?moved=1&{repeated}"})
        if number < 3:
            link = f"/readings?page={number + 1}&{repeated}"
            return Answered({"data": {"items": [record(number)], "next": link}})
        spelled = BASIC if kind == "basic" else quote_plus(SECRET)
        said = {"error": f"key {SECRET} ({spelled}) may not read this"}
        return Answered(said, status=503 if len(server.asked) == 4 else 403)

    with serving(answer) as server:
        source = source_of(server, auth=KINDS[kind], pagination=LINKS)
        report = fetch(tmp_path, source, progress=told.append)

    # All that could tell it has happened: a retry, a refusal with the body, kept pages, httpx's log.
    assert len(server.asked) == 5
    assert any("asking again" in line for line in told)
    assert "may not read this" in report.refused[0].reason
    assert len(landed_files(tmp_path)) == 2
    assert any(line.name == "httpx" for line in caplog.records)
    said = [
        *told,
        json.dumps(asdict(report)),
        repr(source),
        repr(read_secret(source.api.auth)),
        *(line.getMessage() for line in caplog.records),
    ]
    assert [text for text in said if mentions(text)] == []
    assert [text for text in texts_below(tmp_path) if mentions(text)] == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "its secret is missing: set the variable READINGS_SECRET"),
        ("  \n", "its secret is missing: set the variable READINGS_SECRET"),
        ("s3cr3t\r\nX-Other: 1", "the variable READINGS_SECRET has a character that cannot be sent"),
        ("s3cr3tü", "the variable READINGS_SECRET has a character that cannot be sent"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_refused_by_its_variable(tmp_path, monkeypatch, value, reason):
    monkeypatch.delenv("READINGS_SECRET")
    if value is not None:
        monkeypatch.setenv("READINGS_SECRET", value)
    with serving(lambda _: Answered(ITEMS)) as server:
        (refusal,) = fetch(tmp_path, source_of(server, auth=KINDS["bearer"])).refused
    assert reason in refusal.reason
    assert not mentions(refusal.reason)
    assert server.asked == []


def test_a_secret_that_is_refused_is_not_tried_for_each_day(tmp_path):
    with serving(lambda _: Answered(status=401)) as server:
        source = source_of(server, auth=KINDS["bearer"], first_day="2013-07-01")
        (refusal,) = fetch(tmp_path, source).refused
    assert len(server.asked) == 1
    assert "answered 401 Unauthorized" in refusal.reason
    assert "9 later ones were not asked for" in refusal.reason


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate for this machine that no authority has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_https_is_to_whom_it_says_and_does_not_lead_to_http(tmp_path, monkeypatch, certificate):
    auth = {"auth": KINDS["bearer"], "max_retries": 0}
    with (
        serving(lambda _: Answered(ITEMS)) as other,
        serving(lambda _: Answered(ITEMS), certificate) as server,
    ):
        (refusal,) = fetch(tmp_path, source_of(server, **auth)).refused
        assert "CERTIFICATE_VERIFY_FAILED" in refusal.reason
        assert server.asked == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        leads = {"Location": f"{other.url}/readings"}
        server.answer = lambda _: Answered(status=302, headers=leads)
        (refusal,) = fetch(tmp_path, source_of(server, **auth)).refused
        assert "leads from https to http" in refusal.reason
        assert other.asked == []

        server.answer = lambda _: Answered(ITEMS)
        assert not fetch(tmp_path, source_of(server, **auth)).refused
        assert has_it(server.asked[-1])


def test_the_proxy_of_the_environment_is_asked(tmp_path, monkeypatch):
    with serving(lambda _: Answered(ITEMS)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with serving(lambda _: Answered(ITEMS)) as server:
            fetch(tmp_path, source_of(server))
            assert (len(proxy.asked), len(server.asked)) == (1, 0)
            # The kept delivery gone, it is asked for directly.
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            for name in landed_files(tmp_path):
                (tmp_path / name).unlink()
            fetch(tmp_path, source_of(server))
    assert (len(proxy.asked), len(server.asked)) == (1, 1)
