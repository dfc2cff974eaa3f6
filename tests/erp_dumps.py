"""A company's tables as an ERP system's dumps, with what makes those hard to read; what the ERP lacks stands beside.

`sap`: SE16N-like files (codes with leading zeros, 20261031 or 31.10.2026, 1.234,500-, cartons of MARM, flags of
deletion, cancelled documents, several storage locations and lines a month). Reading them must give the same tables.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

DAYS = 30  # of a month
GONE = "000000000000009999"  # a material that is flagged for deletion
Rows = Iterable[Iterable[object]]


def _read(source: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(source / f"{name}.csv", dtype=str, keep_default_na=False)


def _number(value: object, places: int = 3) -> str:
    """1.234,500- as SE16N shows it; more places where the value has them."""
    text = repr(float(value))
    places = max(places, len(text.partition(".")[2]))
    return f"{abs(float(value)):,.{places}f}".translate(str.maketrans(",.", ".,")) + ("-" if float(value) < 0 else "")


class Dump:
    """A folder of dumps, semicolon and all text, as a spreadsheet saves what SE16N shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "own").mkdir(parents=True)

    def table(self, name: str, columns: str, rows: Rows) -> None:
        frame = pd.DataFrame([list(map(str, row)) for row in rows], columns=columns.split())
        frame.to_csv(self.folder / f"{name}.csv", sep=";", index=False)

    def own(self, name: str, frame: pd.DataFrame, columns: str) -> None:
        frame[columns.split()].to_csv(self.folder / "own" / f"{name}.csv", index=False)


