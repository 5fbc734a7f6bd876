"""Which replies close a number, which open it, and which a person reads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier_svc.optout import START_WORDS, STOP_WORDS, confirmation, intent, says_more


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
@pytest.mark.parametrize("frame", ["{}", "{} please", "please {}", " {}! ", "{}.", "{} texting me", "I want to {}"])
def test_stop_words_stop_in_any_case_and_with_words_around(word: str, frame: str) -> None:
    for said in (word, word.lower(), word.title()):
        assert intent(frame.format(said)) == "stop"


@pytest.mark.parametrize(
    "body", ["opt-out", "Opt out", "STOP\n", "stop stop stop", "Stop, I paid already", "opt out, please"]
)
def test_more_ways_to_say_stop(body: str) -> None:
    assert intent(body) == "stop"


@pytest.mark.parametrize("word", sorted(START_WORDS))
def test_start_words_open_again(word: str) -> None:
    assert intent(word.lower()) == intent(f"{word} please") == "start"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "I will pay on Friday",
        "yes I will pay tomorrow",
        "no need to cancel, paid",
        "End of the month I will pay",
        "Cancel my order please, the goods never came",
        "Quit bothering us, we paid",
        "I never asked to opt out of the contract",
        "can we stop by?",
        "nonstop",
        "✋",
    ],
)
def test_the_rest_is_for_a_person(body: str) -> None:
    assert intent(body) == "other"


@pytest.mark.parametrize(
    ("body", "more"),
    [("STOP", False), ("please stop texting me", False), ("yes", False), ("", False), ("Stop, I paid already", True)],
)
def test_what_is_said_beside_the_word_is_told_apart(body: str, more: bool) -> None:
    assert says_more(body) is more


@settings(deadline=None)
@given(st.text())
def test_any_text_has_an_intent(body: str) -> None:
    assert intent(body) in ("stop", "start", "other")


@pytest.mark.parametrize("language", ["en", "de", "fr", "de-AT", "xx"])
def test_a_confirmation_names_the_seller_and_the_way_back(language: str) -> None:
    said = confirmation("Nordlicht GmbH", language)
    assert said.startswith("Nordlicht GmbH")
    assert "START" in said
    assert len(said) <= 160
