-- What is sold and goes into nothing else is counted as its product; parts, frames and components as themselves.
SELECT 'PLANT' AS site,
       CASE WHEN i.product IN (SELECT product FROM mix) AND i.id NOT IN (SELECT component FROM bill) THEN i.product
            ELSE i.item END AS item,
       sum(s.Quantity)::DOUBLE AS quantity
FROM Production.ProductInventory s JOIN items i ON i.id = s.ProductID GROUP BY ALL HAVING sum(s.Quantity) > 0
