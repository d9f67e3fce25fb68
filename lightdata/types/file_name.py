"""Names of files that are made from data: they never lead out of the folder that is written to."""

from __future__ import annotations

import os
import re
import string
import unicodedata
from collections.abc import Mapping
from typing import Any

from lightdata.errors import ArgumentError, EncodeError

_MAX_NAME_BYTES = 200
"""Of one part of a file name; file systems stop at 255."""

_ROW_FORMAT = re.compile(r"\d*[dxX]?")
"""How ``{row}`` may be written: nothing that could fill it up with slashes or dots."""


def check_template(name: str | None) -> None:
    """Refuse a name template that cannot be read, when the query is built.

    >>> check_template("{label}/{row:06d}.png")

    Raises
    ------
    ArgumentError
        If braces do not match, a field has no name, or the row's number would be filled up with more than digits.
    """
    try:
        parts = [(field, spec) for _, field, spec, _ in string.Formatter().parse(name or "") if field is not None]
    except ValueError as error:
        raise ArgumentError(f"name={name!r}: {error}") from None
    if not all(field.isidentifier() for field, _ in parts):
        raise ArgumentError(f"name={name!r}: each field names a column, or row")
    if not all(_ROW_FORMAT.fullmatch(spec or "") for field, spec in parts if field == "row"):
        raise ArgumentError(f"name={name!r}: row is written with digits, such as {{row:06d}}")


def name_columns(name: str) -> tuple[str, ...]:
    """List the columns that name files: a column, or those in a template.

    >>> name_columns("{label}/{row}.png"), name_columns("my column")
    (('label',), ('my column',))
    """
    if "{" not in name:
        return (name,)
    fields = [field for _, field, _, _ in string.Formatter().parse(name) if field]
    return tuple(dict.fromkeys(field for field in fields if field != "row"))


def names_rows(name: str) -> bool:
    """Whether a template asks for the row's number.

    >>> names_rows("{row:06d}.png"), names_rows("{rows}.png")
    (True, False)
    """
    return any(field == "row" for _, field, _, _ in string.Formatter().parse(name))


def filled_template(name: str, values: Mapping[str, Any]) -> str:
    """Fill a row's values into a template; its number is only known at commit, so ``{row}`` stays.

    >>> filled_template("{label}/{row:03d}", {"label": "a{b}"}).format(row=7)
    'a{b}/007'

    Raises
    ------
    EncodeError
        If a value cannot be part of a file name.
    """
    parts = []
    for literal, field, spec, _ in string.Formatter().parse(name):
        parts.append(in_braces(literal))
        if field == "row":
            parts.append(f"{{row:{spec}}}")
        elif field:
            value = format(values[field], spec or "")
            if "/" in value or "\\" in value or value in ("", ".", ".."):
                raise EncodeError(f"{field} is {value!r}, which cannot be part of a file name")
            parts.append(in_braces(value))
    return "".join(parts)


def in_braces(text: str) -> str:
    """Write text so that filling in a template leaves it as it is."""
    return text.replace("{", "{{").replace("}", "}}")


def checked_name(name: str, suffix: str | None = None) -> str:
    """Give a relative file name its suffix, if any, and refuse one that would leave the target folder.

    >>> checked_name("cat/1", "png")
    'cat/1.png'

    Raises
    ------
    EncodeError
        If the name is absolute, climbs, is hidden, is not text or is too long.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        raise EncodeError(f"{name!r} is not a file name inside the target folder")
    if any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts):
        raise EncodeError(f"a file name of {len(name)} characters is too long")
    return name if suffix is None or name.lower().endswith(f".{suffix}") else f"{name}.{suffix}"


def alike(name: str) -> str:
    """Give names one form that some file systems take for the same: by case, or by how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()
