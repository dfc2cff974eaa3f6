"""Stage 1, collect: are the numbers good enough to plan with? A company's exports become checked tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopkit.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.collect.collected import Collected


def collect(
    company_folder: Path | str,
    cycle: str,
    *,
    carried: Mapping[str, pd.DataFrame] | None = None,
    memory: dict[str, Any] | None = None,
) -> Collected:
    """Read, convert and check every input table of the company in `company_folder` for `cycle`.

    Nothing is written. `carried`: what earlier cycles left for this one (`Cycle.carried`). `memory`: a dictionary in
    which the caller keeps tables whose source did not change, for those who check again after each correction. Raises
    SettingsError where company.yaml is wrong; wrong data never raise.
    """
    from sopkit.collect import check, mapping

    carried = carried or {}
    read = mapping.with_assumptions(mapping.load(Path(company_folder), cycle), carried.get("declared_assumptions"))
    return check.everything(read, memory).with_carried(carried)


def around(
    collected: Collected, finding: pd.Series, memory: dict[str, Any] | None = None, *, lines: int = 3
) -> tuple[str, str, pd.DataFrame]:
    """(place, column, rows): a finding's row in its source as it came, `lines` before and after it, column `row` first.

    `finding`: a row of `collected.findings`; no row is found where it is about a whole table. `column`: what the source
    calls the finding's column. `memory` as in `collect`.
    """
    from sopkit.collect import surroundings

    return surroundings.around(collected, finding, {} if memory is None else memory, lines)


def files_read(company_folder: Path | str) -> dict[str, Path]:
    """The files that the company's mapping reads, by their place; only company.yaml where that is wrong."""
    from sopkit.collect import mapping, sources

    folder = Path(company_folder)
    try:
        return sources.files_read(mapping.load(folder, "2000-01"))
    except SettingsError:
        return {"company.yaml": folder / "company.yaml"}


def check_company(company_folder: Path | str, cycle: str, findings_file: Path | None = None, **more: Any) -> Collected:
    """`collect`, and every finding, however many, written to the CSV `findings_file` if one is named.

    Raises SettingsError where that file cannot be written, or holds something else than findings.
    """
    if findings_file is not None:
        _refuse_overwriting(findings_file)
    collected = collect(company_folder, cycle, **more)
    if findings_file is not None:
        from sopkit.collect.extract import formula_safe

        texts = collected.findings.select_dtypes("object").columns
        safe = collected.findings.assign(**{name: collected.findings[name].map(formula_safe) for name in texts})
        safe.to_csv(findings_file, index=False)
    return collected


def _refuse_overwriting(path: Path) -> None:
    from sopkit.files import unwritable
    from sopkit.tables import TABLES

    try:
        with path.open("a+", encoding="utf-8") as file:
            file.seek(0)
            first = file.readline().strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(unwritable(path, error) if isinstance(error, OSError) else f"{path} is no text.") from None
    if first not in ("", ",".join(TABLES["findings"].names)):
        raise SettingsError(f"{path} exists and holds no findings; nothing was written. Choose another name.")


def write_template(path: Path | str, tables: dict[str, pd.DataFrame] | None = None) -> None:
    """Write the Excel template to `path`, filled with `tables` where given; SettingsError if a file is there."""
    from sopkit.collect import template

    template.write(Path(path), tables)


def new_company(folder: Path | str, name: str = "", places: Sequence[str] = ()) -> str:
    """Lay out `folder` for a new company; returns what was found in the exports at `places` (see `new.new_company`)."""
    from sopkit.collect import new

    return new.new_company(Path(folder), name, places)
