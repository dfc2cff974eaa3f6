-- Half a month of last year's use of what is sold, a quarter month of what is bought to go into it (assumption
-- `safety_stock`: the ERP's own levels are defaults by class, 4 helmets for 1,000 sold a month). Holding costs 20 % of
-- the value a year.
WITH used AS (
    SELECT product AS item, sum(quantity) / 12 AS a_month, 0.5 AS months FROM mix GROUP BY ALL
    UNION ALL
    SELECT i.item, n.quantity / 12, CASE WHEN i.made THEN 0 ELSE 0.25 END
    FROM needed n JOIN items i USING (id) WHERE i.id IN (SELECT component FROM bill)
),
worth AS (
    SELECT material AS item, standard_cost AS cost FROM (
        SELECT i.item AS material, c.cost AS standard_cost FROM items i JOIN costs c USING (id))
    UNION ALL
    SELECT m.product, sum(m.share * c.cost) FROM mix m JOIN costs c USING (id) GROUP BY ALL
)
SELECT 'PLANT' AS site, w.item, round(coalesce(u.a_month * u.months, 0), 0) AS safety_stock,
       round(0.05 * w.cost, 4) AS safety_stock_price, round(0.2 / 12 * w.cost, 6) AS holding_cost
FROM worth w LEFT JOIN used u USING (item)
