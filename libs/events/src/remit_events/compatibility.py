"""Whether a JSON Schema still takes what its last release wrote, and its last release what it writes.

Within v1 a change may only add: optional fields, values of an enumeration (its readers are deployed first).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

# Keywords of which any change says something else than before.
_FIXED = ("format", "pattern", "multipleOf", "uniqueItems", "propertyNames")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """What of the change from `old` to `new` breaks readers, one line each; empty when nothing does."""
    return list(_differences(old, new, "", old, new, frozenset()))


def _differences(
    old: Schema, new: Schema, path: str, old_root: Schema, new_root: Schema, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    refs = (str(old.get("$ref")), str(new.get("$ref")))
    if "$ref" in old and "$ref" in new:
        if refs in seen:
            return
        seen |= {refs}
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    here = path or "the event"
    old_kinds, new_kinds = _alternatives(old, old_root), _alternatives(new, new_root)
    if old_kinds.keys() != new_kinds.keys():
        yield f"{here}: was {_names(old_kinds)}, is {_names(new_kinds)}"
        return
    for kind, was in old_kinds.items():
        yield from _narrowed(was, new_kinds[kind], here)
        yield from _inside(was, new_kinds[kind], path, old_root, new_root, seen)


def _narrowed(old: Schema, new: Schema, here: str) -> Iterator[str]:
    for keyword in _FIXED:
        if old.get(keyword) != new.get(keyword):
            yield f"{here}: {keyword} was {old.get(keyword)!r}, is {new.get(keyword)!r}"
    for keywords, sign in ((_AT_MOST, 1), (_AT_LEAST, -1)):
        for keyword in keywords:
            if keyword in new and (keyword not in old or sign * new[keyword] < sign * old[keyword]):
                yield f"{here}: {keyword} was {old.get(keyword)!r}, is {new[keyword]!r}"
    was, now = _values(old), _values(new)
    if now is not None:
        gone = ["any value"] if was is None else [value for value in was if value not in now]
        if gone:
            yield f"{here}: {', '.join(map(repr, gone))} no longer taken"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{here}: unknown fields are no longer ignored"


def _inside(
    old: Schema, new: Schema, path: str, old_root: Schema, new_root: Schema, seen: frozenset[tuple[str, str]]
) -> Iterator[str]:
    olds, news = old.get("properties", {}), new.get("properties", {})
    for name in sorted(new.get("required", [])):
        if name not in old.get("required", []):
            yield f"{_at(path, name)}: is required, was {'optional' if name in olds else 'not there'}"
    for name, was in olds.items():
        if name not in news:
            yield f"{_at(path, name)}: removed"
        else:
            yield from _differences(was, news[name], _at(path, name), old_root, new_root, seen)
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        was, now = old.get(keyword), new.get(keyword)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _differences(was, now, path + mark, old_root, new_root, seen)
        elif isinstance(now, Mapping):
            yield f"{path + mark}: was any value, is {_names(_alternatives(_resolve(now, new_root), new_root))}"


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    return schema


def _alternatives(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The kinds of value a schema takes, by JSON type; a second one of a type has a number."""
    found: dict[str, Schema] = {}
    for choice in schema.get("anyOf") or schema.get("oneOf") or ():
        for kind, taken in _alternatives(_resolve(choice, root), root).items():
            found[kind if kind not in found else f"{kind} {len(found)}"] = taken
    if found:
        return found
    kinds = schema.get("type", "any value")
    return {str(kind): schema for kind in (kinds if isinstance(kinds, list) else [kinds])}


def _values(schema: Schema) -> list[Any] | None:
    """The values a schema names, None when it names none."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _names(kinds: Mapping[str, Schema]) -> str:
    return " or ".join(sorted(kinds))


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
