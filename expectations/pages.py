"""Data Docs as pages that load nothing from elsewhere, and the page that lists them.

Great Expectations' own pages load styles and scripts from other hosts, and pictures that tell its makers of
each look; without a network its list of results is empty. What they load is taken out, a style sheet of a few
lines stands in, and the list is written here.
"""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakehouse.settings import settings


def site_dir() -> Path:
    """Where the pages lie."""
    return settings().data_docs_dir / "site"


def index_url() -> str:
    """The first page, to open in a browser."""
    return (site_dir() / "index.html").as_uri()


_LOADED = (
    re.compile(r"<script\b[^>]*\bsrc=[\"']https?://[^>]*>.*?</script>", re.DOTALL),
    re.compile(r"<link\b[^>]*\bhref=[\"']https?://[^>]*>"),
    re.compile(r"<img\b[^>]*\bsrc=[\"']https?://[^>]*>"),
    # Calls of what was loaded.
    re.compile(r"<script>.*?</script>", re.DOTALL),
    # An invitation to a newsletter.
    re.compile(r"<footer>.*?</footer>", re.DOTALL),
)
_IN_STYLES = re.compile(r"url\([\"']?https?://[^)]*\)")
_MARK = "<!-- lakehouse -->"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #212529 }
body { margin: 0 auto; max-width: 1400px; padding: 0 1.5rem 3rem }
a { color: #00796b; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.2rem }
th, td { border: 1px solid #dee2e6; padding: .35rem .6rem; text-align: left; vertical-align: top }
thead th { background: #f1f3f5 } ul, ol { list-style: none; padding-left: 0 }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem } .col-lg-2, .col-md-2 { flex: 0 0 15rem }
.col-md-8, .col-lg-8, .col-md-10, .col-lg-10 { flex: 1 1 40rem; min-width: 0 }
.navbar { border: 0; height: auto !important } .breadcrumb { display: flex; gap: .6rem }
.card { border: 1px solid #dee2e6; border-radius: .3rem; margin-bottom: 1rem }
.card-header, .card-body { padding: .5rem .8rem }
.close, .card:has(.btn-group), [data-toggle=collapse] { display: none }
.fa-check-circle::before { content: '✓' } .fa-times::before { content: '✗' }
.fa-exclamation-triangle::before { content: '!' }
.text-success { color: #2e7d32 } .text-danger { color: #c62828 }
.badge { background: #e9ecef; border-radius: .25rem; padding: .1rem .4rem }
.alert { border: 1px solid #dee2e6; border-radius: .3rem; padding: .6rem .8rem } .collapse { display: block }
.passed { color: #2e7d32 } .failed { color: #c62828; font-weight: 600 } .lead { color: #495057 }
"""


@dataclass(frozen=True)
class Listed:
    """A result as the first page lists it.

    Args:
        page: its page, relative to the first one.
        passed: None where the stored result cannot be read.
    """

    page: str
    suite: str
    version: str
    run: str
    checked_at: datetime
    passed: bool | None


def without_network(page: Path) -> None:
    """Rewrite a page of Great Expectations so that it loads nothing; one that does not stays as it is."""
    text = page.read_text(encoding="utf-8")
    if _MARK in text:
        return
    for pattern in _LOADED:
        text = pattern.sub("", text)
    text = _IN_STYLES.sub("none", text)
    _write(page, text.replace("</head>", f"<style>{_STYLE}</style>{_MARK}</head>", 1))


def write_index(folder: Path, results: Iterable[Listed]) -> None:
    """The first page: every result that is kept, the newest first."""
    said = {
        True: "<td class='passed'>passed</td>",
        False: "<td class='failed'>FAILED</td>",
        None: "<td class='failed'>unreadable</td>",
    }
    rows = "\n".join(
        f"<tr>{said[each.passed]}"
        f"<td><a href='{html.escape(each.page)}'>{html.escape(each.suite)}</a></td>"
        f"<td>{html.escape(each.version)}</td><td>{each.checked_at:%Y-%m-%d %H:%M:%S}</td>"
        f"<td>{html.escape(each.run)}</td></tr>"
        for each in sorted(results, key=lambda each: each.checked_at, reverse=True)
    )
    heads = "".join(f"<th>{name}</th>" for name in ("", "table", "version", "checked at (UTC)", "run"))
    _write(
        folder / "index.html",
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>What the gates checked</title>"
        f"<style>{_STYLE}</style>{_MARK}</head><body><h1>What the gates checked</h1>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></body></html>\n",
    )


def _write(page: Path, text: str) -> None:
    """At once or not at all: a reader finds the page before, or this one."""
    page.parent.mkdir(parents=True, exist_ok=True)
    partial = page.with_name(f".{page.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)
