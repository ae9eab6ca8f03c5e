-- What dispatch reads and writes. A `claim` is committed before any gateway is called; everything that ends an
-- attempt asks for `state = 'sending'`, its own `owner` and `recovery`, so that whoever lost a lease changes nothing.
-- Conditional writes take $1 keys and $2 counted events per row and return key and seq (runtime/acting.py).

-- name: tries
-- Every try of some sends: what a retry or a recovery decides on.
SELECT a.verification_id, a.send_no, a.try_no, a.account, a.state, a.outcome, a.claimed_at, a.hedges
FROM unnest($1::uuid[], $2::smallint[]) AS t (verification_id, send_no)
JOIN attempts AS a ON a.verification_id = t.verification_id AND a.send_no = t.send_no
ORDER BY a.verification_id, a.try_no

-- name: claim
-- attempt moves: queued -> sending
-- That of a verification that is live and has a check left; one too late to be sent, so that it is told as skipped; or
-- one that was claimed before, whatever became of its verification, so that it is resolved. `live` is false where the
-- message would bring a code that a newer one has replaced, too: nobody could do anything with it (decision 0062).
WITH asked AS (
    SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[]) AS t (id, recovery, account, gateway)
), free AS (
    SELECT a.id
    FROM asked AS t
    JOIN attempts AS a ON a.id = t.id AND a.recovery = t.recovery
    JOIN verifications AS v ON v.id = a.verification_id
    WHERE a.state = 'queued'
      AND (v.state = 'issued' AND v.checks_used < v.checks_max OR a.recovery > 0
           OR a.send_deadline <= clock_timestamp())
    ORDER BY a.id
    FOR NO KEY UPDATE OF a
), claimed AS (
    UPDATE attempts AS a
    SET state = 'sending', owner = $5, lease_until = clock_timestamp() + make_interval(secs => $6),
        claimed_at = coalesce(a.claimed_at, clock_timestamp()),
        account = coalesce(nullif(t.account, ''), a.account), gateway = coalesce(nullif(t.gateway, ''), a.gateway)
    FROM free, asked AS t
    WHERE a.id = free.id AND t.id = free.id
    RETURNING a.*
)
SELECT a.id, a.send_no, a.try_no, a.code_version, a.recovery, a.send_deadline, a.claimed_at,
       v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.created_at, v.checks_used, v.signals, v.seq,
       v.state = 'issued' AND v.checks_used < v.checks_max AND v.code_version = a.code_version
           AND a.send_deadline > clock_timestamp() AS live,
       v.number_sealed, s.wrapped_key, c.sealed AS message_sealed,
       a.hedges, a.receipt_state IS NOT NULL AS received,
       a.try_no > 1 AND EXISTS (
           SELECT FROM attempts AS b
           WHERE b.verification_id = a.verification_id AND b.send_no = a.send_no AND b.id <> a.id
             AND b.state IN ('accepted', 'unknown')
             AND CASE WHEN a.hedges THEN b.receipt_rank >= 80
                      WHEN b.receipt_state IS NULL THEN b.state = 'accepted'
                      ELSE b.receipt_state NOT IN ('expired', 'undelivered', 'rejected') END
       ) AS settled
FROM claimed AS a
JOIN verifications AS v ON v.id = a.verification_id
LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token
LEFT JOIN codes AS c ON c.verification_id = a.verification_id AND c.version = a.code_version

