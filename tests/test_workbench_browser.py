"""Every control as a planner uses it: a real JupyterLab on loopback, a real Chromium, one of each for all of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jupyterlab_room import PROJECT, control, control_alone, kernels_of, met, opened, run_all

from sopkit.cycle import Cycle
from sopkit.tables import STAGES

PATIENCE = 240_000
# what JupyterLab and ipywidgets draw around our controls is theirs
THEIRS = {"resultTypes": ["violations"], "rules": {"region": {"enabled": False}}}


@pytest.fixture(scope="module")
def room(demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the finished demo run for all of this file, with the notebooks' controls; kernels find us."""
    root = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))
        for part in ("data", "reports"):
            shutil.copytree(demo_run / part, root / part)
            patch.setenv(f"SOPKIT_{part.upper()}", str(root / part))
        for stage in STAGES:
            control_alone(stage.name, root / "notebooks")
        control_alone("demand", root / "notebooks" / "other")
        (root / "notebooks" / "start").mkdir()
        shutil.copy(PROJECT / "notebooks" / "start" / "start.ipynb", root / "notebooks" / "start")
        yield root


@pytest.fixture(scope="module")
def lab(room: Path, chromium: str) -> Iterator[Any]:
    """`lab(notebook)` opens it in a page of its own and runs every cell; nothing is asked of the network."""
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    with opened(room) as address, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)

        def ran(notebook: str) -> Any:
            context = browser.new_context(viewport={"width": 1400, "height": 1600})
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("request", lambda request: requests.append(request.url))
            page.goto(f"{address}/lab/tree/notebooks/{notebook}?reset")
            run_all(page)
            return page

        ran.address, ran.browser, ran.requests = address, browser, requests  # type: ignore[attr-defined]
        yield ran
        browser.close()
    outside = {url for url in requests if not re.match(r"(http://127\.0\.0\.1|data:|blob:)", url)}
    assert not outside, f"the page asked for {outside}"


