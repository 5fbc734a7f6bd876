"""Allocation as arithmetic: sums exact, nothing negative, the order of the rules."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice_svc.allocation import AllocationError, OpenItem, Share, Split, by_reference, names, to_named, to_one

AMOUNTS = st.integers(min_value=1, max_value=10**15)
DAYS = st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1))


@st.composite
def open_items(draw: st.DrawFn) -> list[OpenItem]:
    balances = draw(st.lists(st.integers(min_value=0, max_value=10**6), max_size=8))
    return [
        OpenItem(UUID(int=index + 1), f"INV-{index + 1:04d}", draw(DAYS), date(2020, 1, 1), balance)
        for index, balance in enumerate(balances)
    ]


def exact(split: Split, amount: int, items: list[OpenItem]) -> None:
    owed = {item.invoice_id: item.balance_minor for item in items}
    assert sum(share.amount_minor for share in split.shares) + split.credit_minor == amount
    assert split.credit_minor >= 0
    assert all(0 < share.amount_minor <= owed[share.invoice_id] for share in split.shares)
    assert len({share.invoice_id for share in split.shares}) == len(split.shares)


@given(AMOUNTS, open_items(), st.text(max_size=30))
def test_by_reference_is_exact(amount: int, items: list[OpenItem], reference: str) -> None:
    split = by_reference(amount, items, reference)
    exact(split, amount, items)
    if split.credit_minor:  # credit only when everything is paid
        assert sum(share.amount_minor for share in split.shares) == sum(item.balance_minor for item in items)


@given(st.integers(min_value=1, max_value=3 * 10**6), open_items())
def test_oldest_due_goes_first(amount: int, items: list[OpenItem]) -> None:
    split = by_reference(amount, items, "thank you")
    put = {share.invoice_id: share.amount_minor for share in split.shares}
    ordered = sorted(items, key=lambda item: (item.due_date or date.max, item.issue_date, item.number))
    seen_gap = False
    for item in ordered:
        if seen_gap:
            assert item.invoice_id not in put
        seen_gap |= put.get(item.invoice_id, 0) < item.balance_minor


@given(AMOUNTS, open_items(), st.data())
def test_a_named_invoice_goes_before_older_ones(amount: int, items: list[OpenItem], data: st.DataObject) -> None:
    owing = [item for item in items if item.balance_minor]
    if not owing:
        return
    named = data.draw(st.sampled_from(owing))
    split = by_reference(amount, items, f"Invoice {named.number}, thanks")
    assert split.shares[0] == Share(named.invoice_id, min(amount, named.balance_minor))
    exact(split, amount, items)


@given(AMOUNTS, open_items().filter(bool))
def test_to_one_is_exact(amount: int, items: list[OpenItem]) -> None:
    exact(to_one(amount, items[0]), amount, items)


@given(AMOUNTS, open_items(), st.data())
def test_an_explicit_allocation_is_taken_whole_or_refused(
    amount: int, items: list[OpenItem], data: st.DataObject
) -> None:
    wanted = [
        Share(item.invoice_id, data.draw(st.integers(min_value=1, max_value=item.balance_minor + 1))) for item in items
    ]
    too_much = any(share.amount_minor > item.balance_minor for share, item in zip(wanted, items, strict=True))
    if too_much or sum(share.amount_minor for share in wanted) > amount:
        with pytest.raises(AllocationError):
            to_named(amount, wanted, items)
    else:
        split = to_named(amount, wanted, items)
        assert split.shares == tuple(wanted)
        exact(split, amount, items)


def test_an_invoice_named_twice_is_refused() -> None:
    item = OpenItem(UUID(int=1), "INV-1", None, date(2020, 1, 1), 100)
    with pytest.raises(AllocationError, match="named twice") as refused:
        to_named(100, [Share(item.invoice_id, 10), Share(item.invoice_id, 10)], [item])
    assert (refused.value.index, refused.value.code) == (1, "duplicate")


@pytest.mark.parametrize(
    ("reference", "number", "found"),
    [
        ("Invoice INV-1001", "INV-1001", True),
        ("inv-1001/inv-1002", "INV-1001", False),
        ("inv-1001, inv-1002", "INV-1002", True),
        ("INV-10011", "INV-1001", False),
        ("XINV-1001", "INV-1001", False),
        ("INV-1001-2", "INV-1001", False),
        ("INV-1001.", "INV-1001", True),
        ("2026-12-01", "12", False),
        ("12", "12", True),
        ("re 123.45 EUR", "123", False),
        ("RE/2026/7 danke", "RE/2026/7", True),
    ],
)
def test_reference_names_a_number_only_standing_alone(reference: str, number: str, found: bool) -> None:
    assert names(reference, number) is found
