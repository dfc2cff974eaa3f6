SELECT w.WorkOrderID::VARCHAR AS "order", i.item AS product, w.StartDate::DATE AS start, w.EndDate::DATE AS finish,
       w.StockedQty::DOUBLE AS quantity
FROM Production.WorkOrder w JOIN items i ON i.id = w.ProductID WHERE w.EndDate < first_month()
