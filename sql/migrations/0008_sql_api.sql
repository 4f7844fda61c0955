-- older nodes: go on
--
-- What a socket can do, a transaction can do: publish, set shared values, look at what they were, and administer
-- rooms.
--
-- All of it happens in the caller's transaction, under the lock on the room's row, and is told to the nodes by a
-- notification that PostgreSQL delivers at its commit. Such a notification names writer 0 and batch 0: unlike a
-- node's, it cannot be lost on its own, so nobody counts it. Messages of sockets into a room wait while a transaction
-- holds its lock.
--
-- Functions name pg_temp last: unless it is named, PostgreSQL looks for types there first, and whoever calls a function
-- that runs as its owner could put one of his own in the way, whose checks would run as the owner.
--
-- Errors have SQLSTATEs of their own, so that a caller can catch them: PY001 no such room, PY002 the room is closed,
-- PY003 the room exists, PY004 an argument that is not allowed, PY005 too large, PY006 the condition did not hold,
-- PY007 a key that stands for something else, PY008 a place or moment of which nothing is kept.

-- What comes in ---------------------------------------------------------------------------------------------------

CREATE FUNCTION parley.is_public_id(id text) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN id ~ '^[A-Za-z0-9._~-]{1,64}$' AND id NOT IN ('.', '..');

COMMENT ON FUNCTION parley.is_public_id IS 'Whether a room or a client can have this id; NULL for NULL';

CREATE FUNCTION parley.is_plain_payload(payload text, bytes_max integer) RETURNS boolean
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN octet_length(payload) <= bytes_max AND strpos(payload, '\u') = 0
    AND payload !~ '[eE][-+]?[0-9]{3}|[-+.0-9eE]{65}'
    AND (octet_length(payload) <= 200 OR length(payload) - length(translate(payload, '[{', '')) <= 100);

COMMENT ON FUNCTION parley.is_plain_payload IS
    'Whether JSON text is allowed as a payload at first glance, as nearly all is. What is not may be allowed all '
    'the same: parley.check_payload says';

CREATE FUNCTION parley.check_payload(payload text, name text, bytes_max integer, depth_max integer) RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    breach text;
    bare text;
    numbers text[];
BEGIN
    IF payload IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%s is NULL', name),
            HINT = 'JSON null is written as ''null''.';
    END IF;
    IF octet_length(payload) > bytes_max THEN
        RAISE EXCEPTION USING ERRCODE = 'PY005',
            MESSAGE = format('%s has %s bytes of JSON text, more than %s', name, octet_length(payload), bytes_max),
            HINT = 'Publish a reference to what is large, and let clients fetch it.';
    END IF;
    IF strpos(payload, '\u') > 0 THEN
        BEGIN
            PERFORM payload::jsonb;
        EXCEPTION
            WHEN untranslatable_character THEN
                breach := 'the escape \u0000';
            WHEN invalid_text_representation THEN
                breach := 'half of a surrogate pair';
            WHEN numeric_value_out_of_range THEN
                breach := 'a number out of the range of a double';
        END;
    END IF;
    IF breach IS NULL THEN
        -- Digits and brackets inside strings mean nothing.
        bare := regexp_replace(payload, '"(?:[^"\\]|\\.)*"', '""', 'g');
        numbers := ARRAY(SELECT m[1] FROM regexp_matches(bare, '(-?[0-9][-+.0-9eE]*)', 'g') m);
        IF EXISTS (SELECT FROM unnest(numbers) n WHERE length(n) > 64) THEN
            breach := 'a number longer than 64 characters';
        ELSIF (
            SELECT max(d.depth) > depth_max
            FROM (
                SELECT sum(CASE WHEN c.bracket IN ('[', '{') THEN 1 ELSE -1 END) OVER (ORDER BY c.ix) AS depth
                FROM string_to_table(regexp_replace(bare, '[^][{}]', '', 'g'), NULL) WITH ORDINALITY c(bracket, ix)
            ) d)
        THEN
            breach := format('nesting deeper than %s', depth_max);
        ELSE
            BEGIN
                PERFORM n::double precision FROM unnest(numbers) n;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                breach := 'a number out of the range of a double';
            END;
        END IF;
    END IF;
    IF breach IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%s holds what is not allowed: %s', name, breach),
            HINT = 'Clients in other languages could not read it.';
    END IF;
END
$$;

COMMENT ON FUNCTION parley.check_payload IS
    'Raises PY004 or PY005 unless JSON text is allowed as a payload: the same rules as for what comes by sockets';

CREATE FUNCTION parley.check_client(client text) RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT parley.is_public_id(client) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%L cannot be the id of a client', left(client, 80)),
            HINT = 'An id has 1 to 64 characters of A-Z a-z 0-9 . _ ~ - and is neither . nor ..; NULL stands for '
                'no client.';
    END IF;
END
$$;

COMMENT ON FUNCTION parley.check_client IS 'Raises PY004 unless this can be the id of a client, or is NULL';

