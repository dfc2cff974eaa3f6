-- Orders that were released and finished.
SELECT sap_code(k.AUFNR) AS "order", sap_code(p.MATNR) AS product, sap_date(k.GSTRI) AS start, sap_date(k.GETRI) AS finish,
    sap_number(p.WEMNG) AS quantity
FROM AFKO k JOIN AFPO p USING (AUFNR)
WHERE sap_date(k.GSTRI) IS NOT NULL AND sap_date(k.GETRI) IS NOT NULL AND coalesce(p.DNREL, '') <> 'X' ORDER BY 1
