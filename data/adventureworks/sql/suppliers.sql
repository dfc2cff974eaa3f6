SELECT v.AccountNumber AS supplier, v.Name AS name FROM Purchasing.Vendor v
WHERE v.BusinessEntityID IN (SELECT BusinessEntityID FROM Purchasing.ProductVendor)
