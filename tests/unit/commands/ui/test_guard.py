"""Who is let in to the pages of `lakehouse dev`, and who is not."""

import pytest

from commands.ui.guard import Asked, Entered, Refused, Rules

HOST = "127.0.0.1:3000"
OURS = f"http://{HOST}"
TOKEN = "a-token-of-this-start-0123"
RULES = Rules(TOKEN, "lakehouse_3000", frozenset({"lake.example"}))
COOKIE = {"cookie": f"lakehouse_3000={TOKEN}"}


def judged(method: str, path: str, query: str = "", host: str = HOST, **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RULES.judge(Asked(method, path, query, {"host": host, **named}))


def is_refused(verdict: object, status: int) -> bool:
    return isinstance(verdict, Refused) and verdict.status == status


@pytest.mark.parametrize("path", ["/", "/dagster/graphql", "/mlflow/", "/data_docs/index.html", "/dbt_docs/"])
@pytest.mark.parametrize(
    "cookie", ["", "lakehouse_3000=", "lakehouse_3000=wrong", f"other={TOKEN}", "a=b; =;"]
)
def test_without_the_token_nothing_is_seen(path: str, cookie: str) -> None:
    assert is_refused(judged("GET", path, cookie=cookie), 401)
    assert is_refused(judged("GET", path, "token=wrong", cookie=cookie), 401)
    assert is_refused(judged("POST", path, cookie=cookie, origin=OURS), 401)


def test_the_link_opens_and_leaves_no_token_in_the_address() -> None:
    assert judged("GET", "/dagster/runs", f"a=1&token={TOKEN}") == Entered("/dagster/runs?a=1")
    assert judged("GET", "/dagster/runs", **COOKIE) is None


def test_the_link_leads_to_no_other_host() -> None:
    assert judged("GET", "//evil.example/", f"token={TOKEN}") == Entered("/evil.example/")
    assert judged("GET", "/\\evil.example/", f"token={TOKEN}") == Entered("/evil.example/")


@pytest.mark.parametrize(
    "host", ["evil.example:3000", "127.0.0.1.evil.example:3000", "", "[", "10.0.0.1:3000"]
)
def test_a_foreign_host_is_refused_with_any_token(host: str) -> None:
    assert is_refused(judged("GET", "/", f"token={TOKEN}", host=host, **COOKIE), 403)


@pytest.mark.parametrize("host", ["localhost:3000", "LOCALHOST:8888", "[::1]:3000", "lake.example", HOST])
def test_a_name_of_this_machine_is_taken(host: str) -> None:
    assert judged("GET", "/", host=host, **COOKIE) is None


# Another port of this machine is of the same site, so that its pages' requests carry the cookie.
FOREIGN = [
    "http://evil.example",
    "http://127.0.0.1:8888",
    "http://localhost:3000",
    "null",
    "https://127.0.0.1",
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "WEBSOCKET"])
def test_a_page_of_another_origin_launches_nothing(origin: str, method: str) -> None:
    assert is_refused(judged(method, "/dagster/graphql", origin=origin, **COOKIE), 403)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("mode", "dest"), [("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")])
def test_a_picture_or_frame_of_another_origin_is_refused(site: str, mode: str, dest: str) -> None:
    asked = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": dest}
    assert is_refused(judged("GET", "/dagster/graphql", "query=mutation{a}", **asked, **COOKIE), 403)


def test_a_link_on_another_page_may_be_followed() -> None:
    asked = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert judged("GET", "/dagster/runs", **asked, **COOKIE) is None
    assert is_refused(judged("POST", "/dagster/graphql", **asked, **COOKIE), 403)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_graphql_runs_no_mutation_from_a_link(method: str) -> None:
    own = {"origin": OURS, **COOKIE}
    assert is_refused(judged(method, "/dagster/graphql", "query=mutation{launchRun}", **own), 405)
    assert judged("GET", "/dagster/graphql", **COOKIE) is None  # the page to write queries on
    assert judged("POST", "/dagster/graphql", **own) is None
    assert is_refused(judged("POST", "/dagster/graphql", "query=mutation{a}", **own), 405)
    # What Dagster's pages send.
    assert judged("POST", "/dagster/graphql", "op=AssetRecordsQuery", **own) is None
    assert is_refused(judged("POST", "/dagster/graphql", "op=A&query=mutation{a}", **own), 405)
    assert is_refused(judged("GET", "/dagster/graphql", "op=A&query", **own), 405)


def test_what_changes_something_says_where_it_comes_from() -> None:
    assert is_refused(judged("POST", "/mlflow/ajax-api/2.0/mlflow/runs/delete", **COOKIE), 403)
    assert (
        judged("POST", "/mlflow/ajax-api/2.0/mlflow/runs/delete", sec_fetch_site="same-origin", **COOKIE)
        is None
    )
    assert is_refused(judged("WEBSOCKET", "/dagster/graphql", **COOKIE), 403)
    assert judged("WEBSOCKET", "/dagster/graphql", origin=OURS, **COOKIE) is None


def test_a_program_shows_the_token_in_a_header() -> None:
    own = {"authorization": f"Bearer {TOKEN}"}
    assert judged("POST", "/mlflow/api/2.0/mlflow/runs/create", **own) is None
    assert is_refused(judged("POST", "/", authorization="Bearer wrong"), 401)
    assert is_refused(judged("POST", "/", origin="http://evil.example", **own), 403)


def test_health_says_nothing_and_asks_for_no_token() -> None:
    assert judged("GET", "/health") is None
    assert is_refused(judged("GET", "/health", host="evil.example"), 403)
    assert is_refused(judged("POST", "/health", origin=OURS), 401)


@pytest.mark.parametrize("other", ['prefs={"a":"b"}', "a b", "user=Jane Doe", "=", "a=b;;"])
def test_cookies_of_other_programs_keep_nobody_out(other: str) -> None:
    assert judged("GET", "/", cookie=f"{other}; lakehouse_3000={TOKEN}") is None


@pytest.mark.parametrize("path", ["/dagster/graphql/.", "/dagster/x/../graphql", "/./dagster/graphql"])
def test_a_path_that_is_another_one_behind_is_refused(path: str) -> None:
    assert is_refused(judged("GET", path, "query=mutation{a}", **COOKIE), 400)


def test_a_slash_at_the_end_opens_no_other_way() -> None:
    assert is_refused(judged("GET", "/dagster/graphql/", "query=mutation{a}", **COOKIE), 405)


def test_an_origin_that_is_none_is_foreign() -> None:
    assert is_refused(judged("POST", "/mlflow/", origin="http://[", **COOKIE), 403)
