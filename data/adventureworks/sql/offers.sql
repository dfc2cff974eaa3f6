-- Every offer of the ERP, its pack price by the piece. An order placed at the start of a month arrives in it if the
-- vendor needs less than 30 days. The least order is left out (assumption `least-orders`): lots are no matter of months.
SELECT v.AccountNumber AS supplier, i.item, 'PLANT' AS site, round(p.price, 6) AS price,
       floor(p.days / 30)::INT AS lead_time
FROM prices_paid p JOIN items i USING (id) JOIN Purchasing.Vendor v ON v.BusinessEntityID = p.vendor
