-- older nodes: go on
--
-- The calendar of PostgreSQL ends, and one room that was to be kept for longer kept all others from being pruned.

UPDATE parley.room SET retain_seconds = 3155760000 WHERE retain_seconds > 3155760000;

CREATE OR REPLACE FUNCTION parley.check_retention(messages bigint, seconds bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF messages < 1 OR seconds < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'a room keeps 1 message at least, and for 1 second',
            HINT = 'NULL, or nothing, keeps everything.';
    END IF;
    IF seconds > 3155760000 THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'a room keeps changes for 3155760000 seconds (100 years) at most',
            HINT = 'NULL, or nothing, keeps everything.';
    END IF;
END
$$;
