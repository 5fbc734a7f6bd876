"""Invariant 29, to the end: what hostile names, numbers and notes become in mails, SMS, letters, pages, files and
on a terminal. Every text has a seller of its own, who is called by it, as is all they have."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from remit_testing.fixtures import MakeDatabase
from remit_testing.hostile import CORPUS, RUN, check_page
from remit_testing.rounds import FULL, SEED
from remit_testing.threads import Ask, in_thread
from remit_testing.two_sellers import LADDER, POLICY, Party, TwoSellers, another, two_sellers
from typer.testing import CliRunner

from remit_local.cli import add_commands
from remit_local.client import Remit
from remit_local.harvest import harvest
from remit_local.home import SERVICES, Home
from remit_local.ledger_csv import FORMULA, unescape
from remit_local.outputs import write_decisions, write_escalations, write_messages
from remit_local.overview import overview

ONE_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
LANGUAGES = ("en", "de", "fr")
SINGLE_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Unsubscribe")
KNOWN_HEADERS = {*map(str.lower, SINGLE_HEADERS)} | {
    "mime-version", "content-type", "content-transfer-encoding", "content-language", "list-unsubscribe-post",
    "auto-submitted", "x-auto-response-suppress", "precedence", "content-disposition",
}  # fmt: skip
# What reorders the text after it: on a terminal, a name could be read as another, a sum as another.
REORDERS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def fitted(text: str, longest: int) -> str:
    """What of a text the API takes in one line: most of these are meant for what is behind it."""
    return ONE_LINE.sub(" ", text).strip()[:longest].strip()


@dataclass
class Named:
    """A seller all of whose things are called by one text of the corpus."""

    attack: str
    party: Party
    text: str

    @property
    def number(self) -> str:
        return fitted(self.text, 90)

    @property
    def address(self) -> str:
        return f"ap@{self.attack}.example"


@pytest.fixture(scope="module")
async def named(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[TwoSellers, list[Named]]]:
    """All that can stand in one line; without --full every third, another third with another seed."""
    texts = {attack: text for attack, text in CORPUS.items() if fitted(text, 200)}
    first, step = (0, 1) if request.config.getoption(FULL) else (request.config.getoption(SEED) % 3, 3)
    async with two_sellers(make_database, tmp_path_factory.mktemp("through")) as world:
        found = []
        for count, (attack, text) in list(enumerate(texts.items()))[first::step]:
            key = f"rk_of-the-seller-called-by-a-text-{count:012}"
            party = await another(world.service("invoice-svc"), world.lapse.clock, key, attack, 30 + count)
            found.append(Named(attack, party, text))
        await world.lapse.settle()
        for count, one in enumerate(found):
            await _called(world, one, LANGUAGES[count % 3])
        await world.lapse.until(world.lapse.clock.now() + timedelta(days=1, hours=2))
        yield world, found


async def _called(world: TwoSellers, one: Named, language: str) -> None:
    """A customer who gets an invoice, a reminder on every channel and a thank-you, and whom a person is to call."""
    name, label, lines = fitted(one.text, 200), fitted(one.text, 100), one.text.replace("\r", "")[:1000]
    seller = {"name": name, "account_manager": name, "bank_name": name, "language": language}
    seller |= {
        "sender_email": f"billing@{one.attack}.example",
        "iban": "DE89370400440532013000",
        "sms_from": "+4930999",
    }
    await _do(world, one, "invoice-svc", "PUT", f"/v1/sellers/{one.party.seller_id}", seller)
    rules = {"rungs": [rung | {"note": fitted(one.text, 500)} for rung in LADDER["rungs"]]}
    await _do(world, one, "escalation-svc", "POST", "/v1/ladders/mine/versions?assign_all=true", rules)
    policy = POLICY | {"key": "mine"}
    await _do(world, one, "scheduler-svc", "POST", "/v1/policies/mine/versions?assign_all=true", policy)
    customer = {"external_id": label, "name": name, "country": "DE", "profile": "business", "language": language}
    customer |= {
        "email": one.address,
        "phone": one.party.phone,
        "sms_consent": True,
        "address": f"{fitted(lines, 900)}\nx",
    }
    await _do(world, one, "invoice-svc", "POST", "/v1/customers", customer)
    today = world.lapse.clock.now().date()
    for suffix, due in (("", -1), (" 2", 0), (" 3", 30)):
        invoice = {"customer_external_id": label, "number": one.number + suffix, "amount_minor": 100, "currency": "EUR"}
        invoice |= {
            "issue_date": str(today - timedelta(days=9 if due < 0 else 0)),
            "due_date": str(today + timedelta(days=due)),
        }
        made = await _do(world, one, "invoice-svc", "POST", "/v1/invoices", invoice)
        if suffix == " 2":
            dispute = {"reason": fitted(one.text, 500), "amount_minor": 1}
            await _do(world, one, "invoice-svc", "POST", f"/v1/invoices/{made['id']}/disputes", dispute)
            await _do(
                world, one, "invoice-svc", "POST", f"/v1/invoices/{made['id']}/hold", {"reason": dispute["reason"]}
            )
    paid = {"invoice_number": f"{one.number} 3", "settle": True, "reference": name}
    await _do(world, one, "invoice-svc", "POST", "/v1/payments", paid)


async def _do(world: TwoSellers, one: Named, service: str, method: str, path: str, body: Any) -> Any:
    async with world.client(service, one.party) as client:
        answer = await client.request(method, path, json=body, headers={"If-Match": "*"})
    assert answer.is_success, f"{one.attack}: {method} {path}: {answer.text}"
    return answer.json()


async def test_mails_sms_and_letters(named: tuple[TwoSellers, list[Named]], invariant: Any) -> None:
    world, found = named
    mails, sms, letters = 0, 0, 0
    for one in found:
        mine = [mail for mail in _mails(world) if one.address in mail["To"]]
        assert len(mine) >= 3, f"{one.attack}: an invoice, a reminder and a thank-you"
        for mail in mine:
            _check_mail(mail, one.address)
        mails += len(mine)
    for path in world.mailbox.iterdir():
        assert path.parent == world.mailbox
        if path.name.endswith(".sms.txt"):
            said = path.read_text("utf-8")
            assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]
            assert not REORDERS.search(said)
            assert not [run for run in RUN if run in said]
            sms += 1
        elif path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF-")
            assert not re.search(rb"/(JavaScript|JS|Launch|EmbeddedFile|OpenAction)\b", path.read_bytes())
            letters += 1
    assert min(sms, letters) >= len(found)
    invariant(29, "hostile text carried into messages").held(
        rounds=len(found), mails=mails, sms=sms, letters=letters, executed=0
    )


def _mails(world: TwoSellers) -> Iterator[EmailMessage]:
    for path in world.mailbox.glob("*.eml"):
        yield message_from_bytes(path.read_bytes(), policy=default)  # type: ignore[misc]  # of that policy


def _check_mail(mail: EmailMessage, address: str) -> None:
    names = [name.lower() for name in mail]
    assert set(names) <= KNOWN_HEADERS | {name for name in names if name.startswith("x-remit")}, names
    assert all(names.count(header.lower()) <= 1 for header in SINGLE_HEADERS)
    [to] = mail["To"].addresses
    assert to.addr_spec == address
    assert len(mail["From"].addresses) == 1
    for name in mail:
        assert not [c for c in str(mail[name]) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")], name
        assert not REORDERS.search(str(mail[name])), name
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        text = part.get_content()
        assert not [run for run in RUN if run in text]
        assert not REORDERS.search(text)
        if kind == "html":
            check_page(text)


async def test_pages(named: tuple[TwoSellers, list[Named]]) -> None:
    world, found = named
    links = {
        re.search(r"/v1/unsubscribe/[\w-]+", str(m["List-Unsubscribe"])) for m in _mails(world) if m["List-Unsubscribe"]
    }
    paths = {link[0] for link in links if link}
    assert len(paths) >= len(found)
    async with world.client("notifier-svc") as client:
        for path in paths:
            page = await client.get(path)
            check_page(page.text)
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert not [run for run in RUN if run in page.text]


async def test_exports(named: tuple[TwoSellers, list[Named]], tmp_path: Path, invariant: Any) -> None:
    """No cell of a CSV file is a formula, and read back each is what it was."""
    world, found = named
    cells = 0
    for one in found:
        got = await harvest(world.lapse.system, {"Authorization": f"Bearer {one.party.key}"})
        for name, write, rows in (
            ("messages", write_messages, got.messages),
            ("decisions", write_decisions, got.decisions),
            ("escalations", write_escalations, got.rungs),
        ):
            path = tmp_path / f"{name}.csv"
            write(path, rows)  # type: ignore[operator]  # each with its own rows
            with path.open(encoding="utf-8", newline="") as file:
                said = list(csv.DictReader(file))
            assert len(said) == len(rows) > 0
            assert {unescape(row["customer_id"]) for row in said} == {fitted(one.text, 100)}
            assert not [cell for row in said for cell in row.values() if cell.startswith(FORMULA)]
            cells += sum(len(row) for row in said)
    invariant(29, "hostile text exported as CSV").held(rounds=len(found), cells=cells, formulas=0)


class Bridge(httpx.BaseTransport):
    """What the `remit` command asks in its thread is answered by the services on the test's loop."""

    def __init__(self, ask: Ask, world: TwoSellers) -> None:
        self._ask, self._world = ask, world

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._ask(self._sent(request))  # type: ignore[no-any-return]  # what _sent gives

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        async with self._world.client(request.url.host) as client:
            answer = await client.request(request.method, request.url, content=request.read(), headers=request.headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


async def test_what_remit_prints(
    named: tuple[TwoSellers, list[Named]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invariant: Any
) -> None:
    world, found = named
    urls = {name: f"http://{name}" for name in SERVICES}
    printed = 0

    def play(ask: Ask) -> None:
        nonlocal printed
        commands = add_commands()
        for one in found:
            opened = partial(Remit, urls, one.party.key, transport=Bridge(ask, world))
            monkeypatch.setattr(Remit, "of", lambda _, opened=opened: opened())
            said = [
                CliRunner().invoke(commands, ["--data", str(tmp_path), *command])
                for command in (
                    ["plan", "--render", str(tmp_path / one.attack)],
                    ["why", one.number],
                    ["why", f"{one.number} 2"],
                    ["why", fitted(one.text, 100)],
                    ["approvals", "--status", "all"],
                    ["review"],
                    ["seller", "show"],
                    ["key", "list"],
                )
            ]
            for result in said:
                assert result.exit_code in (0, 2), f"{one.attack}: {result.exception!r}\n{result.output}"
                _check_printed(one, result.output)
            printed += len(said)
        # The overview writes as they do, and is no command of its own.
        monkeypatch.undo()
        for one in found:
            with Remit(urls, one.party.key, transport=Bridge(ask, world)) as opened:
                overview(opened, Home(tmp_path), urls)

    await in_thread(play)
    invariant(29, "hostile text printed by remit").held(rounds=len(found), commands=printed, executed=0)


def _check_printed(one: Named, output: str) -> None:
    assert "Traceback" not in output
    assert not [c for c in output if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"], f"{one.attack}: {output!r}"
    assert not REORDERS.search(output), f"{one.attack}: {output!r}"
    assert not [run for run in RUN if run in output]
