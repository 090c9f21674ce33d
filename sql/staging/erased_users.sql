-- Users who were erased: salted hashes of their ids.
-- grain: user_hash
-- params: none
-- structure: none
SELECT e.user_hash, e.salt
FROM {{ relation('mc_erasures') }} AS e
ORDER BY e.user_hash
