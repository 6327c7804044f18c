"""Settings as text: read from TOML over others, each value checked against its default, and written in full."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from lossdsl.errors import LossError
from lossdsl.search.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(text: str, base: Settings, origin: str) -> Settings:
    """Settings of a TOML text, over those of `base`."""
    return merge(base, tables(text, origin), origin)


def read_file(path: Path) -> Settings:
    """The settings in a file, such as a run's `config.toml`."""
    return read(text_of(path), Settings(), str(path))


def text_of(path: Path) -> str:
    """The text of a file of settings."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LossError(f"{path}: not text in UTF-8, from byte {error.start} on") from None


def tables(text: str, origin: str) -> dict[str, Any]:
    """The tables of a TOML text."""
    try:
        return tomllib.loads(text)
    except ValueError as error:  # an integer of five thousand digits, too
        raise LossError(f"{origin}: not TOML: {error}") from None


def assign(base: Settings, assignment: str) -> Settings:
    """Settings with one `table.key=value` changed; the value is TOML, or a bare word.

    >>> from lossdsl.search.settings import Settings
    >>> from lossdsl.search.toml import assign
    >>> assign(Settings(), "ladder.batch=16").ladder.batch
    16
    """
    return merge(base, assigned(assignment), f"--set {assignment}")


def assigned(assignment: str) -> dict[str, Any]:
    """The tables that one `table.key=value` stands for.

    >>> from lossdsl.search.toml import assigned
    >>> assigned("ladder.batch=16")
    {'ladder': {'batch': 16}}
    """
    key, sign, text = assignment.partition("=")
    if not sign or not key.strip():
        raise LossError(f"--set wants key=value, not `{assignment}`")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    document: Any = value
    for part in reversed(key.strip().split(".")):
        document = {part: document}
    assert isinstance(document, dict)
    return document


def merge(base: Any, document: Mapping[str, Any], origin: str, place: str = "") -> Any:
    """A copy of a settings object with the values of a nested mapping, each checked against the type of its default."""
    changes: dict[str, Any] = {}
    known = {f.name: getattr(base, f.name) for f in fields(base)}
    for key, value in document.items():
        name = f"{place}{key}"
        if key not in known:
            from difflib import get_close_matches

            close = get_close_matches(key, known, n=1)
            hint = f"; did you mean `{place}{close[0]}`?" if close else f"; known: {', '.join(known)}"
            raise LossError(f"{origin}: no setting is called `{name}`{hint}")
        changes[key] = _fitted(known[key], value, origin, name)
    return replace(base, **changes)


def _fitted(default: Any, value: Any, origin: str, name: str) -> Any:
    if is_dataclass(default):
        if not isinstance(value, Mapping):
            raise LossError(f"{origin}: `{name}` is a table of settings")
        return merge(default, value, origin, name + ".")
    if isinstance(default, tuple):
        values = value if isinstance(value, (list, tuple)) else [value]
        like = default[0] if default else 0.0  # what may be empty has numbers
        return tuple(_fitted(like, item, origin, name) for item in values)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise LossError(f"{origin}: `{name}` is a {type(default).__name__}, such as {default!r}, not {value!r}")
    return value


def write(settings: Settings) -> str:
    """Settings as TOML, all of them, defaults included.

    >>> from lossdsl.search.settings import Settings
    >>> from lossdsl.search.toml import read, write
    >>> read(write(Settings(seed=3)), Settings(), "text") == Settings(seed=3)
    True
    """
    own = [f"{f.name} = {_toml(getattr(settings, f.name))}" for f in fields(settings)
           if not is_dataclass(getattr(settings, f.name))]  # fmt: skip
    lines = own
    for f in fields(settings):
        table = getattr(settings, f.name)
        if is_dataclass(table):
            lines += ["", f"[{f.name}]", *(f"{g.name} = {_toml(getattr(table, g.name))}" for g in fields(table))]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        import json

        try:
            value.encode()
        except UnicodeEncodeError:
            raise LossError(f"settings are kept as UTF-8, and {value!r} cannot be written so") from None
        # TOML has JSON's escapes, but for pairs of surrogates; DEL, which JSON leaves as it is, wants one.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    text = repr(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text
