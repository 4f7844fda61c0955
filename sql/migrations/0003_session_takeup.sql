-- older nodes: stop
--
-- A session has one socket in the whole cluster: its row says which, and on what node.

ALTER TABLE parley.session
    ADD COLUMN node_no bigint,
    ADD COLUMN socket_no bigint NOT NULL DEFAULT 0,
    ADD COLUMN joined_no bigint NOT NULL DEFAULT -1,
    ADD COLUMN lost_at timestamptz;
-- A session's newest socket changes often: room for that on the row's own page.
ALTER TABLE parley.session SET (fillfactor = 70);

COMMENT ON TABLE parley.session IS 'A client that has joined a room, or come back, at least once';
COMMENT ON COLUMN parley.session.node_no IS 'The node that has its newest socket, or had it last';
COMMENT ON COLUMN parley.session.socket_no IS
    'Number of its newest socket, 0 for the one with which it began. Rises with each that takes the session up, and is at '
    'least the milliseconds since 1970 then: so it rises also when a failover has lost the newest ones';
COMMENT ON COLUMN parley.session.joined_no IS
    'The newest of its sockets that has joined a room: its client has heard of that socket, and has its token';
COMMENT ON COLUMN parley.session.lost_at IS
    'When that socket ended; noted when the session did not come back in time. NULL before, and of a node that died';

-- Sessions, many at once ------------------------------------------------------------------------------------------

