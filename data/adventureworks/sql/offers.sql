-- Every offer of the ERP, its pack price by the piece. An order placed at the start of a month arrives in it if the
-- vendor needs less than 30 days. The least order is stated where it exceeds a month's need: elsewhere it never binds.
SELECT v.AccountNumber AS supplier, i.item, 'PLANT' AS site, round(p.price, 6) AS price,
       floor(p.days / 30)::INT AS lead_time,
       CASE WHEN n.quantity IS NOT NULL AND p.least > n.quantity / 12 THEN p.least ELSE 0 END AS minimum_order
FROM prices_paid p JOIN items i USING (id) JOIN Purchasing.Vendor v ON v.BusinessEntityID = p.vendor
LEFT JOIN needed n USING (id)
