-- Bikes are made to be sold; frames and components go into bikes as well, so their orders do not tell what was sold.
SELECT date_trunc('month', w.EndDate)::DATE AS month, 'PLANT' AS site, i.product, sum(w.StockedQty)::DOUBLE AS quantity
FROM Production.WorkOrder w JOIN items i ON i.id = w.ProductID
WHERE i.family LIKE '%Bikes' AND w.EndDate < first_month() GROUP BY ALL