def sap(source: Path, folder: Path) -> set[str]:
    """Write the company in `source` as SAP dumps to `folder`; returns the tables that SAP holds."""
    dump, read = Dump(folder), {path.stem: _read(source, path.stem) for path in source.glob("*.csv")}
    goods, parts = read["products"], read["materials"]
    items = [
        (r["product"], r["name"], r["family"], r["uom"], r["volume"], r["shelf_life"], "FERT")
        for r in goods.to_dict("records")
    ]
    items += [
        (r["material"], r["name"], "", r["uom"], r["volume"], r["shelf_life"], "ROH") for r in parts.to_dict("records")
    ]
    cost = dict(
        zip([*goods["product"], *parts["material"]], [*goods["standard_cost"], *parts["standard_cost"]], strict=True)
    )
    uom = {item[0]: item[3] for item in items}
    days = {months: round(float(months) * DAYS) for months in {item[5] for item in items}}
    dump.table("MARA", "MATNR MTART MATKL MEINS VOLUM MHDHB LVORM",
               [(i, kind, family, unit, _number(volume), days[life], "") for i, _, family, unit, volume, life, kind in items]
               + [(GONE, "FERT", "X", "pcs", "1,000", 0, "X")])  # fmt: skip
    dump.table(
        "MAKT",
        "MATNR SPRAS MAKTX",
        [(i, "E", name) for i, name, *_ in items] + [(i, "D", "deutsch") for i, *_ in items],
    )
    dump.table("MBEW", "MATNR BWKEY VPRSV STPRS VERPR PEINH",
               [(i, "0001", "VS"[at % 2], _number(float(c) * 10), _number(float(c) * 10), 10) for at, (i, c) in enumerate(cost.items())])  # fmt: skip
    dump.table(
        "MARM",
        "MATNR MEINH UMREZ UMREN",
        [(i, unit, 1, 1) for i, unit in uom.items()] + [(i, "CAR", 12, 1) for i in uom],
    )
    dump.own("products", goods, "product price launch_month end_month like_product curve successor")
    markets = read["markets"]
    dump.table("KNA1", "KUNNR NAME1 REGIO LOEVM", [(r["market"], r["name"], r["region"], "") for r in markets.to_dict("records")]
               + [("0000004711", "gone", "x", "X")])  # fmt: skip
    dump.own("markets", markets, "market channel currency priority")
    _billing(dump, read["sales_history"], uom)
    stock = read["inventory"].assign(**{"half": lambda rows: rows["quantity"].astype(float) // 2})
    dump.table("MARD", "MATNR WERKS LGORT LABST LVORM",
               [(r["item"], r["site"], place, _number(r["half"] if place == "0001" else float(r["quantity"]) - r["half"]), "")
                for r in stock.to_dict("records") for place in ("0001", "0002")] + [(GONE, "DC-N", "0001", "5,000", "")])  # fmt: skip
    dump.own("inventory", read["inventory"].drop_duplicates("site"), "site as_of")
    due = read["scheduled_receipts"].to_dict("records")
    orders = [f"45{at:08d}" for at in range(len(due) + 1)]
    dump.table("EKKO", "EBELN LIFNR LOEKZ", [(number, "X", "") for number in orders])
    dump.table("EKPO", "EBELN EBELP MATNR WERKS MEINS LOEKZ ELIKZ",
               [(number, "00010", r["item"], r["site"], uom[r["item"]], "", "") for number, r in zip(orders, due, strict=False)]
               + [(orders[-1], "00010", due[0]["item"], due[0]["site"], "CAR", "L", "")])  # fmt: skip
    dump.table("EKET", "EBELN EBELP EINDT MENGE WEMNG",
               [(number, "00010", r["month"].replace("-", "") + "15", _number(float(r["quantity"]) + 7), "7,000")
                for number, r in zip(orders, due, strict=False)] + [(orders[-1], "00010", "20261115", "9,000", "0,000")])  # fmt: skip
    offers = read["offers"].to_dict("records")
    dump.table("EINA", "INFNR LIFNR MATNR LOEKZ", [(at, r["supplier"], r["item"], "") for at, r in enumerate(offers)])
    dump.table("EINE", "INFNR WERKS NETPR PEINH APLFZ MINBM LOEKZ",
               [(at, r["site"], _number(float(r["price"]) * 100), 100, round(float(r["lead_time"] or 0) * DAYS),
                 _number(r["minimum_order"] or 0), "") for at, r in enumerate(offers)])  # fmt: skip
    dump.own("offers", read["offers"], "supplier item site capacity share_limit")
    bom = read["bom"]
    numbers = {item: f"{at:08d}" for at, item in enumerate(bom["item"].unique(), 1)}
    dump.table("MAST", "MATNR WERKS STLAN STLNR", [(item, "0001", "1", number) for item, number in numbers.items()])
    dump.table("STKO", "STLNR BMENG LKENZ", [(number, "100,000", "") for number in numbers.values()])
    dump.table("STPO", "STLNR STLKN IDNRK MENGE LKENZ",
               [(numbers[r["item"]], at, r["component"], _number(float(r["quantity"]) * 100), "")
                for at, r in enumerate(bom.to_dict("records"))] + [("00000001", 99, GONE, "1,000", "X")])  # fmt: skip
    machines = read["resources"]
    ids = {name: f"{at:08d}" for at, name in enumerate(machines["resource"], 1)}
    dump.table(
        "CRHD",
        "OBJTY OBJID ARBPL WERKS",
        [("A", ids[r["resource"]], r["resource"], r["site"]) for r in machines.to_dict("records")],
    )
    dump.own("resources", machines, "resource name hour_cost overtime_cost skill crew change_price")
    steps = read["routings"].to_dict("records")
    dump.table("MAPL", "MATNR WERKS PLNNR LOEKZ", [(r["item"], "0001", f"{at:08d}", "") for at, r in enumerate(steps)])
    dump.table("PLKO", "PLNNR LOEKZ", [(f"{at:08d}", "") for at in range(len(steps))])
    dump.table("PLPO", "PLNNR VORNR ARBID VGW02 VGE02 BMSCH LOEKZ",
               [(f"{at:08d}", "0010", ids[r["resource"]], _number(float(r["hours"]) * 100), "H", "100,000", "")
                for at, r in enumerate(steps)])  # fmt: skip
    dump.own(
        "routings",
        read["routings"],
        "item resource routing operation cost people_hours yield setup_hours setup_cost minimum_run",
    )
    dump.table("MARC", "MATNR WERKS EISBE MABST LVORM",
               [(r["item"], r["site"], _number(r["safety_stock"] or 0), _number(r["maximum_stock"] or 0), "")
                for r in read["policies"].to_dict("records")] + [(GONE, "DC-N", "1,000", "0,000", "")])  # fmt: skip
    dump.own("policies", read["policies"], "site item safety_stock_price target_end_stock holding_cost service_level")
    made = read["work_orders"].to_dict("records")
    dump.table("AFKO", "AUFNR GSTRI GETRI", [(r["order"], r["start"].replace("-", ""), f"{pd.Timestamp(r['finish']):%d.%m.%Y}") for r in made]
               + [("000001000001", "20261020", "00000000")])  # fmt: skip
    dump.table("AFPO", "AUFNR POSNR MATNR WEMNG DNREL", [(r["order"], "0001", r["product"], _number(r["quantity"]), "") for r in made]
               + [("000001000001", "0001", made[0]["product"], "0,000", "")])  # fmt: skip
    return {"products", "materials", "markets", "sales_history", "inventory", "scheduled_receipts", "offers", "bom",
            "resources", "routings", "policies", "work_orders"}  # fmt: skip


def _billing(dump: Dump, history: pd.DataFrame, uom: dict[str, str]) -> None:
    """Two documents a row: cartons of twelve and the rest in base units; a credit memo of what is below nothing."""
    heads, lines = [], []
    for at, row in enumerate(history.to_dict("records")):
        quantity, revenue = float(row["quantity"]), round(float(row["revenue"] or 0), 2)
        sign, kind = (-1, "O") if quantity < 0 else (1, "M")
        cartons = abs(quantity) // 12
        day = row["month"].replace("-", "") + "17"
        for part, (unit, count, money) in enumerate(
            (("CAR", cartons, 0.0), (uom[row["product"]], abs(quantity) - 12 * cartons, sign * revenue))
        ):
            number = f"{90_000_000 + 2 * at + part:010d}"
            heads.append((number, kind, day, row["market"], ""))
            lines.append((number, "000010", row["product"], _number(count), unit, _number(money, 2)))
    heads += [
        ("0099999999", "M", "20261017", history["market"].iloc[0], "X"),
        ("0099999998", "N", "20261018", history["market"].iloc[0], ""),
    ]
    lines += [
        (number, "000010", history["product"].iloc[0], "5,000", "CAR", "100,00")
        for number in ("0099999999", "0099999998")
    ]
    dump.table("VBRK", "VBELN VBTYP FKDAT KUNAG FKSTO", heads)
    dump.table("VBRP", "VBELN POSNR MATNR FKIMG VRKME NETWR", lines)


def beside(source: Path, company: Path, held: set[str]) -> None:
    """The tables that the ERP does not hold, and the settings of planning, into the new company's folder."""
    for path in source.glob("*.csv"):
        if path.stem not in held:
            shutil.copy(path, company)
    for name in ("scenarios.yaml", "decisions.yaml"):
        if (source / name).is_file():
            shutil.copy(source / name, company)
    settings = (source / "company.yaml").read_text(encoding="utf-8")
    with (company / "company.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(settings.split("\n")[4:]))  # all but name, currency, fiscal year and horizon


def odoo(source: Path, folder: Path) -> set[str]:
    """Write the company in `source` as Odoo's tables (`\\copy ... CSV HEADER`); returns the tables that Odoo holds."""
    (folder / "own").mkdir(parents=True)
    read = {path.stem: _read(source, path.stem) for path in source.glob("*.csv")}

    def table(name: str, columns: str, rows: Rows) -> None:
        pd.DataFrame([list(map(str, row)) for row in rows], columns=columns.split()).to_csv(
            folder / f"{name}.csv", index=False
        )

    def own(name: str, columns: str) -> None:
        read[name][columns.split()].to_csv(folder / "own" / f"{name}.csv", index=False)

    goods = [
        (r["product"], r["name"], r["family"], r["uom"], r["price"], r["standard_cost"], r["volume"], "t")
        for r in read["products"].to_dict("records")
    ]
    goods += [
        (r["material"], r["name"], "raw", r["uom"], 0, r["standard_cost"], r["volume"], "f")
        for r in read["materials"].to_dict("records")
    ]
    families = {name: at for at, name in enumerate(sorted({one[2] for one in goods}), 1)}
    units = {name: at for at, name in enumerate(sorted({one[3] for one in goods}), 1)}
    ids = {one[0]: at for at, one in enumerate(goods, 101)}
    table("product_category", "id name", [(at, name) for name, at in families.items()])
    table(
        "uom_uom",
        "id name factor",
        [(at, f'{{"en_US": "{name}"}}', 1) for name, at in units.items()] + [(99, "Dozen", "0.0833333333333333")],
    )
    table("product_template", "id name categ_id uom_id list_price sale_ok active",
          [(ids[code] + 1000, f'{{"de_DE": "x", "en_US": "{name}"}}', families[family], units[unit], price, sold, "t")
           for code, name, family, unit, price, _, _, sold in goods] + [(9, "gone", 1, 1, 1, "t", "f")])  # fmt: skip
    table("product_product", "id product_tmpl_id default_code standard_price volume active",
          [(ids[code], ids[code] + 1000, code, cost, volume, "t") for code, *_, cost, volume, _ in goods] + [(9, 9, "GONE", 1, 1, "t")])  # fmt: skip
    own("products", "product launch_month end_month like_product curve successor shelf_life")
    own("materials", "material shelf_life")
    partners = {code: at for at, code in enumerate([*read["markets"]["market"], *read["suppliers"]["supplier"]], 1)}
    table("res_partner", "id ref", [(at, code) for code, at in partners.items()])
    history = read["sales_history"].to_dict("records")
    unit = {one[0]: units[one[3]] for one in goods}
    table("sale_order", "id date_order partner_id state",
          [(at, f"{r['month']}-17 09:30:00", partners[r["market"]], ("sale", "done")[at % 2]) for at, r in enumerate(history)]
          + [(10**6, "2026-10-01 00:00:00", 1, "cancel"), (10**6 + 1, "2026-10-01 00:00:00", 1, "draft")])  # fmt: skip
    table("sale_order_line", "id order_id product_id product_uom_qty product_uom price_subtotal",
          [(at, at, ids[r["product"]], r["quantity"], unit[r["product"]], r["revenue"]) for at, r in enumerate(history)]
          + [(10**6 + k, 10**6 + k, ids[history[0]["product"]], 50, 1, 5) for k in (0, 1)])  # fmt: skip
    sites = {code: at for at, code in enumerate(read["sites"]["site"], 1)}
    table("stock_warehouse", "id code lot_stock_id", [(at, code, at * 10) for code, at in sites.items()])
    table("stock_location", "id usage parent_path",
          [(at * 10, "internal", f"1/{at * 10}/") for at in sites.values()] + [(at * 10 + 1, "internal", f"1/{at * 10}/{at * 10 + 1}/") for at in sites.values()]
          + [(5, "customer", "5/")])  # fmt: skip
    table("stock_quant", "id product_id location_id quantity",
          [(2 * at + part, ids[r["item"]], sites[r["site"]] * 10 + part, (float(r["quantity"]) - 3, 3)[part])
           for at, r in enumerate(read["inventory"].to_dict("records")) for part in (0, 1)] + [(10**6, ids[goods[0][0]], 5, 99)])  # fmt: skip
    read["inventory"].drop_duplicates("site")[["site", "as_of"]].to_csv(folder / "own" / "inventory.csv", index=False)
    due = read["scheduled_receipts"].to_dict("records")
    table("stock_picking_type", "id warehouse_id", [(at + 50, at) for at in sites.values()])
    table(
        "purchase_order",
        "id state picking_type_id",
        [(at, "purchase", sites[r["site"]] + 50) for at, r in enumerate(due)] + [(10**6, "draft", 51)],
    )
    table("purchase_order_line", "id order_id product_id product_qty qty_received date_planned product_uom",
          [(at, at, ids[r["item"]], float(r["quantity"]) + 7, 7, f"{r['month']}-20 12:00:00", unit[r["item"]]) for at, r in enumerate(due)]
          + [(10**6, 10**6, ids[due[0]["item"]], 50, 0, "2026-11-20 12:00:00", 1)])  # fmt: skip
    table("product_supplierinfo", "id partner_id product_tmpl_id price min_qty delay",
          [(at, partners[r["supplier"]], ids[r["item"]] + 1000, r["price"], r["minimum_order"] or 0, round(float(r["lead_time"] or 0) * DAYS))
           for at, r in enumerate(read["offers"].drop_duplicates(["supplier", "item"]).to_dict("records"))])  # fmt: skip
    own("offers", "supplier item site capacity share_limit")
    made = {item: at for at, item in enumerate(dict.fromkeys([*read["bom"]["item"], *read["routings"]["item"]]), 1)}
    table(
        "mrp_bom",
        "id product_tmpl_id product_qty active",
        [(at, ids[item] + 1000, 10, "t") for item, at in made.items()],
    )
    table("mrp_bom_line", "id bom_id product_id product_qty",
          [(at, made[r["item"]], ids[r["component"]], round(float(r["quantity"]) * 10, 9)) for at, r in enumerate(read["bom"].to_dict("records"))])  # fmt: skip
    centres = {code: at for at, code in enumerate(read["resources"]["resource"], 1)}
    table("mrp_workcenter", "id code", [(at, code) for code, at in centres.items()])
    table("mrp_routing_workcenter", "id bom_id workcenter_id time_cycle_manual",
          [(at, made[r["item"]], centres[r["resource"]], round(float(r["hours"]) * 60, 9)) for at, r in enumerate(read["routings"].to_dict("records"))])  # fmt: skip
    own("routings", "item resource routing operation cost people_hours yield setup_hours setup_cost minimum_run")
    table("mrp_production", "id name product_id product_qty date_start date_finished state",
          [(at, r["order"], ids[r["product"]], r["quantity"], f"{r['start']} 06:00:00", f"{r['finish']} 17:45:00", "done")
           for at, r in enumerate(read["work_orders"].to_dict("records"))] + [(10**6, "WO-X", 101, 5, "2026-10-01 06:00:00", "", "confirmed")])  # fmt: skip
    return {"products", "materials", "sales_history", "inventory", "scheduled_receipts", "offers", "bom", "routings",
            "work_orders"}  # fmt: skip
