-- Same intent as sqlite/0004_events.sql: what a change costs must not grow with the history. PostgreSQL keeps events in a heap,
-- beside their index, so there is nothing to do.
SELECT 1;
