-- An item passes all work centres of its kind, one after the other; scrap shows at the last.
WITH yields AS (
    SELECT ProductID AS id, sum(StockedQty) / sum(OrderQty)::DOUBLE AS yield
    FROM Production.WorkOrder WHERE last_year(StartDate) GROUP BY ALL
)
SELECT product AS item, 'MIX' AS resource, '' AS routing, 1 AS operation, 0.0 AS hours, 1.0 AS yield
FROM mix GROUP BY ALL
UNION ALL
SELECT i.item, 'WC' || o.location, 'work order', o.operation, round(o.hours, 6),
       CASE WHEN o.operation = max(o.operation) OVER (PARTITION BY i.id) THEN round(coalesce(y.yield, 1), 6) ELSE 1.0 END
FROM items i JOIN operations o ON o.kind = coalesce(i.subcategory, i.name) LEFT JOIN yields y USING (id) WHERE i.made
UNION ALL
-- Parts that are made, but for which the ERP books no hours (assumption `unbooked`).
SELECT i.item, 'WC10', '', 1, 0.0, round(coalesce(y.yield, 1), 6)
FROM items i LEFT JOIN yields y USING (id)
WHERE i.made AND coalesce(i.subcategory, i.name) NOT IN (SELECT kind FROM operations)
