"""Where a source's database is and who asks it: from the declaration and the environment, secrets kept apart.

User and password go to Spark as options of their own, which it redacts. The URL that stands in plans, in
bronze's rows and in messages never has them.
"""

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pyspark.errors import PySparkException

from lakehouse.errors import LakehouseError
from lakehouse.ingest.database.declared import Database

# Options of PostgreSQL's driver that nobody may read.
_SECRET = {"user", "password", "sslpassword"}
# As Java's and as Connect's messages have it.
_SQL_ERROR = re.compile(r"(?:\w+\.)+\w*SQL\w*Exception[:)] (.+)")
_CONNECT_SECONDS = 30


class DatabaseError(LakehouseError):
    """A load that landed nothing: `what` names the source and the database, without secrets."""


@dataclass(frozen=True)
class Connection:
    """One database, for one source.

    Args:
        url: for Spark, without user and password.
        shown: for people: kind, host, port and database.
        options: for Spark, with the secrets; not to be printed.
    """

    source: str
    url: str
    shown: str
    options: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())

    @property
    def is_postgres(self) -> bool:
        return self.url.startswith("jdbc:postgresql:")

    def without_secrets(self, text: str) -> str:
        """A message in which nobody can read a secret."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def connection(source: str, database: Database, environment: Mapping[str, str] = os.environ) -> Connection:
    """Where and as whom to ask, by the declaration and the environment.

    Raises:
        DatabaseError: a variable is not set, or the URL is not one.
    """
    user = _variable(source, database.user_env, environment)
    password = _variable(source, database.password_env, environment)
    given = database.url or _variable(source, database.url_env, environment) or ""
    url = given if given.startswith("jdbc:") else f"jdbc:{given}"
    secret: dict[str, str] = {}
    if re.match(r"jdbc:postgres(ql)?://", url):
        url, shown, secret = _postgres(source, url, database.timeout_seconds)
    elif re.match(r"jdbc:[a-z0-9]+:", url):
        shown = re.split(r"[?;&@]", url.removeprefix("jdbc:"))[0]
    else:
        raise DatabaseError(
            f"{source}: {'url' if database.url else database.url_env} is not a JDBC URL",
            "write jdbc:postgresql://HOST:PORT/DATABASE",
        )
    secret |= {key: value for key, value in (("user", user), ("password", password)) if value}
    secrets = [value for key, value in secret.items() if key != "user"]
    if database.url_env and not url.startswith("jdbc:postgresql:"):
        # Whatever another database's URL holds may be one.
        secrets += re.split(r"[?;&@=]", given)[1:]
    options = {
        **secret,
        "fetchsize": str(database.fetch_rows),
        "preferTimestampNTZ": "true",
        "pushDownPredicate": "true",
    }
    return Connection(
        source, url, shown, options, tuple(sorted(filter(None, secrets), key=len, reverse=True))
    )


def _variable(source: str, name: str | None, environment: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    if not environment.get(name):
        raise DatabaseError(
            f"{source}: the variable {name} is not set", "set it in the environment of whoever calls this"
        )
    return environment[name]


def _postgres(source: str, url: str, timeout_seconds: int) -> tuple[str, str, dict[str, str]]:
    """The URL with what is no secret, the same for people, and the secrets that stood in it."""
    try:
        parts = urlsplit(url.removeprefix("jdbc:"))
        host, port = parts.hostname or "localhost", parts.port or 5432
    except ValueError:
        raise DatabaseError(
            f"{source}: the URL of its database is not one", "write jdbc:postgresql://HOST:PORT/DATABASE"
        ) from None
    asked = dict(parse_qsl(parts.query))
    secret = {key: value for key, value in asked.items() if key in _SECRET}
    secret |= {key: value for key, value in (("user", parts.username), ("password", parts.password)) if value}
    options = {
        # A connection whose other end is gone is noticed, and not waited for.
        "connectTimeout": str(_CONNECT_SECONDS),
        "socketTimeout": str(timeout_seconds),
        "tcpKeepAlive": "true",
        "readOnly": "true",
        "ApplicationName": f"lakehouse {source}",
        **{key: value for key, value in asked.items() if key not in _SECRET},
    }
    place = f"postgresql://{host}:{port}{parts.path}"
    return f"jdbc:{place}?{urlencode(options, quote_via=quote)}", place, secret


@contextmanager
def asking(connection: Connection, of: str) -> Generator[None]:
    """Turn an error of Spark's into one that says which source and database failed, and why.

    Args:
        of: the table, or that it is a query.

    Raises:
        DatabaseError: the block failed.
    """
    try:
        yield
    except PySparkException as error:
        found = _SQL_ERROR.search(str(error))
        said = (found[1] if found else str(error).partition("\n")[0]).strip()
        said = connection.without_secrets(said)
        raise DatabaseError(
            f"{connection.source}: {of} of {connection.shown} could not be read: {said}",
            "nothing of it landed; the next `lakehouse ingest` reads it again",
        ) from None
