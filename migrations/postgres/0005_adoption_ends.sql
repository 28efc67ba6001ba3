-- Same intent as sqlite/0005_adoption_ends.sql: only the migration that began histories says which alerts are older than them.
-- A row written here later would have redflag begin the history of an alert that was written past it. Adopted alerts are still
-- taken off.
CREATE FUNCTION alerts_to_adopt_is_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'alerts_to_adopt: nothing is added after the migration' USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER alerts_to_adopt_complete BEFORE INSERT OR UPDATE ON alerts_to_adopt
    FOR EACH ROW EXECUTE FUNCTION alerts_to_adopt_is_complete();
