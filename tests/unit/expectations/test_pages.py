"""Pages of Data Docs load nothing from elsewhere, and the first one lists what was checked, newest first."""

from datetime import UTC, datetime
from pathlib import Path

from expectations.pages import Listed, without_network, write_index

PAGE = """<html><head><link rel="stylesheet" href="https://cdn.example/bootstrap.css"/>
<link rel="shortcut icon" href="../static/favicon.ico"><script src='http://code.example/jquery.js'></script>
<style>.logo { background: url('https://assets.example/logo.png') }</style></head>
<body><img src="https://pixel.example/seen?at=now"><table><tr><td>flight_id is there</td></tr></table>
<script>$(".x").fadeIn()</script><footer><a href="https://example.org/newsletter">Subscribe</a></footer></body></html>
"""


def test_what_a_page_loads_is_gone_and_what_it_says_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    without_network(page)
    text = page.read_text()
    assert "http" not in text and "<script" not in text and "fadeIn" not in text
    assert "flight_id is there" in text and "../static/favicon.ico" in text
    without_network(page)
    assert page.read_text() == text


def test_the_first_page_links_every_result_newest_first_and_escapes_names(tmp_path: Path) -> None:
    def listed(day: int, passed: bool, run: str) -> Listed:
        return Listed(
            f"validations/{day}.html", "s.t", "version_1", run, datetime(2013, 1, day, tzinfo=UTC), passed
        )

    write_index(tmp_path, [listed(1, True, "by <hand>"), listed(2, False, "r2")])
    text = (tmp_path / "index.html").read_text()
    assert text.index("validations/2.html") < text.index("validations/1.html")
    assert text.count("FAILED") == text.count(">passed<") == 1
    assert "by &lt;hand&gt;" in text and "<hand>" not in text
    assert "http" not in text
