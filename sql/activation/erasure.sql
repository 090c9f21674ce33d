-- What is kept of the erasure of one user.
-- grain: user_hash
-- params: user_hash STRING
-- structure: none
SELECT e.user_hash, e.salt, e.asked_at, e.finished_at, e.done
FROM {{ relation('mc_erasures') }} AS e
WHERE e.user_hash = @user_hash
