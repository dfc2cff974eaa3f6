"""The notation of business charts, as data: what each scenario looks like, in every figure of notebook, pack, workbook.

IBCS 2.0, published as ISO 24896: actual solid dark, last year solid light, budget outlined, plan and consensus (the
standard's forecast) hatched, last plan thinly outlined; colour says only good or bad for the business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

INK, QUIET, RULE, LIGHT, MIDDLE = "#1b2430", "#5b6672", "#d7dce1", "#b4bcc4", "#7d8893"
# Okabe & Ito (2008), Color Universal Design: told apart with any colour vision; the printed sign says it again
GOOD, BAD = "#0072B2", "#D55E00"
_HATCH = "url(#hatch-{})"


class Look(NamedTuple):
    """How a bar (fill, stroke) and a line (ink, dash, width) of a scenario are drawn."""

    fill: str
    stroke: str
    ink: str
    dash: tuple[int, ...] = (1, 0)
    width: float = 2.2


def hatched(colour: str) -> str:
    """The fill of bars that are planned, in `colour`; the drawing brings the pattern of that name."""
    return _HATCH.format(colour.lstrip("#"))


LOOKS = {
    "actual": Look(INK, INK, INK),
    "last year": Look(LIGHT, LIGHT, LIGHT),
    "plan": Look(hatched(INK), INK, INK, (6, 3)),
    "budget": Look("#ffffff", INK, INK, (1, 2), 1.6),
    "last plan": Look("#ffffff", MIDDLE, MIDDLE, (2, 2), 1.0),
}
# what a series shows, by the word that it is called; other words are parts or scenarios of a plan
SHOWN = {
    "actual": "actual", "history": "actual", "as sold": "actual", "corrected": "actual", "last year": "last year",
    "budget": "budget", "target": "budget", "last plan": "last plan", "plan": "plan", "consensus": "plan",
    "planned stock": "plan", "scenario": "scenario",
}  # fmt: skip
SHADES = (INK, LIGHT, MIDDLE, "#d0d6dc", QUIET, "#98a2ac")
DASHES = ((4, 2), (2, 2), (8, 3, 2, 3), (10, 4), (4, 2, 1, 2), (1, 3))


def looks(kinds: Sequence[str], planned: bool = True) -> list[Look]:
    """The look of each kind: fixed where its word is a scenario, else a shade; hatched where they are `planned`."""
    free, found = iter(zip(SHADES * 9, DASHES * 9, strict=False)), []
    for kind in kinds:
        if (shown := SHOWN.get(kind)) in LOOKS:
            found.append(LOOKS[shown])
            continue
        shade, dash = next(free)
        found.append(Look(hatched(shade) if planned else shade, shade, shade, dash, 1.6))
    return found


def colour_of(change: float, better: str) -> str:
    """The colour of a difference: good or bad for the business, ink where neither is known."""
    if not change or better not in ("higher", "lower"):
        return QUIET
    return GOOD if (change > 0) == (better == "higher") else BAD
