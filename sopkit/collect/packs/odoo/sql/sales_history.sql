-- Confirmed orders in the product's own unit, by month of the order; a market is a customer's code (res_partner.ref).
SELECT strftime(odoo_day(s.date_order), '%Y-%m') AS month, i.item AS product, r.ref AS market,
    sum(odoo_number(l.product_uom_qty) / odoo_number(u.factor) * i.factor) AS quantity,
    sum(odoo_number(l.price_subtotal)) AS revenue
FROM sale_order s JOIN sale_order_line l ON l.order_id = s.id JOIN odoo_item i ON i.id = l.product_id
JOIN uom_uom u ON u.id = l.product_uom JOIN res_partner r ON r.id = s.partner_id
WHERE s.state IN ('sale', 'done') GROUP BY ALL ORDER BY 1, 2, 3
