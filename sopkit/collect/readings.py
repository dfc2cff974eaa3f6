"""Months and numbers as the world writes them: read where a whole column fits one reading, asked where two fit.

One value proves nothing: a column is only read so where at least two different texts agree.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from functools import cache

import pandas as pd

EVIDENCE = 2  # different texts that a column needs before a reading is believed
DAY_PATTERNS = (
    "%Y/%m", "%Y.%m", "%m/%Y", "%m.%Y", "%m-%Y", "%Y%m", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y",
    "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
)  # fmt: skip
SERIAL, NAMED = "Excel's day numbers", "names of months"
FIRST_SERIAL, LAST_SERIAL = 25_569, 54_789  # 1970 to 2049
MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar maerz april mai juni juli august september oktober november dezember",
    "janner feber marz april mai juni juli august september oktober november dezember",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
)
# decimal mark, thousands mark
MARKS = (
    (",", "."), (".", ","), (",", ""), (",", " "), (".", " "), (",", "\xa0"), (",", "\u202f"), (".", "'"), (",", "'"),
)  # fmt: skip


@cache
def month_named(word: str) -> int:
    """The month that an English, German or French name or its beginning (three letters or more) means; 0 = none."""
    plain = unicodedata.normalize("NFKD", word.casefold()).encode("ascii", "ignore").decode().strip(".")
    numbered = [pair for names in MONTHS for pair in enumerate(names.split(), 1)]
    found = {number for number, name in numbered if len(plain) > 2 and name.startswith(plain)}
    return found.pop() if len(found) == 1 else 0


def named(word: str) -> pd.Timestamp:
    """`Jan 2026`, `janv. 26`, `2026 März`, `1. Dezember 2026`; NaT for anything else."""
    if form := re.fullmatch(r"(?:(\d{1,2})[. -]+)?([^\W\d_]{3,}\.?)[\s,./-]*(\d{4}|\d\d)", word):
        day, name, year = form.groups()
    elif form := re.fullmatch(r"(\d{4})[\s./-]*([^\W\d_]{3,}\.?)", word):
        day, (year, name) = "1", form.groups()
    else:
        return pd.NaT
    written = f"{int(year) + 2000 * (len(year) == 2):04d}-{month_named(name):02d}-{int(day or 1):02d}"
    return pd.to_datetime(written, format="%Y-%m-%d", errors="coerce")


def parsed(texts: pd.Series, pattern: str) -> pd.Series:
    """The day of each text by `pattern`; NaT for one that does not fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = pd.to_datetime(texts, format=pattern, errors="coerce")
    if read.dtype == object or getattr(read.dtype, "tz", None) is not None:
        read = pd.to_datetime(read, errors="coerce", utc=True).dt.tz_localize(None)
    return read


def all_by(texts: pd.Series, pattern: str) -> pd.Series | None:
    """The days that all of `texts` are by `pattern`; None where one does not fit, or lies in another age."""
    width = {"%Y%m": 6, "%Y%m%d": 8}.get(pattern, 0)
    if width and not texts.str.fullmatch(rf"\d{{{width}}}").all():
        return None
    read = parsed(texts, pattern)
    return read if read.dt.year.between(1970, 2099).all() else None


def days(words: Sequence[str]) -> dict[str, pd.Series]:
    """Readings (pattern -> days) that all of `words` fit."""
    texts = pd.Series([word for word in words if word], dtype=object)
    if texts.nunique() < EVIDENCE:
        return {}
    found = {pattern: read for pattern in DAY_PATTERNS if (read := all_by(texts, pattern)) is not None}
    if texts.str.fullmatch(r"\d{5}(\.0+)?").all():
        numbers = texts.astype(float)
        if numbers.between(FIRST_SERIAL, LAST_SERIAL).all():
            found[SERIAL] = pd.Timestamp("1899-12-30") + pd.to_timedelta(numbers, unit="D")
    by_name = pd.to_datetime(texts.map(named))
    if by_name.dt.year.between(1970, 2099).all():
        found[NAMED] = by_name
    return found


def marks(words: Iterable[str]) -> dict[tuple[str, str], list[float]]:
    """(decimal mark, thousands mark) -> values, for each reading that every one of `words` fits; one an outcome.

    Only where the marks are seen: a mark that no text has is no reading of its own.
    """
    texts = sorted({word for word in words if word})
    if len(texts) < EVIDENCE:
        return {}
    found: dict[tuple[str, str], list[float]] = {}
    for decimal, thousands in MARKS:
        point, group = re.escape(decimal), re.escape(thousands)
        whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+)" if thousands else r"\d+"
        form = re.compile(rf"[+-]?{whole}(?:{point}\d+)?")
        seen = any(decimal in text or (thousands and thousands in text) for text in texts)
        if seen and all(form.fullmatch(text) for text in texts):
            plain = [text.replace(thousands, "") if thousands else text for text in texts]
            values = [float(text.replace(decimal, ".")) for text in plain]
            if values not in found.values():
                found[decimal, thousands] = values
    return found


def one_day_a_month(read: pd.Series) -> bool:
    """Whether days stand for months: all of them the last of theirs, or all the same day, of three months or more."""
    months = read.dt.to_period("M").nunique()
    one_day = months > EVIDENCE and read.dt.day.nunique() == 1
    return bool(months >= EVIDENCE and (read.dt.is_month_end.all() or one_day))
