-- Lists of verifications: newest first by tenant, or by the platform's own reference.

CREATE INDEX verifications_tenant ON verifications (tenant, id);
CREATE INDEX verifications_reference ON verifications (tenant, reference, id) WHERE reference <> '';
