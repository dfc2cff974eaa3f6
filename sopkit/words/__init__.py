"""The house's words: one name an idea (the glossary), and how a number, a month, money or a list reads in a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopkit.words.languages import ENGLISH, day, language, spoken
from sopkit.words.languages import say as say
from sopkit.words.languages import say_count as say_count
from sopkit.words.languages import speak as speak
from sopkit.words.languages import speaking as speaking

MISSING = "–"  # what stands where there is no number


# Numbers -----------------------------------------------------------------------------------------------------------


def _absent(value: Any) -> bool:
    """Whether `value` is None, NaN, NaT or infinite."""
    return value is None or value != value or value in (math.inf, -math.inf)


def number(value: float | None, decimals: int = 0, sign: bool = False) -> str:
    """A number with thousands separators; `–` where there is none; with `sign`, a plus before gains."""
    if _absent(value):
        return MISSING
    if value == 0:
        return "0"
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    # -0.0 and numbers that round to it would read as a loss
    text = text.lstrip("+-") if not float(text.replace(",", "")) else text.replace("-", "−")
    return local(text)


def local(text: str) -> str:
    """A number that is a text already, `12,345.6` or `18%`, with the signs of the language spoken."""
    own = spoken()
    return text.translate({44: own.group, 46: own.decimal, 37: own.percent}) if own.locale else text


def percent(share: float | None, decimals: int = 0, sign: bool = False) -> str:
    """A share as people write it: 0.18 is `18 %`."""
    return MISSING if share is None or _absent(share) else with_unit(number(100 * share, decimals, sign), "%")


def with_unit(text: str, unit: str) -> str:
    """A number that is a text already, with its unit, as the language spoken sets them apart."""
    return f"{text}{spoken().percent}" if unit == "%" else f"{text}{spoken().space}{unit}"


def money(value: float | None, currency: str, sign: bool = False) -> str:
    """Money in full: `12,345 EUR`, `61.54 EUR`; cents only below 100. `amount` is the rounded form."""
    if value is None or _absent(value):
        return MISSING
    return with_unit(number(value, 0 if abs(value) >= 100 else 2, sign), currency).strip()


class Scale(NamedTuple):
    """How a unit is shown: values are divided by `factor` and written with `decimals` and `unit`."""

    factor: float
    unit: str
    decimals: int

    def text(self, value: float | None, sign: bool = False) -> str:
        """`value` without its unit."""
        return MISSING if value is None or _absent(value) else number(value / self.factor, self.decimals, sign)

    def told(self, value: float | None, sign: bool = False) -> str:
        """`value` with its unit."""
        return with_unit(self.text(value, sign), self.unit)


def scale_of(values: Iterable[float], unit: str, *, small: bool = False) -> Scale:
    """The scale that shows `values` in `unit` with few digits: shares as %, large money in thousands or millions.

    `small`: one step finer for money, as figures show it: thousands from 1,000 on, so that all of a page agree.
    Raises ValueError where `unit` is empty: a number without a unit is not shown.
    """
    if not unit.strip():
        raise ValueError(
            "a figure needs a unit: say what its numbers count, for example 'pcs', 'EUR', 'hours', 'share'"
        )
    finite = [abs(float(value)) for value in values if not _absent(value)]
    largest = max(finite, default=0.0)
    currency = re.fullmatch("[A-Z]{3}", unit)
    if unit == "share":
        return Scale(0.01, "%", 1)
    if currency or largest >= 1e7:
        steps = (("billion", 1e9, 1e9), ("million", 1e6, 1e6), ("thousand", 1e3, 1e4))
        # a figure's money keeps to thousands, so that two tables of one page are read on one scale
        steps = (*steps[:2], ("thousand", 1e3, 1e3)) if small and currency else steps
        at = next((at for at, (_, _, least) in enumerate(steps) if largest >= least), None)
        if at is not None:
            finer = bool(small and currency)
            word, factor, _ = steps[min(at + finer, 2)]
            many = largest / factor
            told = say(f"{word} {{currency}}", unit) if currency else say(f"{word} {{unit}}", unit_name(unit))
            return Scale(factor, told, 0 if many >= 100 else 1 if many >= 10 or finer else 2)
    whole = largest >= 100 or all(value == round(value) for value in finite)
    return Scale(1.0, unit_name(unit), 0 if whole else 1 if largest >= 10 else 2)


def unit_name(unit: str) -> str:
    """A unit in the language spoken; the company's own stay as they are."""
    one, per, other = unit.partition(" per ")
    return say("{unit} per {other}", unit_name(one), unit_name(other)) if per else say(unit)


