"""docs/events is what the models say, and the models may only grow."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
from remit_testing.delivery import event

from remit_events import schemas
from remit_events.catalogue import EVENT_TYPES, TOPICS
from remit_events.compatibility import incompatibilities
from remit_events.invoices import InvoiceIssued
from remit_events.notifications import ReplyReceived
from remit_events.schedule import PaymentDue, TouchDeferred

DOCS = Path(__file__).parents[3] / "docs" / "events"


def test_what_is_checked_in_is_what_the_models_say() -> None:
    assert schemas.drift(DOCS) == [], "run `make schemas`"
    assert schemas.breaks(DOCS) == []


def test_every_event_has_a_valid_schema_that_takes_its_events() -> None:
    for event_type in EVENT_TYPES.values():
        jsonschema.Draft202012Validator.check_schema(schemas.schema_of(event_type))
    body = json.loads(event(uuid4(), 1).model_dump_json())
    jsonschema.validate(body, schemas.schema_of(ReplyReceived))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body | {"channel": "pigeon"}, schemas.schema_of(ReplyReceived))


def test_the_asyncapi_document_names_every_event_once() -> None:
    document = schemas.asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {topic.name for topic in TOPICS}
    sent = [message["$ref"] for operation in document["operations"].values() for message in operation["messages"]]
    assert len(sent) == len(set(sent)) == len(EVENT_TYPES)
    for reference in sent:
        _, _, channel, _, name = reference.split("/")
        target = document["channels"][channel]["messages"][name]["$ref"].rpartition("/")[2]
        payload = document["components"]["messages"][target]["payload"]["schema"]["$ref"]
        assert (DOCS / payload).is_file()


def test_the_catalogue_lists_every_event() -> None:
    text = schemas.catalogue()
    assert all(f"| [{e.__name__}](schemas/{e.type}.json) |" in text for e in EVENT_TYPES.values())
    assert all(f"`{topic.name}`" in text for topic in TOPICS)


Change = Callable[[dict[str, Any]], None]


def field(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    for step in path:
        schema = schema[step]
    return schema


def state(schema: dict[str, Any]) -> dict[str, Any]:
    return field(schema, "$defs", "InvoiceState")


def remove(schema: dict[str, Any]) -> None:
    del state(schema)["properties"]["number"]


def rename(schema: dict[str, Any]) -> None:
    properties = schema["properties"]
    properties["touch"] = properties.pop("touch_id")


def newly_required(schema: dict[str, Any]) -> None:
    state(schema)["required"].append("external_id")


def new_required_field(schema: dict[str, Any]) -> None:
    schema["properties"]["priority"] = {"type": "integer"}
    schema["required"].append("priority")


def another_type(schema: dict[str, Any]) -> None:
    state(schema)["properties"]["balance_minor"] = {"type": "number"}


def no_longer_null(schema: dict[str, Any]) -> None:
    state(schema)["properties"]["due_date"] = {"type": "string", "format": "date"}


def newly_null(schema: dict[str, Any]) -> None:
    schema["properties"]["policy_key"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def fewer_values(schema: dict[str, Any]) -> None:
    field(schema, "$defs", "Tone")["enum"].remove("final")


def values_at_all(schema: dict[str, Any]) -> None:
    schema["properties"]["template"]["enum"] = ["standard"]


def another_format(schema: dict[str, Any]) -> None:
    schema["properties"]["local_date"]["format"] = "date-time"


def shorter(schema: dict[str, Any]) -> None:
    schema["properties"]["step"]["maxLength"] = 10


def larger(schema: dict[str, Any]) -> None:
    state(schema)["properties"]["total_minor"]["minimum"] = 1


def closed(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False


def other_items(schema: dict[str, Any]) -> None:
    schema["properties"]["items"]["items"] = {"type": "string"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (remove, "items[].invoice.number: removed"),
        (rename, "touch_id: removed"),
        (newly_required, "items[].invoice.external_id: is required, was optional"),
        (new_required_field, "priority: is required, was not there"),
        (another_type, "items[].invoice.balance_minor: was integer, is number"),
        (no_longer_null, "items[].invoice.due_date: was null or string, is string"),
        (newly_null, "policy_key: was string, is null or string"),
        (fewer_values, "tone: 'final' no longer taken"),
        (values_at_all, "template: 'any value' no longer taken"),
        (another_format, "local_date: format was 'date', is 'date-time'"),
        (shorter, "step: maxLength was None, is 10"),
        (larger, "items[].invoice.total_minor: minimum was None, is 1"),
        (closed, "the event: unknown fields are no longer ignored"),
        (other_items, "items[]: was object, is string"),
    ],
)
def test_a_breaking_change_is_named(change: Change, where: str) -> None:
    old = schemas.schema_of(PaymentDue)
    new = copy.deepcopy(old)
    change(new)
    assert where in incompatibilities(old, new)


def optional_field(schema: dict[str, Any]) -> None:
    state(schema)["properties"]["note"] = {"type": "string", "default": ""}


def more_values(schema: dict[str, Any]) -> None:
    field(schema, "$defs", "Channel")["enum"].append("whatsapp")


def no_longer_required(schema: dict[str, Any]) -> None:
    schema["required"].remove("policy_key")


def moved_definition(schema: dict[str, Any]) -> None:
    schema["properties"]["window"] = schema["$defs"]["Window"]


@pytest.mark.parametrize("change", [optional_field, more_values, no_longer_required, moved_definition, lambda _: None])
def test_growth_is_allowed(change: Change) -> None:
    old = schemas.schema_of(PaymentDue)
    new = copy.deepcopy(old)
    change(new)
    assert incompatibilities(old, new) == []


def test_free_form_inputs_stay_free() -> None:
    old = schemas.schema_of(TouchDeferred)
    new = copy.deepcopy(old)
    new["properties"]["inputs"]["additionalProperties"] = {"type": "string"}
    assert incompatibilities(old, new) == ["inputs{}: was any value, is string"]


def test_the_command_refuses_to_write_what_breaks_readers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schemas.main(["--docs", str(tmp_path)]) == 0
    assert schemas.main(["--docs", str(tmp_path), "--check"]) == 0
    path = tmp_path / "schemas" / f"{InvoiceIssued.type}.json"
    older = json.loads(path.read_text())
    older["properties"]["colour"] = {"type": "string"}
    path.write_text(json.dumps(older))
    gone = tmp_path / "schemas" / "com.remit.invoice.framed.v1.json"
    gone.write_text("{}")
    assert schemas.main(["--docs", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"incompatible: {InvoiceIssued.type}: colour: removed" in said
    assert "incompatible: com.remit.invoice.framed.v1: removed" in said
    assert json.loads(path.read_text()) == older
    assert schemas.main(["--docs", str(tmp_path), "--allow-incompatible"]) == 0
    assert schemas.drift(tmp_path) == []
    assert not gone.exists()


def test_the_check_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schemas.main(["--docs", str(tmp_path), "--check"]) == 1
    assert "README.md" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
