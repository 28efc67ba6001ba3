-- Same intent as postgres/0005_adoption_ends.sql: only the migration that began histories says which alerts are older than them.
-- A row written here later would have redflag begin the history of an alert that was written past it. Adopted alerts are still
-- taken off.
CREATE TRIGGER alerts_to_adopt_not_inserted BEFORE INSERT ON alerts_to_adopt BEGIN
    SELECT RAISE(ABORT, 'alerts_to_adopt: nothing is added after the migration');
END;
CREATE TRIGGER alerts_to_adopt_not_updated BEFORE UPDATE ON alerts_to_adopt BEGIN
    SELECT RAISE(ABORT, 'alerts_to_adopt: nothing is added after the migration');
END;
