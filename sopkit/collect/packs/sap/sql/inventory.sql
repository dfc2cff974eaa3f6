-- Unrestricted stock of all storage locations; MARD has no day: exports/own/inventory.csv names it.
SELECT d.WERKS AS site, sap_code(d.MATNR) AS item, sum(sap_number(d.LABST)) AS quantity, any_value(o.as_of) AS as_of
FROM MARD d JOIN sap_material m ON m.item = sap_code(d.MATNR) LEFT JOIN own.inventory o ON o.site = d.WERKS
WHERE coalesce(d.LVORM, '') <> 'X' GROUP BY 1, 2 ORDER BY 1, 2
