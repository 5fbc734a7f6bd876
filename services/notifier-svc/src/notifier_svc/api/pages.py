"""The few pages people see, who came by a link and have no account."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from fastapi import Response

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
_STYLE = "body{font:16px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em}button{font:inherit}"


def page(language: str, title: str, body: str, *, status: int = 200) -> Response:
    """`body` is HTML, `title` text; `language` a BCP 47 tag. Loads nothing and runs nothing."""
    html = (
        f'<!doctype html><html lang="{escape(language.partition("-")[0])}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    return Response(html, status, _HEADERS, "text/html; charset=utf-8")


def prefers_html(accept: str) -> bool:
    """Whether an Accept header (RFC 9110) ranks HTML before JSON, as a browser's does."""
    ranges = dict(_ranges(accept))
    html = _quality(ranges, "text/html", "text/*")
    return html > max(
        _quality(ranges, "application/problem+json", "application/*"), _quality(ranges, "application/json")
    )


def _quality(ranges: dict[str, float], *names: str) -> float:
    return next((ranges[name] for name in (*names, "*/*") if name in ranges), 0.0)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for one in accept.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        given = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            yield name, float(given)
        except ValueError:
            yield name, 0.0