-- name: hold
-- The verifications of a batch of results, locked in id order: before any attempt, as everywhere.
SELECT id FROM verifications WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: conclude
-- attempt moves: sending -> accepted; sending -> rejected; sending -> deferred; sending -> unknown; sending -> skipped_late
-- A batch holds one attempt of a verification at most, so each row finds its own sequence number.
WITH concluded AS (
    UPDATE attempts AS a
    SET state = t.state, lease_until = NULL, concluded_at = clock_timestamp(), outcome = t.outcome,
        raw_code = t.raw_code,
        provider_id = coalesce(nullif(t.provider_id, ''), a.provider_id), price_micros = t.price_micros, currency = t.currency,
        latency_ms = t.latency_ms, segments = t.segments, possible_duplicate = t.possible_duplicate,
        feedback_at = CASE WHEN t.state = 'accepted' THEN t.feedback_at END,
        receipt_due_at = CASE WHEN t.state = 'accepted' AND a.receipt_rank < 90 THEN t.receipt_due_at END,
        receipt_ask_at = CASE WHEN t.state = 'accepted' AND a.receipt_rank < 40 THEN t.receipt_ask_at END,
        hedge_at = CASE WHEN a.receipt_rank < 80 THEN t.hedge_at END
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::bigint[], $10::text[], $11::int[], $12::smallint[], $13::boolean[], $14::timestamptz[],
                $15::timestamptz[], $16::timestamptz[], $17::timestamptz[])
        AS t (id, counted, owner, recovery, state, outcome, raw_code, provider_id, price_micros, currency,
              latency_ms, segments, possible_duplicate, feedback_at, receipt_due_at, receipt_ask_at, hedge_at)
    WHERE a.id = t.id AND a.state = 'sending' AND a.owner = t.owner AND a.recovery = t.recovery
    RETURNING a.id, a.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + concluded.counted
FROM concluded
WHERE v.id = concluded.verification_id
RETURNING concluded.id AS key, v.seq

