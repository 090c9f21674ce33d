-- Clients of users who were erased, which nobody else used.
-- grain: key
-- params: none
-- structure: none
SELECT DISTINCT k.key
FROM {{ relation('mc_erased_keys') }} AS k
WHERE k.kind = 'client'
ORDER BY k.key
