-- Billed quantities in base units; cancelled documents and cancellations count for nothing, credit memos are negative.
SELECT strftime(sap_date(k.FKDAT), '%Y-%m') AS month, sap_code(p.MATNR) AS product, sap_code(k.KUNAG) AS market,
    sum(CASE WHEN k.VBTYP IN ('O', 'N', '6') THEN -1 ELSE 1 END * sap_number(p.FKIMG) * u.base) AS quantity,
    sum(CASE WHEN k.VBTYP IN ('O', 'N', '6') THEN -1 ELSE 1 END * sap_number(p.NETWR)) AS revenue
FROM VBRK k JOIN VBRP p USING (VBELN) JOIN sap_unit u ON u.item = sap_code(p.MATNR) AND u.unit = trim(p.VRKME)
WHERE coalesce(k.FKSTO, '') <> 'X' AND k.VBTYP NOT IN ('N', 'S')
GROUP BY ALL ORDER BY 1, 2, 3
