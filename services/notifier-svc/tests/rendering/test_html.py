"""The HTML put together from pieces is what Jinja writes, whatever shape the message has and whatever its texts say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier_svc.rendering.body import Body, Entry, Row
from notifier_svc.rendering.html import LAYOUT, Layout
from notifier_svc.rendering.language import choose
from notifier_svc.rendering.wordings import Prose, environment

JINJA = environment()
TEXTS = st.one_of(
    st.sampled_from(["", "a", "<b>&'\"", "\x00", "\ue000", "\ue0001\ue000", "{{ 7 }}", "https://e.example/?a=1&b=2"]),
    st.text(max_size=20),
)
SOME = st.lists(TEXTS, max_size=3).map(tuple)
ROWS = st.lists(st.builds(Row, TEXTS, TEXTS, st.booleans()), max_size=3).map(tuple)
BODIES = st.builds(
    Body,
    greeting=TEXTS,
    entries=st.lists(st.builds(Entry, TEXTS, SOME, TEXTS), max_size=3).map(tuple),
    totals=ROWS,
    facts=ROWS,
    note=TEXTS,
    pay=ROWS,
    pay_link=st.none() | TEXTS,
    pay_missing=TEXTS,
    signature=SOME,
    contact=TEXTS,
    reason=TEXTS,
    imprint=TEXTS,
    unsubscribe=st.none() | TEXTS,
)
PROSES = st.builds(Prose, TEXTS, TEXTS, SOME, SOME, st.none(), TEXTS)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(JINJA)


@given(st.data())
def test_pieces_make_what_jinja_writes(layout, data):
    prose, body, seller = data.draw(PROSES), data.draw(BODIES), data.draw(TEXTS)
    choice = choose(data.draw(st.sampled_from(["en-GB", "de-AT", "fr"])), "DE", "en", "DE")
    written = JINJA.get_template(LAYOUT).render(
        tag=choice.tag,
        subject=prose.subject,
        seller=seller,
        heading=prose.heading,
        opening=prose.opening,
        closing=prose.closing,
        words=choice.language.labels,
        **body._asdict(),
    )
    assert layout.write(prose, body, choice, seller, prose.subject) == written
