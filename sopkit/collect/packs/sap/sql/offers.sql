-- Purchasing info records, price for one base unit, delivery time in days; most a month: exports/own/offers.csv.
SELECT sap_code(a.LIFNR) AS supplier, sap_code(a.MATNR) AS item, e.WERKS AS site,
    round(sap_number(e.NETPR) / sap_number(e.PEINH), 9) AS price, o.capacity,
    CAST(sap_number(e.APLFZ) AS INTEGER) // 30 AS lead_time, CAST(sap_number(e.APLFZ) AS INTEGER) % 30 AS lead_days,
    sap_number(e.MINBM) AS minimum_order, o.share_limit
FROM EINA a JOIN EINE e USING (INFNR)
LEFT JOIN own.offers o ON o.supplier = sap_code(a.LIFNR) AND o.item = sap_code(a.MATNR) AND o.site = e.WERKS
WHERE coalesce(a.LOEKZ, '') <> 'X' AND coalesce(e.LOEKZ, '') <> 'X' ORDER BY 1, 2, 3
