-- What several queries share. Every raw file is a view: Production.Product.parquet is Production.Product.

-- The cycle's first planned month: nothing dated from here on is used, for nobody could have known it.
CREATE MACRO first_month() AS (getvariable('cycle') || '-01')::DATE;
CREATE MACRO last_year(day) AS day >= first_month() - INTERVAL 12 MONTH AND day < first_month();
-- Warehouse dates lie 153 days before the operational ones.
CREATE MACRO operational(day) AS day::DATE + INTERVAL 153 DAY;
-- Resellers' orders are booked in one batch a month, on the 28th to 31st or on the 1st of the next month:
-- 15 days earlier, every batch lies in the month it closes. An online order is dated when it was made.
CREATE MACRO month_sold(channel, day) AS
    date_trunc('month', CASE WHEN channel = 'Reseller' THEN day - INTERVAL 15 DAY ELSE day END)::DATE;

-- Who takes over whose place in the range (assumption `succession`): the nearest price among the bikes and frames
-- that came when a model went.
CREATE VIEW succession AS
SELECT * FROM (VALUES
    ('Mountain-100', 'Mountain-200'), ('Mountain-300', 'Mountain-400-W'),
    ('Road-150', 'Road-250'), ('Road-450', 'Road-550-W'), ('Road-650', 'Road-750'),
    ('ML Mountain Frame', 'ML Mountain Frame-W'), ('ML Road Frame', 'ML Road Frame-W')
) AS taken_over(model, successor);

-- Stations of each work centre and people at a station (assumptions `stations` and `crew`).
CREATE VIEW stations AS
SELECT * FROM (VALUES (10, 14, 1.3), (20, 10, 1.3), (30, 2, 1.3), (40, 3, 1.3), (45, 2, 1.3), (50, 16, 1.3), (60, 17, 1.3)
) AS counted(location, stations, crew);

-- Every item of the ERP, and the product it is planned as: bikes and frames by model, all else by subcategory
-- (tires, tubes and patch kits apart: resellers buy only the kits).
CREATE VIEW items AS
WITH models AS (
    SELECT ProductAlternateKey AS item, max(ModelName) AS model FROM dw.DimProduct GROUP BY ALL
)
SELECT
    p.ProductID AS id, p.ProductNumber AS item, p.Name AS name, p.MakeFlag AS made, p.FinishedGoodsFlag AS finished,
    p.StandardCost::DOUBLE AS standard_cost, p.ListPrice::DOUBLE AS list_price,
    p.SellEndDate IS NULL OR p.SellEndDate >= first_month() AS current,
    p.SellStartDate AS since, p.SellEndDate AS until,
    s.Name AS subcategory, m.model,
    CASE WHEN NOT p.FinishedGoodsFlag THEN NULL
         WHEN c.Name = 'Bikes' OR s.Name LIKE '%Frames' THEN coalesce(t.successor, m.model)
         WHEN s.Name = 'Tires and Tubes' THEN
             CASE WHEN m.model = 'Patch kit' THEN 'Patch Kits' WHEN m.model LIKE '%Tube' THEN 'Tubes' ELSE 'Tires' END
         ELSE s.Name END AS product,
    CASE WHEN c.Name = 'Bikes' THEN s.Name WHEN s.Name LIKE '%Frames' THEN 'Frames' ELSE c.Name END AS family
FROM Production.Product p
LEFT JOIN models m ON m.item = p.ProductNumber
LEFT JOIN succession t ON t.model = m.model
LEFT JOIN Production.ProductSubcategory s USING (ProductSubcategoryID)
LEFT JOIN Production.ProductCategory c USING (ProductCategoryID);

CREATE VIEW sales_lines AS
WITH lines AS (
    SELECT 'Reseller' AS channel, ProductKey, SalesTerritoryKey, OrderDate, OrderQuantity, SalesAmount
    FROM dw.FactResellerSales
    UNION ALL
    SELECT 'Online', ProductKey, SalesTerritoryKey, OrderDate, OrderQuantity, SalesAmount FROM dw.FactInternetSales
)
SELECT
    month_sold(channel, operational(OrderDate)) AS month, channel,
    upper(replace(t.SalesTerritoryRegion, ' ', '-')) || '-' || upper(channel) AS market,
    t.SalesTerritoryRegion || ', ' || lower(channel) AS market_name, t.SalesTerritoryGroup AS region,
    i.id, i.item, i.product, i.family, i.current,
    OrderQuantity::DOUBLE AS quantity, SalesAmount::DOUBLE AS revenue
FROM lines l
JOIN dw.DimProduct d USING (ProductKey)
JOIN items i ON i.item = d.ProductAlternateKey
JOIN dw.DimSalesTerritory t USING (SalesTerritoryKey);

-- How a product's sales of the last twelve months divide over the current items it stands for.
CREATE VIEW mix AS
SELECT *, quantity / sum(quantity) OVER (PARTITION BY product) AS share
FROM (SELECT product, item, id, sum(quantity) AS quantity
      FROM sales_lines WHERE current AND last_year(month) GROUP BY ALL);

