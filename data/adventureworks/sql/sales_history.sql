SELECT month, product, market, sum(quantity) AS quantity, round(sum(revenue), 2) AS revenue
FROM sales_lines WHERE month < first_month() GROUP BY ALL
