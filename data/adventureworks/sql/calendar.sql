-- Mondays to Fridays: the extract holds no holidays (assumption `holidays`).
SELECT date_trunc('month', day)::DATE AS month, count(*) FILTER (isodow(day) <= 5) AS working_days
FROM (SELECT unnest(generate_series(DATE '2011-05-01', first_month() + INTERVAL 36 MONTH - INTERVAL 1 DAY, INTERVAL 1 DAY)) AS day)
GROUP BY ALL
