"""Tables are declared once: a declaration checks frames, makes the dictionary, and agrees with itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopkit.errors import FindingsError, SettingsError
from sopkit.kpis import KPIS
from sopkit.tables import INPUTS, PLANS, RECORDS, STAGES, TABLES, dictionary, load_company, table
from sopkit.tables.company import KpiName
from sopkit.tables.declare import Table, choice, flag, month, number, ref, share, text, whole

PROJECT = Path(__file__).resolve().parents[1]
CAPACITY = pd.DataFrame(
    {"resource": ["B", "A"], "month": pd.to_datetime(["2026-11-01", "2026-11-01"]), "hours": [320, 300]}
)
OPENINGS = Table(
    "openings", "collect", "operations", "When a site opens and closes.", ("site",),
    (text("site", "code"), month("open", "opens"), month("close", "closes", required=False),
     choice("kind", "what it is", "plant", "dc", required=False),
     flag("owned", "is ours", required=False, default=True), share("part", "our part", required=False),
     whole("people", "people there", "people", required=False, default=1),
     number("rent", "rent", "currency", required=False)),
    not_before=(("close", "open"),),
)  # fmt: skip
ONE = {"site": ["S"], "open": [pd.Timestamp("2026-11-01")]}


def findings(declared: Table, frame: pd.DataFrame) -> list[tuple]:
    with pytest.raises(FindingsError) as error:
        declared.check(frame)
    return [(f.row, f.column, f.value, f.rule) for f in error.value.findings]


def test_a_checked_frame_has_declared_columns_dtypes_defaults_and_order():
    frame = TABLES["capacity"].check(CAPACITY)
    assert list(frame.columns) == TABLES["capacity"].names
    assert frame["resource"].tolist() == ["A", "B"]
    assert frame.dtypes.astype(str).to_dict() == {c.name: c.dtype for c in TABLES["capacity"]}
    assert frame[["maintenance", "overtime_limit"]].eq(0).all(axis=None)
    filled = OPENINGS.check(pd.DataFrame(ONE)).iloc[0]
    assert filled[["close", "part", "rent"]].isna().all()
    assert filled[["kind", "owned", "people"]].tolist() == ["", True, 1]


@pytest.mark.parametrize("declared", TABLES.values(), ids=TABLES)
def test_every_empty_table_fits_its_own_declaration(declared):
    pd.testing.assert_frame_equal(declared.check(declared.empty()), declared.empty())


def test_checking_twice_changes_nothing():
    once = TABLES["capacity"].check(CAPACITY)
    pd.testing.assert_frame_equal(TABLES["capacity"].check(once), once)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"part": [1.5]}, (2, "part", "1.5", "must be at most 1")),
        ({"part": [-0.5]}, (2, "part", "-0.5", "must be at least 0")),
        ({"rent": [np.inf]}, (2, "rent", "inf", "must be a finite number below 1e15 in size")),
        ({"rent": [1e15]}, (2, "rent", "1000000000000000.0", "must be a finite number below 1e15 in size")),
        ({"kind": ["shop"]}, (2, "kind", "shop", "must be a valid choice")),
        ({"site": [""]}, (2, "site", "", "must be not empty")),
        ({"site": [7]}, (2, "site", "7", "must be text")),
        ({"open": [pd.NaT]}, (2, "open", "NaT", "is empty")),
        ({"open": [pd.Timestamp("2026-11-05")]}, (2, "open", "2026-11-05 00:00:00", "must be first day of a month")),
        ({"open": [pd.Timestamp("1900-01-01")]}, (2, "open", "1900-01-01 00:00:00", "must be from 1950 to 2149")),
        ({"close": [pd.Timestamp("2026-10-01")]}, (2, "close", "2026-10-01", "lies before open")),
        ({"people": ["many"]}, (0, "people", "invalid literal for int() with base 10: 'many'", "wrong kind")),
    ],
)
def test_each_broken_rule_is_one_finding(change, finding):
    assert findings(OPENINGS, pd.DataFrame(ONE | change)) == [finding]


CELLS = {
    "open": st.sampled_from([pd.Timestamp(day) for day in ("2026-11-01", "2026-11-05", "1900-01-01")] + [pd.NaT]),
    "close": st.sampled_from([pd.Timestamp("2027-01-01"), pd.NaT]),
    "site": st.sampled_from(["S", "T", "", 7, None]),
    "kind": st.sampled_from(["plant", "", "shop"]),
    "owned": st.booleans(),
    "part": st.sampled_from([0.5, 1.5, -1.0, np.nan, np.inf]),
    "people": st.sampled_from([1, -1]),
    "rent": st.sampled_from([1.0, 1e15, np.nan, -np.inf]),
}


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries(CELLS), max_size=3))
def test_the_short_way_of_checking_finds_exactly_what_pandera_finds(rows):
    types = {c.name: c.dtype for c in OPENINGS}
    frame = pd.DataFrame(rows, columns=OPENINGS.names).astype(types)
    try:
        OPENINGS.schema.validate(frame, lazy=True)
        whole = True
    except pa.errors.SchemaErrors:
        whole = False
    assert OPENINGS._holds(frame) == whole
    for wrong in (frame.drop(columns="part"), frame.assign(more=1), frame.astype({"people": "float64"})):
        assert not OPENINGS._holds(wrong)


def test_missing_and_unknown_columns_are_named_with_the_nearest():
    with pytest.raises(FindingsError, match="did you mean 'hours'") as error:
        TABLES["capacity"].check(CAPACITY.rename(columns={"hours": "ours"}))
    assert [(f.column, f.rule) for f in error.value.findings] == [
        ("ours", "unknown column"),
        ("hours", "missing column"),
    ]


def test_a_row_whose_key_came_before_is_one_finding():
    twice = pd.concat([CAPACITY, CAPACITY.head(1), CAPACITY.head(1)])
    assert findings(TABLES["capacity"], twice) == [
        (row, "resource, month", "B, 2026-11-01", "duplicated key") for row in (4, 5)
    ]  # fmt: skip


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.floats(-10, 10), st.floats(-10, 10))
def test_a_number_passes_exactly_where_it_is_within_bounds(value, low, high):
    declared = Table("t", "collect", "o", "m", (), (number("x", "x", "u", low=low, high=high),))
    good = low <= value <= high
    assert (declared.findings(pd.DataFrame({"x": [value]})) == []) == good


def test_declarations_agree_with_each_other():
    for declared in TABLES.values():
        assert declared.meaning.endswith("."), declared.name
        for column in declared:
            assert set(column.refs) <= set(TABLES), f"{declared.name}.{column.name}"
            assert column.meaning, f"{declared.name}.{column.name}"
            assert column.default is None or not column.required, f"{declared.name}.{column.name}"
            if column.choices and column.default is not None:
                assert column.default in column.choices
    for stage in STAGES:
        assert set(stage.reads) - {"*"} <= set(TABLES), stage.name
    assert len({declared.name for declared in (*INPUTS, *PLANS)}) == len(INPUTS) + len(PLANS)


def test_every_example_of_an_input_is_allowed():
    for declared in INPUTS:
        for column in declared:
            if column.example in (None, ""):
                continue
            value = pd.Timestamp(column.example) if column.kind in ("month", "date") else column.example
            series = pd.Series([value]).astype(column.dtype)
            for words, holds in column.rules:
                assert holds(series).all(), f"{declared.name}.{column.name}: {column.example} is not {words}"


def test_a_declaration_that_names_what_it_lacks_is_refused():
    with pytest.raises(ValueError, match="columns not declared"):
        Table("t", "collect", "o", "m", ("y",), (text("x", "x"),))
    with pytest.raises(KeyError, match="did you mean 'products'"):
        table("prodcuts")
    with pytest.raises(KeyError, match="did you mean 'hours'"):
        TABLES["capacity"]["huors"]


def test_allowed_says_what_may_stand_in_a_cell():
    assert number("x", "x", "u", low=0, high=9).allowed == "a number from 0 to 9"
    assert choice("x", "x", "a", "b").allowed == "one of a, b"
    assert ref("x", "products|materials", "x").allowed == "a products key or materials key"


def test_the_data_dictionary_is_in_step_with_the_declarations():
    path = Path(__file__).resolve().parents[1] / "data" / "README.md"
    assert path.read_text(encoding="utf-8") == dictionary.markdown(), (
        "make it again: python -m sopkit.tables.dictionary"
    )


def test_the_data_dictionary_holds_every_column():
    sections = dict(re.findall(r"\n## (\w+)\n(.*?)(?=\n##? |\Z)", dictionary.markdown(), re.S))
    assert list(sections) == list(dict.fromkeys(declared.name for declared in (*INPUTS, *RECORDS, *PLANS)))
    for declared in TABLES.values():
        assert re.findall(r"^\| `(\w+)` \|", sections[declared.name], re.M) == declared.names


def test_a_wrong_setting_is_refused_with_its_line(tmp_path):
    (tmp_path / "company.yaml").write_text("name: A\nhorizn: 3\npolicies:\n  alocation: profit\ncurrency: euro\n")
    with pytest.raises(Exception, match="3 mistake") as error:
        load_company(tmp_path)
    said = str(error.value)
    assert "line 2: horizn" in said and "did you mean 'horizon'" in said
    assert "line 4" in said and "did you mean 'allocation'" in said
    assert "line 5: currency" in said


WRONG = """\
name: A
language: xx
kpi_targets:
  fil_rate: {target: 1, owner: x}
