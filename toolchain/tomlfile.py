"""TOML files that a user writes, decoded straight into frozen msgspec structs; and the way back.

Errors say where and what to do.
"""

import difflib
from pathlib import Path
import re
import tomllib
from typing import Literal, TypeVar, get_args, get_origin

import msgspec

from toolchain.errors import BadConfig

T = TypeVar("T")


def decode_toml(path: Path, kind: type[T]) -> T:
    """Decode the file into `kind`.

    Raises BadConfig naming file, key, value and, for a misspelt key, the likely one.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadConfig(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path}: not valid TOML: {error}") from None
    if unknown := _unknown_key(raw, kind):
        raise BadConfig(f"{path}: {unknown}")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise BadConfig(f"{path}: {_in_words(str(error), kind)}") from None


def encode_toml(record: msgspec.Struct) -> str:
    """What differs from the defaults, as TOML that `decode_toml` makes the same record of."""
    import tomli_w

    return tomli_w.dumps(_stated(record))


def _stated(record: msgspec.Struct) -> dict:
    """The fields that are not at their default, sections as dicts."""
    stated = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, msgspec.Struct) and value != _default(field):
            stated[field.name] = _stated(value)
        elif value and isinstance(value, tuple) and isinstance(value[0], msgspec.Struct):
            stated[field.name] = [_stated(one) for one in value]
        elif value is not None and value != _default(field):
            stated[field.name] = msgspec.to_builtins(value)
    return stated


def _default(field: msgspec.structs.FieldInfo):
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _unknown_key(raw: dict, kind: type, prefix: str = "") -> str | None:
    """Name the first key that `kind` does not have, with the closest one that it has."""
    fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key not in fields:
            near, known = difflib.get_close_matches(key, fields, 1), ", ".join(sorted(fields))
            hint = f"did you mean '{prefix}{near[0]}'?" if near else f"known keys: {known}"
            return f"unknown key '{prefix}{key}'; {hint}"
        if isinstance(value, dict | list) and (section := _struct_in(fields[key])):
            for name, entry in _entries(value, get_origin(fields[key])):
                where = f"{prefix}{key}.{name}." if name else f"{prefix}{key}."
                if isinstance(entry, dict) and (found := _unknown_key(entry, section, where)):
                    return found
    return None


def _entries(value: dict | list, kind: type | None) -> list[tuple[str, object]]:
    """(name within the value, section) of an array of sections, of a table of them, or of one section."""
    if isinstance(value, list):
        return [(str(number), entry) for number, entry in enumerate(value)]
    return [*value.items()] if kind is dict else [("", value)]


def _struct_in(annotation) -> type | None:
    """The Struct that an annotation such as `PruneConfig | None` allows, if any."""
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, msgspec.Struct)), None)


def _in_words(message: str, kind: type) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.ram_bytes`" as "ram_bytes: expected int, got str"; where a
    word is none of those that are known, these."""
    found = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", message, re.DOTALL)
    text = found[1].replace("`", "").replace("Object missing required field", "missing key")
    where = f"{found[2]}: " if found[2] else ""
    known = ", ".join(_words_at(kind, found[2] or "")) if text.startswith("Invalid enum") else ""
    return where + text[:1].lower() + text[1:] + (f"; it can be {known}" if known else "")


def _words_at(kind: type, place: str) -> list[str]:
    """Words that a field may be, as "quantize.scheme" or "formats[0]" names it."""
    for key in re.sub(r"\[.*?\]", "", place).split("."):
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        kind = _struct_in(fields.get(key)) or fields.get(key)
    return _words(kind)


def _words(annotation) -> list[str]:
    if get_origin(annotation) is Literal:
        return list(map(str, get_args(annotation)))
    return [word for part in get_args(annotation) for word in _words(part)]