def amount(value: float | None, unit: str, sign: bool = False) -> str:
    """A value with its unit, in one short text: `1.24 million EUR`, `93.1 %`, `4,210 pcs`."""
    if value is None or _absent(value):
        return MISSING
    return scale_of([value], unit).told(value, sign)


def than(change: float, above: str, below: str) -> str:
    """A relative difference in words, `above` or `below`, which hold it as `{share}`: `4.2 % above budget`."""
    return say(above if change >= 0 else below, percent(abs(change), 1))


def leaning(bias: float) -> str:
    """A bias in words: `11.2 % too high`."""
    return than(bias, "{share} too high", "{share} too low")


# Months ------------------------------------------------------------------------------------------------------------


def month_name(month: Any) -> str:
    """A month (timestamp, date or text such as `2026-11`) as people write it: `Nov 2026`; nothing for an empty one."""
    import pandas as pd

    month = pd.Timestamp(month)
    return "" if pd.isna(month) else written(month, "%b %Y", "MMM y")


def written(date: Any, english: str, pattern: str) -> str:
    """A date or month in the language spoken: in English as `strftime` has it, else by a CLDR pattern."""
    return f"{date:{english}}" if language() == ENGLISH else day(date, pattern)


def month_in_full(month: Any) -> str:
    """`November 2026`."""
    return written(month, "%B %Y", "MMMM y")


def span(first: Any, last: Any) -> str:
    """Months from `first` to `last`: `May 2027`, `May to Jul 2027`, `Nov 2026 to Apr 2027`."""
    start, end = month_name(first), month_name(last)
    if start == end:
        return end
    return say("{start} to {end}", start[:-5] if start[-4:] == end[-4:] else start, end)


# Counts and lists --------------------------------------------------------------------------------------------------

_COUNTS = "no one two three four five six seven eight nine ten eleven twelve".split()


def counted(count: int) -> str:
    """Small numbers in words: `no`, `one` ... `twelve`, then figures."""
    return _COUNTS[count] if count < len(_COUNTS) and language() == ENGLISH else number(count)


def several(count: int, one: str, many: str = "") -> str:
    """`one month`, `three months`, `no month`."""
    if not count and language() != ENGLISH:
        return say(f"no {one}")
    many = one if count < 2 and language() == ENGLISH else many or one + "s"
    return say_count(count, f"{{count}} {one}", f"{{count}} {many}", counted(count))


def divided(text: str) -> list[str]:
    """The names of a text that are divided by commas, without blanks around them."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; beyond `most`, how many more."""
    names = list(names)
    if len(names) > most:
        return say("{names} and {count} more", ", ".join(names[:most]), number(len(names) - most))
    return say("{names} and {last}", ", ".join(names[:-1]), names[-1]) if len(names) > 1 else "".join(names)


def sentence(text: str) -> str:
    """`text` with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def heading(name: str) -> str:
    """A column's or measure's name as a heading: `wape_before` is `WAPE before`."""
    return sentence(say(" ".join(word.upper() if word in _CAPITALS else word for word in name.split("_"))))


_CAPITALS = frozenset("wape rmsse mase abc xyz fva kpi crm".split())


def shortened(text: str, letters: int = 40) -> str:
    """`text`, or its beginning with an ellipsis."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def quoted(name: str) -> str:
    """A name that may be a whole sentence, such as a scenario's, inside another sentence."""
    return say("\u201c{name}\u201d", name.rstrip("."))


# The glossary ------------------------------------------------------------------------------------------------------


class Term(NamedTuple):
    """One idea and its one name.

    `formula`: its formula, sign or unit, where it has one. `replaces`: words that are retired everywhere (columns,
    identifiers, texts). `codes`: words that are retired only as the name of a table or column or as a coded value;
    in a sentence they are plain English.
    """

    term: str
    meaning: str
    formula: str = ""
    replaces: Sequence[str] = ()
    codes: Sequence[str] = ()