CREATE VIEW bill AS
SELECT ProductAssemblyID AS assembly, ComponentID AS component, PerAssemblyQty::DOUBLE AS quantity,
       trim(UnitMeasureCode) AS uom, BOMLevel AS level
FROM Production.BillOfMaterials WHERE EndDate IS NULL AND ProductAssemblyID IS NOT NULL;

-- What the sales of the last twelve months needed of every item, exploded through all levels.
CREATE VIEW needed AS
WITH RECURSIVE exploded AS (
    SELECT id, sum(quantity) AS quantity FROM sales_lines WHERE last_year(month) GROUP BY ALL
    UNION ALL
    SELECT b.component, e.quantity * b.quantity FROM exploded e JOIN bill b ON b.assembly = e.id
)
SELECT id, sum(quantity) AS quantity FROM exploded GROUP BY ALL;

-- Vendors sell by the case, carton, can and pack without saying how many are in it (assumption `packs`): as many as
-- make the year's purchases cover the year's needs. A dozen is 12; a gallon of paint is 128 ounces.
CREATE VIEW packs AS
WITH bought AS (
    SELECT d.ProductID AS id, sum(d.OrderQty) AS packs
    FROM Purchasing.PurchaseOrderDetail d JOIN Purchasing.PurchaseOrderHeader h USING (PurchaseOrderID)
    WHERE last_year(h.OrderDate) AND h.Status <> 3 GROUP BY ALL
)
SELECT v.ProductID AS id, v.uom, CASE v.uom
    WHEN 'EA' THEN 1 WHEN 'DZ' THEN 12 WHEN 'GAL' THEN 128
    ELSE greatest(round(coalesce(n.quantity / b.packs, 500)), 1) END::DOUBLE AS pieces
FROM (SELECT ProductID, max(trim(UnitMeasureCode)) AS uom FROM Purchasing.ProductVendor GROUP BY ALL) v
LEFT JOIN needed n ON n.id = v.ProductID LEFT JOIN bought b ON b.id = v.ProductID;

CREATE VIEW prices_paid AS
SELECT v.ProductID AS id, v.BusinessEntityID AS vendor, v.StandardPrice::DOUBLE / k.pieces AS price,
       v.AverageLeadTime AS days
FROM Purchasing.ProductVendor v JOIN packs k ON k.id = v.ProductID;

-- Standard cost as the ERP has it; a part without one is worth its cheapest offer, a made part what goes into it.
CREATE VIEW costs AS
WITH RECURSIVE own AS (
    SELECT i.id, CASE WHEN i.standard_cost > 0 THEN i.standard_cost ELSE min(p.price) END AS cost
    FROM items i LEFT JOIN prices_paid p ON p.id = i.id GROUP BY i.id, i.standard_cost
),
parts AS (
    SELECT id AS root, id, 1.0::DOUBLE AS quantity FROM own WHERE cost IS NULL
    UNION ALL
    SELECT r.root, b.component, r.quantity * b.quantity
    FROM parts r JOIN bill b ON b.assembly = r.id JOIN own o ON o.id = r.id WHERE o.cost IS NULL
),
rolled AS (
    SELECT p.root AS id, sum(p.quantity * o.cost) AS cost FROM parts p JOIN own o ON o.id = p.id GROUP BY ALL
)
SELECT o.id, coalesce(o.cost, r.cost, 0) AS cost FROM own o LEFT JOIN rolled r USING (id);

-- Hours of one unit at each work centre. The ERP books hours a work order whatever its lot, so they are the hours of
-- the last twelve months' orders over their units, by kind of item.
CREATE VIEW booked AS
SELECT w.WorkOrderID AS work_order, coalesce(i.subcategory, i.name) AS kind, r.LocationID AS location,
       r.OperationSequence AS operation, r.ActualResourceHrs::DOUBLE AS hours, w.OrderQty::DOUBLE AS lot
FROM Production.WorkOrderRouting r
JOIN Production.WorkOrder w USING (WorkOrderID)
JOIN items i ON i.id = w.ProductID
WHERE last_year(w.StartDate);

-- Operations by kind of item; frames of a kind with no booked order are made as the other frames are.
CREATE VIEW operations AS
WITH kinds AS (
    SELECT kind, location, max(operation) AS operation, sum(hours) AS hours FROM booked GROUP BY ALL
),
lots AS (
    SELECT kind, sum(lot) AS units FROM (SELECT DISTINCT work_order, kind, lot FROM booked) GROUP BY ALL
),
frames AS (
    SELECT location, max(operation) AS operation, sum(hours) / (SELECT sum(units) FROM lots WHERE kind LIKE '%Frames') AS hours
    FROM kinds WHERE kind LIKE '%Frames' GROUP BY ALL
)
SELECT kind, location, operation, hours / units AS hours FROM kinds JOIN lots USING (kind)
UNION ALL
SELECT s.Name, f.location, f.operation, f.hours FROM Production.ProductSubcategory s CROSS JOIN frames f
WHERE s.Name LIKE '%Frames' AND s.Name NOT IN (SELECT kind FROM kinds);