consensus:
  streams: {sale: {}}
policies:
  allocation: profits
  alocation: profit
cleansing: {accept: [outliers]}
assumptions:
  transit: {statement: a, owner: b, expires: 2026-13}
rates: {usd: 0.9}
tables:
  sales_history: {delimter: ";"}
"""


def test_a_misspelt_setting_is_answered_with_its_line_and_the_nearest_valid_one(tmp_path):
    (tmp_path / "company.yaml").write_text(WRONG)
    with pytest.raises(SettingsError) as error:
        load_company(tmp_path)
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "line 2: language: 'xx' is not valid; write 'en' or 'fr'",
        "line 4: kpi_targets.fil_rate: 'fil_rate' is not valid; did you mean 'fill_rate'?",
        "line 6: consensus.streams.sale: 'sale' is not valid; did you mean 'sales'?",
        "line 8: policies.allocation: 'profits' is not valid; did you mean 'profit' or 'priority'?",
        "line 9: policies.alocation: no such setting; did you mean 'allocation'?",
        "line 10: cleansing.accept.0: 'outliers' is not valid; did you mean 'outlier'?",
        "line 12: assumptions.transit.expires: '2026-13' is not a month; write it like 2026-11",
        "line 13: rates.usd: String should match pattern '^[A-Z]{3}$'",
        "line 15: tables.sales_history.delimter: no such setting; did you mean 'delimiter'?",
    ]


AMISS = """\
name: A
policies: {stock_budget: .inf}
consensus:
  streams: {statistical: {least: 0.9, most: 0.1}}
