-- older nodes: go on
--
-- Who comes back learns from the log which of its ids were settled. So that this costs the same however long the log
-- is, what it says of all members of a room is noted every thousand changes or so, and only what came after that is
-- read.

CREATE TABLE parley.mark_checkpoint (
    room_no bigint NOT NULL,
    last_seq bigint NOT NULL,
    CONSTRAINT mark_checkpoint_pkey PRIMARY KEY (room_no),
    CONSTRAINT mark_checkpoint_is_of_a_room FOREIGN KEY (room_no) REFERENCES parley.room ON DELETE CASCADE
);

COMMENT ON TABLE parley.mark_checkpoint IS
    'How far member_mark knows the log of a room, of all its members. A row of its own, so that nobody waits for the room';
COMMENT ON COLUMN parley.mark_checkpoint.last_seq IS 'The end of the last chunk that it knows';
COMMENT ON TABLE parley.member_mark IS
    'What the log said of the ids of members up to the room''s mark_checkpoint, and what the part of it said that was pruned; '
    'the chunks behind say more. Goes with the member''s row, so it stays as long as the session can be taken up';

CREATE FUNCTION parley.note_marks(room bigint, after_seq bigint, to_seq bigint, refused_max integer) RETURNS void
LANGUAGE sql
VOLATILE
BEGIN ATOMIC
    INSERT INTO parley.member_mark AS k (room_no, session_no, last_id, refused)
    SELECT room, m.session_no, COALESCE(max(s.id) FILTER (WHERE NOT s.is_refused), 0),
        COALESCE((array_agg(DISTINCT s.id ORDER BY s.id DESC) FILTER (WHERE s.is_refused))[1:refused_max], '{}')
    FROM (
        SELECT u.last_seq, e."clientId" AS client_id, e.id, false AS is_refused
        FROM parley.update_log u
        -- Reads each chunk once: twice as fast as taking it apart and then its parts.
        CROSS JOIN LATERAL json_to_recordset(('[' || u.body || ']')::json) e("clientId" text, id bigint)
        WHERE u.room_no = room AND u.last_seq > after_seq AND u.last_seq <= to_seq AND e.id IS NOT NULL
        UNION ALL
        SELECT u.last_seq, split_part(p.part, '=', 1), i.id::bigint, true
        FROM parley.update_log u
        CROSS JOIN LATERAL string_to_table(u.refused, ' ') p(part)
        CROSS JOIN LATERAL string_to_table(split_part(p.part, '=', 2), ',') i(id)
        WHERE u.room_no = room AND u.last_seq > after_seq AND u.last_seq <= to_seq AND u.refused IS NOT NULL
    ) s
    JOIN (
        SELECT m.session_no, m.joined_seq, c.client_id::text AS client_id
        FROM parley.member m
        JOIN parley.session c ON c.session_no = m.session_no
        WHERE m.room_no = room
    ) m ON m.client_id = s.client_id AND m.joined_seq < s.last_seq
    GROUP BY m.session_no
    ORDER BY m.session_no
    ON CONFLICT ON CONSTRAINT member_mark_pkey DO UPDATE
    SET last_id = greatest(k.last_id, EXCLUDED.last_id),
        refused = ARRAY(
            SELECT DISTINCT r.id FROM unnest(k.refused || EXCLUDED.refused) r(id)
            ORDER BY r.id DESC LIMIT refused_max);
END;

COMMENT ON FUNCTION parley.note_marks IS
    'For nodes: notes in member_mark what the chunks of a room between two places say of ids. The caller has locked the '
    'room''s mark_checkpoint';

CREATE FUNCTION parley.keep_marks(
    room bigint, changes_min integer, chunks_max integer, bytes_max integer, refused_max integer
) RETURNS boolean
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    done bigint;
    upto bigint;
BEGIN
    INSERT INTO parley.mark_checkpoint (room_no, last_seq)
    SELECT r.room_no, 0 FROM parley.room r WHERE r.room_no = room
    ON CONFLICT DO NOTHING;
    -- Another node that is at it does the same.
    SELECT c.last_seq INTO done FROM parley.mark_checkpoint c
    WHERE c.room_no = room
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT max(f.last_seq) INTO upto
    FROM (
        SELECT u.last_seq, sum(octet_length(u.body)) OVER older - octet_length(u.body) AS bytes_older
        FROM parley.update_log u
        WHERE u.room_no = room AND u.last_seq > done
        WINDOW older AS (ORDER BY u.last_seq ROWS UNBOUNDED PRECEDING)
        LIMIT chunks_max
    ) f
    WHERE f.bytes_older < bytes_max;
    IF upto IS NULL OR (SELECT r.last_seq - done < changes_min FROM parley.room r WHERE r.room_no = room) THEN
        RETURN false;
    END IF;
    PERFORM parley.note_marks(room, done, upto, refused_max);
    UPDATE parley.mark_checkpoint c SET last_seq = upto WHERE c.room_no = room;
    RETURN (SELECT r.last_seq - upto >= changes_min FROM parley.room r WHERE r.room_no = room);
END
$$;

COMMENT ON FUNCTION parley.keep_marks IS
    'For nodes: brings the marks of a room forward, when changes_min or more have come, by at most chunks_max chunks and about '
    'bytes_max bytes. Whether as many are left';
