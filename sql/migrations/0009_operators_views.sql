-- older nodes: go on
--
-- Views for what whoever runs a cluster asks in psql. They read what is there anyway, the log and PostgreSQL's own views of
-- locks and sessions: nothing is written for them, neither with a batch nor beside it.
--
-- What other roles' sessions do PostgreSQL shows only to roles with pg_read_all_stats, and so do these views: what
-- others may not see is NULL.

ALTER TABLE parley.node ADD COLUMN lease_ms integer;

COMMENT ON COLUMN parley.node.lease_ms IS 'How long it may be silent, milliseconds; NULL of nodes that did not say';

-- Rooms by traffic ------------------------------------------------------------------------------------------------

-- The newest chunk that is older than a minute is found from the end of the log: only the chunks of that minute are
-- read, of a quiet room one.
CREATE VIEW parley.room_traffic AS
SELECT r.room_id::text AS room_id, r.member_count AS members,
    CASE WHEN t.batches > 0 THEN r.last_seq - COALESCE(o.last_seq, r.first_seq - 1) ELSE 0 END AS changes_last_minute,
    t.batches AS batches_last_minute, t.bytes AS bytes_last_minute,
    COALESCE(n.at, r.edge_at) AS last_change_at
FROM parley.room r
LEFT JOIN LATERAL (
    SELECT u.last_seq FROM parley.update_log u
    WHERE u.room_no = r.room_no AND u.at <= now() - interval '1 minute'
    ORDER BY u.last_seq DESC
    LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT u.at FROM parley.update_log u WHERE u.room_no = r.room_no ORDER BY u.last_seq DESC LIMIT 1
) n ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS batches, COALESCE(sum(octet_length(u.body)), 0)::bigint AS bytes
    FROM parley.update_log u
    WHERE u.room_no = r.room_no AND u.last_seq > COALESCE(o.last_seq, 0)
) t
WHERE r.closed_at IS NULL;

COMMENT ON VIEW parley.room_traffic IS 'What open rooms got in the last minute, from their logs';
COMMENT ON COLUMN parley.room_traffic.room_id IS 'The room';
COMMENT ON COLUMN parley.room_traffic.members IS 'How many are members now';
COMMENT ON COLUMN parley.room_traffic.changes_last_minute IS 'Changes of the last minute';
COMMENT ON COLUMN parley.room_traffic.batches_last_minute IS 'Rows of the log that hold them: one for each batch of a node';
COMMENT ON COLUMN parley.room_traffic.bytes_last_minute IS 'Their JSON text, before it is compressed';
COMMENT ON COLUMN parley.room_traffic.last_change_at IS 'When the newest change was written; NULL when there was none';

-- Members and where they are --------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW parley.members AS
SELECT r.room_id::text AS room_id, s.client_id::text AS client_id, s.user_id, m.profile::json AS profile, n.name AS node,
    m.joined_at, n.dead_at + n.grace_ms * interval '1 ms' AS grace_until, n.node_no, n.address
FROM parley.member m
JOIN parley.room r ON r.room_no = m.room_no
JOIN parley.session s ON s.session_no = m.session_no
LEFT JOIN parley.node n ON n.node_no = m.node_no
WHERE m.left_at IS NULL;

COMMENT ON COLUMN parley.members.node_no IS 'The number of that node in parley.nodes';
COMMENT ON COLUMN parley.members.address IS 'Where that node can be reached, as configured';

CREATE VIEW parley.room_nodes AS
SELECT r.room_id::text AS room_id, n.name AS node, m.node_no, m.members, n.dead_at IS NULL AS alive
FROM (
    SELECT m.room_no, m.node_no, count(*) AS members
    FROM parley.member m
    WHERE m.left_at IS NULL
    GROUP BY m.room_no, m.node_no
) m
JOIN parley.room r ON r.room_no = m.room_no
LEFT JOIN parley.node n ON n.node_no = m.node_no;

