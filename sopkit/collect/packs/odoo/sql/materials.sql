SELECT i.item AS material, i.name, i.uom, i.cost AS standard_cost, i.volume, o.shelf_life
FROM odoo_item i LEFT JOIN own.materials o ON o.material = i.item WHERE NOT i.sold ORDER BY 1
