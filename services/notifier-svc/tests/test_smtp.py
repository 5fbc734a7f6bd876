"""SMTP against a real peer: what is certain is tried again or given up, what is not is left to a person."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import dkim
import pytest
import pytest_asyncio
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st
from remit_testing.notifier_samples import outgoing
from remit_testing.smtp import MailServer

from notifier_svc.providers import Outcome, Result
from notifier_svc.providers.signing import Dkim, relaxed
from notifier_svc.providers.smtp import Smtp, SmtpServer
from notifier_svc.providers.smtp_line import as_data

DATA = Path(__file__).parent / "data"


async def yes() -> bool:
    return True


@pytest_asyncio.fixture(loop_scope="session", params=[False, True], ids=["one by one", "pipelining"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[MailServer]:
    async with MailServer(pipelining=request.param) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def smtp(server: MailServer) -> AsyncIterator[Smtp]:
    made = Smtp(SmtpServer("127.0.0.1", server.port, "none", timeout=2))
    yield made
    await made.close()


async def test_a_message_arrives_whole(server: MailServer, smtp: Smtp) -> None:
    message = outgoing()
    outcome = await smtp.send(message, yes)
    assert outcome == Outcome.sent("2.0.0 Ok: queued as T1")
    [taken] = server.messages
    assert (taken.sender, taken.recipients) == ("billing@nordlicht.example", ["ap@muster.example"])
    assert taken.message["Message-ID"] == f"<{message.message_id}>"
    plain = taken.message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().splitlines() == message.text.splitlines()


async def test_an_answer_in_no_character_set_can_be_stored(server: MailServer, smtp: Smtp) -> None:
    assert Outcome.sent("caf\udce9\x00").provider_id == "caf?"
    server.script("RCPT", "550 5.7.1 caf\udce9")
    assert (await smtp.send(outgoing(), yes)).reason.encode()


async def test_one_connection_serves_many_messages(server: MailServer, smtp: Smtp) -> None:
    for _ in range(5):
        assert (await smtp.send(outgoing(), yes)).result is Result.SENT
    assert server.connections == 1


async def test_many_at_once_take_as_many_connections(server: MailServer, smtp: Smtp) -> None:
    await asyncio.gather(*(smtp.send(outgoing(), yes) for _ in range(4)))
    await asyncio.gather(*(smtp.send(outgoing(), yes) for _ in range(4)))
    assert (len(server.messages), server.connections) == (8, 4)


async def test_a_connection_the_server_closed_meanwhile_is_replaced(server: MailServer, smtp: Smtp) -> None:
    await smtp.send(outgoing(), yes)
    server.hang_up()
    assert (await smtp.send(outgoing(), yes)).result is Result.SENT
    server.script("MAIL", "drop")
    assert (await smtp.send(outgoing(), yes)).result is Result.SENT
    assert len(server.messages) == 3


@pytest.mark.parametrize(
    ("command", "answer", "result", "reason_class", "closes"),
    [
        ("MAIL", "451 4.3.0 later", Result.RETRY, "not-now", None),
        ("MAIL", "550 5.7.1 you may not", Result.REFUSED, "sender-refused", None),
        ("RCPT", "450 4.2.1 greylisted", Result.RETRY, "not-now", None),
        ("RCPT", "550 5.1.1 <ap@muster.example>: no such user", Result.REFUSED, "recipient-refused", "hard-bounce"),
        ("RCPT", "550 no such user", Result.REFUSED, "recipient-refused", "hard-bounce"),
        ("RCPT", "554 5.7.1 blocked for spam", Result.REFUSED, "recipient-refused", None),
        ("RCPT", "552 5.2.2 mailbox full", Result.REFUSED, "recipient-refused", None),
        ("DATA", "451 4.7.1 try again", Result.RETRY, "not-now", None),
        ("DATA", "421 4.3.2 going down", Result.RETRY, "not-now", None),
        ("DATA", "554 5.6.0 content refused", Result.REFUSED, "content-refused", None),
        ("DATA", "550 5.1.1 no such user", Result.REFUSED, "content-refused", "hard-bounce"),
    ],
)
async def test_what_the_server_answers(
    server: MailServer, smtp: Smtp, command: str, answer: str, result: Result, reason_class: str, closes: str | None
) -> None:
    server.script(command, answer)
    outcome = await smtp.send(outgoing(), yes)
    assert (outcome.result, outcome.reason_class, outcome.closes) == (result, reason_class, closes)
    assert "muster.example" not in outcome.reason
    assert server.messages == []
    assert (await smtp.send(outgoing(), yes)).result is Result.SENT


@pytest.mark.parametrize("answer", ["drop", "slow", "999 what"])
async def test_silence_after_the_message_is_unknown(server: MailServer, answer: str) -> None:
    smtp = Smtp(SmtpServer("127.0.0.1", server.port, "none", timeout=0.1))
    server.script("DATA", answer)
    outcome = await smtp.send(outgoing(), yes)
    assert outcome.result is Result.UNKNOWN
    await smtp.close()


async def test_a_line_cut_before_the_message_is_certain(server: MailServer, smtp: Smtp) -> None:
    server.script("RCPT", "drop", "drop")
    outcome = await smtp.send(outgoing(), yes)
    assert (outcome.result, outcome.reason_class) == (Result.RETRY, "connection-lost")
    assert outcome.provider_down


async def test_a_server_that_waits_for_the_message_it_refused_gets_nothing() -> None:
    said = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            said.extend(line)
            answers = {
                b"EHLO": b"250-here\r\n250 PIPELINING\r\n",
                b"RCPT": b"550 5.1.1 who?\r\n",
                b"DATA": b"354 go on\r\n",
            }
            writer.write(answers.get(line[:4], b"250 ok\r\n"))
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as running:
        smtp = Smtp(SmtpServer("127.0.0.1", running.sockets[0].getsockname()[1], "none", timeout=2))
        assert (await smtp.send(outgoing(), yes)).closes == "hard-bounce"
        await asyncio.sleep(0)
    assert said.endswith(b"RCPT TO:<ap@muster.example>\r\nDATA\r\n")


def test_a_line_that_ends_in_less_than_crlf_is_not_said() -> None:
    assert as_data(b"a\r\n.b\r\n") == b"a\r\n..b\r\n.\r\n"
    for hides in (b"a\n.\nMAIL\r\n", b"a\r.\r\n", b"a"):
        with pytest.raises(ValueError, match="CRLF"):
            as_data(hides)


async def test_nobody_there_is_certain() -> None:
    smtp = Smtp(SmtpServer("127.0.0.1", 1, "none", timeout=1))
    outcome = await smtp.send(outgoing(), yes)
    assert (outcome.result, outcome.reason_class, outcome.provider_down) == (Result.RETRY, "not-connected", True)
    checked = await smtp.check()
    assert (checked.ok, "SMTP_*" in checked.detail) == (False, True)


async def test_nothing_is_said_when_it_may_not_go(server: MailServer, smtp: Smtp) -> None:
    async def no() -> bool:
        return False

    assert (await smtp.send(outgoing(), no)).result is Result.WITHDRAWN
    assert server.messages == []
    assert (await smtp.send(outgoing(), yes)).result is Result.SENT
    assert server.connections == 1


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / "smtp-cert.pem", DATA / "smtp-key.pem")
    return context


async def test_starttls_and_login() -> None:
    async with MailServer(tls=tls(), login=("remit", "secret")) as server:
        settings = SmtpServer("localhost", server.port, "starttls", "remit", "secret", 2, DATA / "smtp-cert.pem")
        smtp = Smtp(settings)
        assert (await smtp.send(outgoing(), yes)).result is Result.SENT
        assert (await smtp.check()).ok
        await smtp.close()
        wrong = Smtp(replace(settings, password="wrong"))
        outcome = await wrong.send(outgoing(), yes)
        assert (outcome.result, outcome.provider_down) == (Result.RETRY, True)
        assert not (await wrong.check()).ok
        assert len(server.messages) == 1


async def test_a_certificate_nobody_vouches_for_gets_nothing() -> None:
    async with MailServer(tls=tls()) as server:
        outcome = await Smtp(SmtpServer("localhost", server.port, "starttls", timeout=2)).send(outgoing(), yes)
        assert (outcome.result, outcome.reason_class) == (Result.RETRY, "not-connected")
        assert server.messages == []


async def test_a_server_without_encryption_gets_nothing_when_it_is_asked_for(server: MailServer) -> None:
    outcome = await Smtp(SmtpServer("127.0.0.1", server.port, "starttls", timeout=2)).send(outgoing(), yes)
    assert outcome.result is Result.RETRY
    assert server.messages == []


async def test_dkim_is_verified_by_dkimpy(server: MailServer) -> None:
    signer = Dkim.read("nordlicht.example", "remit", DATA / "dkim-key.pem")
    smtp = Smtp(SmtpServer("127.0.0.1", server.port, "none", timeout=2), signer)
    await smtp.send(outgoing(unsubscribe_url="https://pay.example/v1/unsubscribe/x"), yes)
    await smtp.close()
    raw = server.messages[0].raw

    def published(name: bytes, timeout: int = 5) -> bytes | None:
        if name != b"remit._domainkey.nordlicht.example.":
            return None
        return b"v=DKIM1; k=rsa; p=" + (DATA / "dkim-public.txt").read_bytes().strip()

    assert dkim.verify(raw, dnsfunc=published)
    assert not dkim.verify(raw.replace(b"R-1042", b"R-9999"), dnsfunc=published)
    assert not dkim.verify(raw.replace(b"Subject:", b"Subject: [x]"), dnsfunc=published)
    signed = server.messages[0].message["DKIM-Signature"]
    assert "list-unsubscribe-post" in signed


@settings(deadline=None)
@given(st.text("a \t\r\n.=").map(lambda body: "\r\n".join(body.splitlines()).encode() + b"\r\n"))
def test_dkim_hashes_the_body_dkimpy_would(body: bytes) -> None:
    assert relaxed(body) == Relaxed.canonicalize_body(body)


@pytest.mark.parametrize("name", ["dkim-public.txt", "smtp-cert.pem"])
def test_a_dkim_key_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="holds no"):
        Dkim.read("nordlicht.example", "remit", DATA / name)


async def test_one_click_unsubscribe_headers(server: MailServer, smtp: Smtp) -> None:
    url = "https://pay.example/v1/unsubscribe/" + b64encode(bytes(32)).decode().rstrip("=").replace("/", "_")
    mailto = "mailto:accounts@nordlicht.example?subject=unsubscribe"
    await smtp.send(outgoing(unsubscribe_url=url, unsubscribe_mailto=mailto), yes)
    message = server.messages[0].message
    assert [part.strip() for part in message["List-Unsubscribe"].split(",")] == [f"<{url}>", f"<{mailto}>"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_domains_in_other_scripts_and_local_parts_that_need_smtputf8(server: MailServer, smtp: Smtp) -> None:
    assert (await smtp.send(outgoing(recipient="info@müller.example"), yes)).result is Result.SENT
    assert server.messages[0].recipients == ["info@xn--mller-kva.example"]
    outcome = await smtp.send(outgoing(recipient="jörg@müller.example"), yes)
    assert (outcome.result, outcome.reason_class) == (Result.REFUSED, "address-not-supported")
    async with MailServer(smtputf8=True) as modern:
        other = Smtp(SmtpServer("127.0.0.1", modern.port, "none", timeout=2))
        assert (await other.send(outgoing(recipient="jörg@müller.example"), yes)).result is Result.SENT
        await other.close()
        assert modern.messages[0].recipients == ["jörg@müller.example"]


@pytest.mark.parametrize("field", ["recipient", "subject", "customer_name", "redirected_from"])
async def test_line_breaks_are_refused_before_anything_is_said(server: MailServer, smtp: Smtp, field: str) -> None:
    bad = "x@example.com\r\nBcc: victim@example.com"
    outcome = await smtp.send(outgoing(**{field: bad}), yes)
    assert (outcome.result, outcome.reason_class) == (Result.REFUSED, "not-sendable")
    assert server.messages == []