COMMENT ON VIEW parley.room_nodes IS 'On which nodes the members of each room are';
COMMENT ON COLUMN parley.room_nodes.room_id IS 'The room';
COMMENT ON COLUMN parley.room_nodes.node IS 'The node on which these members'' sockets were last';
COMMENT ON COLUMN parley.room_nodes.node_no IS 'Its number in parley.nodes';
COMMENT ON COLUMN parley.room_nodes.members IS 'How many members of the room';
COMMENT ON COLUMN parley.room_nodes.alive IS
    'The node was not declared dead; when it was, its members leave after their grace, unless they come back elsewhere';

-- Nodes -----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW parley.nodes AS
SELECT n.node_no, n.name, n.address, n.version, n.started_at,
    n.dead_at IS NULL AND COALESCE(w.lease_until > clock_timestamp(), false) AS alive,
    w.lease_until - clock_timestamp() AS lease_left,
    COALESCE(w.batches, 0) AS batches, COALESCE(w.backend_pids, '{}') AS backend_pids,
    (SELECT count(*) FROM parley.member m WHERE m.node_no = n.node_no AND m.left_at IS NULL) AS members,
    clock_timestamp() - (w.lease_until - n.lease_ms * interval '1 ms') AS lease_age,
    CASE WHEN n.dead_at IS NULL THEN w.lag END AS lag
FROM parley.node n
LEFT JOIN (
    SELECT w.node_no, max(w.lease_until) AS lease_until, sum(w.last_batch) AS batches,
        array_agg(w.backend_pid ORDER BY w.writer_no) FILTER (WHERE w.backend_pid IS NOT NULL) AS backend_pids,
        clock_timestamp() - min(a.xact_start) AS lag
    FROM parley.writer w
    LEFT JOIN pg_stat_activity a ON a.pid = w.backend_pid AND a.backend_start = w.backend_start
    GROUP BY w.node_no
) w ON w.node_no = n.node_no;

COMMENT ON COLUMN parley.nodes.lease_age IS
    'How long ago it gave its last sign of life: up to two heartbeats (2 s) while nothing is written; NULL of older nodes';
COMMENT ON COLUMN parley.nodes.lag IS
    'For how long the oldest of its writing transactions has been running: what clients wait for at this moment; NULL when none '
    'is, or when one may not see it';

-- Disk ------------------------------------------------------------------------------------------------------------

-- The lengths are known without unpacking what is compressed. To a row of the log belong a header, four numbers and an
-- entry of the index: about 90 bytes.
CREATE VIEW parley.room_sizes AS
SELECT r.room_id::text AS room_id, r.last_seq - r.first_seq + 1 AS changes, l.batches,
    l.bytes + v.bytes AS bytes, l.text_bytes, v.bytes AS values_bytes, l.oldest_at
FROM parley.room r
CROSS JOIN LATERAL (
    SELECT count(*) AS batches,
        COALESCE(sum(pg_column_size(u.body) + COALESCE(pg_column_size(u.refused), 0) + 90), 0)::bigint AS bytes,
        COALESCE(sum(octet_length(u.body)), 0)::bigint AS text_bytes, min(u.at) AS oldest_at
    FROM parley.update_log u
    WHERE u.room_no = r.room_no
) l
CROSS JOIN LATERAL (
    SELECT COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0)::bigint AS bytes
    FROM parley.room_value v
    WHERE v.room_no = r.room_no
) v;

COMMENT ON VIEW parley.room_sizes IS
    'What each room takes on disk, about. Looks at every row of the log of the rooms that are asked for, but does not '
    'unpack them: some seconds for ten million';
COMMENT ON COLUMN parley.room_sizes.room_id IS 'The room; closed ones too';
COMMENT ON COLUMN parley.room_sizes.changes IS 'Changes that are kept';
COMMENT ON COLUMN parley.room_sizes.batches IS 'Rows of the log that hold them';
COMMENT ON COLUMN parley.room_sizes.bytes IS 'What the log, as it is compressed, and the values take on disk, about';
COMMENT ON COLUMN parley.room_sizes.text_bytes IS 'The JSON text of the log, before it is compressed';
COMMENT ON COLUMN parley.room_sizes.values_bytes IS 'The JSON text of the shared values, with their keys';
COMMENT ON COLUMN parley.room_sizes.oldest_at IS 'When the oldest row that is kept was written';

-- What holds rooms up ---------------------------------------------------------------------------------------------

