-- How many people the devices that are wanted on a list stand for.
-- grain: none
-- params: none
-- structure: none
SELECT COUNT(DISTINCT REGEXP_EXTRACT(w.identifier, r'\t(.*)$')) AS people
FROM {{ relation('wanted_identifiers') }} AS w
WHERE w.kind = 'device'
