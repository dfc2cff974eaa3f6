"""A company's settings, each declared once: what may stand in `company.yaml`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote_plus

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from sopkit.errors import SettingsError
from sopkit.tables.source import Currency, Positive, RawFile, Settings, Share, Source, setting
from sopkit.words.languages import languages

# a part of a URL's query that may be a secret; `passfile` and `sslkey` name files
SECRETS = re.compile(r"(pass(?!file)\w*|pwd|secret|token|api_?key|access_?key|credentials?)\s*=")
ALWAYS = "1900-01"  # the month from which a rate without a month holds



def _a_month(text: str) -> str:
    if text and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise ValueError(f"{text!r} is not a month; write it like 2026-11")
    return text


Month = Annotated[str, AfterValidator(_a_month)]  # empty = none
Better = Literal["higher", "lower"]
Stream = Literal["statistical", "sales"]
KpiName = Literal[
    "total_sales", "forecast_against_actual", "gross_margin", "cycle_time", "inventory_turns", "working_capital",
    "capacity_utilisation", "production_forecast", "sales_units", "fill_rate", "days_of_cover", "forecast_wape",
    "cycle_time_p90", "average_inventory", "days_inventory", "days_sales", "days_payables", "cash_to_cash",
    "plan_stability", "production_plan_adherence",
]  # fmt: skip
StageName = Literal["collect", "demand", "supply", "reconcile", "decide", "publish"]
if TYPE_CHECKING:
    LanguageName = str
else:
    LanguageName = Literal[languages()]
AudienceName = Literal["executive", "sales", "operations", "finance", "supplier", "customer"]
Correction = Literal[
    "returns", "missing_month", "stock_out", "suspected_stock_out", "one_off_deal", "outlier", "trading_days"
]


class Policies(Settings):
    """Company-wide rules of planning; the tables hold those of one site, product or market."""

    allocation: Literal["profit", "priority", "fair_share"] = setting("profit", "who is served first when supply is short")
    backlog_at_end: Literal["priced", "forbidden"] = setting("priced", "may demand still wait at the horizon's end")
    stock_budget: Positive | None = setting(None, "most money in stock at a month's end; none = no limit", "currency", example=1_500_000)
    stock_budget_price: Positive = setting(0.02, "price of a unit of money above the stock budget", "currency per currency and month")
    carbon_price: Positive = setting(0.0, "price of carbon, which steers the plan; nobody is paid", "currency per kg")
    carbon_cap: Positive | None = setting(None, "most carbon of all planned months, kept before money; none = no limit", "kg", example=250_000)
    whole_people: bool = setting(False, "people are whole numbers (slower)")
    gap: Share = setting(0.001, "share of the contribution that a plan with whole numbers may fall short of the best", "share")
    time_limit: Positive = setting(60.0, "longest search for whole numbers; then the best found is the plan", "seconds")
    frozen_months: int = setting(0, "first months taken from the last published plan", "months", ge=0, le=12)
    plan_change_price: Positive = setting(0.0, "price of a unit changed against the last published plan", "currency per unit", example=2.5)
    end_stock_price: Positive = setting(0.0, "price of a unit missing from the target end stock; 0 = standard cost and safety stock price", "currency per unit", example=40)


class LeverRules(Settings):
    """What a lever assumes where the tables hold nothing; its sentence says so."""

    overtime: Share = setting(0.10, "more overtime, of the regular hours after maintenance", "share")
    hours: Positive = setting(40.0, "overtime on a resource without hours", "hours a month")
    more: Share = setting(0.20, "more of a supplier, of space, of maximum stock, of people's hours", "share")
    hires: int = setting(2, "more people hired than can start in a month", "people", ge=1)
    second_supplier: Share = setting(0.10, "a second supplier is dearer than the dearest offer", "share")
    express: Share = setting(0.20, "goods that come at once are dearer", "share")
    subcontract: Share = setting(0.25, "what nobody offers is bought above standard cost", "share")
    subcontract_lead_time: int = setting(1, "from order to arrival of what is bought ready-made", "months", ge=0)


class KpiTarget(Settings):
    """What a KPI should be, and who answers for it."""

    target: float = setting(..., "what the KPI should be", "that of the KPI", example=0.95)
    owner: str = setting(..., "who answers for it", example="Jon Okafor")
    better: Better = setting("higher", "which way is better; a KPI that is best near 0 ignores it")


class Assumption(Settings):
    """Something missing that is planned around."""

    statement: str = setting(..., "what is assumed", example="Customers go on paying after 44 days.")
    owner: str = setting(..., "who answers for it", example="Ines Duarte")
    table: str = setting("", "the table it stands in for", example="balance_sheet")
    expires: Month = setting("", "last cycle in which it holds; empty = until removed", "month", example="2027-06")


class StreamLimits(Settings):
    """How far past accuracy may move the weight of a stream in the consensus."""

    least: Share = setting(0.0, "least weight", "share")
    most: Share = setting(1.0, "most weight", "share")

    @field_validator("most")
    @classmethod
    def _not_below_least(cls, most: float, limits: ValidationInfo) -> float:
        if most < (least := limits.data.get("least", 0.0)):
            raise ValueError(f"{most:g} is less than `least`, {least:g}: exchange the two")
        return most


class Consensus(Settings):
    """How the streams become one number."""

    streams: dict[Stream, StreamLimits] = setting({"statistical": StreamLimits(), "sales": StreamLimits()}, "the streams that are blended, with their limits")
    lag: int = setting(1, "the lag at which streams are judged", "months", ge=0, le=12)

    @field_validator("streams")
    @classmethod
    def _one_at_least(cls, streams: dict[Stream, StreamLimits]) -> dict[Stream, StreamLimits]:
        if not streams:
            raise ValueError("nothing to blend: name statistical, sales or both, or remove the line")
        return streams


class Database(Settings):
    """A database to read from. Its password never stands in a file: `password_env` names the variable that holds it."""

    url: str = setting(..., "SQLAlchemy URL without a password", example="postgresql+psycopg://planner@db.example/erp")
    password_env: str = setting("", "name of the environment variable that holds the password", example="ERP_PASSWORD")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        address, _, options = url.partition("?")
        user = address.partition("://")[2].rpartition("@")[0]
        # a connection string may stand quoted, even twice, inside an option
        options = unquote_plus(unquote_plus(options)).lower()
        if ":" in unquote_plus(user) or SECRETS.search(options):
            raise ValueError(
                "a password stands in the URL: remove it, change it where it is in use, and name the "
                "environment variable that holds it under `password_env`"
            )
        return url


class Cleansing(Settings):
    """Which corrections of history count until a planner decides otherwise, and how far is too far."""

    accept: tuple[Correction, ...] = setting(("returns", "missing_month", "stock_out"), "methods whose corrections count unless a planner refuses them")
    threshold: float = setting(4.0, "robust standard deviations from which a month looks wrong", "deviations", ge=1)


class DemandRules(Settings):
    """What demand planning assumes where the data are silent, and how much it shows."""

    pull_forward: Share = setting(0.25, "share of a campaign's extra units missing afterwards, before any is measured", "share")
    pull_forward_months: int = setting(1, "months after a campaign in which they are missing", "months", ge=1, le=6)
    run_out_months: int = setting(3, "last months of a retiring product in which demand fades evenly; 0 = none", "months", ge=0, le=24)
    abc: tuple[Share, Share] = setting((0.80, 0.95), "share of value at which A ends, and B", "share")
    xyz: tuple[Positive, Positive] = setting((0.25, 0.50), "variation at which X ends, and Y", "share")
    exceptions_shown: int = setting(15, "most exceptions shown", "exceptions", ge=1)
    exceptions_each: int = setting(4, "most of them for one cause", "exceptions", ge=1)

    @field_validator("abc", "xyz")
    @classmethod
    def _in_order(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] > ends[1]:
            raise ValueError(f"{ends[0]:g} stands before {ends[1]:g}: write the smaller one first")
        return ends


class DecisionRule(Settings):
    """How options are weighed: value = result x weight - service penalties x weight + cash low point x weight.

    The option with the highest score is recommended: expected value - risk x (expected value - worst value).
    """

    result: Positive = setting(1.0, "weight of the result of the horizon", "currency per currency")
    service: Positive = setting(1.0, "weight of the service penalties", "currency per currency")
    cash: Positive = setting(0.0, "weight of the lowest point of cash", "currency per currency")
    standard_events: int = setting(3, "events made from the company's own data that are solved each cycle, most telling first", "events", ge=0, le=12)
    risk: Share = setting(0.0, "price of risk: 0 = the average decides, 1 = the worst case does", "share")


class FutureRule(Settings):
    """What is sampled to measure the risk of every option."""

    samples: int = setting(0, "futures in which every option is solved again each cycle; 0 = only when somebody asks", "futures", ge=0)
    seed: int = setting(1, "the same seed draws the same futures", ge=0)
    decided: int = setting(2, "first months whose orders and runs stay as planned whatever happens", "months", ge=0, le=12)
    late: Share = setting(0.05, "chance that what a supplier should deliver in a month comes a month later", "share")


class StageRule(Settings):
    """Who answers for a stage, by which day, and what people tick before it is signed."""

    owner: str = setting("", "who answers for the stage", example="Ada Brandt")
    participants: tuple[str, ...] = setting((), "who takes part", example="[Mara Lind, Pia Weber]")
    day: int = setting(0, "working day of the cycle's own month by which the stage is signed; 0 = none", "working days", ge=0, le=23)
    ticks: tuple[str, ...] = setting((), "what people tick before it is signed", example="[sales has confirmed the deals]")


class Company(Settings):
    """Everything a company sets: money, horizon, policies, targets, and where each table comes from."""

    name: str = setting(..., "what the company is called", example="Alpenglow Outdoor")
    currency: Currency = setting("EUR", "the money of every amount")
    language: LanguageName = setting("en", "the language of pack, workbook, mails and figures")
    fiscal_year_start: int = setting(1, "first month of the fiscal year", "month of the year", ge=1, le=12)
    horizon: int = setting(18, "months planned", "months", ge=1, le=60)
    policies: Policies = Policies()
    levers: LeverRules = LeverRules()
    consensus: Consensus = Consensus()
    cleansing: Cleansing = Cleansing()
    reconciliation: Literal["backtest", "mint_shrink", "wls_var", "wls_struct", "ols", "bottom_up", "top_down"] = setting(
        "backtest", "how forecasts of products, families, regions and the total are made to add up",
    )
    steered_by: Literal["total", "family", "region", "product x market"] = setting("family", "the level at which a reconciliation must be no worse than summing from below")
    demand: DemandRules = DemandRules()
    decision: DecisionRule = DecisionRule()
    futures: FutureRule = FutureRule()
    workflow: dict[StageName, StageRule] = setting({}, "owner, day and checklist of a stage, by the stage's name")
    audiences: dict[AudienceName, tuple[str, ...]] = setting(
        {}, "who gets a pack and workbook of their own, without what they may not see, by audience: names of table people; `supplier` is one for each supplier",
        example="{sales: [Mara Lind], supplier: []}",
    )
    kpi_targets: dict[KpiName, KpiTarget] = setting({}, "the target of a KPI, by the KPI's name")
    assumptions: dict[str, Assumption] = setting({}, "what is missing and planned around, by a code of one's own")
    rates: dict[Currency, dict[Annotated[Month, Field(min_length=1)], Positive]] = setting(
        {}, "money of the company for one unit of another currency; by month where it changes, each from its month on: "
        "rows with a month take that month's rate, all others the rate of the plan's first month", "currency",
        example="{USD: 0.92, GBP: {2025-01: 1.19, 2026-04: 1.15}}",
    )
    raw: str = setting("", "folder of the raw files; relative to the company's folder, or $NAME, or ${NAME:-folder}", example="exports")
    raw_files: dict[str, RawFile] = setting({}, "how raw files that queries read are written, by name or pattern", example="{orders_*.csv: {encoding: cp1252, delimiter: ;, decimal: ','}}")
    workbook: str = setting("tables.xlsx", "Excel workbook whose sheets are the tables that have no other source")
    databases: dict[str, Database] = setting({}, "databases that tables are read from, by a name of one's own")
    tables: dict[str, Source] = setting({}, "where each table comes from; a table not named: sql/<table>.sql, <table>.csv, <table>.parquet, or its sheet in the workbook")

    @field_validator("rates", mode="before")
    @classmethod
    def _always(cls, rates: Any) -> Any:
        given = rates.items() if isinstance(rates, dict) else ()
        return {code: rate if isinstance(rate, dict) else {ALWAYS: rate} for code, rate in given} or rates

    def rule(self, stage: str) -> StageRule:
        """Owner, day and checklist of a stage; an empty rule where none is set."""
        return next((rule for name, rule in self.workflow.items() if name == stage), StageRule())

    def raw_folder(self, folder: Path) -> Path:
        """The folder of the raw files of the company in `folder`; SettingsError where its variable is not set."""
        variable = re.fullmatch(r"\$(?:(\w+)|\{(\w+)(?::-(.*))?\})", self.raw)
        if not variable:
            return folder / self.raw
        name, default = variable[1] or variable[2], variable[3]
        place = os.environ.get(name) or default
        if place is None:
            raise SettingsError(
                f"the environment variable {name} is not set. Set it to the folder that holds the raw files."
            )
        return folder / place

    def months(self, cycle: str) -> list[Any]:
        """The planned months as pandas Timestamps: the cycle's own month first."""
        import pandas as pd

        return list(pd.date_range(pd.Timestamp(cycle + "-01"), periods=self.horizon, freq="MS"))
