-- A name, translated ({"en_US": "Tent"}) or plain.
CREATE MACRO odoo_name(x) AS CASE WHEN x LIKE '{%' THEN regexp_extract(x, '"en_US": *"([^"]*)"', 1) ELSE x END;
CREATE MACRO odoo_number(x) AS CAST(coalesce(nullif(x, ''), '0') AS DECIMAL(30, 9));
-- PostgreSQL writes true and false as t and f.
CREATE MACRO odoo_true(x) AS lower(coalesce(x, '')) IN ('t', 'true');
CREATE MACRO odoo_day(x) AS CAST(CAST(x AS TIMESTAMP) AS DATE);
-- Variants that are not archived: their code, and the unit that stock is kept in.
CREATE VIEW odoo_item AS
    SELECT p.id, p.default_code AS item, odoo_name(t.name) AS name, c.name AS family, odoo_name(u.name) AS uom,
        odoo_number(u.factor) AS factor, odoo_number(t.list_price) AS price, odoo_number(p.standard_price) AS cost,
        odoo_number(p.volume) AS volume, t.id AS template, odoo_true(t.sale_ok) AS sold
    FROM product_product p JOIN product_template t ON t.id = p.product_tmpl_id
    JOIN product_category c ON c.id = t.categ_id JOIN uom_uom u ON u.id = t.uom_id
    WHERE odoo_true(p.active) AND odoo_true(t.active);
-- Locations inside a warehouse, with its code.
CREATE VIEW odoo_place AS
    SELECT l.id, w.code AS site FROM stock_location l JOIN stock_warehouse w
        ON l.id = w.lot_stock_id OR contains('/' || l.parent_path, '/' || w.lot_stock_id || '/')
    WHERE l.usage = 'internal';
