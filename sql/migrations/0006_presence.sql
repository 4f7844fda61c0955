-- older nodes: stop
--
-- Who has come back to a living node, and has not joined its rooms again yet, does not leave with the dead one: the
-- living node sees to it that what is not joined ends. And a socket that was opened before the one that goes on comes
-- too late, also when its node could not say so earlier.

ALTER TABLE parley.session ADD COLUMN opened_ms bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN parley.session.opened_ms IS
    'When its newest socket was opened at the earliest, milliseconds since 1970 as its node reckoned the database''s clock; 0 for '
    'the one with which it began, and when the node did not know';

DROP FUNCTION parley.take_up;

CREATE FUNCTION parley.take_up(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer,
    session_keys bytea[], client_ids text[], user_ids text[], shown_nos bigint[], ended_within_ms bigint[],
    opened_from_ms bigint[], opened_to_ms bigint[]
) RETURNS TABLE (ix integer, socket_no bigint, is_stale boolean, batch bigint)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog
AS $$
#variable_conflict use_column
DECLARE
    own_node bigint;
    own_batch bigint;
    now_ms bigint;
    stale bytea[];
BEGIN
    UPDATE parley.writer w
    SET last_batch = w.last_batch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL
    RETURNING w.node_no, w.last_batch INTO own_node, own_batch;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- In the order of the keys, as everybody who locks or inserts several sessions has it.
    PERFORM FROM parley.session s WHERE s.session_key = ANY (session_keys) ORDER BY s.session_key FOR NO KEY UPDATE;
    -- Who shows the token of an earlier socket, while a later one whose client is known to have heard of it goes on,
    -- was given up by that client and comes late: a node that was paused, or a network, had kept it. So does who was
    -- opened before the one that goes on, as far as their nodes know the database's clock; but not by more than a
    -- request takes, for that would rather be a clock that was set back.
    stale := ARRAY(
        SELECT q.key
        FROM unnest(session_keys, shown_nos, opened_to_ms) q(key, shown, opened)
        JOIN parley.session s ON s.session_key = q.key
        JOIN parley.node n ON n.node_no = s.node_no AND n.dead_at IS NULL
        WHERE s.lost_at IS NULL AND (
            s.joined_no > q.shown AND s.socket_no = s.joined_no
            OR q.shown IS NOT NULL AND s.opened_ms BETWEEN q.opened + 1 AND q.opened + 60000));
    now_ms := extract(epoch FROM clock_timestamp()) * 1000;
    RETURN QUERY
    WITH taken AS (
        INSERT INTO parley.session AS s (session_key, client_id, user_id, node_no, socket_no, opened_ms)
        SELECT q.key, q.client_id, q.user_id, own_node, now_ms, COALESCE(q.opened, 0)
        FROM unnest(session_keys, client_ids, user_ids, ended_within_ms, opened_from_ms)
            q(key, client_id, user_id, within_ms, opened)
        WHERE q.key <> ALL (stale) AND (q.within_ms IS NULL OR EXISTS (
            -- Without a note of its end the newest socket is open, or died with its node.
            SELECT FROM parley.session k
            LEFT JOIN parley.node n ON n.node_no = k.node_no
            WHERE k.session_key = q.key
                AND COALESCE(k.lost_at, n.dead_at,
                    CASE WHEN n.node_no IS NULL THEN timestamptz '-infinity' ELSE timestamptz 'infinity' END)
                    > clock_timestamp() - q.within_ms * interval '1 ms'))
        ORDER BY q.key
        ON CONFLICT ON CONSTRAINT session_key_is_unique DO UPDATE
        SET node_no = EXCLUDED.node_no, socket_no = GREATEST(s.socket_no + 1, now_ms), opened_ms = EXCLUDED.opened_ms, lost_at = NULL
        RETURNING s.session_key, s.socket_no
    )
    SELECT q.ix::integer, t.socket_no, q.key = ANY (stale), own_batch
    FROM unnest(session_keys) WITH ORDINALITY q(key, ix)
    LEFT JOIN taken t ON t.session_key = q.key
    ORDER BY q.ix;
END
$$;

