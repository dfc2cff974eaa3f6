-- Availability is read as hours of a station in a week of five working days.
SELECT 'WC' || location AS resource, month, round(stations * Availability * working_days / 5.0, 1) AS hours,
       round(0.15 * stations * Availability * working_days / 5.0, 1) AS overtime_limit
FROM stations s JOIN Production.Location l ON l.LocationID = s.location
CROSS JOIN (
    SELECT date_trunc('month', day)::DATE AS month, count(*) FILTER (isodow(day) <= 5)::DOUBLE AS working_days
    FROM (SELECT unnest(generate_series(first_month(), first_month() + INTERVAL 36 MONTH - INTERVAL 1 DAY, INTERVAL 1 DAY)) AS day)
    GROUP BY ALL)
UNION ALL
-- The planning bill takes no time; an hour is there so that the month is there.
SELECT 'MIX', month::DATE, 1, 0
FROM (SELECT unnest(generate_series(first_month(), first_month() + INTERVAL 35 MONTH, INTERVAL 1 MONTH)) AS month)
