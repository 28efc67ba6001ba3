-- Same intent as sqlite/0007_actors.sql: others than API keys may be the authors of events.

-- Actor kind: 1 key, 2 person, 3 source, 4 system. key_id and key_name hold the id and the name of an actor of any kind, so that
-- no event has to be rewritten; the id is nil where the kind has none. Issuer and subject identify a person.
ALTER TABLE alert_events
    ADD COLUMN actor_kind smallint NOT NULL DEFAULT 1,
    ADD COLUMN actor_issuer text,
    ADD COLUMN actor_subject text;

-- Not validated: the events that are there are all by keys, and reading them all would hold up the upgrade.
ALTER TABLE alert_events ADD CONSTRAINT alert_events_actor_check CHECK (
    CASE actor_kind
        WHEN 1 THEN actor_issuer IS NULL AND actor_subject IS NULL
        WHEN 2 THEN actor_issuer IS NOT NULL AND actor_subject IS NOT NULL AND on_behalf_of IS NULL
        WHEN 3 THEN actor_issuer IS NULL AND actor_subject IS NULL AND on_behalf_of IS NULL
        WHEN 4 THEN actor_issuer IS NULL AND actor_subject IS NULL AND on_behalf_of IS NULL
        ELSE false
    END
) NOT VALID;
