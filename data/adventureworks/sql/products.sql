-- Price and standard cost are those of the items sold in the last twelve months, weighted by their units; of a product
-- that is no longer sold, those of all its items, weighted by what they ever sold.
WITH sold AS (
    SELECT product, family, item, sum(quantity) AS ever, coalesce(sum(quantity) FILTER (last_year(month)), 0) AS recent,
           min(month) AS first_sold, max(month) AS last_sold
    FROM sales_lines WHERE month < first_month() GROUP BY ALL
),
weighed AS (
    SELECT s.*, i.list_price, i.standard_cost, i.current,
           CASE WHEN sum(recent) OVER (PARTITION BY s.product) > 0 THEN recent ELSE ever END AS weight
    FROM sold s JOIN items i USING (item)
)
SELECT
    product, product AS name, any_value(family) AS family, 'pcs' AS uom,
    round(sum(weight * list_price) / sum(weight), 2) AS price,
    round(sum(weight * standard_cost) / sum(weight), 4) AS standard_cost,
    CASE WHEN bool_or(current) THEN NULL ELSE max(last_sold) END AS end_month
FROM weighed GROUP BY product
