"""The pack in figures: seconds, size, pages and how full they are, breaches of the notation, of axe, of the network.

`python tests/bench.py pack [FOLDER]`: a finished cycle folder; without it the demo is run first.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BAND, TOP, BOTTOM, HIGH = 8.0, 13.0, 14.0, 297.0  # millimetres of an A4 page: band that is full or not, margins


def fills(browser: Any, page_of: Path, pdf: Path) -> list[tuple[str, float]]:
    """(text, share of its height that carries something) of every printed page; bands of 8 mm."""
    import numpy as np
    import pypdfium2

    page = browser.new_page()
    page.goto(page_of.as_uri())
    page.pdf(path=pdf, prefer_css_page_size=True, print_background=True)
    page.close()
    found = []
    for leaf in pypdfium2.PdfDocument(pdf):
        grey = np.asarray(leaf.render(scale=1.2).to_pil().convert("L"))
        pixels = grey.shape[0] / HIGH
        inside = grey[int(TOP * pixels) : int((HIGH - BOTTOM) * pixels)]
        # the watermark is lighter than that
        inked = (inside < 190).any(axis=1)
        bands = [inked[int(n * BAND * pixels) : int((n + 1) * BAND * pixels)].any() for n in range(int(270 / BAND))]
        found.append((leaf.get_textpage().get_text_range(), float(np.mean(bands))))
    return found


def violations(browser: Any, page_of: Path, width: int = 1366) -> list[str]:
    """What axe-core finds on the page at this width: rule and how often."""
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(page_of.as_uri())
    page.evaluate(script)
    found = page.evaluate("axe.run()")["violations"]
    page.close()
    return [f"{one['id']}: {len(one['nodes'])}, such as {one['nodes'][0]['html'][:120]}" for one in found]


def grown(book: Any, times: int = 17, families: int = 3) -> Any:
    """`book` with every product `times` times and every family `families` times, under names of their own."""
    from dataclasses import replace

    import pandas as pd

    from sopkit.tables import TABLES

    things = {"product": set(book["products"]["product"]), "family": set(book["families"]["family"])}
    copies = {"product": [(n, n % families) for n in range(times)], "family": [(0, n) for n in range(families)]}

    def copy(frame: pd.DataFrame, product: int, family: int) -> pd.DataFrame:
        ends = {one: f"{one}~{product}" for one in things["product"]}
        ends |= {one: f"{one}~{family}" for one in things["family"]}
        texts = {name: frame[name].map(ends).fillna(frame[name]) for name in frame.select_dtypes("object")}
        return frame.assign(**texts)

    tables = {}
    for name, frame in book.items():
        keys = frame[[key for key in TABLES[name].key if frame[key].dtype == object]]
        kind = next((one for one in ("product", "family") if keys.isin(things[one]).any(axis=None)), "")
        of = keys.isin(things[kind]).any(axis=1) if kind else pd.Series(False, index=frame.index)
        parts = [copy(frame[of], *one) for one in copies.get(kind, ())]
        tables[name] = pd.concat([frame[~of], *parts], ignore_index=True)
        if name in ("products", "families"):
            code = tables[name][TABLES[name].key[0]]
            tables[name]["name"] += " " + code.str.rpartition("~")[2]
    return replace(book, tables=tables)


def _figure(name: str, value: float, unit: str, goal: float | None = None, **more: Any) -> dict[str, Any]:
    met = None if goal is None else (value >= goal if more.pop("least", False) else value <= goal)
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met, "peer": None, **more}


def run(folder: str = "") -> Iterator[dict[str, Any]]:
    """The figures of a cycle's pack; nbconvert's page of the same notebooks beside it."""
    import shutil
    from dataclasses import replace

    import nbformat
    from nbconvert import HTMLExporter
    from playwright.sync_api import sync_playwright

    from sopkit import charts, cycle
    from sopkit.publish import pack

    with tempfile.TemporaryDirectory() as place:
        if folder:
            made = cycle.Cycle.open(Path(folder).parent.name, Path(folder).name, reports=Path(folder).parents[1])
        else:
            os.environ["SOPKIT_REPORTS"] = place
            cycle.run("demo", "2026-11", progress=False)
            made = cycle.Cycle.open("demo", "2026-11")
        book = replace(made.book, manifest=made.manifest)
        pack.page(pack.report(book))  # the drawing library is started once in a process
        began, worked = time.perf_counter(), time.process_time()
        content = pack.report(book)
        html = pack.page(content)
        yield _figure("pack, tables to html", time.perf_counter() - began, "s", 5.0)
        yield _figure("pack, tables to html", time.process_time() - worked, "processor s")
        yield _figure("pack, size", len(html.encode()) / 1e6, "MB", 4.0)
        yield _figure("pack, breaches of the notation", len(charts.lint(content)), "breaches", 0)
        big = grown(book)
        began, worked = time.perf_counter(), time.process_time()
        large = pack.page(pack.report(big))
        many = f"pack of {len(big['products'])} products"
        yield _figure(f"{many}, tables to html", time.perf_counter() - began, "s", 15.0)
        yield _figure(f"{many}, tables to html", time.process_time() - worked, "processor s")
        yield _figure(f"{many}, size", len(large.encode()) / 1e6, "MB", 8.0)
        path = Path(place) / "plan.html"
        path.write_text(html, encoding="utf-8")
        notebooks = sorted((made.folder / "notebooks").glob("*.ipynb"))
        began = time.perf_counter()
        pages = [
            HTMLExporter(template_name="lab").from_notebook_node(nbformat.read(n, as_version=4))[0] for n in notebooks
        ]
        seconds = time.perf_counter() - began
        peer = Path(place) / "peer.html"
        peer.write_text("".join(pages), encoding="utf-8")
        yield _figure("nbconvert's pages of the same notebooks", seconds, "s", peer="nbconvert")
        yield _figure("nbconvert's pages, size", sum(len(one.encode()) for one in pages) / 1e6, "MB", peer="nbconvert")
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
            )
            for name, one in (("pack", path), ("nbconvert", peer)):
                page, asked = browser.new_context(offline=True).new_page(), []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                began = time.perf_counter()
                page.goto(one.as_uri(), wait_until="domcontentloaded")
                yield _figure(
                    f"{name}, opened to readable", time.perf_counter() - began, "s", 1.0 if name == "pack" else None
                )
                outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
                yield _figure(f"{name}, network requests", len(outside), "requests", 0 if name == "pack" else None)
            found = fills(browser, path, Path(place) / "plan.pdf")
            meeting = next((n for n, (text, _) in enumerate(found) if "Appendix A" in text), len(found))
            yield _figure("pack, pages for the meeting", meeting, "pages", 14)
            yield _figure("pack, pages in all", len(found), "pages")
            yield _figure("pack, emptiest page of the meeting", min(fill for _, fill in found[:meeting]), "share", 0.92,
                          least=True)  # fmt: skip
            for width in (1366, 390):
                yield _figure(f"pack, axe violations at {width} px", len(violations(browser, path, width)), "rules", 0)
