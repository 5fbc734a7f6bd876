"""The HTML part: Jinja writes the layout once for each shape a message can have, and texts are put into that.

Writing it anew for every message took as long as all else about its words. A shape is which texts there are and how
many of each: all that the layout's conditions and loops look at. It does nothing else to a text than to escape it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Environment
from markupsafe import escape

from notifier_svc.rendering.body import Body
from notifier_svc.rendering.language import LANGUAGES, Choice
from notifier_svc.rendering.wordings import Prose

LAYOUT = "shared/mail.html.j2"
SHAPES = 128
_TEXT = "\ue000"  # of private use: stands for a text, whose number follows
_PLACE = re.compile(f"{_TEXT}([0-9]+){_TEXT}")
_BETWEEN = "\x00"


class Layout:
    """The layout every e-mail has, from `jinja`, which escapes what it puts into HTML."""

    def __init__(self, jinja: Environment) -> None:
        self._jinja = jinja
        self._pieces = lru_cache(SHAPES)(self._made)

    def write(self, prose: Prose, body: Body, choice: Choice, seller: str, subject: str) -> str:
        """The whole page."""
        texts: list[str] = []
        said = (choice.tag, subject, seller, prose.heading, prose.opening, prose.closing, body)
        between, places = self._pieces(choice.language.code, _shape(said, texts))
        escaped = _escaped(texts)
        whole = [piece for place, before in zip(places, between, strict=False) for piece in (before, escaped[place])]
        return "".join([*whole, between[-1]])

    def _made(self, language: str, shape: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What stands between the texts, one piece more than there are places, and which text each place takes."""
        tag, subject, seller, heading, opening, closing, body = _numbered(shape, [])
        html = self._jinja.get_template(LAYOUT).render(
            tag=tag,
            subject=subject,
            seller=seller,
            heading=heading,
            opening=opening,
            closing=closing,
            words=LANGUAGES[language].labels,
            **dict(zip(Body._fields, body, strict=True)),
        )
        split = _PLACE.split(html)
        return tuple(split[::2]), tuple(map(int, split[1::2]))


def _shape(value: Any, texts: list[str]) -> Any:
    """`value` with a mark for every text that is not empty; these are added to `texts`."""
    if isinstance(value, str):
        if not value:
            return ""
        texts.append(value)
        return _TEXT
    return tuple([_shape(one, texts) for one in value]) if isinstance(value, tuple) else value


def _numbered(shape: Any, seen: list[None]) -> Any:
    """The shape with its marks numbered in the order of the texts."""
    if isinstance(shape, tuple):
        return tuple([_numbered(one, seen) for one in shape])
    if shape != _TEXT:
        return shape
    seen.append(None)
    return f"{_TEXT}{len(seen) - 1}{_TEXT}"


def _escaped(texts: Sequence[str]) -> Sequence[str]:
    """All at once, which costs as much as one."""
    escaped = str(escape(_BETWEEN.join(texts))).split(_BETWEEN)
    return escaped if len(escaped) == len(texts) else [str(escape(text)) for text in texts]
