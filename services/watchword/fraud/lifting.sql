-- What operators read and write, under a role of their own. Writes are as in store.sql.

-- name: note_lift
INSERT INTO fraud_lifts (id, feature, action, until_at, reason, done_by) VALUES ($1, $2, $3, $4, $5, $6)

-- name: lifts
-- What was lifted last, of each feature, and not taken back since.
SELECT feature, until_at, reason, done_by, done_at
FROM (
    SELECT DISTINCT ON (feature) feature, action, until_at, reason, done_by, done_at
    FROM fraud_lifts
    ORDER BY feature, done_at DESC
) AS newest
WHERE action = 'lifted' AND until_at > statement_timestamp()
ORDER BY feature

-- name: refused_sends
-- Live verifications of a tenant whose last send was assessed and not issued; no verification lives longer than ten
-- minutes, and what has half a minute left is not sent any more.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at, signals, rules, sends_requested
FROM verifications
WHERE tenant = $1 AND id >= uuid_floor(statement_timestamp() - interval '11 minutes') AND state = 'issued'
  AND sends_assessed = sends_requested AND sends_assessed > sends_issued
  AND expires_at > statement_timestamp() + interval '30 seconds'
ORDER BY id
LIMIT $2
FOR NO KEY UPDATE

-- name: ask_again
UPDATE verifications AS v
SET sends_requested = t.send_no, next_send_at = t.next_send_at, due_at = t.due_at, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::timestamptz[], $5::timestamptz[])
    AS t (id, counted, send_no, next_send_at, due_at)
WHERE v.id = t.id AND v.state = 'issued' AND v.sends_requested = t.send_no - 1
RETURNING v.id AS key, v.seq

-- name: load_ruleset
-- The only way by which an operator changes the configuration: migration 0011.
SELECT load_ruleset($1, $2::text::jsonb, $3)