COMMENT ON FUNCTION parley.take_up IS
    'For nodes: sessions, each at most once, that new sockets take up, as one batch. One row for each, in order, with '
    'the number of its socket, NULL when its last one ended longer ago than ended_within_ms (NULL: whenever that was) or '
    'it is not known, and when is_stale: the token of socket shown_nos (NULL: no matter which) comes too late, or the '
    'socket itself, opened between these times by the database''s clock, does. No row at all when the writer is fenced';

CREATE OR REPLACE FUNCTION parley.clear_dead_node(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, members_max integer
) RETURNS TABLE (batch bigint, room_no bigint, roster_seq bigint)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog
AS $$
#variable_conflict use_column
DECLARE
    own_batch bigint;
    dead bigint;
    wanted bigint[];
    locked bigint[];
BEGIN
    UPDATE parley.writer w
    SET last_batch = w.last_batch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL
    RETURNING w.last_batch INTO own_batch;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- Who holds the node's row clears it; the others look for another one. One of which only those are left who may
    -- join again elsewhere waits for them, and keeps nobody from clearing the next.
    SELECT n.node_no INTO dead
    FROM parley.node n
    WHERE n.dead_at + n.grace_ms * interval '1 ms' < clock_timestamp() AND n.cleared_at IS NULL
        AND (EXISTS (SELECT FROM parley.member m WHERE m.node_no = n.node_no AND m.left_at IS NULL
                AND NOT parley.is_elsewhere(m.session_no, n.node_no))
            OR NOT EXISTS (SELECT FROM parley.member m WHERE m.node_no = n.node_no AND m.left_at IS NULL))
    ORDER BY n.dead_at
    FOR NO KEY UPDATE SKIP LOCKED
    LIMIT 1;
    IF FOUND THEN
        wanted := ARRAY(
            SELECT DISTINCT f.room_no
            FROM (
                SELECT m.room_no FROM parley.member m
                WHERE m.node_no = dead AND m.left_at IS NULL AND NOT parley.is_elsewhere(m.session_no, dead)
                LIMIT members_max
            ) f);
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r WHERE r.room_no = ANY (wanted)
            ORDER BY r.room_no FOR NO KEY UPDATE SKIP LOCKED);

        -- A new statement, hence a new snapshot: members that came back while it waited are not touched.
        RETURN QUERY
        WITH gone AS (
            SELECT m.room_no, m.session_no, row_number() OVER (PARTITION BY m.room_no ORDER BY m.session_no) AS step
            FROM parley.member m
            WHERE m.room_no = ANY (locked) AND m.node_no = dead AND m.left_at IS NULL
                AND NOT parley.is_elsewhere(m.session_no, dead)
        ), left_now AS (
            UPDATE parley.member m
            SET roster_seq = r.roster_seq + g.step, left_at = now(), grace_until = NULL
            FROM gone g
            JOIN parley.room r ON r.room_no = g.room_no
            WHERE m.room_no = g.room_no AND m.session_no = g.session_no
        )
        UPDATE parley.room r
        SET roster_seq = r.roster_seq + c.steps, member_count = r.member_count - c.steps::integer
        FROM (SELECT g.room_no, count(*) AS steps FROM gone g GROUP BY g.room_no) c
        WHERE r.room_no = c.room_no
        RETURNING own_batch, r.room_no, r.roster_seq;

        UPDATE parley.node n SET cleared_at = clock_timestamp()
        WHERE n.node_no = dead
            AND NOT EXISTS (SELECT FROM parley.member m WHERE m.node_no = dead AND m.left_at IS NULL);
        DELETE FROM parley.node n WHERE n.cleared_at < clock_timestamp() - interval '1 day';
    END IF;
    RETURN QUERY SELECT own_batch, NULL::bigint, NULL::bigint;
END
$$;

CREATE FUNCTION parley.is_elsewhere(session bigint, node bigint) RETURNS boolean
LANGUAGE sql
STABLE
RETURN EXISTS (
    SELECT FROM parley.session s
    JOIN parley.node n ON n.node_no = s.node_no
    WHERE s.session_no = session AND s.node_no <> node
        AND (n.dead_at IS NULL OR n.dead_at + n.grace_ms * interval '1 ms' > clock_timestamp()));

COMMENT ON FUNCTION parley.is_elsewhere IS
    'For nodes: whether a session has gone from a node to one that lives, or whose members have their grace still';
