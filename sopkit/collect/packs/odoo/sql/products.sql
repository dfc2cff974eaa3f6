-- What can be sold; launch, end and shelf life stand in exports/own/products.csv.
SELECT i.item AS product, i.name, i.family, i.uom, i.price, i.cost AS standard_cost, o.launch_month, o.end_month,
    o.like_product, o.curve, o.successor, i.volume, o.shelf_life
FROM odoo_item i LEFT JOIN own.products o ON o.product = i.item WHERE i.sold ORDER BY 1
