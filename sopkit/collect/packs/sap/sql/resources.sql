-- Work centres; names, costs and people stand in exports/own/resources.csv.
SELECT c.ARBPL AS resource, o.name, c.WERKS AS site, o.hour_cost, o.overtime_cost, o.skill, o.crew, o.change_price
FROM CRHD c LEFT JOIN own.resources o ON o.resource = c.ARBPL WHERE c.OBJTY = 'A' ORDER BY 1
