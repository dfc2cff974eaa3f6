SELECT DISTINCT market, market_name AS name, region, channel, 'USD' AS currency, 1 AS priority FROM sales_lines
