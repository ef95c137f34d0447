"""A page of another origin, in the browser of somebody who is let in, launches nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response

from orchestration import LOCATION

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

JOB = f'{{repositoryLocationName: "{LOCATION}", repositoryName: "__repository__", jobName: "maintenance"}}'
LAUNCH = (
    f'mutation {{ launchRun(executionParams: {{mode: "default", selector: {JOB}}}) '
    "{ __typename ... on LaunchRunSuccess { run { runId } } } }"
)
NOW = "MARK_AS_CANCELED_IMMEDIATELY"
RUNS = "{ runsOrError { ... on Runs { count } } }"
ASK = """async query => (await fetch("/dagster/graphql", {method: "POST", body: JSON.stringify({query}),
    headers: {"Content-Type": "application/json"}})).json()"""
# Each way by which a page can reach another address without being asked; the last one leaves the page.
EVIL = """<!DOCTYPE html><title>evil</title>
<iframe name="away"></iframe>
<form id="form" method="post" enctype="text/plain" target="away" action="{url}">
  <input name='{body}' value='"}}'>
</form>
<img src="{url}?query={query}">
<script>
  const url = "{url}", query = {query_json};
  const body = JSON.stringify({{query}});
  const plain = {{method: "POST", mode: "no-cors", credentials: "include", body}};
  const wanted = [
    fetch(url, plain),
    fetch(url, {{...plain, mode: "cors", headers: {{"Content-Type": "application/json"}}}}),
    new Promise(done => {{
      const socket = new WebSocket(url.replace("http", "ws"), "graphql-ws");
      socket.onopen = () => {{ document.title = "let in"; done(); }};
      socket.onerror = done;
    }}),
  ];
  document.getElementById("form").submit();
  Promise.allSettled(wanted).then(() => document.body.dataset.done = "yes");
</script>"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Serves a page on another port, by a name of this machine; gives its address."""
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def serve(host: str, content: str) -> str:
            (tmp_path / "index.html").write_text(content)
            return f"http://{host}:{server.server_port}/"

        yield serve
        server.shutdown()


def ask(page: Page, home: str, query: str) -> Any:
    """What Dagster answers a page of ours."""
    if not page.url.startswith(f"{home}/dagster"):
        page.goto(f"{home}/dagster/runs")
    return page.evaluate(ASK, query)["data"]


# Another port of the same host gets the cookie, as cookies know no ports; another name does not.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_launches_nothing(
    links: dict[str, str], page: Page, elsewhere: Callable[[str, str], str], host: str
) -> None:
    home = links["home"]
    before = ask(page, home, RUNS)
    answered: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.url.startswith(home):
            answered[f"{response.request.method} {response.request.resource_type}"] = response.status

    url = f"{home}/dagster/graphql"
    evil = elsewhere(
        host,
        EVIL.format(
            url=url,
            query=LAUNCH.replace('"', "&quot;"),
            query_json=json.dumps(LAUNCH),
            # A form's text is name=value: the sign in between goes into a field that nobody reads.
            body=json.dumps({"query": LAUNCH})[:-1] + ', "x": "',
        ),
    )
    other = page.context.new_page()
    other.on("response", note)
    other.goto(evil)
    other.locator("[data-done=yes]").wait_for(state="attached", timeout=30_000)
    assert other.title() == "evil"
    # A link that a person follows is let through, but no launch in it.
    followed = other.goto(f"{url}?query={LAUNCH}", referer=evil)
    other.close()
    assert followed is not None and followed.status in (401, 405)
    assert answered and set(answered.values()) <= {401, 403, 405}, answered
    assert {"POST fetch", "GET image", "POST document"} <= set(answered), answered
    assert ask(page, home, RUNS) == before


def test_a_page_of_ours_launches_by_the_same_words(links: dict[str, str], page: Page) -> None:
    launched = ask(page, links["home"], LAUNCH)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    run_id = launched["run"]["runId"]
    end = f'mutation {{ terminateRun(runId: "{run_id}", terminatePolicy: {NOW}) {{ __typename }} }}'
    ended = ask(page, links["home"], end)
    assert ended["terminateRun"]["__typename"] == "TerminateRunSuccess"