GLOSSARY = (
    Term("cycle", "one monthly run of the whole process, named after its first planned month", "2026-11"),
    Term("stage", "one of the six steps of a cycle: collect, demand, supply, reconcile, decide, publish"),
    Term("horizon", "the months that are planned", "months"),
    Term("product, family", "what is sold, and the group of products that is planned together"),
    Term("market", "where and to whom a product is sold"),
    Term("site", "a plant or distribution centre"),
    Term("resource", "a machine or line with hours of its own", "hours"),
    Term("lane", "a way to ship, from site to site or from site to market"),
    Term("finding", "one thing wrong with the data: an error stops the cycle, a warning is planned with"),
    Term("error", "a finding that stops the cycle until it is fixed", codes=("stop",)),
    Term("warning", "a finding that is planned with, and that somebody should know", replaces=("to look at",),
         codes=("look",)),
    Term("fix", "what to do about a finding", replaces=("cure",)),
    Term("author", "who recorded something, and recorded at: when", codes=("by", "at")),
    Term("decided by, owner", "who chose an option, and who answers for carrying it out"),
    Term("recorded, reported", "what a person or a table states", replaces=("said", "says")),
    Term("baseline", "the statistical forecast, before anybody's knowledge is added", "units"),
    Term("layer", "a named addition to the baseline: lifecycle, market conditions, campaigns, pipeline, override"),
    Term("override", "a planner's change of the forecast, with a reason and an owner, kept apart from the baseline"),
    Term("consensus", "the forecast that the demand meeting signs", "units"),
    Term("stream", "whose forecast: naive, statistical, sales, marketing, finance or consensus"),
    Term("forecast error", "how far a forecast was off; positive = too much was forecast", "forecast - actual"),
    Term("WAPE", "forecast error of a group, weighted by volume", "sum |F-A| / sum A"),
    Term("bias", "whether a forecast leans high or low", "sum (F-A) / sum A"),
    Term("forecast value added", "what one step of the process takes off the error; below 0 it destroys value",
         "error of the step before - error of this step"),
    Term("lag", "months from the cycle in which a forecast was made to the month it is for", "months"),
    Term("P10, P90", "the range of a forecast: one month in ten lies below the first, one above the second", "units"),
    Term("budget", "what finance promised for the year, by family and month", "units and money", codes=("targets",)),
    Term("standard cost", "what a unit is valued at in stock and in cost of goods sold", "currency per unit"),
    Term("net price", "price after discounts, of a product in a market", "currency per unit"),
    Term("safety stock", "stock held against the forecast's error", "units"),
    Term("shortfall", "demand that waits or is lost", "units", codes=("short",)),
    Term("backlog", "demand that waits for a later month", "units"),
    Term("fill rate", "demand met in its own month", "units on time / units demanded"),
    Term("binding limit", "a limit that keeps the plan from a better result"),
    Term("shadow price", "what one more unit of a limit adds to the contribution after penalties", "currency per unit",
         replaces=("worth",)),
    Term("lever", "a priced way to relieve a limit or close a gap"),
    Term("level, chase", "a plan with steady production, and a plan that makes each month's demand in that month"),
    Term("result", "net sales less every cost of supply", "currency"),
    Term("service penalties", "the prices that the plan sets on late and lost demand and missing safety stock; "
         "nobody is paid", "currency", replaces=("policy cost", "broken promise", "promises broken")),
    Term("contribution after penalties", "what the supply plan is optimised for",
         "revenue - costs paid - service penalties", replaces=("profit less", "net benefit")),
    Term("result after penalties", "what options are compared by", "result - service penalties"),
    Term("gap", "where two views of the plan disagree", "units and money"),
    Term("scenario", "a named list of changes over the base, planned and solved beside it"),
    Term("option", "a scenario that the company may choose"),
    Term("event", "a scenario that happens to the company, with its probability"),
    Term("plan of record", "the base and every option adopted"),
    Term("commitment", "an adopted option that binds later cycles"),
    Term("assumption", "what is taken as given, with an owner and an expiry"),
    Term("working capital", "money tied up in the business", "inventory + receivables - payables + other"),
)  # fmt: skip
