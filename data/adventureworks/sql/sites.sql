SELECT 'PLANT' AS site, 'Adventure Works plant' AS name, 'plant' AS kind
