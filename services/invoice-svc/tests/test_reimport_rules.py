"""Any sequence of exports and of what people do between them, held against the rules of importing again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from remit_testing.import_rows import Import, row

from remit_service.bulk import fetch

TOTAL = 1_000
# What a row says of money: nothing, what is open, when it was paid.
MONEY: tuple[dict[str, Any], ...] = (
    {},
    *({"open_amount_minor": still_open} for still_open in (TOTAL, 700, 400, 0)),
    *({"paid_date": day} for day in ("2026-02-20", "2026-02-27")),
    {"paid_date": "2026-02-27", "open_amount_minor": 400},
)
BY_HAND = ("nothing", "dispute", "dispute a part", "resolve", "pay", "pay a part", "reverse newest", "reverse oldest")

# Of one invoice: what the file says, and what people do after it; the same file is imported again then.
SAYS = st.builds(
    lambda money, disputed: money | {"disputed": disputed}, st.sampled_from(MONEY), st.none() | st.booleans()
)
ROUND = st.tuples(SAYS, st.sampled_from(BY_HAND), st.sampled_from(BY_HAND))
STORY = st.tuples(*[ROUND] * 4)

_SEEN = """
SELECT id, balance_minor, (
    SELECT coalesce(jsonb_agg(jsonb_build_array(p.id, a.amount_minor, p.received_on, p.provider = 'import')
                              ORDER BY p.id), '[]')
    FROM allocation AS a JOIN payment AS p ON p.id = a.payment_id WHERE a.invoice_id = i.id AND p.status = 'received'
) AS payments, (
    SELECT coalesce(jsonb_agg(id), '[]') FROM dispute WHERE invoice_id = i.id AND status = 'open'
) AS disputes FROM invoice AS i WHERE number = :number
"""


@dataclass(frozen=True)
class Seen:
    """What is recorded of an invoice: standing payments (id, amount, day, imported), oldest first; open disputes."""

    id: str
    balance: int
    payments: list[tuple[str, int, str, bool]]
    disputes: frozenset[str]

    @property
    def takes_back(self) -> int:
        """How much an import may take back: what imports recorded since money was last recorded by hand."""
        total = 0
        for _, amount, _, imported in reversed(self.payments):
            if not imported:
                break
            total += amount
        return total

    @property
    def paid_on(self) -> str | None:
        return self.payments[-1][2] if self.payments else None


@dataclass
class Story:
    """An invoice, what exports have said of it last (a blank says nothing), and the disputes people opened."""

    world: Any
    number: str = field(default_factory=lambda: uuid4().hex)
    still_open: int = TOTAL
    paid_date: str | None = None
    disputed: bool = False
    by_hand: set[str] = field(default_factory=set)

    async def seen(self) -> Seen:
        async with self.world.service.db.reading() as session:
            [one] = await fetch(session, _SEEN, number=self.number)
        payments = [(id_, amount, day, imported) for id_, amount, day, imported in one.payments]
        return Seen(str(one.id), one.balance_minor, payments, frozenset(one.disputes))

    async def do(self, what: str) -> None:
        """What a person does; where it cannot be, nothing."""
        now = await self.seen()
        money = {"invoice_id": now.id, "currency": "EUR", "reference": uuid4().hex}
        ways: dict[str, tuple[str, dict[str, Any]]] = {
            "dispute": (f"invoices/{now.id}/disputes", {"reason": "x"}),
            "dispute a part": (f"invoices/{now.id}/disputes", {"reason": "x", "amount_minor": 100}),
            "pay": ("payments", money | {"amount_minor": max(now.balance, 1)}),
            "pay a part": ("payments", money | {"amount_minor": 300}),
        }
        for one in now.disputes:
            ways["resolve"] = (f"disputes/{one}/resolve", {"outcome": "x"})
        for name, place in (("reverse newest", -1), ("reverse oldest", 0)):
            if now.payments:
                ways[name] = (f"payments/{now.payments[place][0]}/reverse", {"reason": "x"})
        if what in ways:
            path, body = ways[what]
            answer = await self.world.client.post(f"/v1/{path}", json=body)
            assert answer.status_code in (200, 201, 409, 422), answer.text
            self.by_hand |= (await self.seen()).disputes - now.disputes

    def check_money(self, says: dict[str, Any], before: Seen, after: Seen, conflicts: set[str]) -> None:
        day, still_open = says.get("paid_date"), says.get("open_amount_minor")
        by_hand = [one for one in before.payments if not one[3]]
        assert [one for one in after.payments if not one[3]] == by_hand, "money recorded by hand stands"
        assert after.balance == TOTAL - sum(amount for _, amount, _, _ in after.payments)
        if day is None and still_open is None:
            told = any(imported for *_, imported in before.payments)
            assert (after.payments, bool(conflicts & {"open_amount_minor", "paid_date"})) == (before.payments, told)
            return
        wanted = still_open or 0
        news = wanted != self.still_open or day not in (None, self.paid_date)
        self.still_open, self.paid_date = wanted, day or self.paid_date
        agreed = before.balance == wanted and day in (None, before.paid_on)
        redated = before.balance == wanted and not agreed
        possible = before.takes_back > 0 if redated else before.balance + before.takes_back >= wanted
        if news and possible and not agreed:
            assert after.balance == wanted
            another_day = day not in (None, after.paid_on)
            assert not another_day or not any(imported for *_, imported in after.payments[-1:]), "by hand, so it stands"
            assert conflicts & {"open_amount_minor", "paid_date"} == ({"paid_date"} if another_day else set())
        else:
            assert after.payments == before.payments, "only what the file says anew is taken over"
            assert bool(conflicts & {"open_amount_minor", "paid_date"}) == (not agreed)

    def check_dispute(self, says: dict[str, Any], before: Seen, after: Seen, conflicts: set[str]) -> None:
        said, ours, theirs = says["disputed"], bool(before.disputes), before.disputes - self.by_hand
        assert before.disputes & self.by_hand <= after.disputes, "what people dispute stays disputed"
        if said is None:
            assert (after.disputes, "disputed" in conflicts) == (before.disputes, bool(theirs))
            return
        news, self.disputed = said != self.disputed, said
        if news and said != ours and (said or theirs):
            assert (bool(after.disputes), "disputed" in conflicts) == (said, False)
        else:
            assert after.disputes == before.disputes, "only what the file says anew is taken over"
            assert ("disputed" in conflicts) == (said != ours)


async def imported(world: Any, stories: list[Story], says: list[dict[str, Any]]) -> None:
    """Imports one file that speaks of every invoice, and checks what became of it."""
    before = [await story.seen() for story in stories]
    await world.events()
    run = await Import.begin(world)
    results = await run.rows(
        *(row(2 + n, **lines(story), **said) for n, (story, said) in enumerate(zip(stories, says, strict=True)))
    )
    for story, said, was, result in zip(stories, says, before, results, strict=True):
        now, conflicts = await story.seen(), {one["field"] for one in result["conflicts"]}
        story.check_money(said, was, now, conflicts)
        story.check_dispute(said, was, now, conflicts)
        assert bool(result["changes"]) == (result["status"] == "changed") == (now != was)
    changed = any(result["changes"] for result in results)
    assert bool(await world.events()) == changed


def lines(story: Story) -> dict[str, Any]:
    return {"invoice_number": story.number, "customer_external_id": story.number, "amount_minor": TOTAL}


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(st.lists(STORY, min_size=6, max_size=6))
async def test_importing_again(world: Any, told: list[Any]) -> None:
    stories = [Story(world) for _ in told]
    run = await Import.begin(world)
    await run.rows(*(row(2 + n, **lines(story)) for n, story in enumerate(stories)))
    for rounds in zip(*told, strict=True):
        says = [said for said, *_ in rounds]
        await imported(world, stories, says)
        for story, (_, *by_hand) in zip(stories, rounds, strict=True):
            for what in by_hand:
                await story.do(what)
        left = [await story.seen() for story in stories]
        await imported(world, stories, says)
        assert [await story.seen() for story in stories] == left, "the same file again changes nothing"
