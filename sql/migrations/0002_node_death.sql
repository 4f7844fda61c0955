-- older nodes: stop
--
-- A node that is silent beyond its lease is declared dead by another one, and its members leave once their grace, counted
-- from then, is over. Whoever is first does it; nobody does it twice.

ALTER TABLE parley.node
    ADD COLUMN grace_ms integer NOT NULL DEFAULT 15000,
    ADD COLUMN cleared_at timestamptz;

COMMENT ON COLUMN parley.node.grace_ms IS 'How long its members stay after it is dead, milliseconds';
COMMENT ON COLUMN parley.node.cleared_at IS 'When it was dead and had no members left; a day later its row goes';
COMMENT ON VIEW parley.nodes IS 'The server processes that have this database, and those that had it in the last day';

CREATE INDEX node_to_be_cleared ON parley.node (dead_at) WHERE dead_at IS NOT NULL AND cleared_at IS NULL;
CREATE INDEX member_present_by_node ON parley.member (node_no) WHERE left_at IS NULL;

CREATE FUNCTION parley.clear_dead_node(
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
    ended bigint;
BEGIN
    UPDATE parley.writer w
    SET last_batch = w.last_batch + 1, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL
    RETURNING w.last_batch INTO own_batch;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- Who holds the node's row clears it; the others look for another one.
    SELECT n.node_no INTO dead
    FROM parley.node n
    WHERE n.dead_at + n.grace_ms * interval '1 ms' < clock_timestamp() AND n.cleared_at IS NULL
    ORDER BY n.dead_at
    FOR NO KEY UPDATE SKIP LOCKED
    LIMIT 1;
    IF FOUND THEN
        wanted := ARRAY(
            SELECT DISTINCT f.room_no
            FROM (SELECT m.room_no FROM parley.member m WHERE m.node_no = dead AND m.left_at IS NULL LIMIT members_max) f);
        locked := ARRAY(
            SELECT r.room_no FROM parley.room r WHERE r.room_no = ANY (wanted)
            ORDER BY r.room_no FOR NO KEY UPDATE SKIP LOCKED);

        -- A new statement, hence a new snapshot: members that came back while it waited are not touched.
        RETURN QUERY
        WITH gone AS (
            SELECT m.room_no, m.session_no, row_number() OVER (PARTITION BY m.room_no ORDER BY m.session_no) AS step
            FROM parley.member m
            WHERE m.room_no = ANY (locked) AND m.node_no = dead AND m.left_at IS NULL
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

COMMENT ON FUNCTION parley.clear_dead_node IS
    'For nodes: ends memberships of one dead node whose grace is over, about members_max in one call. A row for each room '
    'that has changed and one without a room; no row at all when the writer is fenced';

CREATE OR REPLACE VIEW parley.members AS
SELECT r.room_id::text AS room_id, s.client_id::text AS client_id, s.user_id, m.profile::json AS profile, n.name AS node,
    m.joined_at, n.dead_at + n.grace_ms * interval '1 ms' AS grace_until
FROM parley.member m
JOIN parley.room r ON r.room_no = m.room_no
JOIN parley.session s ON s.session_no = m.session_no
LEFT JOIN parley.node n ON n.node_no = m.node_no
WHERE m.left_at IS NULL;

COMMENT ON COLUMN parley.members.grace_until IS
    'When it will be taken for gone unless it comes back; NULL while its node lives';
