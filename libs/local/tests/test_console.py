"""What is printed is text, whatever it is made of."""

from __future__ import annotations

import pytest

from remit_local.console import row, say, show, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[bold red]x[/] [link=file:///etc/passwd]y[/link]", "[bold red]x[/] [link=file:///etc/passwd]y[/link]"),
        ("a\x1b]0;title\x07b\x1b[2J\x9b31mc", "a]0;titleb[2J31mc"),
        ("pay \u202e001\u202c EUR\u2066!", "pay 001 EUR!"),
        ("two\r\nlines\tof it", "two\nlines\tof it"),
        ("Zoë 👩‍👩‍👧 مرحبا", "Zoë 👩‍👩‍👧 مرحبا"),
    ],
)
def test_nothing_a_terminal_would_act_on_is_printed(text: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    assert capsys.readouterr().out.expandtabs() == f"{shown}\n".expandtabs()
    listed = table("name")
    row(listed, text)
    show(listed)
    printed = capsys.readouterr().out
    assert not set(printed) & set("\x1b\x07\x9b\r\u202e\u202c\u2066")
