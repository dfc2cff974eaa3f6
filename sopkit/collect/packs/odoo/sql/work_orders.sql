SELECT m.name AS "order", i.item AS product, odoo_day(m.date_start) AS start, odoo_day(m.date_finished) AS finish,
    odoo_number(m.product_qty) AS quantity
FROM mrp_production m JOIN odoo_item i ON i.id = m.product_id WHERE m.state = 'done' ORDER BY 1