CREATE FUNCTION parley.raise_no_room(room text) RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    closed timestamptz;
BEGIN
    IF room IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'the room is NULL',
            HINT = 'Name the room by its id, a text.';
    END IF;
    SELECT r.closed_at INTO closed FROM parley.room r WHERE r.room_id = room;
    IF closed IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY002', MESSAGE = format('room %L was closed at %s', room, closed),
            HINT = 'Its id is free again a day later.';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'PY001', MESSAGE = format('there is no room %L', left(room, 80)),
        HINT = 'SELECT parley.create_room(...) makes one; parley.rooms shows those there are.';
END
$$;

COMMENT ON FUNCTION parley.raise_no_room IS
    'Raises what there is to say of a room that was not found among those that are open: PY001, PY002, or PY004 for '
    'NULL';

CREATE FUNCTION parley.hold_room(room text) RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    SELECT r.room_no INTO number FROM parley.room r
    WHERE r.room_id = room AND r.closed_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM parley.raise_no_room(room);
    END IF;
    -- Whatever is done to a room is durable before anybody sees it, also where the database's default is another.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    RETURN number;
END
$$;

COMMENT ON FUNCTION parley.hold_room IS
    'Takes the lock on the row of an open room until the transaction ends, and returns its room_no';

CREATE FUNCTION parley.random_tag() RETURNS integer
LANGUAGE sql
VOLATILE
RETURN floor(random() * 4294967296 - 2147483648)::integer;

COMMENT ON FUNCTION parley.random_tag IS 'For a row of the log, or a room: any integer';

CREATE FUNCTION parley.encoded_change(client text, content text, payload text) RETURNS text
LANGUAGE sql
VOLATILE
RETURN concat('{', '"clientId":"' || client || '",', '"at":',
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, ',"', content, '":', payload, '}');

COMMENT ON FUNCTION parley.encoded_change IS
    'A change as it stands in the log, byte by byte as nodes write one without an id; content is message or set';

-- Publishing ------------------------------------------------------------------------------------------------------

CREATE TABLE parley.idempotency (
    room_no bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    first_seq bigint NOT NULL,
    kept_until timestamptz NOT NULL DEFAULT now() + interval '24 hours',
    request bytea NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (room_no, key),
    CONSTRAINT idempotency_is_of_a_room FOREIGN KEY (room_no) REFERENCES parley.room ON DELETE CASCADE,
    CONSTRAINT idempotency_key_is_1_to_255_bytes CHECK (octet_length(key) BETWEEN 1 AND 255)
);

CREATE INDEX idempotency_over ON parley.idempotency (room_no, kept_until);
CREATE INDEX idempotency_over_anywhere ON parley.idempotency (kept_until);
CREATE INDEX room_closed ON parley.room (closed_at) WHERE closed_at IS NOT NULL;

COMMENT ON TABLE parley.idempotency IS
    'What was published with a key, so that it is not published again. Read and written only under the lock on the '
    'row of the room, in the transaction that publishes: one that is rolled back leaves no key behind';
COMMENT ON COLUMN parley.idempotency.first_seq IS
    'Place of the first change that was published into this room with the key';
COMMENT ON COLUMN parley.idempotency.kept_until IS
    'From then on the key is free; it goes when the room gets another key, or is pruned';
COMMENT ON COLUMN parley.idempotency.request IS 'SHA-256 of all that was published with the key';

-- Planned once for a session: the plan is always the same, and making it costs as much as the rest.
CREATE FUNCTION parley.publish_to_rooms(
    rooms text[], messages json[], client text DEFAULT NULL, key text DEFAULT NULL
) RETURNS TABLE (room_id text, seq bigint)
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    -- A row of the log fits a frame with room to spare, also with one more message than this.
    row_bytes constant integer := 225280;
    notice_rooms constant integer := 100;
    payloads text[];
    numbers bigint[];
    content bytea;
    known bigint[];
    is_same boolean;
