WITH yields AS (
    SELECT ProductID AS id, sum(StockedQty) / sum(OrderQty)::DOUBLE AS yield
    FROM Production.WorkOrder WHERE last_year(StartDate) GROUP BY ALL
)
SELECT product AS item, 'MIX' AS resource, 0.0 AS hours, 1.0 AS yield FROM mix GROUP BY ALL
UNION ALL
SELECT i.item, 'WC' || s.location, round(s.hours, 6), round(coalesce(y.yield, 1), 6)
FROM items i JOIN steps s ON s.kind = coalesce(i.subcategory, i.name) LEFT JOIN yields y USING (id)
WHERE i.made AND s.is_last
UNION ALL
SELECT operation_item, 'WC' || location, round(hours, 6), 1.0 FROM steps WHERE NOT is_last
UNION ALL
-- Parts that are made, but for which the ERP books no hours (assumption `unbooked`).
SELECT i.item, 'WC10', 0.0, round(coalesce(y.yield, 1), 6)
FROM items i LEFT JOIN yields y USING (id)
WHERE i.made AND coalesce(i.subcategory, i.name) NOT IN (SELECT kind FROM steps)
