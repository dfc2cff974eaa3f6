-- The budget: the salespeople's quotas, and for online sales, which have none, the same month a year ago. A quota
-- covers three months of batches, the first on its own day; a quarter without one yet has the quota of a year before, raised as the last four were
-- (assumption `quotas`). It is divided over months and families as their sales were a year ago.
WITH quotas AS (
    SELECT month_sold('Reseller', operational(Date)) AS quarter, sum(SalesAmountQuota)::DOUBLE AS quota
    FROM dw.FactSalesQuota WHERE operational(Date) < first_month() GROUP BY ALL
),
growth AS (
    SELECT sum(quota) FILTER (quarter > newest - INTERVAL 12 MONTH)
         / sum(quota) FILTER (quarter <= newest - INTERVAL 12 MONTH AND quarter > newest - INTERVAL 24 MONTH) AS factor,
           any_value(newest) AS newest
    FROM quotas, (SELECT max(quarter) AS newest FROM quotas)
),
years AS (SELECT unnest([0, 1, 2, 3]) AS ahead),
budget AS (
    SELECT quarter + INTERVAL 12 MONTH * ahead AS quarter, quota * pow(factor, ahead) AS quota
    FROM quotas, growth, years WHERE ahead = 0 OR quarter > newest - INTERVAL 12 MONTH
),
months AS (
    -- from two months back, for the first quarter may have begun before the cycle
    SELECT unnest(generate_series(first_month() - INTERVAL 2 MONTH, first_month() + INTERVAL 35 MONTH, INTERVAL 1 MONTH))::DATE
        AS month
),
-- the latest year of sales stands for the pattern of every year ahead
pattern AS (
    SELECT family, month(month) AS calendar_month, channel, sum(revenue) AS revenue, sum(quantity) AS quantity
    FROM sales_lines WHERE last_year(month) GROUP BY ALL
),
cost AS (
    SELECT s.family, sum(s.quantity * i.standard_cost) / sum(s.revenue) AS share, sum(s.quantity) / sum(s.revenue) AS units
    FROM sales_lines s JOIN items i USING (id) WHERE last_year(month) GROUP BY ALL
),
placed AS (
    SELECT m.month, b.quota, b.quarter
    FROM months m JOIN budget b ON m.month >= b.quarter AND m.month < b.quarter + INTERVAL 3 MONTH
),
parts AS (
    SELECT p.month, p.quota, x.family, x.revenue
         / sum(x.revenue) OVER (PARTITION BY p.quarter) AS part
    FROM placed p JOIN pattern x ON x.calendar_month = month(p.month) AND x.channel = 'Reseller'
),
sales AS (
    SELECT family, month, sum(money) AS sales FROM (
        SELECT family, month, quota * part AS money FROM parts
        UNION ALL
        SELECT x.family, m.month, x.revenue FROM months m JOIN pattern x ON x.calendar_month = month(m.month) AND x.channel = 'Online')
    GROUP BY ALL
),
stock AS (SELECT family, sum(quantity) / 24 AS wanted FROM sales_lines WHERE last_year(month) GROUP BY ALL)
SELECT s.family, s.month, round(s.sales * c.units, 0) AS production, round(k.wanted, 0) AS stock,
       round(s.sales, 2) AS sales, round(s.sales * (1 - c.share), 2) AS margin
FROM sales s JOIN cost c USING (family) JOIN stock k USING (family)
WHERE s.month >= first_month()
