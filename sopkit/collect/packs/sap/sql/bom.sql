-- What goes into one unit: quantities of a bill are for its base quantity (BMENG).
SELECT sap_code(m.MATNR) AS item, sap_code(p.IDNRK) AS component, round(sum(sap_number(p.MENGE) / sap_number(k.BMENG)), 9) AS quantity
FROM MAST m JOIN STKO k USING (STLNR) JOIN STPO p USING (STLNR)
WHERE coalesce(k.LKENZ, '') <> 'X' AND coalesce(p.LKENZ, '') <> 'X' AND m.STLAN = '1'
GROUP BY 1, 2 ORDER BY 1, 2
