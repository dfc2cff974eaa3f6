-- Minutes of a work centre for one unit, made hours; costs and set-ups stand in exports/own/routings.csv.
SELECT i.item, c.code AS resource, o.routing, coalesce(o.operation, '1') AS operation,
    round(odoo_number(r.time_cycle_manual) / 60, 9) AS hours, o.cost, o.people_hours, o.yield, o.setup_hours, o.setup_cost,
    o.minimum_run
FROM mrp_bom b JOIN mrp_routing_workcenter r ON r.bom_id = b.id JOIN mrp_workcenter c ON c.id = r.workcenter_id
JOIN odoo_item i ON i.template = b.product_tmpl_id LEFT JOIN own.routings o ON o.item = i.item AND o.resource = c.code
WHERE odoo_true(b.active) ORDER BY 1, 2
