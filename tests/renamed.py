"""The demo company's files as other systems would export them: names of files and columns, encodings, marks, days.

Three houses, each with its own words: an SAP-like one, a German one, a French one. `columns` are those of a table, or
of any table that has the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sopkit.tables import INPUTS, TABLES

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


@dataclass(frozen=True)
class House:
    """How one company's system writes its exports."""

    name: str
    encoding: str
    delimiter: str
    decimal: str
    months: str
    days: str
    files: dict[str, str]
    columns: dict[str, str]

    def column(self, table: str, column: str) -> str:
        return self.columns.get(f"{table}.{column}") or self.columns[column]


def _words(text: str) -> dict[str, str]:
    """`ours=theirs` pairs, divided by `|`."""
    return dict(pair.strip().split("=", 1) for pair in text.replace("\n", " ").split("|") if pair.strip())


SAP = House(
    "sap-like", "utf-8", "\t", ".", "%Y%m", "%Y%m%d",
    _words("""
    past_decisions=ZMEETING_DEC | past_cycles=ZSOP_CYCLES | past_pipeline=CRM_OPPORT_HIST
    | families=T023T | curves=ZRAMPUP | products=MARA_FERT | sites=T001W | markets=KNA1 | prices=A005_PRICES
    | calendar=FACTORY_CALENDAR | sales_history=VBRP | sales_forecast=PBED_SALES_FCST | market_conditions=ZMKT_COND
    | campaigns=ZCAMPAIGN | pipeline=CRM_OPPORT | budget=ZBUDGET | materials=MARA_ROH | bom=STPO | inventory=MARD
    | scheduled_receipts=EKET_OPEN | resources=CRHD | capacity=KAKO_CAP | routings=PLPO | workforce=ZHR_HEADCOUNT
    | suppliers=LFA1 | offers=EINE | lanes=ZLANES | policies=MARC_MRP | service_policies=ZSERVICE | work_orders=AFKO
    | production_history=ZPROD_HIST | stock_history=MARDH | balance_sheet=ZBALANCE | past_forecasts=ZFCST_ARCHIVE
    | past_plans=ZPLAN_ARCHIVE | past_overrides=ZFCST_CHANGES | people=ZUSERS"""),
    _words("""
    family=MATKL | name=MAKTX | markets.name=NAME1 | suppliers.name=NAME1 | people.name=FULL_NAME | sites.name=NAME1
    | resources.name=KTEXT | curve=RAMP_CURVE | age=AGE_MON | factor=FACTOR
    | product=MATNR | uom=MEINS | price=NETPR | standard_cost=STPRS | launch_month=LAUNCH_DT | end_month=PHASEOUT_DT
    | campaigns.start_month=BEGIN_MON | campaigns.end_month=END_MON | like_product=REF_MATNR | successor=NFMAT
    | volume=VOLUM | shelf_life=MHDHB | site=WERKS | kind=PLANT_TYPE | storage=STORAGE_CAP | overflow_price=OVFL_PRICE
    | market=KUNNR | region=REGIO | channel=VTWEG | currency=WAERS | priority=LPRIO
    | month=SPMON | working_days=WORKDAYS
    | quantity=MENGE | revenue=NETWR | driver=DRIVER | effect=EFFECT | campaign=CAMPAIGN_ID | campaign_kind=CAMP_TYPE
    | promised_uplift=PLAN_UPLIFT | achieved_uplift=ACT_UPLIFT | cost=COST | opportunity=OPP_ID | customer=ACCOUNT
    | probability=PROB | stage=PHASE | in_baseline=IN_BASE | production=PROD_QTY | stock=STOCK_QTY | sales=NET_SALES
    | margin=GROSS_MARGIN | material=MATNR | item=MATNR | component=IDNRK | as_of=STOCK_DATE | resource=ARBPL
    | hour_cost=COST_HOUR | overtime_cost=OT_COST | skill=QUALIFICATION | crew=CREW
    | change_price=CHG_PRICE | hours=HOURS
    | routings.hours=VGW02 | maintenance=MAINT | overtime_limit=OT_MAX | routing=PLNNR | operation=VORNR
    | people_hours=LABOR_HRS | yield=YIELD | setup_hours=SETUP_HRS | setup_cost=SETUP_COST | minimum_run=BSTMI
    | people=HEADCNT | hours_per_day=HRS_DAY | wage=WAGE | hire_cost=HIRE_COST | layoff_cost=LAYOFF_COST
    | hire_lead_time=HIRE_LT | most_hires=MAX_HIRES | supplier=LIFNR | country=LAND1 | risk=RISK | capacity=MAX_QTY
    | lead_time=PLIFZ | minimum_order=MINBM | share_limit=QUOTA | origin=SRC_WERKS | destination=DST_LOC
    | safety_stock=EISBE | safety_stock_price=SS_PRICE | target_end_stock=TGT_END_STK | maximum_stock=MABST
    | holding_cost=HOLD_COST | service_level=SRV_LEVEL | unmet=UNMET_RULE | backlog_price=BACKLOG_PR
    | lost_price=LOST_PRICE | order=AUFNR | start=GSTRP | finish=GLTRP | receivables=AR_BAL | payables=AP_BAL
    | other_current_assets=OTH_CUR_ASSETS | other_current_liabilities=OTH_CUR_LIAB | dso=DSO
    | dpo=DPO | cycle=PLAN_CYCLE
    | stream=FCST_STREAM | measure=KEYFIGURE | owner=ERNAM | before=QTY_OLD | after=QTY_NEW | reason=REASON_TXT
    | role=ROLE | ssh_key=PUBLIC_KEY | may_sign=SIGN_RIGHTS
    | data=DATA_DATE | published=PUBL_DATE | signed=STAGES_SIGNED | in_time=STAGES_IN_TIME | questions=QUESTIONS
    | decided=DECIDED | question=QUESTION | option=OPTION | title=TITLE | decided_by=DECIDED_BY | due=DUE_MONTH
    | expected=EXP_EFFECT | seen=ACT_EFFECT | outcome=OUTCOME | ended=CLOSED_AS | answers_for=RESPONSIBLE_FOR"""),
)  # fmt: skip
GERMAN = House(
    "German", "cp1252", ";", ",", "%m.%Y", "%d.%m.%Y",
    _words("""
    past_decisions=Sitzungsbeschlüsse | past_cycles=Planungsrunden | past_pipeline=Verkaufschancen Archiv
    | families=Warengruppen | curves=Anlaufkurven | products=Artikelstamm | sites=Standorte | markets=Märkte
    | prices=Preisliste | calendar=Werkskalender | sales_history=Absatz 2022-2026 | sales_forecast=Vertriebsprognose
    | market_conditions=Marktbedingungen | campaigns=Aktionen | pipeline=Verkaufschancen | budget=Budget
    | materials=Rohstoffe | bom=Stückliste | inventory=Lagerbestand | scheduled_receipts=Offene Bestellungen
    | resources=Anlagen | capacity=Kapazitätsangebot | routings=Arbeitspläne | workforce=Personalbestand
    | suppliers=Lieferanten | offers=Einkaufsinfosätze | lanes=Transportwege | policies=Dispositionsparameter
    | service_policies=Fehlmengen | work_orders=Fertigungsaufträge | production_history=Produktionsmengen
    | stock_history=Bestandsverlauf | balance_sheet=Bilanz | past_forecasts=Prognosearchiv | past_plans=Planarchiv
    | past_overrides=Prognoseänderungen | people=Teilnehmer"""),
    _words("""
    family=Warengruppe | name=Bezeichnung | people.name=Name | curve=Anlaufkurve | age=Alter in Monaten | factor=Faktor
    | product=Artikelnummer | uom=Mengeneinheit | price=Verkaufspreis | offers.price=Einkaufspreis
    | standard_cost=Herstellkosten | launch_month=Markteinführung | end_month=Auslauf | campaigns.start_month=Beginn
    | campaigns.end_month=Ende | like_product=Vergleichsartikel | successor=Nachfolger | volume=Volumen m3
    | shelf_life=Haltbarkeit (Monate) | site=Standort | kind=Standortart | storage=Lagerkapazität
    | overflow_price=Preis Außenlager | market=Markt | region=Region | channel=Vertriebsweg | currency=Währung
    | priority=Priorität | month=Monat | working_days=Arbeitstage | quantity=Menge | stock_history.quantity=Endbestand
    | inventory.quantity=Bestand | revenue=Umsatz | driver=Einflussfaktor | effect=Wirkung | campaign=Aktion
    | campaign_kind=Aktionsart | promised_uplift=Mehrabsatz zugesagt | achieved_uplift=Mehrabsatz erzielt | cost=Kosten
    | opportunity=Chance Nr. | customer=Kunde | probability=Wahrscheinlichkeit | stage=Verkaufsphase
    | in_baseline=Im Grundbedarf | production=Produktion | stock=Bestand | sales=Umsatz | margin=Deckungsbeitrag
    | material=Rohstoff | item=Artikel | bom.item=Erzeugnis | component=Komponente | as_of=Stichtag | resource=Anlage
    | hour_cost=Maschinenstundensatz | overtime_cost=Überstundensatz | skill=Qualifikation | crew=Besetzung
    | change_price=Änderungskosten | hours=Stunden | routings.hours=Stunden je Stück | maintenance=Wartung
    | overtime_limit=Max. Überstunden | routing=Arbeitsplan | operation=Vorgang | people_hours=Personalstunden
    | yield=Ausbeute | setup_hours=Rüstzeit | setup_cost=Rüstkosten | minimum_run=Mindestlos | people=Mitarbeiter
    | hours_per_day=Std. pro Tag | wage=Monatslohn | hire_cost=Einstellkosten | layoff_cost=Abfindung
    | hire_lead_time=Vorlauf Einstellung | most_hires=Max. Einstellungen | supplier=Lieferant | country=Land
    | risk=Ausfallrisiko | capacity=Höchstmenge | lead_time=Lieferzeit | minimum_order=Mindestbestellmenge
    | share_limit=Höchstanteil | origin=Von | destination=Nach | safety_stock=Sicherheitsbestand
    | safety_stock_price=Preis je Fehlmenge SB | target_end_stock=Zielbestand | maximum_stock=Höchstbestand
    | holding_cost=Lagerkosten | service_level=Servicegrad | unmet=Bei Fehlmenge | backlog_price=Verzugskosten
    | lost_price=Kosten entgangener Absatz | order=Auftrag | start=Starttermin | finish=Endtermin
    | receivables=Forderungen | payables=Verbindlichkeiten | other_current_assets=Sonst. Umlaufvermögen
    | other_current_liabilities=Sonst. kurzfr. Verbindl. | dso=Debitorenlaufzeit | dpo=Kreditorenlaufzeit
    | cycle=Planungszyklus | stream=Prognoseart | measure=Kennzahl | owner=Bearbeiter | before=Wert alt
    | after=Wert neu | reason=Begründung | role=Funktion | ssh_key=SSH-Schlüssel | may_sign=Zeichnet für
    | data=Datenstand | published=Veröffentlicht am | signed=Unterschriften | in_time=davon pünktlich | questions=Fragen
    | decided=Entschieden | question=Frage | option=Variante | title=Titel | decided_by=Entschieden von | due=Fällig
    | expected=Erwartete Wirkung | seen=Eingetretene Wirkung | outcome=Ergebnis | ended=Ausgang
    | answers_for=Zuständig für"""),
)  # fmt: skip
FRENCH = House(
    "French", "utf-16", ",", ".", "%Y/%m", "%d/%m/%Y",
    _words("""
    past_decisions=décisions passées | past_cycles=cycles passés | past_pipeline=opportunités archivées
    | families=familles | curves=courbes lancement | products=articles | sites=lieux | markets=marchés | prices=tarifs
    | calendar=calendrier | sales_history=historique ventes | sales_forecast=prévisions de vente
    | market_conditions=conditions marché | campaigns=campagnes | pipeline=opportunités | budget=budget annuel
    | materials=matières premières | bom=nomenclatures | inventory=stock actuel | scheduled_receipts=réceptions prévues
    | resources=postes de charge | capacity=capacités | routings=gammes | workforce=effectifs | suppliers=fournisseurs
    | offers=offres fournisseurs | lanes=transports | policies=paramètres stock | service_policies=politique de service
    | work_orders=ordres de fabrication | production_history=historique production | stock_history=historique stocks
    | balance_sheet=bilan | past_forecasts=archive prévisions | past_plans=archive plans
    | past_overrides=corrections prévisions | people=participants"""),
    _words("""
    family=famille | name=désignation | people.name=nom | curve=courbe | age=âge (mois) | factor=coefficient
    | product=réf. article | uom=unité | price=prix de vente | offers.price=prix d'achat | standard_cost=coût de revient
    | launch_month=mois de lancement | end_month=fin de vie | campaigns.start_month=mois début
    | campaigns.end_month=mois fin | like_product=article similaire | successor=remplacé par | volume=volume
    | shelf_life=durée de vie | site=lieu | kind=type de lieu | storage=capacité de stockage
    | overflow_price=coût débordement | market=marché | region=région | channel=canal
    | currency=devise | priority=priorité
    | month=mois | working_days=jours ouvrés | quantity=quantité | revenue=chiffre d'affaires | driver=facteur
    | effect=effet | campaign=campagne | campaign_kind=type campagne | promised_uplift=hausse promise
    | achieved_uplift=hausse réalisée | cost=coût | opportunity=n° affaire | customer=client | probability=probabilité
    | stage=étape | in_baseline=inclus base | production=production | stock=stock final | sales=CA | margin=marge brute
    | material=matière | item=article | component=composant | as_of=date inventaire | resource=poste
    | hour_cost=taux horaire | overtime_cost=coût heure sup. | skill=compétence | crew=équipe
    | change_price=coût changement | hours=heures | routings.hours=heures par unité | maintenance=maintenance
    | overtime_limit=heures sup. max | routing=gamme | operation=opération | people_hours=heures main d'œuvre
    | yield=rendement | setup_hours=temps de réglage | setup_cost=coût de réglage | minimum_run=lot minimum
    | people=nb personnes | hours_per_day=heures/jour | wage=salaire mensuel | hire_cost=coût embauche
    | layoff_cost=coût licenciement | hire_lead_time=délai embauche | most_hires=embauches max | supplier=fournisseur
    | country=pays | risk=risque | capacity=quantité max | lead_time=délai | minimum_order=quantité minimale
    | share_limit=part max | origin=départ | destination=arrivée | safety_stock=stock de sécurité
    | safety_stock_price=pénalité stock sécurité | target_end_stock=stock cible | maximum_stock=stock maxi
    | holding_cost=coût de stockage | service_level=taux de service | unmet=si rupture | backlog_price=coût retard
    | lost_price=coût vente perdue | order=n° ordre | start=date début | finish=date fin | receivables=créances clients
    | payables=dettes fournisseurs | other_current_assets=autres actifs courants
    | other_current_liabilities=autres passifs courants | dso=délai clients | dpo=délai fournisseurs
    | cycle=cycle | stream=type prévision | measure=indicateur | owner=auteur | before=avant | after=après
    | reason=motif | role=fonction | ssh_key=clé SSH | may_sign=peut signer
    | data=date données | published=date publication | signed=étapes signées | in_time=à temps | questions=questions
    | decided=décidées | question=question | option=option retenue | title=titre | decided_by=décidé par | due=échéance
    | expected=effet attendu | seen=effet constaté | outcome=résultat | ended=issue | answers_for=répond de"""),
)  # fmt: skip
HOUSES = (SAP, GERMAN, FRENCH)


