-- Every item of the ERP keeps its own number; finished ones too, for the planning bill of a product divides into them.
SELECT i.item AS material, i.name, lower(coalesce(u.uom, 'EA')) AS uom, round(c.cost, 4) AS standard_cost
FROM items i JOIN costs c USING (id)
LEFT JOIN (SELECT component, max(uom) AS uom FROM bill GROUP BY ALL) u ON u.component = i.id
