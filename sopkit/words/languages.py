"""The language of every text that a reader sees: English stands in the code, any other in one file beside this one.

`fr.po` is the French catalogue. A text is a whole sentence with its parts in braces, and is looked up as such; numbers,
months and percent follow the Unicode CLDR (Babel). The language is that of the book last looked at; English at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

ENGLISH = "en"
FOLDER = Path(__file__).parent
_ACTIVE: ContextVar[str] = ContextVar("language", default=ENGLISH)


class Language(NamedTuple):
    """A language: its texts by the English one, forms of a count, signs of numbers, how Babel calls it."""

    texts: Mapping[str, str]
    forms: Mapping[str, tuple[str, ...]]
    form_of: Callable[[int], int]
    group: str = ","
    decimal: str = "."
    percent: str = " %"
    space: str = " "  # between a number and its unit
    locale: Any = None


def languages() -> tuple[str, ...]:
    """The languages there are: English, and every catalogue in this folder."""
    return (ENGLISH, *sorted(path.stem for path in FOLDER.glob("*.po")))


def language() -> str:
    """The language that is spoken now."""
    return _ACTIVE.get()


def speak(name: str) -> None:
    """Speak language `name` from here on."""
    if _ACTIVE.get() != name:
        _ACTIVE.set(name)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Speak language `name` within a `with`, then the one before."""
    before = _ACTIVE.set(name)
    try:
        yield
    finally:
        _ACTIVE.reset(before)


@cache
def _read(path: Path) -> Language:
    from gettext import c2py

    from babel import Locale
    from babel.messages.pofile import read_po

    locale = Locale.parse(path.stem)
    with path.open(encoding="utf-8") as file:
        catalogue = read_po(file, locale=locale)
    signs, percent = locale.number_symbols["latn"], locale.percent_formats[None].suffix[0]
    texts: dict[Any, Any] = {one.id: one.string for one in catalogue if one.id and one.string and not one.fuzzy}
    whole = {text: told for text, told in texts.items() if isinstance(text, str)}
    forms = {text[0]: told for text, told in texts.items() if not isinstance(text, str) and all(told)}
    own = (signs["group"], signs["decimal"], percent, "\N{NO-BREAK SPACE}", locale)
    return Language(whole, forms, c2py(catalogue.plural_expr), *own)


_SPOKEN = Language({}, {}, lambda count: int(count != 1))  # English


def spoken() -> Language:
    """The language that is spoken now, with its texts and signs."""
    name = _ACTIVE.get()
    return _SPOKEN if name == ENGLISH else _read(FOLDER / f"{name}.po")


@cache
def _parts(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, name, _, _ in Formatter().parse(text) if name))


def _told(text: str) -> str:
    """A text of the catalogue; a heading is found by its words too: `Net sales` by `net sales`."""
    known, small = spoken().texts, text[:1].lower() + text[1:]
    found = known.get(text) or known.get(small)
    return text if found is None else found if text in known else found[:1].upper() + found[1:]


def say(text: str, /, *parts: object) -> str:
    """`text` in the language spoken now; one that has no translation stays English.

    `parts` come in the place of its `{names}`, in the order of the English text: a translation has its own order.
    """
    found = text if _ACTIVE.get() == ENGLISH else _told(text)
    return found.format(**dict(zip(_parts(text), parts, strict=True))) if parts else found


def say_count(count: int, one: str, many: str, /, *parts: object) -> str:
    """`one` or `many`, as the language spoken now wants it for `count`, with `parts` as in `say`."""
    own = spoken()
    forms, form_of = (own.forms[one], own.form_of) if one in own.forms else ((one, many), _SPOKEN.form_of)
    return forms[form_of(count)].format(**dict(zip(_parts(many), parts, strict=True)))


def day(date: Any, pattern: str) -> str:
    """A date written by a CLDR pattern, such as `MMM y`, in the language spoken now (not English)."""
    from babel.dates import format_date

    return format_date(date, pattern, locale=spoken().locale)
