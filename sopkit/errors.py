"""What can go wrong, said so that the person who can correct it knows what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the data: what, where, what is allowed, what to do.

    `row` is the row a person sees in the spreadsheet or query result (the header is row 1); 0 = the whole table.
    `severity` is `error` (no plan can be made) or `warning` (a plan can be made; somebody should know).
    """

    table: str
    row: int
    column: str
    value: str
    rule: str
    severity: str
    allowed: str
    fix: str

    def __str__(self) -> str:
        """One line for a person: where, what, allowed, fix."""
        row = f", row {self.row}" if self.row else ""
        where = self.table + row + (f", column {self.column}" if self.column else "")
        value = f" is {self.value!r}" if self.value else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{where}{value}: {self.rule}{allowed}. {self.fix}"

    def as_row(self) -> dict[str, object]:
        """The finding as a row of table `findings`."""
        return dict(vars(self))


class SopkitError(Exception):
    """Base of every error meant for a person: its text is the whole message, no traceback needed."""


class SettingsError(SopkitError):
    """A setting (company.yaml, scenarios.yaml, a parameter) is wrong; the text names file, line and fix."""


class FindingsError(SopkitError):
    """Tables break their declaration; `findings` holds every one of them."""

    shown = 20

    def __init__(self, findings: Iterable[Finding], heading: str = "The data cannot be planned with") -> None:
        self.findings = list(findings)
        shown = [f"  {finding}" for finding in self.findings[: self.shown]]
        more = len(self.findings) - self.shown
        if more > 0:
            shown.append(f"  ... and {more:,} more")
        super().__init__("\n".join([f"{heading}: {plural(len(self.findings), 'finding')}.", *shown]))


class SupplyDataError(FindingsError):
    """Data that contradict each other so that no plan could exist, found before the solver is called."""


class RecordError(FindingsError):
    """What a person said was not stored: a reason or an owner is missing, or a value is not allowed."""


class StageError(SopkitError):
    """A stage of the cycle failed; the text says which, why, and what to do."""


class StoppedError(SopkitError):
    """A question was given up on request; nothing has changed."""


def plural(count: int, what: str) -> str:
    """`1 finding`, `1,204 findings`."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def nearest(name: str, valid: Iterable[str], most: int = 3) -> str:
    """A hint for a misspelt name: the nearest valid ones, or all of them where none is near."""
    valid = sorted(valid)
    close = get_close_matches(name, valid, n=most, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(c) for c in close)}?"
    return f"valid names: {', '.join(valid)}" if valid else "there is none yet"
