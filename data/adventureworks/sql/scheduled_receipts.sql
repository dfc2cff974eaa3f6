-- Purchase orders placed before the cycle and due in it or later, in pieces; rejected orders will not come.
SELECT 'PLANT' AS site, i.item, date_trunc('month', d.DueDate)::DATE AS month, sum(d.OrderQty * k.pieces) AS quantity
FROM Purchasing.PurchaseOrderDetail d
JOIN Purchasing.PurchaseOrderHeader h USING (PurchaseOrderID)
JOIN items i ON i.id = d.ProductID JOIN packs k ON k.id = d.ProductID
WHERE h.OrderDate < first_month() AND d.DueDate >= first_month() AND h.Status <> 3 GROUP BY ALL
