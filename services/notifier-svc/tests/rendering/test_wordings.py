"""Finding and listing wordings, sets of one's own included; and the budget of time."""

from __future__ import annotations

import shutil
import time

import pytest

from notifier_svc.rendering import Entry, catalogue, render
from notifier_svc.rendering.language import TEMPLATES, choose
from notifier_svc.rendering.view import build
from notifier_svc.rendering.wordings import Wordings
from remit_events.state import Channel, Stage, Tone


def test_the_catalogue_lists_what_is_shipped_in_order():
    entries = catalogue()
    assert len(entries) == len(set(entries)) == 39
    assert entries[0] == Entry(Stage.INVOICE, None, "de")
    assert Entry(Stage.OVERDUE, Tone.FINAL, "fr") in entries
    assert [entry.stage for entry in entries] == sorted((entry.stage for entry in entries), key=list(Stage).index)


def test_a_set_of_ones_own_is_preferred_where_it_has_the_stage(message, tmp_path):
    shutil.copytree(TEMPLATES, tmp_path / "t")
    own = tmp_path / "t" / "en" / "patients"
    own.mkdir()
    (own / "overdue.firm.j2").write_text(
        "{% block subject %}Own {{ m.numbers }}{% endblock %}{% block heading %}Own{% endblock %}"
        "{% block opening %}One\ntwo.\n\n  Three.{% endblock %}{% block closing %}End.{% endblock %}"
    )
    wordings, choice = Wordings(tmp_path / "t"), choose("en", "GB", "en", "DE")
    own_wording = wordings.find("en", Stage.OVERDUE, Tone.FIRM, "patients")
    prose = wordings.write(own_wording, build(message(), choice), choice)
    assert (prose.subject, prose.opening, prose.closing) == ("Own 1001", ("One two.", "Three."), ("End.",))
    standard = wordings.find("en", Stage.OVERDUE, Tone.FIRM)
    assert own_wording is not standard
    assert wordings.find("en", Stage.DUE, Tone.FIRM, "patients") is wordings.find("en", Stage.DUE, Tone.FIRM)
    assert wordings.find("en", Stage.OVERDUE, Tone.FIRM, "../de") is standard
    assert wordings.catalogue() == catalogue()


def test_a_language_without_the_stage_is_an_error(tmp_path):
    (tmp_path / "en").mkdir()
    with pytest.raises(LookupError, match="thanks"):
        Wordings(tmp_path).find("en", Stage.THANKS, None)


def test_a_mail_takes_well_under_three_milliseconds(message, item):
    """The budget is half a millisecond on a quiet core; this only catches templates compiled again per message."""
    made = [message("overdue", "firm", [item(str(i), i, 100 * i)], language="de") for i in range(1, 101)]
    render(made[0], channels=[Channel.EMAIL])
    started = time.process_time()
    for each in made:
        render(each, channels=[Channel.EMAIL])
    assert (time.process_time() - started) / len(made) < 0.003
