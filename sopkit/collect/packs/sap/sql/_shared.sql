-- A code without the zeros that SAP puts before a number: 000000000000004711 is 4711.
CREATE MACRO sap_code(x) AS CASE WHEN regexp_full_match(trim(x), '[0-9]+')
    THEN coalesce(nullif(ltrim(trim(x), '0'), ''), '0') ELSE trim(x) END;
-- A number with its minus behind it and either mark: 1.234,50- and 1,234.50- are -1234.5; the last mark is the decimal one.
CREATE MACRO sap_number(x) AS CAST(
    CASE WHEN trim(x) LIKE '%-' THEN '-' ELSE '' END ||
    CASE WHEN strpos(x, ',') > strpos(x, '.')
        THEN replace(replace(rtrim(trim(x), '- '), '.', ''), ',', '.')
        ELSE replace(rtrim(trim(x), '- '), ',', '') END AS DECIMAL(30, 9));
-- A day, written 20261031 or 31.10.2026; 00000000 is none.
CREATE MACRO sap_date(x) AS CASE WHEN x IN ('', '00000000', '00.00.0000') THEN NULL
    WHEN strpos(x, '.') > 0 THEN CAST(strptime(x, '%d.%m.%Y') AS DATE)
    ELSE CAST(strptime(x, '%Y%m%d') AS DATE) END;
-- Months that so many days are.
CREATE MACRO sap_months(days) AS CAST(round(days / 30.4375) AS INTEGER);
-- Units of measure: how many base units one unit of MARM is; the base unit itself is one.
CREATE VIEW sap_unit AS
    SELECT sap_code(MATNR) AS item, trim(MEINH) AS unit, sap_number(UMREZ) / sap_number(UMREN) AS base FROM MARM
    UNION SELECT sap_code(MATNR), trim(MEINS), 1 FROM MARA;
-- Materials that are not flagged for deletion.
CREATE VIEW sap_material AS
    SELECT sap_code(m.MATNR) AS item, m.MTART AS kind, m.MATKL AS family, m.MEINS AS uom,
        sap_number(m.VOLUM) AS volume, sap_months(sap_number(m.MHDHB)) AS shelf_life, t.MAKTX AS name
    FROM MARA m LEFT JOIN MAKT t ON t.MATNR = m.MATNR AND t.SPRAS IN ('E', 'EN')
    WHERE coalesce(m.LVORM, '') <> 'X';
CREATE VIEW sap_cost AS
    SELECT sap_code(MATNR) AS item,
        max(round(CASE WHEN VPRSV = 'V' THEN sap_number(VERPR) ELSE sap_number(STPRS) END / sap_number(PEINH), 9)) AS cost
    FROM MBEW GROUP BY 1;
