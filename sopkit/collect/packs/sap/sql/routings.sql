-- Machine hours of one unit: the standard value of the operation over its base quantity, minutes made hours.
SELECT sap_code(m.MATNR) AS item, c.ARBPL AS resource, o.routing, coalesce(o.operation, '1') AS operation,
    round(sap_number(p.VGW02) / sap_number(p.BMSCH) / CASE WHEN p.VGE02 = 'MIN' THEN 60 ELSE 1 END, 9) AS hours,
    o.cost, o.people_hours, o.yield, o.setup_hours, o.setup_cost, o.minimum_run
FROM MAPL m JOIN PLKO k USING (PLNNR) JOIN PLPO p USING (PLNNR) JOIN CRHD c ON c.OBJID = p.ARBID
LEFT JOIN own.routings o ON o.item = sap_code(m.MATNR) AND o.resource = c.ARBPL
WHERE coalesce(m.LOEKZ, '') <> 'X' AND coalesce(k.LOEKZ, '') <> 'X' AND coalesce(p.LOEKZ, '') <> 'X' ORDER BY 1, 2
