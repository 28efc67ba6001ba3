-- Same intent as sqlite/0003_speed.sql: what a change costs must not grow with the history. The head of an organization is
-- written with every commit: room on its page lets each new version stand beside the old one.
ALTER TABLE event_heads SET (fillfactor = 10);
