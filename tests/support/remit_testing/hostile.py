"""Texts that do harm where text is taken for something else, and what pages may hold: one corpus for all tests."""

from __future__ import annotations

from html.parser import HTMLParser

CORPUS = {
    "template": "{{7*7}}{% for x in ().__class__.__mro__ %}x{% endfor %}{{ m.__class__ }}",
    "template-sum": "{{7331*7331}} ${7331*7331} #{7331*7331} <%= 7331*7331 %>",
    "format": "{seller} {0} {name.__class__} %s %(x)s",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><b>&amp;",
    "header": "Acme\r\nBcc: all@victim.example\r\n\r\nHello",
    "encoded-word": "=?utf-8?q?=0D=0ABcc=3A_all=40victim=2Eexample?= =?utf-8?b?DQpCY2M6IGFsbEB2aWN0aW0uZXhhbXBsZQ==?=",
    "address": '"Acme" <all@victim.example>, other@victim.example; a@b',
    "typst": '#import "x": *; #read("/etc/passwd") $x$ *b* \\ @ref <label> = Title #panic("no")',
    "sql": "'; DROP TABLE customer; UPDATE seller SET snapshot = 'pwned'; --",
    "sql-or": "x' OR '1'='1' UNION SELECT sha256 FROM api_key --",
    "sql-like": "%_\\%' ESCAPE '\\",
    "json": '","seller_id":"x","$ref":"#/"}]',
    "rtl": "שלום \u202eevil\u202c \u2066x\u2069 مرحبا",
    "emoji": "Zoë 👩‍👩‍👧 Ⅷ ﬁ 漢字 ñ",
    "formula": "=CMD|'/C calc'!A0",
    "formula-at": "@SUM(1+9)*cmd|' /C calc'!A0",
    "formula-plus": '+1+cmd|" /C calc"!A0',
    "formula-minus": "-2+3+cmd|' /C calc'!A0",
    "markup": "[bold red]x[/] [link=file:///etc/passwd]y[/link] [/]",
    "path": "../../../../etc/passwd",
    "url": "javascript:alert(1)//https://x.example/",
    "nul": "a\x00b\x1b[31mc\x7f\x9b31m\u2028d\ufeff",
    "surrogate": "half \ud83d pair",
    "marks": "z" + "\u0301" * 300,
    "long": "long name " * 1000,
    "unbroken": "x" * 10_000,
    "blank": " \n\t ",
}
# What a text of the corpus would have become, had it been run.
RUN = ("53743561", "pwned,", ",pwned)", "<class '", "49{%")

# What a page or a mail is made of; nothing that runs, loads or sends.
TAGS = frozenset(
    "html head meta title style body table tr td th p h1 h2 strong br span a form button".split()  # noqa: SIM905
)


class Seen(HTMLParser):
    """The elements, the attributes and the text of a page, and whether every element was closed in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.balanced = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced &= bool(self.open) and self.open.pop() == tag


def check_page(markup: str) -> None:
    """Nothing in it runs, and nothing broke out of its place."""
    seen = Seen()
    seen.feed(markup)
    seen.close()
    assert set(seen.tags) <= TAGS
    assert seen.balanced
    assert not seen.open
    assert not any(name.startswith("on") or name in ("src", "action") for name, _ in seen.attributes)
    assert all(value.startswith(("https://", "mailto:")) for name, value in seen.attributes if name == "href")
