-- Hours cost what the people at the station are paid (table workforce), so a station's own hour costs nothing more.
SELECT 'WC' || location AS resource, l.Name AS name, 'PLANT' AS site, 'production' AS skill, crew::DOUBLE AS crew
FROM stations s JOIN Production.Location l ON l.LocationID = s.location
UNION ALL
-- Where a product is put together from its items by the planning bill: no work, no limit.
SELECT 'MIX', 'Planning bill', 'PLANT', '', 0.0
