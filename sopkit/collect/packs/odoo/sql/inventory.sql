-- What lies in each warehouse; Odoo's quants have no day of a count: exports/own/inventory.csv names it.
SELECT l.site, i.item, sum(odoo_number(q.quantity)) AS quantity, any_value(o.as_of) AS as_of
FROM stock_quant q JOIN odoo_place l ON l.id = q.location_id JOIN odoo_item i ON i.id = q.product_id
LEFT JOIN own.inventory o ON o.site = l.site GROUP BY 1, 2 ORDER BY 1, 2
