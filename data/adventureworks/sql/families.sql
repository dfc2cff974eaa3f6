SELECT DISTINCT family, family AS name FROM items WHERE finished AND product IN (SELECT product FROM sales_lines)