CREATE FUNCTION parley.take_up(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer,
    session_keys bytea[], client_ids text[], user_ids text[], shown_nos bigint[], ended_within_ms bigint[]
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
    -- Who shows the token of an earlier socket, while a later one whose client is known to have heard of it goes on, was given
    -- up by that client and comes late: a node that was paused, or a network, had kept it.
    stale := ARRAY(
        SELECT q.key
        FROM unnest(session_keys, shown_nos) q(key, shown)
        JOIN parley.session s ON s.session_key = q.key
        JOIN parley.node n ON n.node_no = s.node_no AND n.dead_at IS NULL
        WHERE s.joined_no > q.shown AND s.socket_no = s.joined_no AND s.lost_at IS NULL);
    now_ms := extract(epoch FROM clock_timestamp()) * 1000;
    RETURN QUERY
    WITH taken AS (
        INSERT INTO parley.session AS s (session_key, client_id, user_id, node_no, socket_no)
        SELECT q.key, q.client_id, q.user_id, own_node, now_ms
        FROM unnest(session_keys, client_ids, user_ids, ended_within_ms) q(key, client_id, user_id, within_ms)
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
        SET node_no = EXCLUDED.node_no, socket_no = GREATEST(s.socket_no + 1, now_ms), lost_at = NULL
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
    'it is not known, and when is_stale: the token of socket shown_nos (NULL: no matter which) comes too late. No row at '
    'all when the writer is fenced';

COMMENT ON TABLE parley.signing_key IS
    'Secret. New session tokens are signed with the key of the highest number; those of a lower one are accepted until '
    'the one above it is as old as a session lasts. The first node makes the first key';

-- Joins and leaves name the socket that asks ----------------------------------------------------------------------

DROP FUNCTION parley.change_members;

CREATE FUNCTION parley.change_members(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, skip_locked boolean,
    room_nos bigint[], room_ids text[], session_keys bytea[], client_ids text[], user_ids text[], profiles text[],
    sockets bigint[]
) RETURNS TABLE (
    ix integer, outcome "char", room_no bigint, claim bigint, step bigint, roster_seq bigint, member_count integer,
    was_known boolean, client_id text, user_id text, batch bigint
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog
AS $$
#variable_conflict use_column
DECLARE
    own_node bigint;
    own_batch bigint;
    wanted bigint[];
    locked bigint[];
BEGIN
    UPDATE parley.writer w
    SET last_batch = w.last_batch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL
    RETURNING w.node_no, w.last_batch INTO own_node, own_batch;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    wanted := ARRAY(
        SELECT r.room_no FROM parley.room r WHERE r.room_id = ANY (room_ids)
        UNION
        SELECT n FROM unnest(room_nos) n WHERE n IS NOT NULL);
    IF skip_locked THEN
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r
            WHERE r.room_no = ANY (wanted) AND r.closed_at IS NULL
            ORDER BY r.room_no FOR NO KEY UPDATE SKIP LOCKED);
    ELSE
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r
            WHERE r.room_no = ANY (wanted) AND r.closed_at IS NULL
            ORDER BY r.room_no FOR NO KEY UPDATE);
    END IF;

    -- After the rooms, so that nobody waits for a room while it holds a new session; sorted, for two may insert alike.
    INSERT INTO parley.session (session_key, client_id, user_id, node_no)
    SELECT DISTINCT ON (q.key) q.key, q.client_id, q.user_id, own_node
    FROM unnest(session_keys, client_ids, user_ids, room_ids) q(key, client_id, user_id, room_id)
    WHERE q.room_id IS NOT NULL AND NOT EXISTS (SELECT FROM parley.session s WHERE s.session_key = q.key)
        AND EXISTS (SELECT FROM parley.room r WHERE r.room_id = q.room_id AND r.room_no = ANY (locked))
    ORDER BY q.key
    ON CONFLICT ON CONSTRAINT session_key_is_unique DO NOTHING;

    -- A new statement, hence a new snapshot: it sees what was committed while this one waited for the locks.
    RETURN QUERY
    WITH asked AS (
        SELECT q.ix::integer AS ix, r.room_no, q.room_id IS NOT NULL AS joins, q.profile,
            COALESCE(s.socket_no > q.socket, false) AS overtaken, q.socket,
            s.session_no, s.client_id, s.user_id, m.session_no IS NOT NULL AS known,
            m.session_no IS NOT NULL AND m.left_at IS NULL AS present,
            m.node_no, m.profile AS old_profile,
            r.room_no = ANY (locked) AS locked, r.closed_at IS NULL AS open, r.last_seq,
            r.claim_seq, r.roster_seq, r.member_count
        FROM unnest(room_nos, room_ids, session_keys, profiles, sockets)
            WITH ORDINALITY q(room_no, room_id, key, profile, socket, ix)
        LEFT JOIN parley.room r ON r.room_no = COALESCE(
            q.room_no, (SELECT r2.room_no FROM parley.room r2 WHERE r2.room_id = q.room_id))
        LEFT JOIN parley.session s ON s.session_key = q.key
        LEFT JOIN parley.member m ON m.room_no = r.room_no AND m.session_no = s.session_no
    ), judged AS (
        SELECT a.*,
            CASE
                WHEN NOT a.locked OR a.overtaken THEN 0
                WHEN a.joins AND NOT a.present THEN 1
                WHEN a.joins AND a.profile IS NOT NULL AND a.profile IS DISTINCT FROM a.old_profile THEN 1
                WHEN NOT a.joins AND a.present THEN 1
                ELSE 0
            END AS steps,
            CASE
                WHEN NOT a.locked OR a.overtaken THEN 0
                WHEN a.joins AND NOT a.present THEN 1
                WHEN NOT a.joins AND a.present THEN -1
                ELSE 0
            END AS delta,
            a.locked AND NOT a.overtaken AND a.joins AND a.known AND a.node_no <> own_node AS taken
        FROM asked a
        WHERE a.room_no IS NOT NULL
    ), numbered AS (
        SELECT j.*,
            (j.roster_seq + sum(j.steps) OVER run)::bigint AS roster_after,
            (j.member_count + sum(j.delta) OVER run)::integer AS count_after,
            j.claim_seq + (bool_or(j.taken) OVER (PARTITION BY j.room_no))::integer AS claim_after
        FROM judged j
        WINDOW run AS (PARTITION BY j.room_no ORDER BY j.ix ROWS UNBOUNDED PRECEDING)
    ), joined AS (
        INSERT INTO parley.member AS m
            (room_no, session_no, roster_seq, joined_seq, node_no, claim, profile)
        SELECT n.room_no, n.session_no, n.roster_after, n.last_seq, own_node, n.claim_after, n.profile
        FROM numbered n
        WHERE n.locked AND n.joins AND (n.steps = 1 OR n.taken)
        ON CONFLICT ON CONSTRAINT member_pkey DO UPDATE
        SET roster_seq = CASE
                WHEN m.left_at IS NOT NULL
                    OR EXCLUDED.profile IS NOT NULL AND EXCLUDED.profile IS DISTINCT FROM m.profile
                THEN EXCLUDED.roster_seq ELSE m.roster_seq END,
            profile = COALESCE(EXCLUDED.profile, m.profile),
            joined_at = CASE WHEN m.left_at IS NULL THEN m.joined_at ELSE EXCLUDED.joined_at END,
            node_no = EXCLUDED.node_no,
            claim = CASE WHEN m.node_no = EXCLUDED.node_no THEN m.claim ELSE EXCLUDED.claim END,
            grace_until = NULL,
            left_at = NULL
    ), heard AS (
        UPDATE parley.session s
        SET joined_no = n.socket
        FROM numbered n
        WHERE n.locked AND n.joins AND NOT n.overtaken AND s.session_no = n.session_no AND s.joined_no < n.socket
    ), withdrawn AS (
        UPDATE parley.member m
        SET roster_seq = n.roster_after, left_at = now(), grace_until = NULL
        FROM numbered n
        WHERE NOT n.joins AND n.steps = 1 AND m.room_no = n.room_no AND m.session_no = n.session_no
    ), counted AS (
        UPDATE parley.room r
        SET roster_seq = t.roster_seq, member_count = r.member_count + t.delta, claim_seq = t.claim_seq
        FROM (
            SELECT n.room_no, max(n.roster_after) AS roster_seq, sum(n.delta)::integer AS delta,
                max(n.claim_after) AS claim_seq
            FROM numbered n
            WHERE n.locked
            GROUP BY n.room_no
            HAVING bool_or(n.steps = 1 OR n.taken)
        ) t
        WHERE r.room_no = t.room_no
    )
    SELECT a.ix,
        (CASE
            WHEN n.locked AND n.open THEN CASE WHEN n.overtaken THEN 'o' ELSE 'd' END
            WHEN n.open THEN 'l'
            ELSE 'g'
        END)::"char",
        a.room_no, n.claim_after, CASE WHEN n.steps = 1 THEN n.roster_after END, n.roster_after, n.count_after,
        a.known, CASE WHEN n.joins THEN NULL ELSE a.client_id::text END, CASE WHEN n.joins THEN NULL ELSE a.user_id END,
        own_batch
    FROM asked a
    LEFT JOIN numbered n ON n.ix = a.ix
    ORDER BY a.ix;
END
$$;

COMMENT ON FUNCTION parley.change_members IS
    'For nodes: joins (room_ids given) and leaves (room_nos given) as one batch, each session at most once in a room. '
    'One row for each, in order: outcome d (done), o (nothing done: a newer socket has the session), l (locked by another '
    'transaction) or g (room gone); no row at all when the writer is fenced. step is NULL when nothing changed';
