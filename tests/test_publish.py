"""The pack: its dictionary from tables alone, its page in a real browser, hostile names, absent tables, DRAFT."""

from __future__ import annotations

import copy
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sopkit import kpis
from sopkit.book import Book, Question
from sopkit.book.signed import plan_hash
from sopkit.charts import Figure
from sopkit.decide import decisions
from sopkit.publish import figures as figures_of_publish
from sopkit.publish import pack
from sopkit.reconcile import finance, gaps
from sopkit.tables import BY_NAME, TABLES, Company

CYCLE = "2026-11"
MONTHS = pd.date_range("2026-11-01", periods=14, freq="MS")
PAST = pd.date_range("2024-11-01", periods=24, freq="MS")
HOSTILE = '<script>alert("x")</script>&{{7*7}}\x00'
COMPANY = Company(
    name="Small Tents",
    horizon=14,
    kpi_targets={
        "gross_margin": {"target": 0.5, "owner": "Ines"},
        "cycle_time": {"target": 4, "owner": "Tom", "better": "lower"},
    },
)
MANIFEST = {
    "company": "small",
    "cycle": CYCLE,
    "versions": {"sopkit": "0.1.0", "highspy": "1.15.1"},
    "tables": {"products": {"stage": "collect", "rows": 2, "sha256": "a1" * 32}},
    "stages": {"collect": {"written_at": "2026-11-05T08:00:00+00:00", "parameters": {}, "seconds": 1.5}},
}


def grid(**columns) -> pd.DataFrame:
    """Every combination of the columns' values."""
    return pd.MultiIndex.from_product(list(columns.values()), names=list(columns)).to_frame(index=False)


