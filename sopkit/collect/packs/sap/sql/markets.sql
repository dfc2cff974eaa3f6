-- A market is a customer (group): its channel, currency and priority stand in exports/own/markets.csv.
SELECT sap_code(k.KUNNR) AS market, k.NAME1 AS name, k.REGIO AS region, o.channel, o.currency, o.priority
FROM KNA1 k LEFT JOIN own.markets o ON o.market = sap_code(k.KUNNR)
WHERE coalesce(k.LOEVM, '') <> 'X' ORDER BY 1
