-- What was paid in the last twelve months, discounts included: resellers buy at about 60 % of the list.
SELECT product, market, round(sum(revenue) / sum(quantity), 4) AS price
FROM sales_lines WHERE last_year(month) GROUP BY ALL HAVING sum(quantity) > 0