BEGIN
    IF rooms IS NULL OR messages IS NULL OR cardinality(rooms) <> cardinality(messages) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004',
            MESSAGE = format('%s rooms do not match %s messages', COALESCE(cardinality(rooms)::text, 'NULL'),
                COALESCE(cardinality(messages)::text, 'NULL')),
            HINT = 'Each message needs its room: the first the first, the second the second, and so on.';
    END IF;
    PERFORM parley.check_client(client);
    IF octet_length(key) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('a key of %s bytes', octet_length(key)),
            HINT = 'A key has 1 to 255 bytes; without one leave it out.';
    END IF;
    payloads := ARRAY(
        SELECT btrim(m.message::text, E' \t\n\r') FROM unnest(messages) WITH ORDINALITY m(message, ix) ORDER BY m.ix);
    PERFORM parley.check_payload(p.payload, 'the message', 32768, 100)
    FROM unnest(payloads) p(payload)
    WHERE parley.is_plain_payload(p.payload, 32768) IS NOT TRUE;
    IF array_position(rooms, NULL) IS NOT NULL THEN
        PERFORM parley.raise_no_room(NULL);
    END IF;

    numbers := ARRAY(
        SELECT r.room_no FROM parley.room r
        WHERE r.room_id = ANY (rooms) AND r.closed_at IS NULL
        ORDER BY r.room_no FOR NO KEY UPDATE);
    PERFORM parley.raise_no_room(q.room_id)
    FROM unnest(rooms) q(room_id)
    WHERE NOT EXISTS (SELECT FROM parley.room r WHERE r.room_id = q.room_id AND r.room_no = ANY (numbers));
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    IF key IS NOT NULL THEN
        content := sha256(convert_to(to_json(rooms)::text || to_json(payloads)::text || COALESCE(client, ''), 'UTF8'));
        -- A new statement, hence a new snapshot: it sees what was committed while this one waited for the locks.
        SELECT array_agg(k.room_no), bool_and(k.request = content) INTO known, is_same
        FROM parley.idempotency k
        WHERE k.room_no = ANY (numbers) AND k.key = publish_to_rooms.key AND k.kept_until > clock_timestamp();
        IF known IS NOT NULL AND (NOT is_same OR NOT known @> numbers) THEN
            RAISE EXCEPTION USING ERRCODE = 'PY007', MESSAGE = format('key %L stands for another publication', key),
                HINT = 'A key is for one publication and its repeats: the same rooms, messages and client.';
        ELSIF known IS NOT NULL THEN
            RETURN QUERY
            SELECT q.room_id, k.first_seq + row_number() OVER (PARTITION BY r.room_no ORDER BY q.ix) - 1
            FROM unnest(rooms) WITH ORDINALITY q(room_id, ix)
            JOIN parley.room r ON r.room_id = q.room_id
            JOIN parley.idempotency k ON k.room_no = r.room_no AND k.key = publish_to_rooms.key
            ORDER BY q.ix;
            RETURN;
        END IF;
        -- More than come in, so that what is over goes; few, so that no call pays for many. By now(): an index does not
        -- compare with what changes within a statement.
        DELETE FROM parley.idempotency k
        WHERE k.ctid = ANY (ARRAY(
            SELECT o.ctid FROM parley.idempotency o
            WHERE o.room_no = ANY (numbers) AND o.kept_until < now()
            ORDER BY o.kept_until
            LIMIT 16));
        INSERT INTO parley.idempotency AS k (room_no, key, first_seq, request)
        SELECT r.room_no, publish_to_rooms.key, r.last_seq + 1, content
        FROM parley.room r WHERE r.room_no = ANY (numbers)
        ON CONFLICT ON CONSTRAINT idempotency_pkey DO UPDATE
        SET first_seq = EXCLUDED.first_seq, kept_until = EXCLUDED.kept_until, request = EXCLUDED.request;
    END IF;

    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT q.room_id, q.ix, r.room_no, r.last_seq + row_number() OVER before AS seq, c.change,
            (sum(octet_length(c.change) + 1) OVER before - octet_length(c.change)) / row_bytes AS part
        FROM unnest(rooms, payloads) WITH ORDINALITY q(room_id, payload, ix)
        JOIN parley.room r ON r.room_id = q.room_id
        CROSS JOIN LATERAL parley.encoded_change(client, 'message', q.payload) c(change)
        WINDOW before AS (PARTITION BY r.room_no ORDER BY q.ix ROWS UNBOUNDED PRECEDING)
    ), logged AS (
        INSERT INTO parley.update_log (room_no, last_seq, first_seq, at, tag, body)
        SELECT a.room_no, max(a.seq), min(a.seq), clock_timestamp(), parley.random_tag(),
            string_agg(a.change, ',' ORDER BY a.seq)
        FROM asked a
        GROUP BY a.room_no, a.part
    ), counted AS (
        UPDATE parley.room r SET last_seq = n.last_seq
        FROM (SELECT a.room_no, max(a.seq) AS last_seq FROM asked a GROUP BY a.room_no) n
        WHERE r.room_no = n.room_no
        RETURNING r.room_no, r.last_seq
    ), told AS (
        SELECT pg_notify('parley', '0:0 ' || string_agg(p.pointer, ' '))
        FROM (
            SELECT c.room_no || ':' || c.last_seq || ':0' AS pointer,
                (row_number() OVER (ORDER BY c.room_no) - 1) / notice_rooms AS notice
            FROM counted c
        ) p
        GROUP BY p.notice
    )
    SELECT a.room_id, a.seq FROM asked a WHERE (SELECT count(*) FROM told) > 0 ORDER BY a.ix;
END
$$;

COMMENT ON FUNCTION parley.publish_to_rooms IS
    'Publishes many messages, each into the room at the same place of the other array, with the caller''s '
    'transaction. One row for each, in order. Rooms are locked in an order that keeps calls from deadlocking. key: '
    'as for parley.publish, of the whole call';

CREATE FUNCTION parley.publish_many(
    room text, messages json[], client text DEFAULT NULL, key text DEFAULT NULL
) RETURNS bigint
LANGUAGE sql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(p.seq)
    FROM parley.publish_to_rooms(ARRAY(SELECT room FROM unnest(messages)), messages, client, key) p
