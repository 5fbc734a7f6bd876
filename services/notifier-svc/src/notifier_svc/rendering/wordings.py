"""Wordings: the sentences of a stage in a tone, one Jinja file each, as blocks subject, heading, opening, closing
(and greeting or signoff where the usual one will not do).

A wording is plain prose: every output (HTML, plain text, letter) is laid out from the same paragraphs and does its
own escaping. Templates are compiled once, when first needed, in a sandbox, and an unknown name in one is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier_svc.rendering import clean
from notifier_svc.rendering.facts import Claim, Line, Part, Received, View
from notifier_svc.rendering.language import TEMPLATES, Choice
from remit_events.state import Stage, Tone

# Where a tone has no wording of its own, the nearest milder one speaks; without a tone, the neutral one.
_MILDER = (Tone.FINAL, Tone.FIRM, Tone.NEUTRAL, Tone.FRIENDLY)
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_WRAPPING = re.compile(r"[\t\n][ \t\n]*| [ \t\n]+")  # a single space is one already
_SUBJECT_LIMIT = 200
_FACTS = {kind: frozenset(kind.__dataclass_fields__) for kind in (View, Part, Line, Claim, Received)}


class Entry(NamedTuple):
    """One shipped wording; `tone` is None where the stage has only one."""

    stage: Stage
    tone: Tone | None
    language: str


@dataclass(frozen=True, slots=True)
class Prose:
    """The sentences of one message: one line each but the paragraphs; `greeting` only where it is not the usual one."""

    subject: str
    heading: str
    opening: tuple[str, ...]
    closing: tuple[str, ...]
    greeting: str | None
    signoff: str


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, told that our own frozen facts are safe to read: its general check costs more than the rendering."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute in _FACTS.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


def environment(folder: Path = TEMPLATES) -> ImmutableSandboxedEnvironment:
    """Jinja for shipped templates: HTML is escaped, nothing of Python's inside is reachable, nothing is undefined."""
    return _Environment(
        loader=FileSystemLoader(folder),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )


class Wordings:
    """All wordings below a folder: `<language>/[<set>/]<stage>[.<tone>].j2`; `jinja` has its other templates too."""

    def __init__(self, folder: Path = TEMPLATES) -> None:
        self.jinja = environment(folder)
        names = (path.relative_to(folder).as_posix() for path in folder.glob("*/**/*.j2"))
        self._names = {name.removesuffix(".j2") for name in names if not name.startswith("shared/")}
        self.find = lru_cache(1024)(self._find)

    def catalogue(self) -> list[Entry]:
        """Every standard wording, by stage, tone and language."""
        found = []
        for name in self._names:
            language, *folders, key = name.split("/")
            stage, _, tone = key.partition(".")
            if not folders:
                found.append(Entry(Stage(stage), Tone(tone) if tone else None, language))
        return sorted(
            found, key=lambda e: (list(Stage).index(e.stage), list(Tone).index(e.tone) if e.tone else -1, e[2])
        )

    def _find(self, language: str, stage: Stage, tone: Tone | None, named: str = "") -> Template:
        """The wording of the set `named`, else the standard one. LookupError when the language lacks the stage."""
        start = _MILDER.index(tone or Tone.NEUTRAL)
        tones = [f"{stage}.{t}" for t in (*_MILDER[start:], *reversed(_MILDER[:start]))]
        for folder in (f"{language}/{named}", language):
            for key in (*tones, str(stage)):
                if (name := f"{folder}/{key}") in self._names:
                    return self.jinja.get_template(f"{name}.j2")
        raise LookupError(f"no wording for stage {stage} in {language}")

    def write(self, template: Template, view: View, choice: Choice) -> Prose:
        """The sentences of `template` about `view`."""
        blocks = _Blocks(template, template.new_context({"m": view}))
        return Prose(
            subject=clean.line(_one_line(blocks("subject")), _SUBJECT_LIMIT),
            heading=_one_line(blocks("heading")),
            opening=_paragraphs(blocks("opening")),
            closing=_paragraphs(blocks("closing")),
            greeting=_one_line(blocks("greeting")) if "greeting" in template.blocks else None,
            signoff=_one_line(blocks("signoff")) if "signoff" in template.blocks else choice.language.say("regards"),
        )


class _Blocks:
    def __init__(self, template: Template, context: Context) -> None:
        self._template, self._context = template, context

    def __call__(self, name: str) -> str:
        lines: Iterator[str] = self._template.blocks[name](self._context)
        return "".join(lines)


def _one_line(text: str) -> str:
    return _WRAPPING.sub(" ", text).strip(" ")


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(_one_line(part) for part in _BLANK_LINES.split(text.strip()) if part)
