-- Vendor prices, delivery in days; where they deliver to, and how much at most: exports/own/offers.csv.
SELECT r.ref AS supplier, i.item, o.site, odoo_number(s.price) AS price, o.capacity,
    CAST(odoo_number(s.delay) AS INTEGER) // 30 AS lead_time, CAST(odoo_number(s.delay) AS INTEGER) % 30 AS lead_days,
    odoo_number(s.min_qty) AS minimum_order, o.share_limit
FROM product_supplierinfo s JOIN odoo_item i ON i.template = s.product_tmpl_id JOIN res_partner r ON r.id = s.partner_id
JOIN own.offers o ON o.supplier = r.ref AND o.item = i.item ORDER BY 1, 2, 3
