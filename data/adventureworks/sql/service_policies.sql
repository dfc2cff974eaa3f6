-- Resellers wait, online customers do not. The prices make serving the catalogue better than dropping it, though many
-- bikes are sold to resellers at or below standard cost (assumption `serve_all`).
SELECT p.product, k.market, CASE WHEN k.channel = 'Reseller' THEN 'backlog' ELSE 'lost' END AS unmet,
       round(0.1 * p.price, 2) AS backlog_price, p.price AS lost_price
FROM (SELECT m.product, round(sum(m.share * i.list_price), 2) AS price FROM mix m JOIN items i USING (id) GROUP BY ALL) p
CROSS JOIN (SELECT DISTINCT market, channel FROM sales_lines) k
