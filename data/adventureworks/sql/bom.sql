-- The planning bill of a product: its items, in the mix of the last twelve months.
SELECT product AS item, item AS component, round(share, 6) AS quantity FROM mix
UNION ALL
-- The engineering bill, line by line.
SELECT a.item, c.item, b.quantity FROM bill b JOIN items a ON a.id = b.assembly JOIN items c ON c.id = b.component
