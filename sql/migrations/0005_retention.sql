-- older nodes: stop
--
-- Rooms that are to keep only a part of their log get it pruned, whole chunks at a time. What the chunks say of the ids of
-- members is kept beside them: an older node would look for it in the log alone, and apply again what was applied.

ALTER TABLE parley.room
    ADD COLUMN edge_at timestamptz,
    ADD COLUMN edge_tag integer,
    ADD COLUMN prune_at timestamptz NOT NULL DEFAULT now();

COMMENT ON TABLE parley.room IS
    'One row for each room. Half of each page stays free and no index holds a counter, so that updates are HOT, except '
    'for those of the pruner';
COMMENT ON COLUMN parley.room.edge_at IS 'When the change before first_seq was written; NULL while nothing was pruned';
COMMENT ON COLUMN parley.room.edge_tag IS
    'The tag of that change: who has seen it and nothing newer can still prove it';
COMMENT ON COLUMN parley.room.prune_at IS 'When the pruner looks at the room again, if it is not to keep everything';

CREATE INDEX room_to_be_pruned ON parley.room (prune_at)
    WHERE retain_messages IS NOT NULL OR retain_seconds IS NOT NULL;

CREATE TABLE parley.member_mark (
    room_no bigint NOT NULL,
    session_no bigint NOT NULL,
    last_id bigint NOT NULL,
    refused bigint[] NOT NULL,
    CONSTRAINT member_mark_pkey PRIMARY KEY (room_no, session_no),
    CONSTRAINT member_mark_is_of_a_member FOREIGN KEY (room_no, session_no) REFERENCES parley.member ON DELETE CASCADE
);

COMMENT ON TABLE parley.member_mark IS
    'What the part of the log that was pruned said of the ids of members. Written in the transaction that prunes, under the '
    'lock on the row of the room; the chunks that are left may say more. Goes with the member''s row, so it stays as long as '
    'the session can be taken up';
COMMENT ON COLUMN parley.member_mark.last_id IS 'The highest id that was applied; 0 for none';
COMMENT ON COLUMN parley.member_mark.refused IS 'The highest of the ids that were refused, descending';

CREATE FUNCTION parley.prune_log(
    rooms_max integer, chunks_max integer, bytes_max integer, refused_max integer, age_min_ms integer,
    pause_min_ms integer, pause_max_ms integer
) RETURNS TABLE (rooms integer, chunks integer)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog
AS $$
#variable_conflict use_variable
DECLARE
    chunks_left integer := chunks_max;
    bytes_left bigint := bytes_max;
    locked bigint[];
    number bigint;
    room record;
    gone record;
    kept record;
    has_rest boolean;
    idle interval;
    pause interval;
    moment timestamptz;
    pause_min interval := pause_min_ms * interval '1 ms';
    pause_max interval := pause_max_ms * interval '1 ms';
