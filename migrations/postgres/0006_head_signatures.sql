-- Same intent as sqlite/0006_head_signatures.sql: who may write to the database can't sign. A row says that whoever has the key
-- appended the events from first_position to position; docs/audit.md says what is signed. Key id: the first 8 bytes of the
-- SHA-256 of the public key.
CREATE TABLE head_signatures (
    organization_id uuid NOT NULL,
    position bigint NOT NULL,
    first_position bigint NOT NULL CHECK (first_position BETWEEN 1 AND position),
    key_id bytea NOT NULL CHECK (octet_length(key_id) = 8),
    signature bytea NOT NULL CHECK (octet_length(signature) = 64),
    CONSTRAINT head_signatures_pkey PRIMARY KEY (organization_id, position)
);

CREATE FUNCTION head_signatures_are_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'head_signatures: signatures are never changed or deleted'
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER head_signatures_immutable BEFORE UPDATE OR DELETE ON head_signatures
    FOR EACH ROW EXECUTE FUNCTION head_signatures_are_immutable();
CREATE TRIGGER head_signatures_not_truncated BEFORE TRUNCATE ON head_signatures
    FOR EACH STATEMENT EXECUTE FUNCTION head_signatures_are_immutable();
