"""The mailbox folder: whole files, names that sort and read, contents a mail program opens."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from remit_testing.notifier import World

from notifier_svc.providers import mailbox
from remit_events.state import Channel

EVERY = (Channel.EMAIL, Channel.SMS, Channel.LETTER)


async def test_an_e_mail_opens_in_a_mail_program(world: World) -> None:
    customer = await world.customer(name="Müller, Söhne & Co", external_id="C/17 ä")
    invoice = world.invoice(customer)
    await world.remind(customer, invoice)
    await world.settle()
    [path] = world.files("*.eml")
    assert path.name.startswith("2026-03-02T100000Z-c-17-overdue-second-")
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message["From"].addresses[0].addr_spec == "billing@nordlicht.example"
    assert message["To"].addresses[0].display_name == "Müller, Söhne & Co"
    assert message["Reply-To"].addresses[0].addr_spec == "accounts@nordlicht.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message["Date"].datetime == world.clock.now()
    assert invoice.number in message["Subject"]
    plain, html = message.iter_parts()  # type: ignore[union-attr]
    assert invoice.number in plain.get_content()
    assert "119.00" in plain.get_content()
    assert html.get_content_type() == "text/html"
    [row] = await world.rows("SELECT message_id FROM delivery")
    assert message["Message-ID"] == f"<{row.message_id}>"
    assert row.message_id.endswith("@nordlicht.example")


async def test_one_unsubscribes_by_mail_while_there_is_no_public_address(world: World) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    message = message_from_bytes(world.files("*.eml")[0].read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe"] == "<mailto:accounts@nordlicht.example?subject=unsubscribe>"
    assert "List-Unsubscribe-Post" not in message


async def test_sms_and_letters_lie_beside(world: World) -> None:
    customer = await world.customer()
    invoice = world.invoice(customer)
    await world.remind(customer, invoice, channels=EVERY)
    await world.settle()
    [sms] = world.files("*.sms.txt")
    head, said = sms.read_text().split("\n\n", 1)
    assert "To: +4917612345678" in head
    assert "Nordlicht" in said
    assert "STOP" in said
    assert world.files("*.letter.pdf")[0].read_bytes().startswith(b"%PDF-")
    assert "Marktplatz 1" in world.files("*.letter.json")[0].read_text()


async def test_names_sort_by_time(world: World) -> None:
    customer = await world.customer()
    for _ in range(3):
        await world.remind(customer, world.invoice(customer))
        await world.settle()
        world.clock.set(world.clock.now() + timedelta(minutes=61))
    sent = await world.rows("SELECT provider_id FROM delivery ORDER BY sent_at")
    assert [path.name for path in world.files("*.eml")] == [row.provider_id for row in sent]


async def test_a_folder_that_cannot_be_written_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = await world.customer()
    await world.remind(customer, world.invoice(customer))

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(mailbox, "write_whole", full)
        await world.settle()
    [row] = await world.rows("SELECT status, error_class, next_attempt_at FROM delivery")
    assert (row.status, row.error_class) == ("pending", "folder-not-writable")
    world.clock.set(row.next_attempt_at)
    await world.settle()
    assert await world.statuses() == {"email": "sent"}


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(mailbox.os, "rename", crash)
    with pytest.raises(OSError, match="Input/output"):
        mailbox.write_whole(tmp_path / "a.eml", b"x" * 100_000)
    assert not list(tmp_path.glob("*.eml"))


async def test_a_line_break_in_a_name_never_becomes_a_header(world: World) -> None:
    customer = await world.customer(name="Evil\r\nBcc: victim@example.com")
    await world.remind(customer, world.invoice(customer))
    await world.settle()
    for path in world.files("*.eml"):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        assert message["Bcc"] is None
    assert (await world.statuses())["email"] in ("sent", "failed")