-- A row that is locked or changed has the number of that transaction in xmax; who waits for it has a lock of the kind
-- tuple on it. Two ways, for where several transactions share a row xmax stands for all of them.
CREATE VIEW parley.room_locks AS
WITH waiting AS (
    SELECT r.room_no, l.pid, l.granted
    FROM pg_locks l
    JOIN parley.room r ON r.ctid = ('(' || l.page || ',' || l.tuple || ')')::tid
    WHERE l.locktype = 'tuple' AND l.relation = 'parley.room'::regclass
        AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
), holding AS (
    SELECT r.room_no, l.pid
    FROM parley.room r
    JOIN pg_locks l ON l.transactionid = r.xmax
    WHERE l.locktype = 'transactionid' AND l.granted
    UNION
    SELECT w.room_no, b.pid
    FROM waiting w
    JOIN pg_locks l ON l.pid = w.pid AND l.locktype = 'transactionid' AND NOT l.granted
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) b(pid)
    WHERE w.granted
)
SELECT r.room_id::text AS room_id, h.pid, a.usename::text AS role, a.application_name AS application, a.state,
    clock_timestamp() - a.xact_start AS held_for, a.query,
    ARRAY(SELECT DISTINCT w.pid FROM waiting w WHERE w.room_no = h.room_no AND w.pid <> h.pid ORDER BY w.pid) AS waiting_pids
FROM holding h
JOIN parley.room r ON r.room_no = h.room_no
LEFT JOIN pg_stat_activity a ON a.pid = h.pid;

COMMENT ON VIEW parley.room_locks IS
    'Transactions that have a lock on the row of a room: until they end the room gets nothing, and no other room waits. '
    'Nodes have one for milliseconds at a time';
COMMENT ON COLUMN parley.room_locks.room_id IS 'The room';
COMMENT ON COLUMN parley.room_locks.pid IS 'The session that holds it; SELECT pg_terminate_backend(pid) ends it';
COMMENT ON COLUMN parley.room_locks.role IS 'Its role';
COMMENT ON COLUMN parley.room_locks.application IS 'What it calls itself; parley/writer and the like are nodes';
COMMENT ON COLUMN parley.room_locks.state IS 'As in pg_stat_activity: "idle in transaction" waits for its own client';
COMMENT ON COLUMN parley.room_locks.held_for IS 'How long ago its transaction began';
COMMENT ON COLUMN parley.room_locks.query IS 'Its last command';
COMMENT ON COLUMN parley.room_locks.waiting_pids IS 'The sessions that wait for this room';

-- Notifications ---------------------------------------------------------------------------------------------------

CREATE VIEW parley.notify_queue AS
SELECT pg_notification_queue_usage() AS usage, s.listeners, o.pid AS oldest_pid, o.role AS oldest_role,
    o.application AS oldest_application, o.age AS oldest_age
FROM (
    SELECT count(*) AS listeners FROM pg_stat_activity a
    WHERE a.application_name = 'parley/listener' AND a.datname = current_database()
) s
LEFT JOIN (
    SELECT a.pid, a.usename::text AS role, a.application_name AS application, clock_timestamp() - a.xact_start AS age
    FROM pg_stat_activity a
    WHERE a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
    ORDER BY a.xact_start
    LIMIT 1
) o ON true;

COMMENT ON VIEW parley.notify_queue IS
    'The queue of notifications, which the whole server shares. It fills up only while a session listens inside an open '
    'transaction, or does not read';
COMMENT ON COLUMN parley.notify_queue.usage IS 'Which part of it is taken, from 0 to 1. At 1 transactions that notify fail';
COMMENT ON COLUMN parley.notify_queue.listeners IS 'How many nodes listen here, one connection each';
COMMENT ON COLUMN parley.notify_queue.oldest_pid IS
    'The session whose transaction is the oldest on the server: if it listens, it is what keeps the queue from moving on';
COMMENT ON COLUMN parley.notify_queue.oldest_role IS 'Its role';
COMMENT ON COLUMN parley.notify_queue.oldest_application IS 'What it calls itself';
COMMENT ON COLUMN parley.notify_queue.oldest_age IS 'How long ago that transaction began';