BEGIN
    -- The letters of "Parl" and "prun". Who does not get it leaves the work to the node that has it.
    IF NOT pg_try_advisory_xact_lock(1348563564, 1886549358) THEN
        RETURN;
    END IF;
    -- More are looked at than are taken: those that somebody holds must not keep the others from their turn.
    locked := ARRAY(
        SELECT r.room_no FROM parley.room r
        WHERE r.room_no = ANY (ARRAY(
            SELECT d.room_no FROM parley.room d
            WHERE d.prune_at <= clock_timestamp() AND (d.retain_messages IS NOT NULL OR d.retain_seconds IS NOT NULL)
            ORDER BY d.prune_at
            LIMIT 4 * rooms_max))
        ORDER BY r.room_no
        FOR NO KEY UPDATE SKIP LOCKED
        LIMIT rooms_max);

    FOREACH number IN ARRAY locked LOOP
        EXIT WHEN chunks_left <= 0 OR bytes_left <= 0;
        moment := clock_timestamp();
        SELECT r.last_seq, r.retain_messages, r.retain_seconds * interval '1 second' AS retain_age,
            COALESCE(r.edge_at, r.created_at) AS quiet_since
        INTO room FROM parley.room r WHERE r.room_no = number;

        -- The oldest chunks up to the first that is to be kept. A young one always is: its writer may not know yet that it
        -- was committed, and other nodes have yet to read it.
        SELECT count(*)::integer AS chunks, COALESCE(sum(c.bytes), 0) AS bytes, max(c.last_seq) AS last_seq,
            (array_agg(c.tag ORDER BY c.last_seq DESC))[1] AS tag, (array_agg(c.at ORDER BY c.last_seq DESC))[1] AS at
        INTO gone
        FROM (
            SELECT o.*, bool_and(o.is_over) OVER older AS goes, sum(o.bytes) OVER older - o.bytes AS bytes_older
            FROM (
                SELECT u.last_seq, u.tag, u.at, octet_length(u.body) AS bytes,
                    u.at < moment - age_min_ms * interval '1 ms' AND (
                        COALESCE(u.last_seq <= room.last_seq - room.retain_messages, false)
                        OR COALESCE(u.at < moment - room.retain_age, false)) AS is_over
                FROM parley.update_log u
                WHERE u.room_no = number
                ORDER BY u.last_seq
                LIMIT chunks_left
            ) o
            WINDOW older AS (ORDER BY o.last_seq ROWS UNBOUNDED PRECEDING)
        ) c
        WHERE c.goes AND c.bytes_older < bytes_left;

        IF gone.chunks > 0 THEN
            INSERT INTO parley.member_mark AS k (room_no, session_no, last_id, refused)
            SELECT number, m.session_no, COALESCE(max(s.id) FILTER (WHERE NOT s.is_refused), 0),
                COALESCE((array_agg(DISTINCT s.id ORDER BY s.id DESC) FILTER (WHERE s.is_refused))[1:refused_max], '{}')
            FROM (
                SELECT u.last_seq, e.change ->> 'clientId' AS client_id, (e.change ->> 'id')::bigint AS id,
                    false AS is_refused
                FROM parley.update_log u
                CROSS JOIN LATERAL json_array_elements(('[' || u.body || ']')::json) e(change)
                WHERE u.room_no = number AND u.last_seq <= gone.last_seq AND e.change -> 'id' IS NOT NULL
                UNION ALL
                SELECT u.last_seq, split_part(p.part, '=', 1), i.id::bigint, true
                FROM parley.update_log u
                CROSS JOIN LATERAL string_to_table(u.refused, ' ') p(part)
                CROSS JOIN LATERAL string_to_table(split_part(p.part, '=', 2), ',') i(id)
                WHERE u.room_no = number AND u.last_seq <= gone.last_seq AND u.refused IS NOT NULL
            ) s
            JOIN (
                SELECT m.session_no, m.joined_seq, c.client_id::text AS client_id
                FROM parley.member m
                JOIN parley.session c ON c.session_no = m.session_no
                WHERE m.room_no = number
            ) m ON m.client_id = s.client_id AND m.joined_seq < s.last_seq
            GROUP BY m.session_no
            ON CONFLICT ON CONSTRAINT member_mark_pkey DO UPDATE
            SET last_id = greatest(k.last_id, EXCLUDED.last_id),
                refused = ARRAY(
                    SELECT DISTINCT r.id FROM unnest(k.refused || EXCLUDED.refused) r(id)
                    ORDER BY r.id DESC LIMIT refused_max);
            DELETE FROM parley.update_log u WHERE u.room_no = number AND u.last_seq <= gone.last_seq;
            chunks_left := chunks_left - gone.chunks;
            bytes_left := bytes_left - gone.bytes;
        END IF;

        -- When something may be over for the first time. Nothing tells of new changes, so a room by their number is looked
        -- at the less often the longer it has been quiet.
        SELECT min(u.at) AS oldest, max(u.at) AS newest INTO kept
        FROM (
            (SELECT u.at FROM parley.update_log u WHERE u.room_no = number ORDER BY u.last_seq LIMIT 1)
            UNION ALL
            (SELECT u.at FROM parley.update_log u WHERE u.room_no = number ORDER BY u.last_seq DESC LIMIT 1)
        ) u;
        has_rest := gone.chunks > 0 AND (chunks_left <= 0 OR bytes_left <= 0);
        idle := moment - COALESCE(kept.newest, gone.at, room.quiet_since);
        pause := least(greatest(idle / 8, pause_min), pause_max);
        IF room.retain_age IS NOT NULL THEN
            pause := CASE
                WHEN kept.oldest IS NOT NULL AND room.retain_messages IS NOT NULL
                    THEN least(pause, greatest(kept.oldest + room.retain_age - moment, pause_min))
                WHEN kept.oldest IS NOT NULL THEN greatest(kept.oldest + room.retain_age - moment, pause_min)
                WHEN room.retain_messages IS NOT NULL THEN pause
                ELSE greatest(pause, room.retain_age)
            END;
        END IF;
        UPDATE parley.room r
        SET first_seq = COALESCE(gone.last_seq + 1, r.first_seq), edge_tag = COALESCE(gone.tag, r.edge_tag),
            edge_at = COALESCE(gone.at, r.edge_at),
            prune_at = CASE WHEN has_rest THEN moment ELSE moment + pause END
        WHERE r.room_no = number;
    END LOOP;
    RETURN QUERY SELECT COALESCE(cardinality(locked), 0), chunks_max - chunks_left;
END
$$;

COMMENT ON FUNCTION parley.prune_log IS
    'For nodes: prunes rooms whose prune_at has come, within these bounds. Says how many rooms it has looked at and how many '
    'chunks are gone; no row when another node is at it';
