-- The identifiers whose row in mc_sent goes: those that are said anew, and those that are forgotten.
-- grain: sent_key
-- params: destination STRING, segment STRING
-- structure: none
SELECT CONCAT(@destination, '/', @segment, '/', c.kind, '/', c.identifier) AS sent_key
FROM {{ relation('push_changes') }} AS c
WHERE c.verdict IN ('send', 'forget')