-- name: conclude_at_once
-- Results that nothing follows, of verifications of which nothing was told since their attempts were claimed: written
-- and told, and the reports that came before them woken as `wake_parked` does (runtime/at_once.py). The state is asked
-- for as a column: of a constant the planner would go through all that is being sent, once a row.
-- attempt moves: sending -> accepted; sending -> rejected; sending -> deferred; sending -> unknown; sending -> skipped_late
WITH held AS (
    SELECT t.*, 'sending' AS from_state
    FROM unnest($8::uuid[], $9::int[], $10::int[], $11::uuid[], $12::text[], $13::smallint[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::bigint[], $19::text[], $20::int[], $21::smallint[], $22::boolean[],
                $23::timestamptz[], $24::timestamptz[], $25::timestamptz[], $26::timestamptz[])
        AS t (verification_id, counted, seq, id, owner, recovery, state, outcome, raw_code, provider_id, price_micros,
              currency, latency_ms, segments, possible_duplicate, feedback_at, receipt_due_at, receipt_ask_at, hedge_at)
    JOIN verifications AS v ON v.id = t.verification_id AND v.seq = t.seq
    ORDER BY v.id
    FOR NO KEY UPDATE OF v
), concluded AS (
    UPDATE attempts AS a
    SET state = t.state, lease_until = NULL, concluded_at = clock_timestamp(), outcome = t.outcome,
        raw_code = t.raw_code,
        provider_id = coalesce(nullif(t.provider_id, ''), a.provider_id), price_micros = t.price_micros, currency = t.currency,
        latency_ms = t.latency_ms, segments = t.segments, possible_duplicate = t.possible_duplicate,
        feedback_at = CASE WHEN t.state = 'accepted' THEN t.feedback_at END,
        receipt_due_at = CASE WHEN t.state = 'accepted' AND a.receipt_rank < 90 THEN t.receipt_due_at END,
        receipt_ask_at = CASE WHEN t.state = 'accepted' AND a.receipt_rank < 40 THEN t.receipt_ask_at END,
        hedge_at = CASE WHEN a.receipt_rank < 80 THEN t.hedge_at END
    FROM (SELECT * FROM held ORDER BY id) AS t
    WHERE a.id = t.id AND a.state = t.from_state AND a.owner = t.owner AND a.recovery = t.recovery
    RETURNING a.verification_id, a.account, t.provider_id, t.counted
), bumped AS (
    UPDATE verifications AS v SET seq = v.seq + c.counted FROM concluded AS c WHERE v.id = c.verification_id
), early AS (
    SELECT r.id
    FROM concluded AS c
    JOIN receipts_parked AS r ON r.account = c.account AND r.provider_id = c.provider_id
    WHERE c.provider_id <> ''
    FOR NO KEY UPDATE OF r SKIP LOCKED
), woken AS (
    UPDATE receipts_parked AS r SET look_at = clock_timestamp() FROM early WHERE r.id = early.id
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    WHERE (o.verification_id IN (SELECT verification_id FROM concluded)) IS TRUE
    ON CONFLICT (id) DO NOTHING
), settled AS (
    DELETE FROM outbox WHERE id = ANY($1::uuid[])
)
SELECT verification_id AS key FROM concluded

-- name: wake_parked
-- Reports that came before their message had the provider's id here are looked at now (receipts/parked.py). One that
-- receipts looks at in this moment is not waited for: they lock it before its verification, we after.
WITH early AS (
    SELECT r.id
    FROM unnest($1::text[], $2::text[]) AS t (account, provider_id)
    JOIN receipts_parked AS r ON r.account = t.account AND r.provider_id = t.provider_id
    FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE receipts_parked AS r SET look_at = clock_timestamp() FROM early WHERE r.id = early.id

-- name: to_hedge
-- Accepted attempts of which their route wanted to have heard by now, each taken once; committed before it is decided
-- what becomes of them.
WITH due AS (
    SELECT id FROM attempts
    WHERE hedge_at <= statement_timestamp()
    ORDER BY hedge_at
    LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE attempts AS a
SET hedge_at = NULL
FROM due, verifications AS v
WHERE a.id = due.id AND v.id = a.verification_id
RETURNING a.id AS attempt_id, a.send_no, a.code_version, a.send_deadline, coalesce(a.receipt_state, '') AS receipt,
          v.state = 'issued' AND v.sends_requested = a.send_no AS live,
          coalesce(nullif(v.template, ''), v.rules ->> 'template', '') AS template,
          v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
          v.policy, v.policy_version, v.reference, v.expires_at

-- name: queue_hedge
-- A try beside `previous`, which was accepted; none once a carrier told that it arrived, somebody asked for another
-- message, or nobody waits any more.
WITH queued AS (
    INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, hedges)
    SELECT t.id, t.verification_id, t.send_no, t.try_no, t.code_version, t.send_deadline, true
    FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::smallint[], $6::smallint[], $7::smallint[],
                $8::timestamptz[])
        AS t (id, counted, previous, verification_id, send_no, try_no, code_version, send_deadline)
    JOIN attempts AS p ON p.id = t.previous AND p.state = 'accepted' AND p.receipt_rank < 80
    JOIN verifications AS v ON v.id = t.verification_id AND v.state = 'issued' AND v.checks_used < v.checks_max
         AND v.sends_requested = t.send_no
    ON CONFLICT DO NOTHING
    RETURNING id, verification_id
)
UPDATE verifications AS v
SET seq = v.seq + t.counted
FROM queued
JOIN unnest($1::uuid[], $2::int[]) AS t (id, counted) ON t.id = queued.id
WHERE v.id = queued.verification_id
RETURNING queued.id AS key, v.seq

-- name: to_ask
-- Attempts of which no carrier has told the end, to be asked after now; the next question is five minutes before nobody
-- waits any more. Committed before anybody is asked.
WITH due AS (
    SELECT id FROM attempts
    WHERE receipt_ask_at <= statement_timestamp()
    ORDER BY receipt_ask_at
    LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE attempts AS a
SET receipt_ask_at = CASE WHEN a.receipt_due_at > statement_timestamp() + interval '5 minutes'
                          THEN a.receipt_due_at - interval '5 minutes' END
FROM due, verifications AS v
WHERE a.id = due.id AND v.id = a.verification_id
RETURNING a.id, a.account, a.provider_id, v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type,
          v.purpose, v.channel, v.policy, v.policy_version, v.reference, v.expires_at

-- name: record_found
-- Only upwards, as with every receipt; what says no more than that it is on its way leaves the next question standing.
WITH found AS (
    UPDATE attempts AS a
    SET receipt_state = t.state, receipt_rank = t.rank, receipt_at = clock_timestamp(),
        receipt_ask_at = CASE WHEN t.rank < 40 THEN a.receipt_ask_at END,
        receipt_due_at = CASE WHEN t.rank < 90 THEN a.receipt_due_at END
    FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[]) AS t (id, counted, rank, state)
    WHERE a.id = t.id AND a.receipt_rank < t.rank
    RETURNING a.id, a.verification_id, t.counted
), bumped AS (
    UPDATE verifications AS v
    SET seq = v.seq + f.counted
    FROM (SELECT verification_id, sum(counted)::int AS counted FROM found GROUP BY verification_id) AS f
    WHERE v.id = f.verification_id
    RETURNING v.id, v.seq
)
SELECT f.id AS key,
       (b.seq - sum(f.counted) OVER (PARTITION BY f.verification_id)
              + sum(f.counted) OVER (PARTITION BY f.verification_id ORDER BY f.id))::int AS seq
FROM found AS f
JOIN bumped AS b ON b.id = f.verification_id

-- name: to_tell
-- Attempts of an account whose provider may be told now what became of their code. Each is put off for longer than
-- telling takes, and counted if its verification has ended; committed before anybody is told. `carried`: of the messages
-- that can have brought the code that was typed it is the last one, before any of which a carrier says that it failed.
WITH due AS (
    SELECT id FROM attempts
    WHERE account = $1 AND feedback_at <= statement_timestamp()
    ORDER BY feedback_at
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE attempts AS a
SET feedback_at = statement_timestamp() + $3::interval,
    feedback_tries = a.feedback_tries + (v.ended_at IS NOT NULL)::int
FROM due, verifications AS v
WHERE a.id = due.id AND v.id = a.verification_id
RETURNING a.id, a.verification_id, a.provider_id, a.feedback_tries AS tries, a.feedback_at AS held_until,
          v.state, v.ended_at, v.expires_at,
          coalesce(a.id = (
              SELECT b.id FROM attempts AS b
              WHERE b.verification_id = a.verification_id AND b.state IN ('accepted', 'unknown')
                AND b.code_version = v.code_version AND b.claimed_at <= v.ended_at
              ORDER BY coalesce(b.receipt_state IN ('expired', 'undelivered', 'rejected'), false),
                       b.send_no DESC, b.try_no DESC
              LIMIT 1
          ), false) AS carried

-- name: note_told
-- What came of it: done with, or to be looked at again; nothing of what somebody else has taken up meanwhile.
UPDATE attempts AS a
SET feedback_at = t.look_at, feedback_tries = t.tries
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::smallint[]) AS t (id, held_until, look_at, tries)
WHERE a.id = t.id AND a.feedback_at = t.held_until

-- name: requeue
-- attempt moves: sending -> queued
-- Its end is unknown and the gateway will be called or asked about it again.
WITH requeued AS (
    UPDATE attempts AS a
    SET state = 'queued', owner = '', lease_until = NULL, recovery = a.recovery + 1
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[]) AS t (id, counted, owner, recovery)
    WHERE a.id = t.id AND a.state = 'sending' AND a.owner = t.owner AND a.recovery = t.recovery
    RETURNING a.id, a.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + requeued.counted
FROM requeued
WHERE v.id = requeued.verification_id
RETURNING requeued.id AS key, v.seq

-- name: queue_next
-- The next try of a send, after `previous` was concluded by us; none for a verification that has ended or used up its
-- checks meanwhile, and none from whoever lost the lease: how its successor ended the try says what follows.
WITH queued AS (
    INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline)
    SELECT t.id, t.verification_id, t.send_no, t.try_no, t.code_version, t.send_deadline
    FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::smallint[], $6::uuid[], $7::smallint[],
                $8::smallint[], $9::smallint[], $10::timestamptz[])
        AS t (id, counted, previous, owner, recovery, verification_id, send_no, try_no, code_version, send_deadline)
    JOIN attempts AS p ON p.id = t.previous AND p.state IN ('deferred', 'unknown')
         AND p.owner = t.owner AND p.recovery = t.recovery
    JOIN verifications AS v ON v.id = t.verification_id AND v.state = 'issued' AND v.checks_used < v.checks_max
    ON CONFLICT DO NOTHING
    RETURNING id, verification_id
)
UPDATE verifications AS v
SET seq = v.seq + t.counted
FROM queued
JOIN unnest($1::uuid[], $2::int[]) AS t (id, counted) ON t.id = queued.id
WHERE v.id = queued.verification_id
RETURNING queued.id AS key, v.seq

