-- What operators did about dead letters. A letter is dealt with once; whoever is second changes nothing.

-- name: done
-- Dead topics keep their letters for 30 days; what was done before that is about letters that are gone.
SELECT topic, partition, record_offset, action, reason, done_by, done_at
FROM dead_letter_actions
WHERE done_at > clock_timestamp() - interval '45 days'
ORDER BY done_at

-- name: record
INSERT INTO dead_letter_actions (topic, partition, record_offset, action, reason, done_by)
SELECT t.topic, t.partition, t.record_offset, $4, $5, $6
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS t (topic, partition, record_offset)
ON CONFLICT DO NOTHING
RETURNING topic, partition, record_offset
