SELECT m.item AS material, m.name, m.uom, c.cost AS standard_cost, m.volume, m.shelf_life
FROM sap_material m JOIN sap_cost c USING (item) WHERE m.kind IN ('ROH', 'HALB', 'VERP') ORDER BY 1