def accessible(page: Any, heading: str) -> None:
    """axe-core finds nothing in a control."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    control(page, heading).evaluate("element => element.setAttribute('data-axe', 'here')")
    found = axe.Axe().run(page, context="[data-axe=here]", options=THEIRS).response["violations"]
    told = [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]
    assert not told, "\n".join(told)
    control(page, heading).evaluate("element => element.removeAttribute('data-axe')")


def fill(part: Any, label: str, text: str) -> None:
    part.get_by_label(label, exact=True).fill(text)


def pick(part: Any, label: str, option: str) -> None:
    part.get_by_label(label, exact=True).select_option(label=option)


def typed(part: Any, label: str, text: str) -> None:
    """Key by key, over what stands in the box, at a speed that no hand has."""
    field = part.get_by_label(label, exact=True)
    field.press("Control+a")
    field.page.keyboard.type(text)


def press(part: Any, button: str, then: str) -> None:
    from playwright.sync_api import expect

    part.get_by_role("button", name=button, exact=True).click()
    try:
        expect(part.get_by_text(then)).to_be_visible(timeout=PATIENCE)
    except AssertionError:
        said = part.get_by_role("alert").or_(part.get_by_role("status")).all_inner_texts()
        raise AssertionError(f"{button} was pressed; {then!r} is not told, but {said}") from None


def test_the_start_page_says_where_the_cycle_stands(lab: Any, room: Path) -> None:
    from playwright.sync_api import expect

    page = lab("start/start.ipynb")
    expect(page.get_by_text("Nothing is stale.")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("waits for", exact=True).first).to_be_visible()
    expect(page.get_by_role("link", name="02 Demand").first).to_be_visible()
    expect(page.get_by_role("button", name="Carry on from here")).to_be_disabled()
    page.screenshot(path=str(room / "start.png"))
    page.close()


def test_two_planners_at_once_see_each_other_and_a_killed_kernel_leaves_nothing_half(lab: Any, room: Path) -> None:
    from playwright.sync_api import expect

    cycle = Cycle.open("demo", "2026-11")
    plan = cycle.read("demand_plan")
    tents = plan["product"] == "TENT-2P"
    before = plan.loc[tents, "consensus"].sum()
    december = plan.loc[tents & (plan["month"] == cycle.months[1]), "consensus"].sum()
    page, other = lab("02_demand.ipynb"), lab("other/02_demand.ipynb")
    heading = "Type over the plan, with a reason"
    mine, theirs = control(page, heading), control(other, heading)
    sheet = mine.get_by_role("treegrid", name="Consensus demand, pcs")
    sheet.get_by_role("button", name="open Tents").click()
    line = sheet.get_by_role("row", name=re.compile("TENT-2P"))
    dec, jan = (line.get_by_role("gridcell").nth(month) for month in (1, 2))
    expect(dec).to_have_text(re.compile(r"\d"), timeout=PATIENCE)
    was = int(dec.inner_text().replace(",", ""))
    dec.click()
    page.keyboard.type("many")
    page.keyboard.press("Enter")
    expect(dec).to_have_attribute("aria-invalid", "true", timeout=PATIENCE)
    expect(mine.get_by_text("'many' is not a number")).to_be_visible()
    dec.click()
    page.evaluate("navigator.clipboard.writeText('+150\\t+10%\\n')")  # a block from Excel
    page.keyboard.press("Control+V")
    expect(dec).to_have_text(f"{was + 150:,}", timeout=PATIENCE)
    expect(jan).to_have_class("changed")
    page.keyboard.press("Control+z")
    expect(dec).to_have_text(f"{was:,}", timeout=PATIENCE)
    page.keyboard.press("Control+y")
    expect(dec).to_have_text(f"{was + 150:,}", timeout=PATIENCE)
    jan.click()
    page.keyboard.press("Delete")
    expect(jan).not_to_have_class("changed", timeout=PATIENCE)
    mine.get_by_role("button", name="Store", exact=True).click()
    expect(mine.get_by_role("alert")).to_contain_text("reason is missing", timeout=PATIENCE)
    assert not page.locator(".sopkit-stale").count()

    # the other planner types into the same cell before the first one stores
    their_sheet = theirs.get_by_role("treegrid", name="Consensus demand, pcs")
    their_sheet.get_by_role("button", name="open Tents").click()
    their_dec = their_sheet.get_by_role("row", name=re.compile("TENT-2P")).get_by_role("gridcell").nth(1)
    expect(their_dec).to_have_text(re.compile(r"\d"), timeout=PATIENCE)
    their_dec.click()
    other.keyboard.type("900")
    other.keyboard.press("Enter")
    expect(their_dec).to_have_text("900", timeout=PATIENCE)

    fill(mine, "Reason", "second shop opens")
    pick(mine, "Owner", "Ada Brandt, demand planner")
    mine.get_by_role("button", name="Store", exact=True).click()
    expect(mine.get_by_text("by Ada Brandt stored.")).to_contain_text("+150 pcs", timeout=PATIENCE)
    expect(mine.get_by_role("cell", name="second shop opens").first).to_be_visible()
    expect(line).to_be_visible()  # what was open stays open
    expect(mine.locator("figure", has_text="Consensus demand")).to_contain_text("consensus before")
    # the figure above was made before: it says so, until its cell runs again
    expect(page.locator(".sopkit-stale").first).to_have_text(re.compile("Stale: made before your last change"))
    moved = """mark => { const figure = mark.parentElement, high = figure.offsetHeight;
        mark.remove(); return high - figure.offsetHeight; }"""
    assert page.locator(".sopkit-stale").first.evaluate(moved) == 0  # what is below stays under the pointer
    expect(page.locator(".sopkit-stale").first).to_be_visible()
    accessible(page, heading)
    page.screenshot(path=str(room / "consensus.png"))

    expect(theirs.get_by_text("Ada Brandt stored add 150, Dec 2026")).to_be_visible(timeout=PATIENCE)
    expect(other.locator(".sopkit-stale").first).to_contain_text("Stale: ", timeout=PATIENCE)
    fill(theirs, "Reason", "fair")
    pick(theirs, "Owner", "Mara Lind, sales director")
    theirs.get_by_role("button", name="Store", exact=True).click()
    refused = theirs.get_by_role("alert")
    expect(refused).to_contain_text("Nothing was stored", timeout=PATIENCE)
    expect(refused).to_contain_text("Ada Brandt stored add 150 meanwhile")
    expect(refused).to_contain_text("you typed set 900")
    expect(their_dec).to_have_text(f"{was + 150:,}", timeout=PATIENCE)

    # killed while it stores: the word is kept whole or not at all, and the plan can be made again
    their_dec.click()
    other.keyboard.type("900")
    other.keyboard.press("Enter")
    expect(their_dec).to_have_text("900", timeout=PATIENCE)
    theirs.get_by_role("button", name="Store", exact=True).click()
    expect(theirs.get_by_text("is being made again")).to_be_visible(timeout=PATIENCE)
    for number in kernels_of(lab.address):
        os.kill(number, signal.SIGKILL)
    page.close()
    other.close()
    words = cycle.records.read("overrides")
    assert words["author"].tolist() == ["Ada Brandt"] * 3 + ["Mara Lind"], "three cells typed over, then one"
    assert words[["action", "amount"]].iloc[-1].tolist() == ["set", 900.0]
    assert not cycle.records.verify()
    again = workbench_of("demand")
    again._agree()
    plan = Cycle.open("demo", "2026-11").read("demand_plan")
    after = plan.loc[plan["product"] == "TENT-2P", "consensus"].sum()
    assert after == pytest.approx(before + 900 - december, abs=1e-6)
    assert "demand" not in Cycle.open("demo", "2026-11").stale()


def workbench_of(stage: str) -> Any:
    """The consensus sheet as the notebook makes it when it is run again."""
    from sopkit import demand, workbench

    cycle = Cycle.open("demo", "2026-11", stage=stage)
    cycle.save(demand.plan(cycle.book, kept=cycle.kept))
    return workbench.consensus_sheet(cycle)


def test_what_if_and_the_scenario_lab(lab: Any, room: Path) -> None:
    from playwright.sync_api import expect

    page = lab("03_supply.ipynb")
    panel = control(page, "What if there were more, or less?")
    pick(panel, "Of", "SEW-N  Sewing line, Leipzig")
    handle = panel.get_by_role("slider").first
    handle.focus()
    for _ in range(6):
        handle.press("ArrowLeft")
    expect(panel.get_by_text("Solved: result").first).to_be_visible(timeout=PATIENCE)
    heading = panel.get_by_role("columnheader", name="SEW-N available hours -30 %")
    expect(heading).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".sopkit-stale")).to_have_count(0, timeout=PATIENCE)
    accessible(page, "What if there were more, or less?")
    page.screenshot(path=str(room / "what_if.png"))
    page.close()

    page = lab("04_reconcile.ipynb")
    builds = control(page, "Build a scenario, solve it, compare")
    pick(builds, "Or type over", "hours of machines")
    sheet = builds.get_by_role("treegrid", name="Hours of machines, hours")
    cell = sheet.get_by_role("row").nth(1).get_by_role("gridcell").nth(1)
    cell.click()
    page.keyboard.type("+50")
    page.keyboard.press("Enter")
    expect(cell).to_have_class("changed", timeout=PATIENCE)
    builds.get_by_role("button", name="Put what is typed on the list").click()
    expect(builds.get_by_text("hours of machines typed over: one cell, +50 hours").first).to_be_visible(
        timeout=PATIENCE
    )
    fill(builds, "Scenario", "More hours")
    pick(builds, "Owner", "Ada Brandt, demand planner")
    builds.get_by_role("button", name="Keep as scenario").click()
    expect(builds.get_by_text("Kept as scenario more_hours")).to_be_visible(timeout=PATIENCE)
    pick(builds, "Scenarios", "option: More hours")
    expect(builds.get_by_text("One plan to solve.")).to_be_visible(timeout=PATIENCE)
    press(builds, "Solve", "One plan solved.")
    expect(builds.get_by_role("columnheader", name="More hours").first).to_be_visible()
    accessible(page, "Build a scenario, solve it, compare")
    page.screenshot(path=str(room / "lab.png"))
    page.close()


def test_the_decision_room_and_the_checklist(lab: Any, room: Path) -> None:
    from playwright.sync_api import expect

    page = lab("05_decide.ipynb")
    decides = control(page, "Decide, with a reason")
    shift = "Evening shift on the Leipzig sewing line, January to June"
    pick(decides, "Decision", shift)
    pick(decides, "Decided by", "Greta Holm, managing director")
    press(decides, "Store decision", "Say a reason")
    fill(decides, "Reason", "keeps the tent season")
    fill(decides, "Dissent", "Jon Okafor: too early")
    press(decides, "Store decision", "1 of 2 questions are open")
    expect(decides.get_by_role("cell", name="keeps the tent season")).to_be_visible()
    expect(decides.get_by_role("cell", name="Jon Okafor: too early")).to_be_visible()
    fill(decides, "What", "Hire five sewers")
    pick(decides, "Recorded by", "Ada Brandt, demand planner")
    decides.get_by_role("button", name="Store action").click()
    expect(decides.get_by_role("cell", name="1. Hire five sewers")).to_be_visible(timeout=PATIENCE)
    accessible(page, "Decide, with a reason")
    page.screenshot(path=str(room / "decide.png"), full_page=True)
    page.close()

    page = lab("06_publish.ipynb")
    checks = control(page, "What still blocks publication")
    expect(checks.get_by_text("Before it can be published")).to_be_visible(timeout=PATIENCE)
    expect(checks.get_by_role("cell", name=re.compile("undecided|is stale")).first).to_be_visible()
    accessible(page, "What still blocks publication")
    page.screenshot(path=str(room / "checklist.png"))
    page.close()


def lost_of(times: int, decides: Any) -> list[Any]:
    """(stored, typed) where they differ, of actions typed and stored one after the other at full speed."""
    pick(decides, "Recorded by", "Ada Brandt, demand planner")
    said = [(f"Count the needles, {time}", f"@Jon Okafor: all {time * 111}") for time in range(1, times + 1)]
    before = len(Cycle.open("demo", "2026-11").records.read("actions"))
    for number, (what, comment) in enumerate(said, start=before + 1):
        typed(decides, "What", what)
        typed(decides, "Comment", comment)
        press(decides, "Store action", f"Action {number} is stored.")
    stored = Cycle.open("demo", "2026-11").records.read("actions")[["what", "comment"]].iloc[before:]
    return [both for both in zip(map(tuple, stored.to_numpy()), said, strict=True) if both[0] != both[1]]


def test_a_press_knows_what_was_typed_right_before_it(lab: Any, room: Path) -> None:
    """ipywidgets sends the newest of quick changes only when the one before was heard, a press at once; and ipykernel
    hears a box that was not touched yet in its main thread, a button pressed before in another: a running cell keeps
    the one waiting, not the other."""
    import nbformat
    from playwright.sync_api import expect

    path = room / "notebooks" / "typed" / control_alone("decide", room / "notebooks" / "typed")
    notebook = nbformat.read(path, as_version=4)
    naps = "import time\nnaps = globals().get('naps', -1) + 1\ntime.sleep(8 * naps)"
    notebook.cells.append(nbformat.v4.new_code_cell(naps))
    nbformat.write(notebook, path)
    page = lab("typed/05_decide.ipynb")
    decides = control(page, "Decide, with a reason")
    assert not lost_of(30, decides)

    press(decides, "Store decision", "Say a reason")
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-CodeCell").last).to_contain_text("[*]:", timeout=PATIENCE)
    pick(decides, "Decision", "not decided yet")
    pick(decides, "Decided by", "Greta Holm, managing director")
    fill(decides, "Reason", "the offer is not there yet")
    fill(decides, "Dissent", "Jon Okafor: now or never")
    decides.get_by_role("button", name="Store decision").click()
    expect(decides.get_by_text("The press waits")).to_be_visible(timeout=PATIENCE)
    expect(decides.get_by_role("cell", name="Jon Okafor: now or never")).to_be_visible(timeout=PATIENCE)
    expect(decides.get_by_text("The press waits")).to_have_count(0)
    page.close()


def test_findings_corrections_and_history(lab: Any, room: Path) -> None:
    from playwright.sync_api import expect

    page = lab("01_collect.ipynb")
    browse = control(page, "Go through the findings")
    expect(browse.get_by_text("The finding in its file").or_(browse.get_by_text("Table sales_history"))).to_be_visible()
    fill(browse, "Assume", "Stoves sell like the older ones.")
    pick(browse, "Owner", "Ada Brandt")
    press(browse, "Declare assumption", "Assumption 1 by Ada Brandt is declared")

    answers = control(page, "Answer a proposed correction")
    pick(answers, "Answer", "changed: another quantity counts")
    answers.get_by_label("Month counts", exact=True).fill("77")
    press(answers, "Store answer", "reason is missing")
    fill(answers, "Reason", "one order of a school")
    pick(answers, "Owner", "Ada Brandt, demand planner")
    press(answers, "Store answer", "by Ada Brandt is stored")
    stored = answers.get_by_text(re.compile("Answer . by Ada Brandt is stored"))
    expect(stored).to_contain_text("counts 77 units", timeout=PATIENCE)
    expect(answers.get_by_role("cell", name="one order of a school")).to_be_visible()

    history = control(page, "Type over history, with a reason")
    sheet = history.get_by_role("treegrid", name="History as it counts, pcs")
    pick(history, "Owner", "Ada Brandt, demand planner")
    cells = sheet.get_by_role("row", name=re.compile("Everything planned")).get_by_role("gridcell")
    for column in range(10):  # the last thing typed before the press stands in the sheet
        typed(history, "Reason", f"counted again, {column}")
        cells.nth(column).click()
        page.keyboard.type(f"+{column + 1}")
        press(history, "Store history", re.compile("by Ada Brandt stored"))
        expect(history.get_by_role("cell", name=f"counted again, {column}").first).to_be_visible(timeout=PATIENCE)
    for heading in ("Go through the findings", "Answer a proposed correction", "Type over history, with a reason"):
        accessible(page, heading)
    page.screenshot(path=str(room / "collect.png"))
    page.close()


def test_the_meeting_room_serves_the_notebook_as_a_page_without_code(lab: Any, room: Path) -> None:
    if find_spec("voila") is None:
        pytest.skip("voila is not installed (extra: meet, by make meet)")
    from playwright.sync_api import expect

    with met(room) as address:
        page = lab.browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(PATIENCE)
        refused: list[str] = []  # by the page's own policy, before anything is sent
        page.on("request", lambda request: lab.requests.append(request.url))
        page.on("requestfailed", lambda request: refused.append(request.url) if request.failure == "csp" else None)
        page.goto(f"{address}/voila/render/06_publish.ipynb")
        expect(page.get_by_text("Before it can be published")).to_be_visible(timeout=PATIENCE)
        page.get_by_role("button", name="Look again").click()
        assert "Cycle.open(" not in page.content(), "code is hidden"
        page.screenshot(path=str(room / "meeting.png"))
        page.goto(f"{address}/voila/render/05_decide.ipynb")
        assert not lost_of(30, page)
        page.close()
        lab.requests[:] = [url for url in lab.requests if url not in refused]