demand:
  abc: [0.9, 0.5]
  xyz: [0.5, 0.25]
kpi_targets:
  fill_rate: {target: .nan, owner: x}
rates: {USD: .inf, GBP: {2026-13: 1.1}}
tables:
  prices: {multiply: {price: .inf}}
"""


def test_numbers_that_contradict_each_other_or_have_no_end_are_refused_with_their_line(tmp_path):
    (tmp_path / "company.yaml").write_text(AMISS)
    with pytest.raises(SettingsError) as error:
        load_company(tmp_path)
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "line 2: policies.stock_budget: Input should be a finite number",
        "line 4: consensus.streams.statistical.most: 0.1 is less than `least`, 0.9: exchange the two",
        "line 6: demand.abc: 0.9 stands before 0.5: write the smaller one first",
        "line 7: demand.xyz: 0.5 stands before 0.25: write the smaller one first",
        "line 9: kpi_targets.fill_rate.target: Input should be a finite number",
        "line 10: rates.USD: Input should be a finite number",
        "line 10: rates.GBP.2026-13: '2026-13' is not a month; write it like 2026-11",
        "line 12: tables.prices.multiply.price: Input should be a finite number",
    ]


def test_a_consensus_of_no_stream_is_refused(tmp_path):
    (tmp_path / "company.yaml").write_text("name: A\nconsensus:\n  streams: {}\n")
    with pytest.raises(SettingsError, match="line 3: consensus.streams: nothing to blend: name statistical, sales"):
        load_company(tmp_path)


def test_the_kpis_that_may_have_a_target_are_the_kpis():
    assert get_args(KpiName) == tuple(KPIS)


# what is declared is read: a setting or a column that nothing reads would be accepted and then ignored ---------------
READERS = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("sopkit", "notebooks")
    for path in (PROJECT / folder).rglob("*")
    if path.suffix in (".py", ".j2", ".ipynb") and path.name not in ("inputs.py", "plans.py", "records.py")
)


@pytest.mark.parametrize("declared", INPUTS, ids=lambda declared: declared.name)
def test_every_column_of_an_input_is_read(declared):
    words = set(re.findall(r"\w+", READERS))
    assert declared.name in words
    assert {name for name in declared.names if name not in words} == set()


def test_every_setting_is_read():
    asked = set(re.findall(r"\.(\w+)", READERS))
    names = {setting.path.split(".")[-1] for setting in dictionary.settings()}
    assert names - asked == set()


# the dictionary ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("declared", TABLES.values(), ids=TABLES)
def test_every_column_of_every_table_has_an_example_that_is_allowed(declared):
    for column in declared:
        shown = dictionary.example(declared, column)
        assert shown or column.example == "" or (column.kind == "whole"), column.name
        if shown and column.kind in ("number", "whole", "month", "date"):
            value = pd.Timestamp(shown) if column.kind in ("month", "date") else float(shown)
            assert all(holds(pd.Series([value])).all() for _, holds in column.rules), f"{column.name}: {shown}"
        if shown and column.kind == "choice":
            assert shown in column.choices


def test_every_setting_has_a_meaning_and_an_example():
    for one in dictionary.settings():
        assert one.meaning and one.kind, one.path
        assert one.example or one.default == "", one.path
