-- What intake would have written of verifications that are about to be assessed.

-- name: begin
INSERT INTO verifications (id, tenant, number_token, number_sealed, country, range, number_type, purpose, channel, policy,
                           policy_version, rules, locale, template, reference, binding, binding_hash, signals, seq,
                           checks_max, created_at, expires_at, next_send_at, due_at)
SELECT t.id, t.tenant, t.number_token, '', t.country, t.range, 'mobile', 'login', 'sms', 'default', 1, '{}', '', '', '',
       '{}', '', t.signals::jsonb, 1, 5, statement_timestamp(), t.expires_at, statement_timestamp(), t.expires_at
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
    AS t (id, tenant, number_token, country, range, signals, expires_at)