# the demo leaves them empty or at 0, and no export would have them for that
NOT_THERE = {
    ("offers", "lead_days"), ("offers", "order_multiple"),
    ("lanes", "item"), ("lanes", "lead_days"), ("lanes", "full_load"),
}  # fmt: skip


def exported(house: House, folder: Path, source: Path = DEMO) -> dict[tuple[str, str], tuple[str, str]]:
    """Write the tables in `source` to `folder` as `house` would; returns (file, their column) -> (table, ours)."""
    folder.mkdir(parents=True)
    truth = {}
    for table in INPUTS:
        path = source / f"{table.name}.csv"
        if not path.is_file():
            continue
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        name = f"{house.files[table.name]}.csv"
        rows = rows.drop(columns=[column for column in rows if (table.name, column) in NOT_THERE])
        for column in list(rows):
            declared = TABLES[table.name][column]
            rows[column] = list(_written(rows[column], declared.kind, house))
            theirs = house.column(table.name, column)
            rows = rows.rename(columns={column: theirs})
            truth[name, theirs] = (table.name, column)
        text = rows.to_csv(sep=house.delimiter, index=False, lineterminator="\n")
        (folder / name).write_text(text, encoding=house.encoding, newline="")
    return truth


def _written(cells: pd.Series, kind: str, house: House) -> Iterator[str]:
    for cell in cells:
        if not cell:
            yield ""
        elif kind in ("month", "date"):
            yield pd.Timestamp(cell).strftime(house.months if kind == "month" else house.days)
        else:
            yield cell.replace(".", house.decimal) if kind == "number" else cell
