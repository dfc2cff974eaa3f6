-- What is ordered and not received (schedule lines), in base units.
SELECT p.WERKS AS site, sap_code(p.MATNR) AS item, strftime(sap_date(e.EINDT), '%Y-%m') AS month,
    sum((sap_number(e.MENGE) - sap_number(e.WEMNG)) * u.base) AS quantity
FROM EKKO k JOIN EKPO p USING (EBELN) JOIN EKET e USING (EBELN, EBELP)
JOIN sap_unit u ON u.item = sap_code(p.MATNR) AND u.unit = trim(p.MEINS)
WHERE coalesce(p.LOEKZ, '') = '' AND coalesce(p.ELIKZ, '') <> 'X' AND coalesce(k.LOEKZ, '') <> 'X'
GROUP BY 1, 2, 3 HAVING sum(sap_number(e.MENGE) - sap_number(e.WEMNG)) > 0 ORDER BY 1, 2, 3
