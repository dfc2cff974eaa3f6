-- Confirmed purchases that are not received yet.
SELECT w.code AS site, i.item, strftime(odoo_day(l.date_planned), '%Y-%m') AS month,
    sum((odoo_number(l.product_qty) - odoo_number(l.qty_received)) / odoo_number(u.factor) * i.factor) AS quantity
FROM purchase_order p JOIN purchase_order_line l ON l.order_id = p.id JOIN odoo_item i ON i.id = l.product_id
JOIN uom_uom u ON u.id = l.product_uom JOIN stock_picking_type t ON t.id = p.picking_type_id
JOIN stock_warehouse w ON w.id = t.warehouse_id
WHERE p.state = 'purchase' GROUP BY 1, 2, 3
HAVING sum(odoo_number(l.product_qty) - odoo_number(l.qty_received)) > 0 ORDER BY 1, 2, 3
