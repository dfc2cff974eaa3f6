-- The people of department Production, at their mean hourly rate. A lay-off is priced at a year's wage: nobody is laid
-- off because stock is drawn down for some months (assumption `crew`).
SELECT 'PLANT' AS site, 'production' AS skill, count(*)::DOUBLE AS people, 8.0 AS hours_per_day,
       round(avg(rate) * 8 * 21.7, 0) AS wage, 20.0 AS overtime_limit, round(avg(rate) * 1.5, 2) AS overtime_cost,
       round(avg(rate) * 8 * 21.7, 0) AS hire_cost, round(12 * avg(rate) * 8 * 21.7, 0) AS layoff_cost,
       1 AS hire_lead_time, 10.0 AS most_hires
FROM HumanResources.EmployeeDepartmentHistory h
JOIN HumanResources.Department d USING (DepartmentID)
JOIN (SELECT BusinessEntityID, arg_max(Rate, RateChangeDate)::DOUBLE AS rate
      FROM HumanResources.EmployeePayHistory WHERE RateChangeDate < first_month() GROUP BY ALL) USING (BusinessEntityID)
WHERE d.Name = 'Production' AND h.StartDate < first_month() AND (h.EndDate IS NULL OR h.EndDate >= first_month())