def whole(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` as table `name`, columns that this test does not care about filled with nothing."""
    nothing = {"number": 0.0, "whole": 0, "text": "-", "flag": False}
    absent = {c.name: nothing[c.kind] for c in TABLES[name] if c.required and c.name not in frame}
    return TABLES[name].check(frame.assign(**absent))


def small_plan(name: str = "Trail tent", decided: str | None = None) -> dict[str, pd.DataFrame]:
    """Two products, two markets, one plant and line: 100 of each a month, December 40 short, all of it by hand."""
    products = pd.DataFrame(
        {
            "product": ["TENT", "SACK"],
            "name": [name, "Sack"],
            "family": ["TENTS", "PACKS"],
            "uom": "pcs",
            "price": [200.0, 50.0],
            "standard_cost": [120.0, 20.0],
            "launch_month": [pd.NaT, MONTHS[2]],
            "end_month": [MONTHS[5], pd.NaT],
        }
    )
    each = grid(product=["TENT", "SACK"], market=["NORTH", "SOUTH"], month=MONTHS)
    price = each["product"].map({"TENT": 200.0, "SACK": 50.0})
    short = each["product"].eq("TENT") & each["market"].eq("NORTH") & each["month"].eq(MONTHS[1])
    deliveries = each.assign(demand=100.0, delivered=100.0 - 40.0 * short, backlog=0.0, lost=40.0 * short, price=price)
    stock = grid(site=["PLANT"], item=["TENT", "SACK"], month=MONTHS).assign(
        opening=150.0, received=200.0, issued=200.0, closing=150.0, safety_stock=100.0, below_safety=0.0
    )
    stock["value"] = stock["closing"] * stock["item"].map({"TENT": 120.0, "SACK": 20.0})
    made = grid(mode=["make_regular"], source=["LINE"], item=["TENT", "SACK"], site=["PLANT"], month=MONTHS)
    costs = pd.concat(
        [
            deliveries.groupby(["product", "month"], as_index=False)
            .apply(lambda rows: pd.Series({"amount": (rows["delivered"] * rows["price"]).sum()}), include_groups=False)
            .rename(columns={"product": "item"})
            .assign(cost="revenue", penalty=False),
            grid(cost=["making", "freight", "losing"], item=["TENT"], month=MONTHS)
            .assign(amount=[*[9e3] * 14, *[500.0] * 14, *[10.0] * 14])
            .assign(penalty=lambda f: f["cost"].eq("losing")),
        ]
    )
    sold = grid(product=["TENT", "SACK"], market=["NORTH", "SOUTH"], month=PAST).assign(quantity=90.0)
    sold["revenue"] = sold["quantity"] * sold["product"].map({"TENT": 200.0, "SACK": 50.0})
    said = sold[sold["month"] > PAST[-4]].assign(
        cycle=lambda f: f["month"] - pd.DateOffset(months=1), stream="consensus", quantity=99.0
    )
    tables = {
        "families": pd.DataFrame({"family": ["TENTS", "PACKS"], "name": ["Tents", "Packs"]}),
        "products": products,
        "sites": pd.DataFrame({"site": ["PLANT"], "name": ["The plant"], "kind": "plant"}),
        "markets": pd.DataFrame({"market": ["NORTH", "SOUTH"], "name": [name, "South"], "region": "R", "channel": "C"}),
        "resources": pd.DataFrame({"resource": ["LINE"], "name": [name], "site": "PLANT"}),
        "sales_history": sold,
        "past_forecasts": said.drop(columns="revenue"),
        "stock_history": grid(site=["PLANT"], item=["TENT", "SACK"], month=PAST).assign(quantity=150.0),
        "work_orders": pd.DataFrame(
            {
                "order": ["W1", "W2"],
                "product": "TENT",
                "start": pd.Timestamp("2026-10-01"),
                "finish": pd.to_datetime(["2026-10-06", "2026-10-08"]),
                "quantity": 5.0,
            }
        ),
        "balance_sheet": pd.DataFrame(
            {
                "month": PAST[-1:],
                "receivables": 60e3,
                "payables": 9e3,
                "other_current_assets": 50e3,
                "other_current_liabilities": 20e3,
                "dso": 30.0,
                "dpo": 30.0,
            }
        ),
        "budget": grid(family=["TENTS", "PACKS"], month=MONTHS).assign(
            production=210.0, stock=300.0, sales=45e3, margin=9e3
        ),
        "suppliers": pd.DataFrame({"supplier": ["ALU"], "name": [name], "risk": [0.2]}),
        "demand_plan": each.assign(
            family=each["product"].map({"TENT": "TENTS", "SACK": "PACKS"}),
            baseline=95.0,
            lifecycle=0.0,
            market_conditions=0.0,
            campaigns=2.0,
            pipeline=3.0,
            statistical=100.0,
            sales=118.0,
            blended=100.0,
            override=0.0,
            consensus=100.0,
            p10=80.0,
            p90=125.0,
            price=price,
        ),
        "demand_change": pd.DataFrame(
            {
                "family": "all",
                "step": [0, 1, 2, 3],
                "layer": ["plan of Oct 2026", "statistical baseline", "pipeline", "plan of Nov 2026"],
                "units": [5000.0, 300.0, -100.0, 5200.0],
                "money": [1e6, 5e4, -1e4, 1.04e6],
                "months": "Nov 2026 to Mar 2027",
            }
        ),
        "fva": pd.DataFrame(
            {
                "family": "all",
                "lag": 1,
                "step": [0, 1, 2],
                "stream": ["naive", "baseline", "consensus"],
                "wape": [0.30, 0.20, 0.24],
                "fva": [np.nan, 0.10, -0.04],
                "value_wape": [0.3, 0.2, 0.24],
                "bias": [0.0, 0.01, 0.1],
            }
        ),
        "deliveries": deliveries,
        "stock": stock,
        "supply_costs": costs,
        "supply_plan": made.assign(available=made["month"], quantity=200.0, hours=60.0, cost=4500.0),
        "resource_load": grid(resource=["LINE"], month=MONTHS).assign(
            site="PLANT",
            available=120.0,
            overtime_limit=20.0,
            regular=[120.0] * 3 + [100.0] * 11,
            overtime=0.0,
            utilisation=[1.0] * 3 + [100 / 120] * 11,
        ),
        "binding_limits": pd.DataFrame(
            {
                "limit": ["regular_hours"],
                "place": [name],
                "item": "",
                "month": MONTHS[1:2],
                "size": 120.0,
                "unit": "hours",
                "shadow_price": 61.5,
                "sentence": [f"{name} has no hour left"],
            }
        ),
        "supply_checks": pd.DataFrame({"rule": ["stock_balance"], "rows": 28, "worst": 0.0, "holds": True}),
        "supply_run": pd.DataFrame({"measure": ["status"], "value": ["Optimal"]}),
        "assumptions": pd.DataFrame({"assumption": ["A"], "statement": [f"All pay late {name}"], "owner": "Ines"}),
        "findings": pd.DataFrame(
            {
                "table": ["products"],
                "row": 3,
                "column": "price",
                "value": name,
                "rule": "looks high",
                "severity": "warning",
                "fix": "Check it.",
            }
        ),
        "sign_offs": pd.DataFrame(
            {"id": [1], "cycle": CYCLE, "author": [name], "recorded_at": "2026-11-05", "stage": "demand"}
        ),
        "decisions": TABLES["decisions"].empty(),
    }
    tables = {key: whole(key, frame) for key, frame in tables.items()}
    tables |= {key: TABLES[key].empty() for key in TABLES if key not in tables}
    book = Book(tables, COMPANY, CYCLE)
    statement = finance.pnl(book)
    tables |= {
        "pnl": statement,
        "working_capital": finance.working_capital(book, statement),
        "budget_bridge": finance.budget_bridge(book, statement),
    }
    tables["gaps"] = gaps.gaps(Book(tables, COMPANY, CYCLE), statement)
    measures = {
        "result": ("EUR", 90e3, 95e3),
        "fill rate": ("share", 0.98, 1.0),
        "units lost": ("units", 40.0, 0.0),
        "service penalties": ("EUR", 0.0, 0.0),
        "mean stock value": ("EUR", 21e3, 22e3),
        "working capital at the end": ("EUR", 1e5, 1.1e5),
    }
    tables["scenario_results"] = pd.DataFrame(
        [
            (code, title, measure, pair[place], pair[1], pair[place] - pair[1], pair[0])
            for code, title, place in (("base", "The plan as it stands", 1), ("shift", f"Evening shift {name}", 2))
            for measure, pair in measures.items()
        ],
        columns=["scenario", "title", "measure", "value", "base", "difference", "unit"],
    )
    tables["scenario_months"] = grid(scenario=["base", "shift"], month=MONTHS).assign(
        net_sales=1e4, result=[*[5e3] * 14, *[5.4e3] * 14], shortfall=0.0, stock_value=1e4
    )
    question = Question(
        question=f"Which plan {name}?",
        options=["base", "shift"],
        option=decided,
        reason=f"because {name}",
        owner="Tom",
        decided_by="Greta",
        due="2026-12",
        cycle=CYCLE,
    )
    tables["decision_log"] = decisions(Book(tables, COMPANY, CYCLE, questions=[question]))
    if decided:
        taken = pd.DataFrame([{"option": "shift", "title": f"Evening shift {name}", "cycle": MONTHS[0]}])
        tables["adopted"] = whole("adopted", taken)
    tables = {key: TABLES[key].check(frame) for key, frame in tables.items() if key != "kpis"}
    return tables | {"kpis": TABLES["kpis"].check(kpis.kpi_table(Book(tables, COMPANY, CYCLE)))}


def reported(tables: dict[str, pd.DataFrame], company: Company = COMPANY, manifest: dict = MANIFEST) -> dict:
    """The pack of these tables."""
    return pack.report(Book(tables, company, CYCLE, manifest=manifest))


@pytest.fixture(scope="module")
def tables():
    return small_plan()


@pytest.fixture(scope="module")
def report(tables):
    return reported(tables)


def part(report, key):
    return next(section for section in [*report["sections"], *report["appendices"]] if section["key"] == key)


def figures(section):
    flat = [one for item in section["body"] for one in (item if isinstance(item, list) else [item])]
    return {figure.title: figure for figure in flat if isinstance(figure, Figure)}


def said(section):
    """All that a section says: headline, text, and what each figure says in words."""
    flat = [one for item in section["body"] for one in (item if isinstance(item, list) else [item]) if one]
    return " ".join(
        [section["headline"], *(f"{f.title} {f.look_for} {f.note}" if isinstance(f, Figure) else str(f) for f in flat)]
    )


# the dictionary ----------------------------------------------------------------------------------------------------


def test_decisions_come_first_then_summary_then_the_eight(report):
    assert [section["key"] for section in report["sections"]] == [
        "decisions",
        "summary",
        "scorecard",
        "changed",
        "accuracy",
        "demand",
        "supply",
        "capacity",
        "gaps",
        "inventory",
        "finance",
        "scenarios",
        "risks",
    ]
    assert [appendix["number"] for appendix in report["appendices"]] == ["A", "B", "C"]
    assert report["title"] == "Sales & Operations Plan, November 2026" and report["horizon"] == "Nov 2026 to Dec 2027"
    assert report["data_as_of"] == "2026-11-05 08:00 UTC"


def test_every_figure_has_a_title_and_a_unit_and_says_something(report):
    for section in [*report["sections"], *report["appendices"]]:
        assert section["headline"] and section["headline"][0] == section["headline"][0].upper()
        for figure in figures(section).values():
            assert figure.title and figure.alt, section["key"]
            if 'class="nothing"' not in figure.html:
                assert figure.unit, (section["key"], figure.title)
                assert figure.look_for or section["key"] in ("reproduce", "families"), (section["key"], figure.title)


def test_findings_are_computed_from_the_tables(report):
    """12 x 4 x 100 units less 40 lost at 200: 592,000, against 540,000 a year ago and a budget of 1,080,000."""
    summary = said(part(report, "summary"))
    assert (
        "592 thousand EUR" in summary
        and "9.6 % above the last twelve months" in summary
        and "45.2 % below budget" in summary
    )
    assert "meets 99.2 % of the demand" in summary and "is full in three of twelve months" in summary
    assert "4.0 % more over the months both plan" in summary and "statistical baseline, +50.0 thousand EUR" in summary
    assert "Supply misses 40 pcs" in said(part(report, "gaps")).replace("supply", "Supply")
    assert "destroyed value: overrides" in said(part(report, "accuracy"))
    assert "10.0 % too high" in said(part(report, "scorecard"))
    assert "18.0 % more than the consensus" in said(part(report, "demand"))
    assert "one launch, one retirement" in said(part(report, "demand")).lower()
    limits = figures(part(report, "capacity"))["What limits the plan"]
    assert "no hour left" in limits.look_for and "61.5" in limits.html and "Dec 2026" in limits.html
    assert "stands on one declared assumption; one finding" in said(part(report, "risks"))


def test_the_recommendation_stands_once_and_names_what_the_other_option_changes(report, tables):
    """Once two pieces of code wrote it, each in its own words, and a long name was cut in its middle."""
    decision = said(part(report, "decisions"))
    assert "One decision required, the first by Dec 2026." in decision
    sentence = tables["decision_log"]["recommendation"].item()
    assert decision.count(sentence) == 1
    assert re.match("Evening shift Trail tent: (costs|brings) .+ of result and (avoids|adds) .+ of service", sentence)
    assert "service penalties" in sentence and "…" not in sentence


def test_scorecard_shows_the_eight_in_order_with_target_and_owner(report):
    html = figures(part(report, "scorecard"))["The eight KPIs"].html
    assert re.findall(r"<h3>(.*?)</h3>", html) == [kpis.KPIS[name].title for name in kpis.EIGHT]
    assert "misses target 4 days" in html and "misses target 50.0 %" in html and ">Tom<" in html
    assert html.count("<svg") >= 6


def test_draft_until_every_question_is_decided(tables, report):
    assert report["draft"] and report["status"].startswith("DRAFT")
    approved = reported(small_plan(decided="shift"), manifest={})
    assert not approved["draft"] and "DRAFT" not in pack.page(approved)
    assert "Decided by Greta: “Evening shift Trail tent”. because Trail tent" in said(part(approved, "decisions"))
    nobody = reported(tables | {"decision_log": TABLES["decision_log"].empty()}, manifest={})
    assert nobody["draft"]


def test_a_signature_of_another_cycle_or_of_other_tables_is_none(tables):
    """A cycle that nobody had signed once read "Every stage is signed": it showed those of the month before."""
    now = {stage: plan_hash(MANIFEST, stage) for stage in BY_NAME}
    rows = [(at, CYCLE, "Ada", stage, sha) for at, (stage, sha) in enumerate(now.items(), start=1)]
    signed = pd.DataFrame(rows, columns=["id", "cycle", "author", "stage", "plan_hash"]).assign(
        recorded_at="2026-11-05"
    )

    def line(frame):
        pack_now = reported(tables | {"sign_offs": TABLES["sign_offs"].conform(frame)})
        return figures(part(pack_now, "reproduce"))["The six stages of this cycle"]

    assert line(signed).look_for == "Every stage is signed."
    other = line(signed.assign(cycle="2026-10"))
    assert other.look_for.startswith("Not signed yet: Collect") and "Ada" not in other.html
    changed = line(signed.assign(plan_hash="0" * 64))
    assert changed.look_for.startswith("Not signed yet: Collect") and "Ada, before a change" in changed.html


@pytest.mark.parametrize(
    "absent",
    [
        "campaigns",
        "pipeline",
        "people",
        "budget",
        "balance_sheet",
        "past_forecasts",
        "work_orders",
        "fva",
        "demand_change",
        "suppliers",
        "people_plan",
        "binding_limits",
        "scenario_results",
        "decision_log",
        "resource_load",
        "stock",
        "deliveries",
        "demand_plan",
        "supply_plan",
        "pnl",
        "gaps",
        "working_capital",
        "kpis",
        "sales_history",
        "supply_checks",
    ],
)
def test_an_absent_table_costs_its_figure_not_the_pack(tables, absent):
    less = {name: frame for name, frame in tables.items() if name != absent}
    if absent not in ("kpis", "decision_log"):
        less["kpis"] = TABLES["kpis"].check(kpis.kpi_table(Book(less, COMPANY, CYCLE)))
    html = pack.page(reported(less, manifest={}))
    sheets = 16 - (absent == "supply_plan")  # of plants that make nothing there is none
    assert html.count("<section") == sheets and "nan" not in re.sub(r"<[^>]*>", " ", html).lower().split()


@pytest.mark.parametrize("months", [slice(5, None), slice(None, -1)], ids=["seven months", "the last is missing"])
def test_history_that_is_no_year_is_compared_with_no_year(tables, months):
    """Seven months sold made twelve planned ones 71 % growth, on page one, of every family and every product."""
    sold, less = tables["sales_history"], dict(tables)
    less["sales_history"] = sold[sold["month"].isin(sorted(sold["month"].unique())[-12:][months])]
    less |= {"budget": TABLES["budget"].empty(), "sales_forecast": TABLES["sales_forecast"].empty()}
    less["kpis"] = TABLES["kpis"].check(kpis.kpi_table(Book(less, COMPANY, CYCLE)))

    def words(of: dict[str, pd.DataFrame]) -> str:
        made = reported(of, manifest={})
        return " ".join(said(section) for section in [*made["sections"], *made["appendices"]])

    compared = (
        "e the last twelve",
        "w the last twelve",
        "the year before",
        "above last year",
        "below last year",
        "grows most",
        "last 12:",
    )
    assert [text for text in compared if text in words(tables | {"budget": less["budget"]})]
    assert [text for text in compared if text in words(less)] == []
    assert "nan" not in re.sub(r"<[^>]*>", " ", pack.page(reported(less, manifest={}))).lower().split()


def test_a_product_launched_within_the_year_has_no_growth(tables):
    """Five months sold made twelve planned ones 140 % growth on the family's sheet."""
    sold = tables["sales_history"]
    late = sold[(sold["product"] != "SACK") | sold["month"].isin(sorted(sold["month"].unique())[-5:])]
    book = Book(tables | {"sales_history": late}, COMPANY, CYCLE)
    growth = {}
    for family in sorted(set(book.family.values())):
        frame = figures_of_publish.family_products(book, family).frame
        growth |= dict(zip(frame["product"], frame["growth"], strict=True))
    names = book.names("products")
    assert pd.isna(growth[names["SACK"]]) and growth[names["TENT"]] == pytest.approx(0.0, abs=0.5)


def test_nothing_at_all_is_still_a_page():
    html = pack.page(reported({}, manifest={}))
    assert html.count("<section") == 15 and "There is no demand plan." in html


def test_report_does_not_change_what_it_reads(tables):
    before = copy.deepcopy(tables)
    reported(tables)
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_same_tables_same_bytes(tables):
    assert pack.page(reported(tables)) == pack.page(reported(tables))


# the page ------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements of a page and the words between them."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.inside = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside != "style":
            self.words.append(data)


def test_hostile_names_come_out_as_text_everywhere():
    html = pack.page(reported(small_plan(HOSTILE), COMPANY.model_copy(update={"name": HOSTILE})))
    page = Page(html)
    assert "<script" not in html and "\x00" not in html
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "iframe",
        "object",
        "embed",
        "img",
        "form",
        "link",
        "base",
    }
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "".join(page.words).count('<script>alert("x")</script>&{{7*7}}') > 10


def test_the_page_is_one_file_that_asks_for_nothing(report):
    html = pack.page(report)
    page = Page(html)
    policy = next(
        a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert len(html.encode()) < 4_000_000
    outside = [
        a.get("href") or a.get("src") for _, a in page.elements if (a.get("href") or a.get("src") or "#")[0] != "#"
    ]
    assert not outside
    targets = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for tag, a in page.elements if tag == "a"} <= targets
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(a.get("role") == "img" and a.get("aria-label") for tag, a in page.elements if tag == "svg")


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no chromium on this machine: the page is not opened in a real browser")
    with playwright.sync_playwright() as run:
        opened = run.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def plan_html(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "plan.html"
    path.write_text(pack.page(report), encoding="utf-8")
    return path


CUT = """() => [...document.querySelectorAll('svg text')].filter(text => {
    const own = text.getBoundingClientRect(), all = text.closest('svg').getBoundingClientRect()
    return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1 || own.bottom > all.bottom + 1
}).map(text => text.textContent)"""


def test_no_label_of_a_figure_is_cut(browser, finished):
    page = browser.new_page(viewport={"width": 1366, "height": 844})
    page.goto((finished.folder / "plan.html").as_uri())
    assert page.locator("svg text").count() > 100 and page.evaluate(CUT) == []
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.textContent)"
    assert page.locator(".scroll").evaluate_all(wide) == [], "a table is wider than the page"
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.mark.parametrize("width", [1366, 390])
def test_in_a_browser_no_request_no_error_no_sideways_scroll(browser, plan_html, width):
    page = browser.new_page(viewport={"width": width, "height": 844})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(plan_html.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == [] and len(asked) == 1
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.locator("svg:not([role=img]), svg[role=img]:not([aria-label])").count()
    assert page.locator("svg").count() > 10 and unnamed == 0
    assert page.get_by_role("img", name="Line chart").count() >= 2
    assert page.locator("section").count() == 16
    visible = page.locator("section .draft").evaluate_all("marks => marks.every(m => m.getClientRects().length > 0)")
    assert visible and page.locator("section .draft").count() == 16
    page.close()


def test_printed_on_a4_every_page_says_draft(browser, plan_html, tmp_path):
    pypdfium2 = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed: the printed page is not read")
    page = browser.new_page()
    page.goto(plan_html.as_uri())
    page.pdf(path=tmp_path / "plan.pdf", prefer_css_page_size=True, print_background=True)
    page.close()
    document = pypdfium2.PdfDocument(tmp_path / "plan.pdf")
    texts = [leaf.get_textpage().get_text_range() for leaf in document]
    assert 5 <= len(texts) <= 60
    assert document[0].get_size() == pytest.approx((595, 842), abs=2)
    assert all("DRAFT, not decided" in text for text in texts)
    assert f"1 / {len(texts)}" in texts[0]
