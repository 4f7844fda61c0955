-- older nodes: stop
--
-- Shared values of a room, and the way on which inputs are written that have to be judged first: under the lock on the
-- room's row, in their order, by what the values are at that moment.

CREATE TABLE parley.room_value (
    room_no bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT room_value_pkey PRIMARY KEY (room_no, key),
    CONSTRAINT room_value_is_in_a_room FOREIGN KEY (room_no) REFERENCES parley.room ON DELETE CASCADE
) WITH (fillfactor = 50);

COMMENT ON TABLE parley.room_value IS
    'What the log comes to: the newest value of each key. Changed only under the lock on the row of the room';
COMMENT ON COLUMN parley.room_value.value IS 'JSON, byte by byte as it was sent';
COMMENT ON COLUMN parley.room_value.seq IS 'Place of the change that wrote it';

CREATE FUNCTION parley.append_judged(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, batch bigint, lease_ms integer, skip_locked boolean,
    values_bytes_max integer, room_nos bigint[], claims bigint[], tags integer[], refused text[], counts integer[],
    changes text[], sets text[], conditions text[]
) RETURNS TABLE (ix integer, input integer, verdict "char", base bigint, claim bigint, values_now text, versions_now text)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog
AS $$
#variable_conflict use_column
DECLARE
    locked bigint[];
    room bigint;
    room_claim bigint;
    room_seq bigint;
    at bigint;
    bytes bigint;
    bytes_after bigint;
    accepted text[];
    passed integer := 0;
    place integer;
    found_values text;
    found_versions text;
    refused_places integer[];
BEGIN
    UPDATE parley.writer w
    SET last_batch = batch, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 0, 0, 'f'::"char", NULL::bigint, NULL::bigint, NULL::text, NULL::text;

    IF skip_locked THEN
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r WHERE r.room_no = ANY (room_nos) AND r.closed_at IS NULL
            ORDER BY r.room_no FOR NO KEY UPDATE SKIP LOCKED);
    ELSE
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r WHERE r.room_no = ANY (room_nos) AND r.closed_at IS NULL
            ORDER BY r.room_no FOR NO KEY UPDATE);
    END IF;

    FOR i IN 1..cardinality(room_nos) LOOP
        room := room_nos[i];
        passed := passed + counts[i];
        CONTINUE WHEN room <> ALL (locked);
        SELECT r.claim_seq, r.last_seq INTO room_claim, room_seq FROM parley.room r WHERE r.room_no = room;
        IF room_claim <> claims[i] THEN
            RETURN QUERY SELECT i, 0, 'm'::"char", NULL::bigint, room_claim, NULL::text, NULL::text;
            CONTINUE;
        END IF;
        SELECT COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0) INTO bytes
        FROM parley.room_value v WHERE v.room_no = room;
        at := room_seq;
        accepted := '{}';
        refused_places := '{}';
        FOR n IN 1..counts[i] LOOP
            place := passed - counts[i] + n;
            IF sets[place] IS NOT NULL THEN
                IF conditions[place] IS NOT NULL THEN
                    SELECT '{' || COALESCE(string_agg(to_json(c.key)::text || ':' || v.value, ','), '') || '}',
                        '{' || COALESCE(string_agg(to_json(c.key)::text || ':' || COALESCE(v.seq, 0), ','), '') || '}'
                    INTO found_values, found_versions
                    FROM json_each_text(conditions[place]::json) c
                    LEFT JOIN parley.room_value v ON v.room_no = room AND v.key = c.key
                    HAVING bool_or(COALESCE(v.seq, 0) <> c.value::bigint);
                    IF FOUND THEN
                        RETURN QUERY SELECT i, n, 'c'::"char", NULL::bigint, NULL::bigint, found_values, found_versions;
                        refused_places := refused_places || place;
                        CONTINUE;
                    END IF;
                END IF;
                SELECT bytes + COALESCE(sum(
                    CASE WHEN s.value::text = 'null' THEN 0 ELSE octet_length(s.key) + octet_length(s.value::text) END
                    - COALESCE(octet_length(v.key) + octet_length(v.value), 0)), 0)
                INTO bytes_after
                FROM json_each(sets[place]::json) s
                LEFT JOIN parley.room_value v ON v.room_no = room AND v.key = s.key;
                IF bytes_after > values_bytes_max AND bytes_after > bytes THEN
                    RETURN QUERY SELECT i, n, 't'::"char", NULL::bigint, NULL::bigint, NULL::text, NULL::text;
                    refused_places := refused_places || place;
                    CONTINUE;
                END IF;
                DELETE FROM parley.room_value v
                USING json_each(sets[place]::json) s
                WHERE v.room_no = room AND v.key = s.key AND s.value::text = 'null';
                INSERT INTO parley.room_value AS v (room_no, key, value, seq)
                SELECT room, s.key, s.value::text, at + 1
                FROM json_each(sets[place]::json) s
                WHERE s.value::text <> 'null'
                ON CONFLICT ON CONSTRAINT room_value_pkey DO UPDATE SET value = EXCLUDED.value, seq = EXCLUDED.seq;
                bytes := bytes_after;
            END IF;
            at := at + 1;
            accepted := accepted || changes[place];
        END LOOP;
        IF at > room_seq THEN
            UPDATE parley.room r SET last_seq = at WHERE r.room_no = room;
            -- Below an id that is accepted here all are settled: the log has to tell of those that were refused.
            INSERT INTO parley.update_log (room_no, last_seq, first_seq, tag, refused, body)
            VALUES (room, at, room_seq + 1, tags[i], NULLIF(concat_ws(' ', refused[i], (
                SELECT string_agg(q.client_id || '=' || q.id, ' ' ORDER BY q.id)
                FROM (
                    SELECT changes[p]::json ->> 'clientId' AS client_id, (changes[p]::json ->> 'id')::bigint AS id
                    FROM unnest(refused_places) p
                ) q
                WHERE EXISTS (
                    SELECT FROM unnest(accepted) a(change)
                    WHERE a.change::json ->> 'clientId' = q.client_id AND (a.change::json ->> 'id')::bigint > q.id)
            )), ''), array_to_string(accepted, ','));
        END IF;
        RETURN QUERY SELECT i, 0, 'a'::"char", room_seq, NULL::bigint, NULL::text, NULL::text;
    END LOOP;
END
$$;

COMMENT ON FUNCTION parley.append_judged IS
    'For nodes: a batch of which each room holds inputs that are judged. A row for the fence, one for each room that was '
    'there and not locked, verdict a (accepted, with base) or m (its claim has moved), and one for each input that was '
    'refused, verdict c (its condition did not hold) or t (too large). No row at all when the writer is fenced';

CREATE VIEW parley.room_values AS
SELECT r.room_id::text AS room_id, v.key, v.value::json AS value, v.seq
FROM parley.room_value v
JOIN parley.room r ON r.room_no = v.room_no;

COMMENT ON VIEW parley.room_values IS 'The shared values of all rooms';
COMMENT ON COLUMN parley.room_values.room_id IS 'The room';
COMMENT ON COLUMN parley.room_values.key IS 'The key';
COMMENT ON COLUMN parley.room_values.value IS 'The value, byte by byte as it was sent';
COMMENT ON COLUMN parley.room_values.seq IS 'Place of the change that wrote it last';
