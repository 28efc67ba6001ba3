-- Same intent as postgres/0006_head_signatures.sql: who may write to the database can't sign. A row says that whoever has the key
-- appended the events from first_position to position; docs/audit.md says what is signed. Key id: the first 8 bytes of the
-- SHA-256 of the public key.
CREATE TABLE head_signatures (
    organization_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    first_position INTEGER NOT NULL CHECK (first_position BETWEEN 1 AND position),
    key_id BLOB NOT NULL CHECK (length(key_id) = 8),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (organization_id, position)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER head_signatures_not_updated BEFORE UPDATE ON head_signatures BEGIN
    SELECT RAISE(ABORT, 'head_signatures: signatures are never changed or deleted');
END;
CREATE TRIGGER head_signatures_not_deleted BEFORE DELETE ON head_signatures BEGIN
    SELECT RAISE(ABORT, 'head_signatures: signatures are never changed or deleted');
END;
-- INSERT OR REPLACE deletes without asking the trigger above. FAIL keeps no copies of pages (migration 4).
CREATE TRIGGER head_signatures_not_replaced BEFORE INSERT ON head_signatures
WHEN EXISTS (SELECT 1 FROM head_signatures s
    WHERE s.organization_id = NEW.organization_id AND s.position = NEW.position)
BEGIN
    SELECT RAISE(FAIL, 'head_signatures: signatures are never changed or deleted');
END;