-- name: claim_next
-- The same, but claimed for us in the same transaction: another account takes over at once.
INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline, state, owner, account,
                      gateway, claimed_at, lease_until)
SELECT t.id, t.verification_id, t.send_no, t.try_no, t.code_version, t.send_deadline, 'sending', t.owner, t.account,
       t.gateway, clock_timestamp(), clock_timestamp() + make_interval(secs => $12)
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::uuid[], $6::smallint[], $7::smallint[],
            $8::smallint[], $9::timestamptz[], $10::text[], $11::text[])
    AS t (id, previous, owner, recovery, verification_id, send_no, try_no, code_version, send_deadline, account,
          gateway)
JOIN attempts AS p ON p.id = t.previous AND p.state = 'deferred' AND p.owner = t.owner AND p.recovery = t.recovery
JOIN verifications AS v ON v.id = t.verification_id AND v.state = 'issued' AND v.checks_used < v.checks_max
WHERE t.send_deadline > clock_timestamp()
ON CONFLICT DO NOTHING
RETURNING id

-- name: fail
-- moves: issued -> failed
-- Only where nothing of the verification can have left or still may: no attempt is open, accepted or unknown, and
-- every send that was asked for has been tried.
UPDATE verifications AS v
SET state = 'failed', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told), own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, counted, reason)
WHERE v.id = t.id AND v.state = 'issued'
  AND v.sends_requested = (SELECT max(a.send_no) FROM attempts AS a WHERE a.verification_id = v.id)
  AND NOT EXISTS (
      SELECT FROM attempts AS a
      WHERE a.verification_id = v.id AND a.state IN ('queued', 'sending', 'accepted', 'unknown')
  )
