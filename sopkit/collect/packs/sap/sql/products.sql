-- Finished and trading goods; price, launch and end are not among SAP's tables here: exports/own/products.csv.
SELECT m.item AS product, m.name, m.family, m.uom, o.price, c.cost AS standard_cost, o.launch_month, o.end_month,
    o.like_product, o.curve, o.successor, m.volume, m.shelf_life
FROM sap_material m JOIN sap_cost c USING (item) LEFT JOIN own.products o ON o.product = m.item
WHERE m.kind IN ('FERT', 'HAWA') ORDER BY 1
