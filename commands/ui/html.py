"""Pages of our own: a frame with a style sheet of a few lines, which loads nothing."""

import html

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #2e7d32; --bad: #c62828; --wait: #b26a00 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
nav { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .8rem }
nav a { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; color: inherit }
nav a b { display: block } nav a span { opacity: .7; font-size: .87rem }
a { color: #00796b; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0 }
th, td { text-align: left; vertical-align: top }
th { font-weight: 600; opacity: .7 } .good { color: var(--good) } .bad { color: var(--bad) }
.wait { color: var(--wait) } .dim { opacity: .65 }
"""
# Nothing is loaded from elsewhere, and no script runs.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def document(title: str, body: str, refresh_seconds: int | None = None) -> str:
    """A page.

    Args:
        title: as text.
        body: as HTML, what came from elsewhere in it escaped.
        refresh_seconds: after which the browser asks for it again; None for never.
    """
    again = f"<meta http-equiv='refresh' content='{refresh_seconds}'>" if refresh_seconds else ""
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'>{again}"
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{text(title)}</h1>{body}</body></html>\n"
    )


def text(value: object) -> str:
    """A value as text in HTML."""
    return html.escape(str(value))


def link(path: str, name: object) -> str:
    """A link.

    >>> link("/dagster/", "a & b")
    '<a href="/dagster/">a &amp; b</a>'
    """
    return f'<a href="{text(path)}">{text(name)}</a>'


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table; cells are HTML."""
    head = "".join(f"<th>{text(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