$$;

COMMENT ON FUNCTION parley.publish_many IS
    'Publishes messages into one room, in their order, with the caller''s transaction. Returns the place of the '
    'first; the others follow it. NULL when there are none';

CREATE FUNCTION parley.publish(room text, message json, client text DEFAULT NULL, key text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    payload text := btrim(message::text, E' \t\n\r');
    number bigint;
    seq bigint;
BEGIN
    IF key IS NOT NULL THEN
        RETURN (SELECT p.seq FROM parley.publish_to_rooms(ARRAY[room], ARRAY[message], client, key) p);
    END IF;
    IF parley.is_plain_payload(payload, 32768) IS NOT TRUE THEN
        PERFORM parley.check_payload(payload, 'the message', 32768, 100);
    END IF;
    IF NOT parley.is_public_id(client) THEN
        PERFORM parley.check_client(client);
    END IF;
    UPDATE parley.room r SET last_seq = r.last_seq + 1
    WHERE r.room_id = room AND r.closed_at IS NULL
    RETURNING r.room_no, r.last_seq INTO number, seq;
    IF NOT FOUND THEN
        PERFORM parley.raise_no_room(room);
    END IF;
    INSERT INTO parley.update_log (room_no, last_seq, first_seq, at, tag, body)
    VALUES (
        number, seq, seq, clock_timestamp(), parley.random_tag(), parley.encoded_change(client, 'message', payload));
    PERFORM pg_notify('parley', '0:0 ' || number || ':' || seq || ':0');
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    RETURN seq;
END
$$;

COMMENT ON FUNCTION parley.publish IS
    'Publishes a message into a room with the caller''s transaction: its members see it when that has committed, or '
    'never. Returns its place. client: who is shown as its sender. key: a repeat within 24 hours publishes nothing '
    'and returns the first place. The room is locked until the transaction ends, so publish late in it; several '
    'rooms at once: parley.publish_to_rooms';

-- Shared values ---------------------------------------------------------------------------------------------------

CREATE FUNCTION parley.set_values(room text, set json, "if" json DEFAULT NULL, client text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    values_bytes_max constant integer := 65536;
    news ALIAS FOR $2;
    condition ALIAS FOR $3;
    payload text := btrim(news::text, E' \t\n\r');
    number bigint;
    seq bigint;
    bytes bigint;
    bytes_after bigint;
    found_values text;
    found_versions text;
BEGIN
    IF payload IS NULL OR json_typeof(news) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = '"set" must be a JSON object',
            HINT = 'It names keys and their new values: {"score":3,"turn":null}; null removes a key.';
    END IF;
    IF parley.is_plain_payload(payload, values_bytes_max) IS NOT TRUE THEN
        -- Nesting counts from each value.
        PERFORM parley.check_payload(payload, '"set"', values_bytes_max, 101);
    END IF;
    IF EXISTS (SELECT FROM json_object_keys(news) k GROUP BY k HAVING count(*) > 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'a key stands twice in "set"', HINT = 'Name each key once.';
    END IF;
    IF json_typeof(condition) <> 'object' OR EXISTS (
        SELECT FROM json_each(condition) c
        GROUP BY c.key
        HAVING count(*) > 1 OR bool_or(c.value::text !~ '^[0-9]{1,16}$' OR length(c.value::text) = 16
            AND c.value::text > '9007199254740991'))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = '"if" must name each key once, with a place',
            HINT = 'A place is the seq of the change that wrote the key last, 0 for one that must not exist: {"x":9}.';
    END IF;
    PERFORM parley.check_client(client);

    number := parley.hold_room(room);
    SELECT '{' || string_agg(to_json(c.key)::text || ':' || v.value, ',') || '}',
        '{' || string_agg(to_json(c.key)::text || ':' || COALESCE(v.seq, 0), ',') || '}'
    INTO found_values, found_versions
    FROM json_each_text(condition) c
    LEFT JOIN parley.room_value v ON v.room_no = number AND v.key = c.key
    HAVING bool_or(COALESCE(v.seq, 0) <> c.value::bigint);
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'PY006', MESSAGE = format('"if" did not hold in room %L', room),
            DETAIL = format('{"values":%s,"versions":%s}', COALESCE(found_values, '{}'), found_versions),
            HINT = 'Look at the values and versions in the detail, and decide anew.';
    END IF;
    SELECT COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0) INTO bytes
    FROM parley.room_value v WHERE v.room_no = number;
    SELECT bytes + COALESCE(sum(
        CASE WHEN s.value::text = 'null' THEN 0 ELSE octet_length(s.key) + octet_length(s.value::text) END
        - COALESCE(octet_length(v.key) + octet_length(v.value), 0)), 0)
    INTO bytes_after
    FROM json_each(news) s
    LEFT JOIN parley.room_value v ON v.room_no = number AND v.key = s.key;
    IF bytes_after > values_bytes_max AND bytes_after > bytes THEN
        RAISE EXCEPTION USING ERRCODE = 'PY005',
            MESSAGE = format(
                'the values of room %L would have %s bytes, more than %s', room, bytes_after, values_bytes_max),
            HINT = 'Remove keys by setting them to null, in this call or before it.';
    END IF;

    UPDATE parley.room r SET last_seq = r.last_seq + 1 WHERE r.room_no = number RETURNING r.last_seq INTO seq;
    DELETE FROM parley.room_value v
    USING json_each(news) s
    WHERE v.room_no = number AND v.key = s.key AND s.value::text = 'null';
    INSERT INTO parley.room_value AS v (room_no, key, value, seq)
    SELECT number, s.key, s.value::text, seq
    FROM json_each(news) s
    WHERE s.value::text <> 'null'
    ON CONFLICT ON CONSTRAINT room_value_pkey DO UPDATE SET value = EXCLUDED.value, seq = EXCLUDED.seq;
    INSERT INTO parley.update_log (room_no, last_seq, first_seq, at, tag, body)
    VALUES (number, seq, seq, clock_timestamp(), parley.random_tag(), parley.encoded_change(client, 'set', payload));
    PERFORM pg_notify('parley', '0:0 ' || number || ':' || seq || ':0');
    RETURN seq;
END
$$;

COMMENT ON FUNCTION parley.set_values IS
    'Sets keys of a room''s shared values with the caller''s transaction; null removes one. "if": for each key that '
    'it names, the place of the change that must have written it last, 0 when it must not exist; else PY006, with '
    'the values and versions of those keys as DETAIL. Returns the place of the change';

CREATE TABLE parley.room_edge_value (
    room_no bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    CONSTRAINT room_edge_value_pkey PRIMARY KEY (room_no, key),
    CONSTRAINT room_edge_value_is_in_a_room FOREIGN KEY (room_no) REFERENCES parley.room ON DELETE CASCADE
);

COMMENT ON TABLE parley.room_edge_value IS
    'The shared values of a room before first_seq: what the part of the log that was pruned came to. With it the '
    'log that is left rebuilds the values at every place that is kept';
COMMENT ON COLUMN parley.room_edge_value.value IS 'JSON, byte by byte as it was sent';

-- Of rooms that were pruned before this was noted it is known only where nothing has replaced the value since.
INSERT INTO parley.room_edge_value (room_no, key, value)
SELECT v.room_no, v.key, v.value
FROM parley.room_value v
JOIN parley.room r ON r.room_no = v.room_no
WHERE v.seq < r.first_seq;

-- Compiled, the statement would take longer than it saves.
CREATE FUNCTION parley.values_written(room_no bigint, up_to bigint) RETURNS TABLE (key text, value text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    SELECT DISTINCT ON (w.key) w.key, w.value
    FROM (
        SELECT u.first_seq + c.place - 1 AS seq, s.key, s.value::text
        FROM parley.update_log u
        CROSS JOIN LATERAL json_array_elements(('[' || u.body || ']')::json) WITH ORDINALITY c(change, place)
        CROSS JOIN LATERAL json_each(c.change -> 'set') s
        -- Unpacking is what costs, and a chunk without this text sets nothing.
        WHERE u.room_no = values_written.room_no AND u.first_seq <= up_to AND strpos(u.body, ',"set":') > 0
            AND u.last_seq <= COALESCE((
                SELECT min(e.last_seq) FROM parley.update_log e
                WHERE e.room_no = values_written.room_no AND e.last_seq >= up_to), up_to)
            AND u.first_seq + c.place - 1 <= up_to
    ) w
    ORDER BY w.key, w.seq DESC
$$;

COMMENT ON FUNCTION parley.values_written IS
    'What the log that is kept says of keys up to a place: the newest value of each, null for one that was removed';

CREATE FUNCTION parley.values_at(room text, seq bigint) RETURNS json
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    log record;
BEGIN
    SELECT r.room_no, r.first_seq, r.last_seq INTO log FROM parley.room r WHERE r.room_id = room;
    IF NOT FOUND THEN
        PERFORM parley.raise_no_room(room);
    END IF;
    IF seq IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'the place is NULL',
            HINT = 'A place is the seq of a change; 0 stands before the first.';
    END IF;
    IF seq NOT BETWEEN log.first_seq - 1 AND log.last_seq THEN
        RAISE EXCEPTION USING ERRCODE = 'PY008', MESSAGE = format('nothing is kept of place %s of room %L', seq, room),
            HINT = format('Its places go from %s to %s.', log.first_seq - 1, log.last_seq);
    END IF;
    RETURN (
        SELECT '{' || COALESCE(string_agg(to_json(v.key)::text || ':' || v.value, ',' ORDER BY v.key), '') || '}'
        FROM (
            SELECT key, COALESCE(w.value, e.value) AS value
            FROM parley.values_written(log.room_no, seq) w
            FULL JOIN (SELECT o.key, o.value FROM parley.room_edge_value o WHERE o.room_no = log.room_no) e USING (key)
        ) v
        WHERE v.value <> 'null');
END
$$;

COMMENT ON FUNCTION parley.values_at(text, bigint) IS
    'The shared values of a room as they were when the change at this place was its newest, rebuilt from the log. '
    'Also of a closed room, as long as it is kept';

CREATE FUNCTION parley.values_at(room text, at timestamptz) RETURNS json
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    log record;
    seq bigint;
BEGIN
    SELECT r.room_no, r.first_seq, r.edge_at INTO log FROM parley.room r WHERE r.room_id = room;
    IF NOT FOUND THEN
        PERFORM parley.raise_no_room(room);
    END IF;
    IF at IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'the moment is NULL', HINT = 'Give a timestamptz.';
    END IF;
    SELECT u.last_seq INTO seq
    FROM parley.update_log u
    WHERE u.room_no = log.room_no AND u.at <= values_at.at
    ORDER BY u.last_seq DESC
    LIMIT 1;
    IF seq IS NULL AND log.edge_at > at THEN
        RAISE EXCEPTION USING ERRCODE = 'PY008', MESSAGE = format('nothing is kept of room %L at %s', room, at),
            HINT = format('What is kept of it begins at %s.', log.edge_at);
    END IF;
    RETURN parley.values_at(room, COALESCE(seq, log.first_seq - 1));
END
$$;

COMMENT ON FUNCTION parley.values_at(text, timestamptz) IS
    'The shared values of a room as they were at a moment, by the clock of the database when each change was '
    'written. None before its first change';

CREATE OR REPLACE FUNCTION parley.prune_log(
    rooms_max integer, chunks_max integer, bytes_max integer, refused_max integer, age_min_ms integer,
    pause_min_ms integer, pause_max_ms integer
) RETURNS TABLE (rooms integer, chunks integer)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
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
        -- Who keeps the marks of the room at this moment has its checkpoint, and writes the same rows of members: the
        -- room waits for the next time, and its writers for nobody.
        PERFORM FROM parley.mark_checkpoint c WHERE c.room_no = number FOR NO KEY UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND AND EXISTS (SELECT FROM parley.mark_checkpoint c WHERE c.room_no = number);
        moment := clock_timestamp();
        SELECT r.last_seq, r.retain_messages, r.retain_seconds * interval '1 second' AS retain_age,
            COALESCE(r.edge_at, r.created_at) AS quiet_since
        INTO room FROM parley.room r WHERE r.room_no = number;

        -- The oldest chunks up to the first that is to be kept. A young one always is: its writer may not know yet that
        -- it was committed, and other nodes have yet to read it.
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
            PERFORM parley.note_marks(
                number,
                COALESCE((SELECT c.last_seq FROM parley.mark_checkpoint c WHERE c.room_no = number), 0),
                gone.last_seq, refused_max);
            INSERT INTO parley.room_edge_value AS v (room_no, key, value)
            SELECT number, w.key, w.value FROM parley.values_written(number, gone.last_seq) w
            ON CONFLICT ON CONSTRAINT room_edge_value_pkey DO UPDATE SET value = EXCLUDED.value;
            DELETE FROM parley.room_edge_value v WHERE v.room_no = number AND v.value = 'null';
            DELETE FROM parley.update_log u WHERE u.room_no = number AND u.last_seq <= gone.last_seq;
            chunks_left := chunks_left - gone.chunks;
            bytes_left := bytes_left - gone.bytes;
        END IF;

        -- When something may be over for the first time. Nothing tells of new changes, so a room by their number is
        -- looked at the less often the longer it has been quiet.
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

-- Administration --------------------------------------------------------------------------------------------------

CREATE FUNCTION parley.check_retention(messages bigint, seconds bigint) RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF messages < 1 OR seconds < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'a room keeps 1 message at least, and for 1 second',
            HINT = 'NULL, or nothing, keeps everything.';
    END IF;
END
$$;

COMMENT ON FUNCTION parley.check_retention IS
    'Raises PY004 unless a room can keep this many messages, and for so long';

CREATE FUNCTION parley.create_room(
    room text DEFAULT NULL, meta json DEFAULT NULL, retain_messages bigint DEFAULT NULL,
    retain_seconds bigint DEFAULT NULL, if_missing boolean DEFAULT false
) RETURNS text
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Without letters that look like others: 60 bits.
    letters constant text := '0123456789abcdefghjkmnpqrstvwxyz';
    random_bytes bytea := decode(replace(gen_random_uuid()::text, '-', ''), 'hex');
    id text := COALESCE(room, (
        -- Bytes 6 and 8 are not all random.
        SELECT string_agg(substr(letters, get_byte(random_bytes, b) % 32 + 1, 1), '')
        FROM unnest('{0,1,2,3,4,5,10,11,12,13,14,15}'::integer[]) b));
    payload text := btrim(meta::text, E' \t\n\r');
BEGIN
    IF NOT parley.is_public_id(id) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%L cannot be the id of a room', left(id, 80)),
            HINT = 'An id has 1 to 64 characters of A-Z a-z 0-9 . _ ~ - and is neither . nor ..; NULL gets one made.';
    END IF;
    IF meta IS NOT NULL THEN
        PERFORM parley.check_payload(payload, '"meta"', 8192, 100);
    END IF;
    IF json_typeof(meta) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = '"meta" must be a JSON object',
            HINT = 'For example {"topic":"tea"}.';
    END IF;
    PERFORM parley.check_retention(retain_messages, retain_seconds);
    INSERT INTO parley.room (room_id, tag, meta, retain_messages, retain_seconds)
    VALUES (id, parley.random_tag(), payload::json, retain_messages, retain_seconds)
    ON CONFLICT ON CONSTRAINT room_id_is_unique DO NOTHING;
    IF NOT FOUND AND if_missing IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'PY003', MESSAGE = format('there is a room %L already', id),
            HINT = 'With if_missing => true that is no error. The id of a closed room is taken for another day.';
    END IF;
    RETURN id;
END
$$;

COMMENT ON FUNCTION parley.create_room IS
    'Makes a room, which clients find when the caller''s transaction has committed. Returns its id: the one that '
    'was given, or one made of random letters. if_missing: also when there is one of this id already, which stays '
    'as it is';

CREATE FUNCTION parley.close_room(room text) RETURNS boolean
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
    steps integer;
    claim bigint;
    pointer text;
BEGIN
    BEGIN
        number := parley.hold_room(room);
    EXCEPTION
        WHEN SQLSTATE 'PY002' THEN
            RETURN false;
    END;
    WITH gone AS (
        SELECT m.session_no, row_number() OVER (ORDER BY m.session_no) AS step
        FROM parley.member m
        WHERE m.room_no = number AND m.left_at IS NULL
    ), left_now AS (
        UPDATE parley.member m
        SET roster_seq = r.roster_seq + g.step, claim = r.claim_seq + 1, left_at = now(), grace_until = NULL
        FROM gone g, parley.room r
        WHERE r.room_no = number AND m.room_no = number AND m.session_no = g.session_no
    )
    SELECT count(*) INTO steps FROM gone;
    UPDATE parley.room r
    SET roster_seq = r.roster_seq + steps, claim_seq = r.claim_seq + 1, member_count = 0, closed_at = clock_timestamp()
    WHERE r.room_no = number
    RETURNING number || ':' || r.last_seq || ':' || r.roster_seq, r.claim_seq INTO pointer, claim;
    PERFORM pg_notify('parley', '0:0 -' || number || ':' || claim || ':*');
    PERFORM pg_notify('parley', '0:0 ' || pointer);
    RETURN true;
END
$$;

COMMENT ON FUNCTION parley.close_room IS
    'Closes a room with the caller''s transaction: nothing more gets in, and nobody is a member any more. False '
    'when it was closed already. Its id stays taken for a day; then nodes remove all of it';

CREATE FUNCTION parley.remove_member(room text, client text) RETURNS boolean
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
    claim bigint;
    pointer text;
BEGIN
    IF client IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'the client is NULL',
            HINT = 'parley.members shows who is there.';
    END IF;
    number := parley.hold_room(room);
    UPDATE parley.member m
    SET roster_seq = r.roster_seq + 1, claim = r.claim_seq + 1, left_at = now(), grace_until = NULL
    FROM parley.room r, parley.session s
    WHERE r.room_no = number AND m.room_no = number AND m.left_at IS NULL AND s.session_no = m.session_no
        AND s.client_id = client;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The claim tells this membership from one that begins later.
    UPDATE parley.room r
    SET roster_seq = r.roster_seq + 1, claim_seq = r.claim_seq + 1, member_count = r.member_count - 1
    WHERE r.room_no = number
    RETURNING number || ':0:' || r.roster_seq, r.claim_seq INTO pointer, claim;
    -- Two, for a node that does not know the first must not lose the second. So the client hears of itself first.
    PERFORM pg_notify('parley', '0:0 -' || number || ':' || claim || ':' || client);
    PERFORM pg_notify('parley', '0:0 ' || pointer);
    RETURN true;
END
$$;

COMMENT ON FUNCTION parley.remove_member IS
    'Ends a membership with the caller''s transaction; the client may join again. False when it was no member';

CREATE FUNCTION parley.set_retention(room text, messages bigint DEFAULT NULL, seconds bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    PERFORM parley.check_retention(messages, seconds);
    number := parley.hold_room(room);
    UPDATE parley.room r
    SET retain_messages = messages, retain_seconds = seconds, prune_at = now()
    WHERE r.room_no = number;
END
$$;

COMMENT ON FUNCTION parley.set_retention IS
    'How many of a room''s newest changes are kept at least, and for how many seconds; NULL: no bound. What is '
    'beyond it goes soon after, by a node, or by parley.prune';

CREATE FUNCTION parley.drop_over(chunks_max integer, keys_max integer) RETURNS integer
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
    dropped integer;
    keys integer;
BEGIN
    -- The pruner's own lock: one at a time.
    IF NOT pg_try_advisory_xact_lock(1348563564, 1886549358) THEN
        RETURN 0;
    END IF;
    DELETE FROM parley.idempotency k
    WHERE (k.room_no, k.key) IN (
        SELECT o.room_no, o.key FROM parley.idempotency o
        WHERE o.kept_until < clock_timestamp()
        ORDER BY o.kept_until
        LIMIT keys_max);
    GET DIAGNOSTICS keys = ROW_COUNT;
    SELECT r.room_no INTO number FROM parley.room r
    WHERE r.closed_at < clock_timestamp() - interval '1 day'
    ORDER BY r.closed_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN keys;
    END IF;
    DELETE FROM parley.update_log u
    WHERE u.room_no = number AND u.last_seq IN (
        SELECT o.last_seq FROM parley.update_log o WHERE o.room_no = number ORDER BY o.last_seq LIMIT chunks_max);
    GET DIAGNOSTICS dropped = ROW_COUNT;
    IF dropped < chunks_max THEN
        DELETE FROM parley.room r WHERE r.room_no = number;
        dropped := dropped + 1;
    END IF;
    RETURN keys + dropped;
END
$$;

COMMENT ON FUNCTION parley.drop_over IS
    'For nodes: removes a part of what is over: of one room that was closed a day ago at most chunks_max chunks, at last the room, '
    'and at most keys_max keys. How many rows; 0 when nothing is left';

CREATE FUNCTION parley.prune(room text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    numbers bigint[];
    gone bigint;
    kept bigint;
    pruned integer;
BEGIN
    -- The pruner's own lock: nodes leave the work to whoever has it.
    PERFORM pg_advisory_xact_lock(1348563564, 1886549358);
    IF room IS NOT NULL AND NOT EXISTS (SELECT FROM parley.room r WHERE r.room_id = room) THEN
        PERFORM parley.raise_no_room(room);
    END IF;
    -- A room that somebody holds waits for the next time, here and below.
    numbers := ARRAY(
        SELECT r.room_no FROM parley.room r
        WHERE r.closed_at < clock_timestamp() - interval '1 day' AND (room IS NULL OR r.room_id = room)
        ORDER BY r.room_no FOR UPDATE SKIP LOCKED);
    WITH deleted AS (
        DELETE FROM parley.update_log u WHERE u.room_no = ANY (numbers)
        RETURNING u.last_seq - u.first_seq + 1 AS changes
    )
    SELECT COALESCE(sum(d.changes), 0) INTO gone FROM deleted d;
    DELETE FROM parley.room r WHERE r.room_no = ANY (numbers);

    numbers := ARRAY(
        SELECT r.room_no FROM parley.room r
        WHERE (r.retain_messages IS NOT NULL OR r.retain_seconds IS NOT NULL) AND (room IS NULL OR r.room_id = room)
        ORDER BY r.room_no FOR NO KEY UPDATE SKIP LOCKED);
    SELECT COALESCE(sum(r.last_seq - r.first_seq + 1), 0) INTO kept
    FROM parley.room r WHERE r.room_no = ANY (numbers);
    UPDATE parley.room r SET prune_at = '-infinity' WHERE r.room_no = ANY (numbers);
    WHILE EXISTS (SELECT FROM parley.room r WHERE r.room_no = ANY (numbers) AND r.prune_at <= clock_timestamp()) LOOP
        SELECT p.rooms INTO pruned FROM parley.prune_log(32, 4096, 16777216, 256, 60000, 5000, 3600000) p;
        EXIT WHEN pruned = 0;
    END LOOP;
    SELECT gone + kept - COALESCE(sum(r.last_seq - r.first_seq + 1), 0) INTO gone
    FROM parley.room r WHERE r.room_no = ANY (numbers);

    DELETE FROM parley.idempotency k
    USING parley.room r
    WHERE r.room_no = k.room_no AND (room IS NULL OR r.room_id = room) AND k.kept_until < clock_timestamp();
    RETURN gone;
END
$$;

COMMENT ON FUNCTION parley.prune IS
    'Removes now what is not to be kept, of one room or of all that nobody holds: the log beyond their retention, '
    'but nothing of the last minute, rooms that were closed a day ago, and keys that are over. Returns how many '
    'changes went. Nodes do the first by themselves';

-- The ways in -----------------------------------------------------------------------------------------------------

ALTER FUNCTION parley.messages(text, bigint, integer) SET search_path = pg_catalog, pg_temp;

-- Nobody has them who was not given them; who makes the grants decides who may speak as any client.
REVOKE ALL ON FUNCTION
    parley.publish(text, json, text, text), parley.publish_many(text, json[], text, text),
    parley.publish_to_rooms(text[], json[], text, text), parley.set_values(text, json, json, text),
    parley.values_at(text, bigint), parley.values_at(text, timestamptz),
    parley.create_room(text, json, bigint, bigint, boolean), parley.close_room(text), parley.remove_member(text, text),
    parley.set_retention(text, bigint, bigint), parley.prune(text)
FROM PUBLIC;