RETURNING v.id AS key, v.seq

-- name: scores_counted_until
-- Held by whoever counts; none for everybody else.
SELECT until_at FROM account_scores_counted FOR UPDATE SKIP LOCKED

-- name: count_verified
-- What became, within $3, of the verifications that began in a slice (attempts carry its time in their ids too): the
-- last message before the ending is what verified, the others did not. Those that were cancelled, locked or never sent
-- say nothing of a carrier, nor do those that fraud objected to: pumping never verifies.
WITH told AS (
    SELECT a.account, v.country, v.state = 'approved' AND v.ended_at <= v.created_at + $3::interval AS in_time,
           row_number() OVER (PARTITION BY v.id ORDER BY a.send_no DESC, a.try_no DESC) AS place
    FROM verifications AS v
    JOIN attempts AS a ON a.verification_id = v.id
    WHERE v.id >= uuid_floor($1) AND v.id < uuid_floor($2) AND v.state IN ('issued', 'approved', 'expired')
      AND NOT v.flagged AND a.id >= uuid_floor($1) AND a.id < uuid_floor($2)
      AND a.state IN ('accepted', 'unknown') AND a.account <> ''
      AND a.claimed_at <= coalesce(v.ended_at, 'infinity')
)
SELECT account, country, count(*) FILTER (WHERE in_time AND place = 1)::int AS verified,
       count(*) FILTER (WHERE NOT (in_time AND place = 1))::int AS unverified
FROM told
GROUP BY account, country

-- name: scores
SELECT account, country, verified, unverified, as_of FROM account_scores

-- name: set_scores
INSERT INTO account_scores (account, country, verified, unverified, as_of)
SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::timestamptz[])
ON CONFLICT (account, country) DO UPDATE
SET verified = excluded.verified, unverified = excluded.unverified, as_of = excluded.as_of

-- name: forget_scores
-- A day is a hundred half-lives.
DELETE FROM account_scores WHERE as_of < statement_timestamp() - interval '1 day'

-- name: scores_are_counted
UPDATE account_scores_counted SET until_at = $1

-- name: lock_slices
-- One process renews at a time; a turn takes a few milliseconds, and each has one a second. Whoever freezes in between
-- loses its session, and with it the lock, before the shares of all others end.
SELECT pg_advisory_xact_lock(7316003), set_config('idle_in_transaction_session_timeout', '1000', true)

-- name: other_slices
SELECT shares FROM pace_slices WHERE owner <> $1 AND lease_until > clock_timestamp()

-- name: renew_slices
WITH over AS (DELETE FROM pace_slices WHERE owner <> $1 AND lease_until < clock_timestamp() - interval '1 minute')
INSERT INTO pace_slices (owner, shares, lease_until)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (owner) DO UPDATE SET shares = excluded.shares, lease_until = excluded.lease_until

-- name: give_slices_back
DELETE FROM pace_slices WHERE owner = $1
