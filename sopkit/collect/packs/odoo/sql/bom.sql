-- What goes into one unit: lines of a bill are for its quantity.
SELECT i.item, c.item AS component, round(sum(odoo_number(l.product_qty) / odoo_number(b.product_qty)), 9) AS quantity
FROM mrp_bom b JOIN mrp_bom_line l ON l.bom_id = b.id JOIN odoo_item i ON i.template = b.product_tmpl_id
JOIN odoo_item c ON c.id = l.product_id WHERE odoo_true(b.active) GROUP BY 1, 2 ORDER BY 1, 2
