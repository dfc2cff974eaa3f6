-- Safety and maximum stock of the MRP view; prices and targets stand in exports/own/policies.csv.
SELECT c.WERKS AS site, sap_code(c.MATNR) AS item, sap_number(c.EISBE) AS safety_stock, o.safety_stock_price,
    o.target_end_stock, nullif(sap_number(c.MABST), 0) AS maximum_stock, o.holding_cost, o.service_level
FROM MARC c JOIN sap_material m ON m.item = sap_code(c.MATNR)
LEFT JOIN own.policies o ON o.site = c.WERKS AND o.item = m.item
WHERE coalesce(c.LVORM, '') <> 'X' ORDER BY 1, 2
