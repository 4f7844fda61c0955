-- What the migrations make, as pg_dump writes it. Kept equal by a test; nothing reads it.
CREATE SCHEMA parley;

COMMENT ON SCHEMA parley IS 'Parley: real-time rooms. The views are for everyone; tables and functions belong to the nodes';

CREATE DOMAIN parley.json_object AS json
	CONSTRAINT json_object_is_an_object CHECK ((json_typeof(VALUE) = 'object'::text));

COMMENT ON DOMAIN parley.json_object IS 'JSON text of an object, kept as it came';

CREATE DOMAIN parley.public_id AS text COLLATE pg_catalog."C"
	CONSTRAINT public_id_is_1_to_64_safe_characters CHECK (((VALUE ~ '^[A-Za-z0-9._~-]{1,64}$'::text) AND (VALUE <> ALL (ARRAY['.'::text, '..'::text]))));

COMMENT ON DOMAIN parley.public_id IS 'The id of a room or a client, or the name of a rule: 1 to 64 characters that are safe in a URL';

CREATE DOMAIN parley.retention AS bigint
	CONSTRAINT retention_keeps_something CHECK ((VALUE > 0));

COMMENT ON DOMAIN parley.retention IS 'How many changes, or seconds, are kept: at least one';

CREATE TYPE parley.rule_input AS (
	client text,
	user_id text,
	message json,
	set json
);

COMMENT ON TYPE parley.rule_input IS 'What a rule is to judge: one message, or one set of shared values';

COMMENT ON COLUMN parley.rule_input.client IS 'The id of the client that sent it';

COMMENT ON COLUMN parley.rule_input.user_id IS 'The subject of its credential; NULL for an anonymous one';

COMMENT ON COLUMN parley.rule_input.message IS 'The message; NULL when it is a set';

COMMENT ON COLUMN parley.rule_input.set IS 'Keys and their new values, null for one that goes; NULL when it is a message';

CREATE TYPE parley.ruling AS (
	refusal text,
	message json,
	set json
);

COMMENT ON TYPE parley.ruling IS 'What a rule says of an input. All NULL, or no ruling at all: it is accepted as it came';

COMMENT ON COLUMN parley.ruling.refusal IS 'Not NULL: the input is refused, and its sender is told this';

COMMENT ON COLUMN parley.ruling.message IS 'The message that is written; NULL: the one that came, if one did';

COMMENT ON COLUMN parley.ruling.set IS 'The shared values that are set with it; NULL: those that came, if any';

CREATE FUNCTION parley.accept(message json DEFAULT NULL::json, set json DEFAULT NULL::json) RETURNS parley.ruling
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(NULL::text, message, set)::parley.ruling;

COMMENT ON FUNCTION parley.accept(message json, set json) IS 'For rules: the ruling that accepts an input: as it came, or with another message, or with shared values that are set';

CREATE FUNCTION parley.append_judged(writer bigint, writer_incarnation bigint, writer_epoch bigint, batch bigint, lease_ms integer, skip_locked boolean, values_bytes_max integer, room_nos bigint[], claims bigint[], tags integer[], refused text[], counts integer[], changes text[], sets text[], conditions text[]) RETURNS TABLE(ix integer, input integer, verdict "char", base bigint, claim bigint, values_now text, versions_now text, rule_us bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    locked bigint[];
    room bigint;
    id text;
    rule bigint;
    room_claim bigint;
    room_seq bigint;
    at bigint;
    bytes bigint;
    bytes_after bigint;
    bytes_max integer := COALESCE((SELECT s.values_bytes_max FROM parley.setting s), values_bytes_max);
    accepted text[];
    passed integer := 0;
    place integer;
    found_values text;
    found_versions text;
    refused_places integer[];
    rulings record;
    began timestamptz;
    ended timestamptz;
BEGIN
    UPDATE parley.writer w
    SET last_batch = batch, lease_until = clock_timestamp() + lease_ms * interval '1 ms'
    WHERE w.writer_no = writer AND w.incarnation = writer_incarnation AND w.epoch = writer_epoch
        AND w.dead_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT 0, 0, 'f'::"char", NULL::bigint, NULL::bigint, NULL::text, NULL::text,
        NULL::bigint;

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
        SELECT r.claim_seq, r.last_seq, r.room_id, r.rule_no INTO room_claim, room_seq, id, rule
        FROM parley.room r WHERE r.room_no = room;
        IF room_claim <> claims[i] THEN
            RETURN QUERY SELECT i, 0, 'm'::"char", NULL::bigint, room_claim, NULL::text, NULL::text, NULL::bigint;
            CONTINUE;
        END IF;
        at := room_seq;
        accepted := '{}';
        refused_places := '{}';
        began := NULL;
        IF rule IS NOT NULL THEN
            began := clock_timestamp();
            SELECT j.* INTO rulings
            FROM parley.judge_by_rule(
                room, id, rule, room_seq, bytes_max, changes[passed - counts[i] + 1:passed],
                conditions[passed - counts[i] + 1:passed]) j;
            ended := clock_timestamp();
            IF rulings.verdicts[1] IN ('l', 'o') THEN
                RETURN QUERY SELECT i, 0, rulings.verdicts[1], NULL::bigint, NULL::bigint, NULL::text, NULL::text,
                    NULL::bigint;
                CONTINUE;
            END IF;
            FOR n IN 1..counts[i] LOOP
                place := passed - counts[i] + n;
                IF rulings.verdicts[n] IN ('a', 'r') THEN
                    at := at + 1;
                    accepted := accepted || COALESCE(rulings.texts[n], changes[place]);
                ELSE
                    refused_places := refused_places || place;
                END IF;
                IF rulings.verdicts[n] <> 'a' THEN
                    RETURN QUERY SELECT i, n, rulings.verdicts[n], NULL::bigint, NULL::bigint, rulings.texts[n],
                        rulings.more[n], NULL::bigint;
                END IF;
            END LOOP;
        ELSE
            SELECT COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0) INTO bytes
            FROM parley.room_value v WHERE v.room_no = room;
            FOR n IN 1..counts[i] LOOP
                place := passed - counts[i] + n;
                IF sets[place] IS NOT NULL THEN
                    SELECT c.found_values, c.found_versions INTO found_values, found_versions
                    FROM parley.breach_of_condition(room, conditions[place]) c;
                    IF FOUND THEN
                        RETURN QUERY SELECT i, n, 'c'::"char", NULL::bigint, NULL::bigint, found_values, found_versions,
                            NULL::bigint;
                        refused_places := refused_places || place;
                        CONTINUE;
                    END IF;
                    SELECT bytes + COALESCE(sum(
                        CASE WHEN s.value::text = 'null' THEN 0 ELSE octet_length(s.key) + octet_length(s.value::text) END
                        - COALESCE(octet_length(v.key) + octet_length(v.value), 0)), 0)
                    INTO bytes_after
                    FROM json_each(sets[place]::json) s
                    LEFT JOIN parley.room_value v ON v.room_no = room AND v.key = s.key;
                    IF bytes_after > bytes_max AND bytes_after > bytes THEN
                        RETURN QUERY SELECT i, n, 't'::"char", NULL::bigint, NULL::bigint, NULL::text, NULL::text,
                            NULL::bigint;
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
        END IF;
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
                JOIN (
                    SELECT a.change::json ->> 'clientId' AS client_id, max((a.change::json ->> 'id')::bigint) AS id
                    FROM unnest(accepted) a(change)
                    WHERE refused_places <> '{}'
                    GROUP BY 1
                ) a ON a.client_id = q.client_id AND a.id > q.id
            )), ''), array_to_string(accepted, ','));
        END IF;
        RETURN QUERY SELECT i, 0, 'a'::"char", room_seq, NULL::bigint, NULL::text, NULL::text,
            (extract(epoch FROM ended - began) * 1000000)::bigint;
    END LOOP;
    -- A rule may have turned it off, also for what comes after this transaction.
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', false);
    END IF;
END
$$;

COMMENT ON FUNCTION parley.append_judged(writer bigint, writer_incarnation bigint, writer_epoch bigint, batch bigint, lease_ms integer, skip_locked boolean, values_bytes_max integer, room_nos bigint[], claims bigint[], tags integer[], refused text[], counts integer[], changes text[], sets text[], conditions text[]) IS 'For nodes: a batch of which each room holds inputs that are judged, or has a rule. A row for the fence, one for each room that was there and not locked, verdict a (accepted, with base, and how long its rule took), m (its claim has moved), l (its rule could not run, for another transaction was in the way) or o (too much for one row of the log), and one for each input that was not written as it came, verdict c (its condition did not hold), t (too large), x (refused by the rule, for the reason in values_now) or r (values_now is what the rule made of it). No row at all when the writer is fenced';

CREATE FUNCTION parley.apply_rule(room bigint, room_id text, function text, is_batch boolean, at bigint, passed integer, values_bytes_max integer, bytes_max integer, changes text[], OUT texts text[], OUT refusals text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_variable
DECLARE
    inputs parley.rule_input[];
    ruling parley.ruling;
    rulings parley.ruling[];
    current jsonb;
    bytes bigint;
    bytes_after bigint;
    news json;
    sets json[] := '{}';
    seqs bigint[] := '{}';
    taken integer := 0;
    length_after bigint := 0;
BEGIN
    SELECT COALESCE(jsonb_object_agg(v.key, v.value::jsonb), '{}'),
        COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0)
    INTO current, bytes
    FROM parley.room_value v WHERE v.room_no = room;
    -- What a table checks at the end of a transaction would else run as the node, in nobody's time.
    SET CONSTRAINTS ALL IMMEDIATE;
    inputs := ARRAY(
        SELECT ROW(c.change ->> 'clientId', c.change ->> 'userId', c.change -> 'message', c.change -> 'set')::parley.rule_input
        FROM (SELECT q.change::json AS change, q.ix FROM unnest(changes) WITH ORDINALITY q(change, ix)) c
        ORDER BY c.ix);
    IF is_batch THEN
        EXECUTE format('SELECT %s($1, $2, $3)', function) INTO rulings USING room_id, current, inputs;
        -- An array may begin anywhere and have more dimensions than one.
        rulings := ARRAY(SELECT r FROM unnest(rulings) r);
        IF cardinality(rulings) IS DISTINCT FROM cardinality(inputs) THEN
            RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = format(
                '%s gave %s rulings for %s inputs', function, COALESCE(cardinality(rulings)::text, 'NULL'),
                cardinality(inputs));
        END IF;
    END IF;
    FOR n IN 1..cardinality(inputs) LOOP
        IF is_batch THEN
            ruling := rulings[n];
        ELSE
            EXECUTE format('SELECT * FROM %s($1, $2, $3)', function) INTO ruling USING room_id, current, inputs[n];
        END IF;
        refusals[n] := ruling.refusal;
        CONTINUE WHEN ruling.refusal IS NOT NULL;
        taken := taken + 1;
        IF ruling.message IS NOT NULL THEN
            PERFORM parley.check_payload(btrim(ruling.message::text, E' \t\n\r'), 'the message of the rule', 32768, 100)
            WHERE parley.is_plain_payload(ruling.message::text, 32768) IS NOT TRUE;
        END IF;
        news := COALESCE(ruling.set, (inputs[n]).set);
        IF ruling.set IS NOT NULL THEN
            IF json_typeof(news) <> 'object' OR (
                SELECT count(DISTINCT k) <> count(*) FROM json_object_keys(news) k)
            THEN
                RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = 'the set of the rule is no object that has each key once';
            END IF;
            PERFORM parley.check_keys(news, 'the set of the rule');
            PERFORM parley.check_payload(btrim(news::text, E' \t\n\r'), 'the set of the rule', values_bytes_max, 101)
            WHERE parley.is_plain_payload(news::text, values_bytes_max) IS NOT TRUE;
        END IF;
        IF news IS NOT NULL THEN
            sets := sets || news;
            seqs := seqs || (at + passed + taken);
            IF NOT is_batch AND n < cardinality(inputs) THEN
                current := current || news::jsonb;
                -- Each of these copies all values.
                IF strpos(news::text, 'null') > 0 THEN
                    current := current - ARRAY(SELECT s.key FROM json_each(news) s WHERE s.value::text = 'null');
                END IF;
            END IF;
        END IF;
        IF ruling.message IS NOT NULL OR ruling.set IS NOT NULL THEN
            texts[n] := parley.change_of_ruling(
                changes[n]::json, COALESCE(ruling.message, (inputs[n]).message), NULLIF(news::text, '{}')::json);
        END IF;
        length_after := length_after + octet_length(COALESCE(texts[n], changes[n])) + 1;
    END LOOP;
    IF length_after > bytes_max THEN
        RAISE EXCEPTION USING ERRCODE = 'PY101', MESSAGE = 'too much for one row of the log';
    END IF;
    -- Unless it has put that off itself.
    SET CONSTRAINTS ALL IMMEDIATE;
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = format('%s forbade the transaction to write', function);
    END IF;
    -- What it publishes into its own room would stand before what it judges, at the same places.
    IF (SELECT r.last_seq <> at FROM parley.room r WHERE r.room_no = room) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = format('%s wrote into the room that it judges', function);
    END IF;
    IF cardinality(sets) = 0 THEN
        RETURN;
    END IF;
    WITH news AS MATERIALIZED (
        SELECT DISTINCT ON (s.key) s.key, s.value::text AS value, q.seq
        FROM unnest(sets, seqs) q(set, seq)
        CROSS JOIN LATERAL json_each(q.set) s
        ORDER BY s.key, q.seq DESC
    ), removed AS (
        DELETE FROM parley.room_value v USING news w WHERE v.room_no = room AND v.key = w.key AND w.value = 'null'
    )
    INSERT INTO parley.room_value AS v (room_no, key, value, seq)
    SELECT room, w.key, w.value, w.seq FROM news w WHERE w.value <> 'null'
    ON CONFLICT ON CONSTRAINT room_value_pkey DO UPDATE SET value = EXCLUDED.value, seq = EXCLUDED.seq;
    SELECT COALESCE(sum(octet_length(v.key) + octet_length(v.value)), 0) INTO bytes_after
    FROM parley.room_value v WHERE v.room_no = room;
    IF bytes_after > values_bytes_max AND bytes_after > bytes THEN
        RAISE EXCEPTION USING ERRCODE = 'PY100', MESSAGE = 'the values would be too large';
    END IF;
END
$_$;

COMMENT ON FUNCTION parley.apply_rule(room bigint, room_id text, function text, is_batch boolean, at bigint, passed integer, values_bytes_max integer, bytes_max integer, changes text[], OUT texts text[], OUT refusals text[]) IS 'For nodes: asks a room''s rule, whose newest change is at, what it says of these changes, before which passed ones were accepted, and sets the values. For each change a text when it is another one now, and a refusal when it is not to be written. Raises what the rule raises, and when anything is too large';

CREATE TABLE parley.room_value (
    room_no bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE parley.room_value IS 'What the log comes to: the newest value of each key. Changed only under the lock on the row of the room';

COMMENT ON COLUMN parley.room_value.room_no IS 'The room';

COMMENT ON COLUMN parley.room_value.key IS 'The key, as text';

COMMENT ON COLUMN parley.room_value.value IS 'JSON, byte by byte as it was sent';

COMMENT ON COLUMN parley.room_value.seq IS 'Place of the change that wrote it';

CREATE FUNCTION parley.breach_of_condition(room bigint, condition text, OUT found_values text, OUT found_versions text) RETURNS SETOF record
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (('{'::text || COALESCE(string_agg((((to_json(c.key))::text || ':'::text) || v.value), ','::text), ''::text)) || '}'::text),
     (('{'::text || COALESCE(string_agg((((to_json(c.key))::text || ':'::text) || COALESCE(v.seq, (0)::bigint)), ','::text), ''::text)) || '}'::text)
    FROM (json_each_text((breach_of_condition.condition)::json) c(key, value)
      LEFT JOIN parley.room_value v ON (((v.room_no = breach_of_condition.room) AND (v.key = c.key))))
  HAVING bool_or((COALESCE(v.seq, (0)::bigint) <> (c.value)::bigint));
END;

COMMENT ON FUNCTION parley.breach_of_condition(room bigint, condition text, OUT found_values text, OUT found_versions text) IS 'For nodes: the values and versions of the keys that a condition names, if it does not hold; else, and for NULL, no row';

CREATE FUNCTION parley.change_members(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, skip_locked boolean, room_nos bigint[], room_ids text[], session_keys bytea[], client_ids text[], user_ids text[], profiles text[], sockets bigint[]) RETURNS TABLE(ix integer, outcome "char", room_no bigint, claim bigint, step bigint, roster_seq bigint, member_count integer, was_known boolean, client_id text, user_id text, batch bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
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

COMMENT ON FUNCTION parley.change_members(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, skip_locked boolean, room_nos bigint[], room_ids text[], session_keys bytea[], client_ids text[], user_ids text[], profiles text[], sockets bigint[]) IS 'For nodes: joins (room_ids given) and leaves (room_nos given) as one batch, each session at most once in a room. One row for each, in order: outcome d (done), o (nothing done: a newer socket has the session), l (locked by another transaction) or g (room gone); no row at all when the writer is fenced. step is NULL when nothing changed';

CREATE FUNCTION parley.change_of_ruling(change json, message json, set json) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN (('{'::text || concat_ws(','::text, ('"clientId":'::text || ((change -> 'clientId'::text))::text), ('"id":'::text || ((change -> 'id'::text))::text), ('"userId":'::text || ((change -> 'userId'::text))::text), ('"at":'::text || ((change -> 'at'::text))::text), ('"message":'::text || btrim((message)::text, ' 	
'::text)), ('"set":'::text || btrim((set)::text, ' 	
'::text)))) || '}'::text);

COMMENT ON FUNCTION parley.change_of_ruling(change json, message json, set json) IS 'For nodes: a change with what a rule made of it, encoded as nodes encode one';

CREATE FUNCTION parley.check_client(client text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT parley.is_public_id(client) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%L cannot be the id of a client', left(client, 80)),
            HINT = 'An id has 1 to 64 characters of A-Z a-z 0-9 . _ ~ - and is neither . nor ..; NULL stands for '
                'no client.';
    END IF;
END
$$;

COMMENT ON FUNCTION parley.check_client(client text) IS 'Raises PY004 unless this can be the id of a client, or is NULL';

CREATE FUNCTION parley.check_keys(news json, name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- As for sockets. An index holds no more than 2,700.
    bytes_max constant integer := 1024;
    long text := (SELECT k FROM json_object_keys(news) k WHERE octet_length(k) > bytes_max LIMIT 1);
BEGIN
    IF long IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PY005',
            MESSAGE = format('the key %L… in %s has %s bytes, more than %s', left(long, 40), name, octet_length(long), bytes_max),
            HINT = 'A key is a name: put what is long into the value.';
    END IF;
END
$$;

COMMENT ON FUNCTION parley.check_keys(news json, name text) IS 'Raises PY005 unless the keys of a set are as short as those of sockets have to be';

CREATE FUNCTION parley.check_payload(payload text, name text, bytes_max integer, depth_max integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
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

COMMENT ON FUNCTION parley.check_payload(payload text, name text, bytes_max integer, depth_max integer) IS 'Raises PY004 or PY005 unless JSON text is allowed as a payload: the same rules as for what comes by sockets';

CREATE FUNCTION parley.check_retention(messages bigint, seconds bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.check_retention(messages bigint, seconds bigint) IS 'Raises PY004 unless a room can keep this many messages, and for so long';

CREATE FUNCTION parley.clear_dead_node(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, members_max integer) RETURNS TABLE(batch bigint, room_no bigint, roster_seq bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
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

COMMENT ON FUNCTION parley.clear_dead_node(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, members_max integer) IS 'For nodes: ends memberships of one dead node whose grace is over, about members_max in one call. A row for each room that has changed and one without a room; no row at all when the writer is fenced';

CREATE FUNCTION parley.close_room(room text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.close_room(room text) IS 'Closes a room with the caller''s transaction: nothing more gets in, and nobody is a member any more. False when it was closed already. Its id stays taken for a day; then nodes remove all of it';

CREATE FUNCTION parley.create_room(room text DEFAULT NULL::text, meta json DEFAULT NULL::json, retain_messages bigint DEFAULT NULL::bigint, retain_seconds bigint DEFAULT NULL::bigint, if_missing boolean DEFAULT false, rule text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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
    number bigint;
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
    IF rule IS NOT NULL THEN
        SELECT r.rule_no INTO number FROM parley.rule r WHERE r.name = rule FOR KEY SHARE;
        IF NOT FOUND THEN
            PERFORM parley.raise_no_rule(rule);
        END IF;
    END IF;
    INSERT INTO parley.room (room_id, tag, meta, retain_messages, retain_seconds, rule_no)
    VALUES (id, parley.random_tag(), payload::json, retain_messages, retain_seconds, number)
    ON CONFLICT ON CONSTRAINT room_id_is_unique DO NOTHING;
    IF NOT FOUND AND if_missing IS TRUE AND EXISTS (
        SELECT FROM parley.room r WHERE r.room_id = id AND r.closed_at IS NOT NULL)
    THEN
        PERFORM parley.raise_no_room(id);
    ELSIF NOT FOUND AND if_missing IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'PY003', MESSAGE = format('there is a room %L already', id),
            HINT = 'With if_missing => true that is no error. The id of a closed room is taken for another day.';
    END IF;
    RETURN id;
END
$$;

COMMENT ON FUNCTION parley.create_room(room text, meta json, retain_messages bigint, retain_seconds bigint, if_missing boolean, rule text) IS 'Makes a room, which clients find when the caller''s transaction has committed. Returns its id: the one that was given, or one made of random letters. if_missing: also when there is one of this id already, which stays as it is. rule: the name of the rule that judges what sockets say in it';

CREATE FUNCTION parley.create_rule(name text, function regproc) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
DECLARE
    shape constant text := 'Declare it (room text, "values" jsonb, input parley.rule_input) RETURNS parley.ruling, or '
        '(room text, "values" jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[].';
    called record;
    caller name;
BEGIN
    IF NOT COALESCE(parley.is_public_id(name), false) THEN
        RAISE EXCEPTION USING ERRCODE = 'PY004', MESSAGE = format('%L cannot be the name of a rule', left(name, 80)),
            HINT = 'A name has 1 to 64 characters of A-Z a-z 0-9 . _ ~ - and is neither . nor ...';
    END IF;
    SELECT p.oid, n.nspname AS schema, p.proname AS name, pg_get_userbyid(p.proowner) AS owner,
        p.prosecdef AS is_definer, p.prokind, p.provariadic, p.proretset AS is_set,
        p.oid::regprocedure::text AS shown, p.proargtypes::oid[] AS arguments, p.prorettype::oid AS result,
        EXISTS (SELECT FROM unnest(p.proconfig) c(setting) WHERE c.setting LIKE 'search_path=%') AS has_path
    INTO called
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid = function;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = 'there is no such function', HINT = shape;
    END IF;
    IF called.prokind <> 'f' OR called.is_set OR called.provariadic <> 0 OR (called.arguments[0:2], called.result) NOT IN (
        (ARRAY['text'::regtype, 'jsonb'::regtype, 'parley.rule_input'::regtype]::oid[], 'parley.ruling'::regtype::oid),
        (ARRAY['text'::regtype, 'jsonb'::regtype, 'parley.rule_input[]'::regtype]::oid[], 'parley.ruling[]'::regtype::oid))
        OR cardinality(called.arguments) <> 3
    THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = format('function %s cannot be a rule', called.shown),
            HINT = shape;
    END IF;
    IF NOT called.is_definer OR NOT called.has_path THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010',
            MESSAGE = format('function %s does not run as its owner, with a search path of its own', called.shown),
            HINT = format(
                'ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', called.shown, called.schema);
    END IF;
    -- Nodes call it.
    SELECT g.role INTO caller
    FROM parley.granted_role g
    JOIN pg_roles r ON r.rolname = g.role
    WHERE g.kind = 'node' AND NOT (
        has_schema_privilege(r.oid, called.schema, 'USAGE') AND has_function_privilege(r.oid, called.oid, 'EXECUTE'))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'PY010', MESSAGE = format('%s may not call function %s', caller, called.shown),
            HINT = format('GRANT USAGE ON SCHEMA %I TO %I; GRANT EXECUTE ON FUNCTION %s TO %I', called.schema, caller,
                called.shown, caller);
    END IF;
    INSERT INTO parley.rule AS r (name, function_schema, function_name, function_owner, is_batch)
    VALUES (name, called.schema, called.name, called.owner, called.result = 'parley.ruling[]'::regtype)
    ON CONFLICT ON CONSTRAINT rule_name_is_unique DO UPDATE
    SET function_schema = EXCLUDED.function_schema, function_name = EXCLUDED.function_name,
        function_owner = EXCLUDED.function_owner, is_batch = EXCLUDED.is_batch;
END
$$;

COMMENT ON FUNCTION parley.create_rule(name text, function regproc) IS 'Makes a function a rule that rooms can be created with; a rule of this name gets the function, also in rooms that have it. The function is (room text, "values" jsonb, input parley.rule_input) RETURNS parley.ruling, or judges many inputs at once: (room text, "values" jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[]';

CREATE FUNCTION parley.drop_over(chunks_max integer, keys_max integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.drop_over(chunks_max integer, keys_max integer) IS 'For nodes: removes a part of what is over: of one room that was closed a day ago at most chunks_max chunks, at last the room, and at most keys_max keys. How many rows; 0 when nothing is left';

CREATE FUNCTION parley.drop_rule(name text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
DECLARE
    number bigint;
    room text;
BEGIN
    SELECT r.rule_no INTO number FROM parley.rule r WHERE r.name = drop_rule.name FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT r.room_id INTO room FROM parley.room r WHERE r.rule_no = number LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'PY011', MESSAGE = format('room %L has the rule %L', room, name),
            HINT = 'A room keeps its rule until it is gone, a day after it was closed. parley.create_rule(name, function) '
                'gives the rule another function.';
    END IF;
    DELETE FROM parley.rule r WHERE r.rule_no = number;
    RETURN true;
END
$$;

COMMENT ON FUNCTION parley.drop_rule(name text) IS 'Removes a rule that no room has. False when there was none of this name';

CREATE FUNCTION parley.encoded_change(client text, content text, payload text) RETURNS text
    LANGUAGE sql
    RETURN concat('{', (('"clientId":"'::text || client) || '",'::text), '"at":', (floor((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric)))::bigint, ',"', content, '":', payload, '}');

COMMENT ON FUNCTION parley.encoded_change(client text, content text, payload text) IS 'A change as it stands in the log, byte by byte as nodes write one without an id; content is message or set';

CREATE FUNCTION parley.hold_room(room text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.hold_room(room text) IS 'Takes the lock on the row of an open room until the transaction ends, and returns its room_no';

CREATE TABLE parley.rule (
    rule_no bigint NOT NULL,
    name parley.public_id NOT NULL,
    function_schema name NOT NULL,
    function_name name NOT NULL,
    is_batch boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    function_owner name NOT NULL
);

COMMENT ON TABLE parley.rule IS 'Rules that rooms can have. The function by its name: a column that refers to it would be in the way of pg_upgrade';

COMMENT ON COLUMN parley.rule.rule_no IS 'What rooms refer to it by';

COMMENT ON COLUMN parley.rule.name IS 'The name by which rooms are created with it';

COMMENT ON COLUMN parley.rule.function_schema IS 'Where its function is';

COMMENT ON COLUMN parley.rule.function_name IS 'Its function';

COMMENT ON COLUMN parley.rule.is_batch IS 'The function judges many inputs in one call';

COMMENT ON COLUMN parley.rule.created_at IS 'When it was made';

COMMENT ON COLUMN parley.rule.function_owner IS 'Who owned the function when it was made the rule: whoever gives the rule is trusted, a later owner is not';

CREATE FUNCTION parley.hold_rule(name text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT r.rule_no
    FROM parley.rule r
   WHERE ((r.name)::text = hold_rule.name)
  FOR KEY SHARE OF r;
END;

COMMENT ON FUNCTION parley.hold_rule(name text) IS 'For nodes: the number of a rule, which stays until the transaction ends; NULL when there is none of this name';

CREATE TABLE parley.node (
    node_no bigint NOT NULL,
    incarnation bigint DEFAULT 1 NOT NULL,
    name text NOT NULL,
    address text,
    version text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    dead_at timestamp with time zone,
    grace_ms integer DEFAULT 15000 NOT NULL,
    cleared_at timestamp with time zone,
    lease_ms integer,
    CONSTRAINT node_name_is_1_to_64_bytes CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 64)))
);

COMMENT ON TABLE parley.node IS 'One row for each server process that ever ran';

COMMENT ON COLUMN parley.node.node_no IS 'Number of the process; a restarted one has another';

COMMENT ON COLUMN parley.node.incarnation IS 'Raised when a node that was declared dead comes back';

COMMENT ON COLUMN parley.node.name IS 'As configured';

COMMENT ON COLUMN parley.node.address IS 'Where it can be reached, as configured';

COMMENT ON COLUMN parley.node.version IS 'Version of Parley';

COMMENT ON COLUMN parley.node.started_at IS 'When it registered';

COMMENT ON COLUMN parley.node.dead_at IS 'When it ended, or was declared dead by another node';

COMMENT ON COLUMN parley.node.grace_ms IS 'How long its members stay after it is dead, milliseconds';

COMMENT ON COLUMN parley.node.cleared_at IS 'When it was dead and had no members left; a day later its row goes';

COMMENT ON COLUMN parley.node.lease_ms IS 'How long it may be silent, milliseconds; NULL of nodes that did not say';

CREATE TABLE parley.session (
    session_no bigint NOT NULL,
    session_key bytea NOT NULL,
    client_id parley.public_id NOT NULL,
    user_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    node_no bigint,
    socket_no bigint DEFAULT 0 NOT NULL,
    joined_no bigint DEFAULT '-1'::integer NOT NULL,
    lost_at timestamp with time zone,
    opened_ms bigint DEFAULT 0 NOT NULL,
    CONSTRAINT session_key_has_16_bytes CHECK ((octet_length(session_key) = 16))
)
WITH (fillfactor='70');

COMMENT ON TABLE parley.session IS 'A client that has joined a room, or come back, at least once';

COMMENT ON COLUMN parley.session.session_no IS 'What tables refer to it by';

COMMENT ON COLUMN parley.session.session_key IS 'Secret: what the signed token of the session names';

COMMENT ON COLUMN parley.session.client_id IS 'The client, as others see it';

COMMENT ON COLUMN parley.session.user_id IS 'The subject of the credential with which the session began';

COMMENT ON COLUMN parley.session.created_at IS 'When it first joined a room, or came back';

COMMENT ON COLUMN parley.session.node_no IS 'The node that has its newest socket, or had it last';

COMMENT ON COLUMN parley.session.socket_no IS 'Number of its newest socket, 0 for the one with which it began. Rises with each that takes the session up, and is at least the milliseconds since 1970 then: so it rises also when a failover has lost the newest ones';

COMMENT ON COLUMN parley.session.joined_no IS 'The newest of its sockets that has joined a room: its client has heard of that socket, and has its token';

COMMENT ON COLUMN parley.session.lost_at IS 'When that socket ended; noted when the session did not come back in time. NULL before, and of a node that died';

COMMENT ON COLUMN parley.session.opened_ms IS 'When its newest socket was opened at the earliest, milliseconds since 1970 as its node reckoned the database''s clock; 0 for the one with which it began, and when the node did not know';

CREATE FUNCTION parley.is_elsewhere(session bigint, node bigint) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (EXISTS (SELECT FROM (parley.session s JOIN parley.node n ON ((n.node_no = s.node_no))) WHERE ((s.session_no = is_elsewhere.session) AND (s.node_no <> is_elsewhere.node) AND ((n.dead_at IS NULL) OR ((n.dead_at + ((n.grace_ms)::double precision * '00:00:00.001'::interval)) > clock_timestamp())))));

COMMENT ON FUNCTION parley.is_elsewhere(session bigint, node bigint) IS 'For nodes: whether a session has gone from a node to one that lives, or whose members have their grace still';

CREATE FUNCTION parley.is_plain_payload(payload text, bytes_max integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((octet_length(payload) <= bytes_max) AND (strpos(payload, '\u'::text) = 0) AND (payload !~ '[eE][-+]?[0-9]{3}|[-+.0-9eE]{65}'::text) AND ((octet_length(payload) <= 200) OR ((length(payload) - length(translate(payload, '[{'::text, ''::text))) <= 100)));

COMMENT ON FUNCTION parley.is_plain_payload(payload text, bytes_max integer) IS 'Whether JSON text is allowed as a payload at first glance, as nearly all is. What is not may be allowed all the same: parley.check_payload says';

CREATE FUNCTION parley.is_public_id(id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((id ~ '^[A-Za-z0-9._~-]{1,64}$'::text) AND (id <> ALL (ARRAY['.'::text, '..'::text])));

COMMENT ON FUNCTION parley.is_public_id(id text) IS 'Whether a room or a client can have this id; NULL for NULL';

CREATE FUNCTION parley.judge_by_rule(room bigint, room_id text, rule bigint, at bigint, values_bytes_max integer, changes text[], conditions text[], OUT verdicts "char"[], OUT texts text[], OUT more text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
DECLARE
    -- Of one row of the log: half a frame.
    bytes_max constant integer := 524288;
    name text;
    function text;
    is_batch boolean;
    answer record;
    passed integer := 0;
    length_before integer := 0;
    failure text;
BEGIN
    -- Looked at each time: its owner may have made something else of the function, or somebody else one of this name.
    SELECT r.name, format('%I.%I', r.function_schema, r.function_name), r.is_batch INTO name, function, is_batch
    FROM parley.rule r
    JOIN pg_namespace n ON n.nspname = r.function_schema
    JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = r.function_name AND p.prosecdef AND p.prokind = 'f'
        AND pg_get_userbyid(p.proowner) = r.function_owner
        AND NOT p.proretset AND p.prorettype =
            CASE WHEN r.is_batch THEN 'parley.ruling[]'::regtype ELSE 'parley.ruling'::regtype END
        AND p.proargtypes = parley.rule_arguments(r.is_batch)
    WHERE r.rule_no = rule;
    IF NOT FOUND THEN
        RAISE WARNING 'the function of the rule of room % is gone, has another owner, or does not run as its owner any '
            'more: parley.create_rule gives the rule a function', room_id;
        verdicts := array_fill('x'::"char", ARRAY[cardinality(changes)]);
        texts := array_fill('the room''s rule is gone'::text, ARRAY[cardinality(changes)]);
        RETURN;
    END IF;

    -- All at once, as nearly always.
    IF cardinality(array_remove(conditions, NULL)) = 0 THEN
        BEGIN
            SELECT a.* INTO answer
            FROM parley.apply_rule(room, room_id, function, is_batch, at, 0, values_bytes_max, bytes_max, changes) a;
            FOR n IN 1..cardinality(changes) LOOP
                verdicts[n] := CASE
                    WHEN answer.refusals[n] IS NOT NULL THEN 'x' WHEN answer.texts[n] IS NOT NULL THEN 'r' ELSE 'a' END;
                texts[n] := COALESCE(left(answer.refusals[n], 500), answer.texts[n]);
            END LOOP;
            RETURN;
        EXCEPTION
            -- Another transaction was in the way of the rule: the room tries again.
            WHEN deadlock_detected OR serialization_failure OR lock_not_available THEN
                verdicts := ARRAY['l'::"char"];
                RETURN;
            WHEN SQLSTATE 'PY101' THEN
                verdicts := CASE WHEN cardinality(changes) > 1 THEN ARRAY['o'::"char"] ELSE '{}' END;
                texts := '{}';
                IF cardinality(verdicts) = 1 THEN
                    RETURN;
                END IF;
            WHEN OTHERS OR assert_failure THEN
                verdicts := '{}';
                texts := '{}';
        END;
    END IF;

    -- One by one, so that one of them is refused and not all.
    BEGIN
        FOR n IN 1..cardinality(changes) LOOP
            SELECT c.found_values, c.found_versions INTO answer FROM parley.breach_of_condition(room, conditions[n]) c;
            IF FOUND THEN
                verdicts[n] := 'c';
                texts[n] := answer.found_values;
                more[n] := answer.found_versions;
                CONTINUE;
            END IF;
            BEGIN
                SELECT a.texts[1] AS text, a.refusals[1] AS refusal INTO answer
                FROM parley.apply_rule(
                    room, room_id, function, is_batch, at, passed, values_bytes_max, bytes_max - length_before,
                    changes[n:n]) a;
                verdicts[n] := CASE
                    WHEN answer.refusal IS NOT NULL THEN 'x' WHEN answer.text IS NOT NULL THEN 'r' ELSE 'a' END;
                texts[n] := COALESCE(left(answer.refusal, 500), answer.text);
                IF answer.refusal IS NULL THEN
                    passed := passed + 1;
                    length_before := length_before + octet_length(COALESCE(answer.text, changes[n])) + 1;
                END IF;
            EXCEPTION
                WHEN deadlock_detected OR serialization_failure OR lock_not_available THEN
                    -- Then nothing of the room is done, nor what was judged before this.
                    RAISE EXCEPTION USING ERRCODE = 'PY102', MESSAGE = 'another transaction is in the way of the rule';
                WHEN SQLSTATE 'PY100' THEN
                    verdicts[n] := 't';
                WHEN SQLSTATE 'PY101' THEN
                    IF cardinality(changes) > 1 THEN
                        RAISE EXCEPTION USING ERRCODE = 'PY103', MESSAGE = 'too much for one row of the log';
                    END IF;
                    verdicts[n] := 'x';
                    texts[n] := 'the room''s rule makes too much of this';
                WHEN OTHERS OR assert_failure THEN
                    failure := COALESCE(failure, format('%s (%s)', SQLERRM, SQLSTATE));
                    verdicts[n] := 'x';
                    texts[n] := 'the room''s rule failed';
            END;
        END LOOP;
    EXCEPTION
        WHEN SQLSTATE 'PY102' THEN
            verdicts := ARRAY['l'::"char"];
            RETURN;
        WHEN SQLSTATE 'PY103' THEN
            verdicts := ARRAY['o'::"char"];
            RETURN;
    END;
    IF failure IS NOT NULL THEN
        RAISE WARNING 'rule % failed in room %: %', name, room_id, failure;
    END IF;
END
$$;

COMMENT ON FUNCTION parley.judge_by_rule(room bigint, room_id text, rule bigint, at bigint, values_bytes_max integer, changes text[], conditions text[], OUT verdicts "char"[], OUT texts text[], OUT more text[]) IS 'For nodes: what a room''s rule says of changes, one after another, with their values set. A verdict for each: a (written as it came), r (written as this text), x (refused for this reason), c (its condition did not hold: values and versions), t (values too large). Or one alone, and nothing was done: l, for another transaction was in the way of the rule, or o, for the changes together would be too much for one row of the log';

CREATE FUNCTION parley.keep_marks(room bigint, changes_min integer, chunks_max integer, bytes_max integer, refused_max integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.keep_marks(room bigint, changes_min integer, chunks_max integer, bytes_max integer, refused_max integer) IS 'For nodes: brings the marks of a room forward, when changes_min or more have come, by at most chunks_max chunks and about bytes_max bytes. Whether as many are left';

CREATE TABLE parley.room (
    room_no bigint NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    first_seq bigint DEFAULT 1 NOT NULL,
    claim_seq bigint DEFAULT 0 NOT NULL,
    roster_seq bigint DEFAULT 0 NOT NULL,
    member_count integer DEFAULT 0 NOT NULL,
    tag integer NOT NULL,
    room_id parley.public_id NOT NULL,
    meta parley.json_object,
    retain_messages parley.retention,
    retain_seconds parley.retention,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    edge_at timestamp with time zone,
    edge_tag integer,
    prune_at timestamp with time zone DEFAULT now() NOT NULL,
    rule_no bigint,
    CONSTRAINT room_keeps_a_range_of_its_log CHECK (((first_seq >= 1) AND (last_seq >= (first_seq - 1)))),
    CONSTRAINT room_member_count_is_not_negative CHECK ((member_count >= 0))
)
WITH (fillfactor='50');

COMMENT ON TABLE parley.room IS 'One row for each room. Half of each page stays free and no index holds a counter, so that updates are HOT, except for those of the pruner';

COMMENT ON COLUMN parley.room.room_no IS 'What tables refer to it by';

COMMENT ON COLUMN parley.room.last_seq IS 'Place of the newest change; changes are numbered without gaps from 1';

COMMENT ON COLUMN parley.room.first_seq IS 'Place of the oldest change still kept; last_seq + 1 when there is none';

COMMENT ON COLUMN parley.room.claim_seq IS 'Raised when a member is taken over from another node: a batch that still carries the former value is refused';

COMMENT ON COLUMN parley.room.roster_seq IS 'Number of the newest step of the roster; steps have no gaps';

COMMENT ON COLUMN parley.room.member_count IS 'Members now';

COMMENT ON COLUMN parley.room.tag IS 'Random: tells this room from another one made later under the same room_id';

COMMENT ON COLUMN parley.room.room_id IS 'The name by which clients join it';

COMMENT ON COLUMN parley.room.meta IS 'JSON object given at creation';

COMMENT ON COLUMN parley.room.retain_messages IS 'How many of the newest changes are kept at least; NULL: all';

COMMENT ON COLUMN parley.room.retain_seconds IS 'For how long changes are kept at least; NULL: for ever';

COMMENT ON COLUMN parley.room.created_at IS 'When it was created';

COMMENT ON COLUMN parley.room.closed_at IS 'From then on the room is gone for clients, but its room_id is still taken';

COMMENT ON COLUMN parley.room.edge_at IS 'When the change before first_seq was written; NULL while nothing was pruned';

COMMENT ON COLUMN parley.room.edge_tag IS 'The tag of that change: who has seen it and nothing newer can still prove it';

COMMENT ON COLUMN parley.room.prune_at IS 'When the pruner looks at the room again, if it is not to keep everything';

COMMENT ON COLUMN parley.room.rule_no IS 'The rule that judges what sockets say; given at creation, never changed';

CREATE TABLE parley.update_log (
    room_no bigint NOT NULL,
    last_seq bigint NOT NULL,
    first_seq bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    tag integer NOT NULL,
    refused text COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT update_log_row_holds_a_change CHECK (((first_seq >= 1) AND (first_seq <= last_seq)))
);
ALTER TABLE ONLY parley.update_log ALTER COLUMN body SET COMPRESSION lz4;

COMMENT ON TABLE parley.update_log IS 'What was applied. One row for what one room got from one batch; rows of a room follow each other without gap. No foreign key to room: its check would cost on every batch, which holds the lock on the room anyway';

COMMENT ON COLUMN parley.update_log.room_no IS 'The room';

COMMENT ON COLUMN parley.update_log.last_seq IS 'Place of the last change in the row';

COMMENT ON COLUMN parley.update_log.first_seq IS 'Place of the first change in the row';

COMMENT ON COLUMN parley.update_log.at IS 'When the batch was written, by the clock of the database';

COMMENT ON COLUMN parley.update_log.tag IS 'Random, chosen by the writing node: tells this content from any other';

COMMENT ON COLUMN parley.update_log.refused IS 'Ids that were refused before this batch: client_id=3,5 and more of the like, separated by spaces';

COMMENT ON COLUMN parley.update_log.body IS 'The changes first_seq to last_seq as JSON objects joined by commas, byte by byte as clients get them: {"clientId":"...","id":3,"at":1732350000123,"message":...}';

CREATE VIEW parley.messages AS
 SELECT (r.room_id)::text AS room_id,
    ((u.first_seq + e.place) - 1) AS seq,
    (e.change ->> 'clientId'::text) AS client_id,
    (e.change -> 'message'::text) AS message,
    ('1970-01-01 00:00:00+00'::timestamp with time zone + ((((e.change ->> 'at'::text))::bigint)::double precision * '00:00:00.001'::interval)) AS at
   FROM ((parley.room r
     JOIN parley.update_log u ON ((u.room_no = r.room_no)))
     CROSS JOIN LATERAL json_array_elements(((('['::text || u.body) || ']'::text))::json) WITH ORDINALITY e(change, place))
  WHERE ((e.change -> 'message'::text) IS NOT NULL);

COMMENT ON VIEW parley.messages IS 'Every message still kept. A condition on room_id is an index lookup; one on seq or at unfolds the whole log of the rooms that are left (microseconds for each message): for a part of a large room use parley.messages(room, after, max)';

COMMENT ON COLUMN parley.messages.room_id IS 'The room';

COMMENT ON COLUMN parley.messages.seq IS 'Place in the room; places of changes that are no messages are missing';

COMMENT ON COLUMN parley.messages.client_id IS 'Who sent it; NULL for what came by other ways than a client';

COMMENT ON COLUMN parley.messages.message IS 'The message, byte by byte as it was sent';

COMMENT ON COLUMN parley.messages.at IS 'When a node accepted it, by the clock of that node: only seq orders';

CREATE FUNCTION parley.messages(room text, after bigint DEFAULT 0, max integer DEFAULT 100) RETURNS SETOF parley.messages
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT r.room_id, u.first_seq + e.place - 1, e.change ->> 'clientId', e.change -> 'message',
        timestamptz 'epoch' + (e.change ->> 'at')::bigint * interval '1 ms'
    FROM parley.room r
    JOIN parley.update_log u ON u.room_no = r.room_no AND u.last_seq > after
    CROSS JOIN LATERAL json_array_elements(('[' || u.body || ']')::json) WITH ORDINALITY e(change, place)
    WHERE r.room_id = room AND u.first_seq + e.place - 1 > after AND e.change -> 'message' IS NOT NULL
    ORDER BY u.last_seq, e.place
    LIMIT max
$$;

COMMENT ON FUNCTION parley.messages(room text, after bigint, max integer) IS 'The oldest messages of a room after a place, at most max: reads only what it needs';

CREATE FUNCTION parley.prune(room text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.prune(room text) IS 'Removes now what is not to be kept, of one room or of all that nobody holds: the log beyond their retention, but nothing of the last minute, rooms that were closed a day ago, and keys that are over. Returns how many changes went. Nodes do the first by themselves';

CREATE FUNCTION parley.prune_log(rooms_max integer, chunks_max integer, bytes_max integer, refused_max integer, age_min_ms integer, pause_min_ms integer, pause_max_ms integer) RETURNS TABLE(rooms integer, chunks integer)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.prune_log(rooms_max integer, chunks_max integer, bytes_max integer, refused_max integer, age_min_ms integer, pause_min_ms integer, pause_max_ms integer) IS 'For nodes: prunes rooms whose prune_at has come, within these bounds. Says how many rooms it has looked at and how many chunks are gone; no row when another node is at it';

CREATE FUNCTION parley.publish(room text, message json, client text DEFAULT NULL::text, key text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.publish(room text, message json, client text, key text) IS 'Publishes a message into a room with the caller''s transaction: its members see it when that has committed, or never. Returns its place. client: who is shown as its sender. key: a repeat within 24 hours publishes nothing and returns the first place. The room is locked until the transaction ends, so publish late in it; several rooms at once: parley.publish_to_rooms';

CREATE FUNCTION parley.publish_many(room text, messages json[], client text DEFAULT NULL::text, key text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT min(p.seq)
    FROM parley.publish_to_rooms(ARRAY(SELECT room FROM unnest(messages)), messages, client, key) p
$$;

COMMENT ON FUNCTION parley.publish_many(room text, messages json[], client text, key text) IS 'Publishes messages into one room, in their order, with the caller''s transaction. Returns the place of the first; the others follow it. NULL when there are none';

CREATE FUNCTION parley.publish_to_rooms(rooms text[], messages json[], client text DEFAULT NULL::text, key text DEFAULT NULL::text) RETURNS TABLE(room_id text, seq bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
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

COMMENT ON FUNCTION parley.publish_to_rooms(rooms text[], messages json[], client text, key text) IS 'Publishes many messages, each into the room at the same place of the other array, with the caller''s transaction. One row for each, in order. Rooms are locked in an order that keeps calls from deadlocking. key: as for parley.publish, of the whole call';

CREATE FUNCTION parley.raise_no_room(room text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.raise_no_room(room text) IS 'Raises what there is to say of a room that was not found among those that are open: PY001, PY002, or PY004 for NULL';

CREATE FUNCTION parley.raise_no_rule(rule text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PY009', MESSAGE = format('there is no rule %L', left(rule, 80)),
        HINT = 'SELECT parley.create_rule(name, function) makes one; parley.rules shows those there are.';
END
$$;

COMMENT ON FUNCTION parley.raise_no_rule(rule text) IS 'Raises PY009';

CREATE FUNCTION parley.random_tag() RETURNS integer
    LANGUAGE sql
    RETURN (floor(((random() * ('4294967296'::bigint)::double precision) - ('2147483648'::bigint)::double precision)))::integer;

COMMENT ON FUNCTION parley.random_tag() IS 'For a row of the log, or a room: any integer';

CREATE FUNCTION parley.refuse(reason text) RETURNS parley.ruling
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ROW(COALESCE(NULLIF(reason, ''::text), 'the room''s rule refuses this'::text), NULL::json, NULL::json)::parley.ruling;

COMMENT ON FUNCTION parley.refuse(reason text) IS 'For rules: the ruling that refuses an input; its sender is told the reason';

CREATE FUNCTION parley.remove_member(room text, client text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.remove_member(room text, client text) IS 'Ends a membership with the caller''s transaction; the client may join again. False when it was no member';

CREATE FUNCTION parley.renew_grants() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    part record;
    thing record;
BEGIN
    -- New functions are everybody's until somebody says otherwise.
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA parley FROM PUBLIC;
    FOR part IN
        SELECT g.role, g.kind FROM parley.granted_role g JOIN pg_roles r ON r.rolname = g.role ORDER BY g.role, g.kind
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA parley TO %I', part.role);
        IF part.kind = 'node' THEN
            EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA parley TO %I', part.role);
        END IF;
        FOR thing IN
            SELECT c.oid::regclass AS name, c.relkind = 'v' AS is_view,
                c.relname IN ('migration', 'granted_role', 'rule', 'setting') AS is_administration
            FROM pg_class c
            WHERE c.relnamespace = 'parley'::regnamespace AND c.relkind IN ('r', 'p', 'v')
        LOOP
            IF thing.is_view OR part.kind = 'node' AND thing.is_administration THEN
                EXECUTE format('GRANT SELECT ON %s TO %I', thing.name, part.role);
            ELSIF part.kind = 'node' THEN
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', thing.name, part.role);
            END IF;
        END LOOP;
        CONTINUE WHEN part.kind <> 'app';
        FOR thing IN
            SELECT p.oid::regprocedure AS name FROM pg_proc p
            WHERE p.pronamespace = 'parley'::regnamespace
                AND (p.prosecdef OR p.prorettype = to_regtype('parley.ruling'))
                -- Who makes rules is trusted as a node is: that is the owner's to give.
                AND p.proname NOT IN ('create_rule', 'drop_rule', 'hold_rule')
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', thing.name, part.role);
        END LOOP;
    END LOOP;
END
$$;

COMMENT ON FUNCTION parley.renew_grants() IS 'For the owner: gives the roles of parley.granted_role their rights to all that there is. Migrations end with it';

CREATE FUNCTION parley.rule_arguments(is_batch boolean) RETURNS oidvector
    LANGUAGE sql STABLE
    RETURN (concat_ws(' '::text, ('text'::regtype)::oid, ('jsonb'::regtype)::oid, (CASE WHEN is_batch THEN 'parley.rule_input[]'::regtype ELSE 'parley.rule_input'::regtype END)::oid))::oidvector;

COMMENT ON FUNCTION parley.rule_arguments(is_batch boolean) IS 'The types of what a rule is given, as pg_proc has them';

CREATE FUNCTION parley.set_retention(room text, messages bigint DEFAULT NULL::bigint, seconds bigint DEFAULT NULL::bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.set_retention(room text, messages bigint, seconds bigint) IS 'How many of a room''s newest changes are kept at least, and for how many seconds; NULL: no bound. What is beyond it goes soon after, by a node, or by parley.prune';

CREATE FUNCTION parley.set_up_roles(node text DEFAULT 'parley_node'::text, app text DEFAULT 'parley_app'::text, read text DEFAULT 'parley_read'::text) RETURNS TABLE(role text, kind text, is_new boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    owner name := (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'parley');
    part record;
    made boolean;
BEGIN
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('only %s, who owns the schema parley, can give rights to it', owner),
            HINT = 'Run it as the role that runs the migrations.';
    END IF;
    FOR part IN
        SELECT p.role, p.kind FROM (VALUES (node, 'node'), (app, 'app'), (read, 'read')) p(role, kind)
        WHERE p.role IS NOT NULL
    LOOP
        made := false;
        IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = part.role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I', part.role);
                made := true;
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                        MESSAGE = format('there is no role %s, and %s may not make one', part.role, current_user),
                        HINT = format(
                            'Let somebody who may run: %s; then call this again. A part that nobody has is left out by NULL.',
                            (SELECT string_agg(format('CREATE ROLE %I', w.role), '; ')
                            FROM unnest(ARRAY[node, app, read]) w(role)
                            WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.role)));
                WHEN duplicate_object OR unique_violation THEN
                    -- Another database of the server was faster.
                    NULL;
            END;
        END IF;
        INSERT INTO parley.granted_role (role, kind) VALUES (part.role, part.kind) ON CONFLICT DO NOTHING;
        RETURN QUERY SELECT part.role, part.kind, made;
    END LOOP;
    PERFORM parley.renew_grants();
END
$$;

COMMENT ON FUNCTION parley.set_up_roles(node text, app text, read text) IS 'For the owner: roles for nodes, applications and readers, made unless they are there, with their rights in this database; NULL leaves one out. They cannot log in: give them LOGIN, or make roles that are IN ROLE parley_app';

CREATE FUNCTION parley.set_values(room text, set json, if json DEFAULT NULL::json, client text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    values_bytes_max constant integer := (SELECT s.values_bytes_max FROM parley.setting s);
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
    PERFORM parley.check_keys(news, '"set"');
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
$_$;

COMMENT ON FUNCTION parley.set_values(room text, set json, if json, client text) IS 'Sets keys of a room''s shared values with the caller''s transaction; null removes one. "if": for each key that it names, the place of the change that must have written it last, 0 when it must not exist; else PY006, with the values and versions of those keys as DETAIL. Returns the place of the change';

CREATE FUNCTION parley.take_up(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, session_keys bytea[], client_ids text[], user_ids text[], shown_nos bigint[], ended_within_ms bigint[], opened_from_ms bigint[], opened_to_ms bigint[]) RETURNS TABLE(ix integer, socket_no bigint, is_stale boolean, batch bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
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

COMMENT ON FUNCTION parley.take_up(writer bigint, writer_incarnation bigint, writer_epoch bigint, lease_ms integer, session_keys bytea[], client_ids text[], user_ids text[], shown_nos bigint[], ended_within_ms bigint[], opened_from_ms bigint[], opened_to_ms bigint[]) IS 'For nodes: sessions, each at most once, that new sockets take up, as one batch. One row for each, in order, with the number of its socket, NULL when its last one ended longer ago than ended_within_ms (NULL: whenever that was) or it is not known, and when is_stale: the token of socket shown_nos (NULL: no matter which) comes too late, or the socket itself, opened between these times by the database''s clock, does. No row at all when the writer is fenced';

CREATE FUNCTION parley.values_at(room text, seq bigint) RETURNS json
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.values_at(room text, seq bigint) IS 'The shared values of a room as they were when the change at this place was its newest, rebuilt from the log. Also of a closed room, as long as it is kept';

CREATE FUNCTION parley.values_at(room text, at timestamp with time zone) RETURNS json
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION parley.values_at(room text, at timestamp with time zone) IS 'The shared values of a room as they were at a moment, by the clock of the database when each change was written. None before its first change';

CREATE FUNCTION parley.values_written(room_no bigint, up_to bigint) RETURNS TABLE(key text, value text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
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

COMMENT ON FUNCTION parley.values_written(room_no bigint, up_to bigint) IS 'What the log that is kept says of keys up to a place: the newest value of each, null for one that was removed';

CREATE TABLE parley.granted_role (
    role name NOT NULL,
    kind text NOT NULL,
    CONSTRAINT granted_role_is_of_a_known_kind CHECK ((kind = ANY (ARRAY['node'::text, 'app'::text, 'read'::text])))
);

COMMENT ON TABLE parley.granted_role IS 'Roles that have rights here, so that migrations can give them the rights to what is new';

COMMENT ON COLUMN parley.granted_role.role IS 'The name of the role';

COMMENT ON COLUMN parley.granted_role.kind IS 'node: all that a node needs. app: every function that runs as its owner, except those that make and drop rules; those that make rulings; and the views. read: the views';

CREATE TABLE parley.idempotency (
    room_no bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    first_seq bigint NOT NULL,
    kept_until timestamp with time zone DEFAULT (now() + '24:00:00'::interval) NOT NULL,
    request bytea NOT NULL,
    CONSTRAINT idempotency_key_is_1_to_255_bytes CHECK (((octet_length(key) >= 1) AND (octet_length(key) <= 255)))
);

COMMENT ON TABLE parley.idempotency IS 'What was published with a key, so that it is not published again. Read and written only under the lock on the row of the room, in the transaction that publishes: one that is rolled back leaves no key behind';

COMMENT ON COLUMN parley.idempotency.room_no IS 'The room';

COMMENT ON COLUMN parley.idempotency.key IS 'As it was given';

COMMENT ON COLUMN parley.idempotency.first_seq IS 'Place of the first change that was published into this room with the key';

COMMENT ON COLUMN parley.idempotency.kept_until IS 'From then on the key is free; it goes when the room gets another key, or is pruned';

COMMENT ON COLUMN parley.idempotency.request IS 'SHA-256 of all that was published with the key';

CREATE TABLE parley.mark_checkpoint (
    room_no bigint NOT NULL,
    last_seq bigint NOT NULL
);

COMMENT ON TABLE parley.mark_checkpoint IS 'How far member_mark knows the log of a room, of all its members. A row of its own, so that nobody waits for the room';

COMMENT ON COLUMN parley.mark_checkpoint.room_no IS 'The room';

COMMENT ON COLUMN parley.mark_checkpoint.last_seq IS 'The end of the last chunk that it knows';

CREATE TABLE parley.member (
    room_no bigint NOT NULL,
    session_no bigint NOT NULL,
    roster_seq bigint NOT NULL,
    joined_seq bigint NOT NULL,
    node_no bigint NOT NULL,
    claim bigint NOT NULL,
    joined_at timestamp with time zone DEFAULT now() NOT NULL,
    grace_until timestamp with time zone,
    left_at timestamp with time zone,
    profile text
);

COMMENT ON TABLE parley.member IS 'Who is or was in a room. A row outlives the membership, since it bounds the search for ids that were applied. Changed only under the lock on the row of the room';

COMMENT ON COLUMN parley.member.room_no IS 'The room';

COMMENT ON COLUMN parley.member.session_no IS 'The client''s session';

COMMENT ON COLUMN parley.member.roster_seq IS 'The room''s roster_seq of this member''s newest step';

COMMENT ON COLUMN parley.member.joined_seq IS 'The room''s last_seq when the session first joined: nothing of it lies at or before that place';

COMMENT ON COLUMN parley.member.node_no IS 'The node on which the member''s socket was last';

COMMENT ON COLUMN parley.member.claim IS 'The room''s claim_seq when that node took the member';

COMMENT ON COLUMN parley.member.joined_at IS 'Since when it is there';

COMMENT ON COLUMN parley.member.grace_until IS 'Not used any more: the grace of a dead node''s members counts from its death';

COMMENT ON COLUMN parley.member.left_at IS 'NULL for those who are there';

COMMENT ON COLUMN parley.member.profile IS 'A JSON object, byte by byte as the client sent it';

CREATE TABLE parley.member_mark (
    room_no bigint NOT NULL,
    session_no bigint NOT NULL,
    last_id bigint NOT NULL,
    refused bigint[] NOT NULL
);

COMMENT ON TABLE parley.member_mark IS 'What the log said of the ids of members up to the room''s mark_checkpoint, and what the part of it said that was pruned; the chunks behind say more. Goes with the member''s row, so it stays as long as the session can be taken up';

COMMENT ON COLUMN parley.member_mark.room_no IS 'The room';

COMMENT ON COLUMN parley.member_mark.session_no IS 'The client''s session';

COMMENT ON COLUMN parley.member_mark.last_id IS 'The highest id that was applied; 0 for none';

COMMENT ON COLUMN parley.member_mark.refused IS 'The highest of the ids that were refused, descending';

CREATE VIEW parley.members AS
 SELECT (r.room_id)::text AS room_id,
    (s.client_id)::text AS client_id,
    s.user_id,
    (m.profile)::json AS profile,
    n.name AS node,
    m.joined_at,
    (n.dead_at + ((n.grace_ms)::double precision * '00:00:00.001'::interval)) AS grace_until,
    n.node_no,
    n.address
   FROM (((parley.member m
     JOIN parley.room r ON ((r.room_no = m.room_no)))
     JOIN parley.session s ON ((s.session_no = m.session_no)))
     LEFT JOIN parley.node n ON ((n.node_no = m.node_no)))
  WHERE (m.left_at IS NULL);

COMMENT ON VIEW parley.members IS 'Who is in which room now';

COMMENT ON COLUMN parley.members.room_id IS 'The room';

COMMENT ON COLUMN parley.members.client_id IS 'The client';

COMMENT ON COLUMN parley.members.user_id IS 'The subject of its credential; NULL for an anonymous one';

COMMENT ON COLUMN parley.members.profile IS 'What it shows of itself; NULL when it gave nothing';

COMMENT ON COLUMN parley.members.node IS 'The node on which its socket was last';

COMMENT ON COLUMN parley.members.joined_at IS 'Since when it is there';

COMMENT ON COLUMN parley.members.grace_until IS 'When it will be taken for gone unless it comes back; NULL while its node lives';

COMMENT ON COLUMN parley.members.node_no IS 'The number of that node in parley.nodes';

COMMENT ON COLUMN parley.members.address IS 'Where that node can be reached, as configured';

CREATE TABLE parley.migration (
    number integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    parley_version text NOT NULL,
    older_nodes_go_on boolean NOT NULL
);

COMMENT ON TABLE parley.migration IS 'The migrations that this schema has';

COMMENT ON COLUMN parley.migration.number IS 'They are applied in this order';

COMMENT ON COLUMN parley.migration.name IS 'That of its script';

COMMENT ON COLUMN parley.migration.applied_at IS 'When it was applied';

COMMENT ON COLUMN parley.migration.parley_version IS 'The version of Parley that applied it';

COMMENT ON COLUMN parley.migration.older_nodes_go_on IS 'Whether nodes that do not know this migration may use the schema';

ALTER TABLE parley.node ALTER COLUMN node_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME parley.node_node_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE parley.writer (
    writer_no bigint NOT NULL,
    node_no bigint NOT NULL,
    incarnation bigint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    last_batch bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    dead_at timestamp with time zone,
    backend_start timestamp with time zone,
    backend_pid integer,
    kind text NOT NULL,
    CONSTRAINT writer_is_of_a_known_kind CHECK ((kind = ANY (ARRAY['log'::text, 'apart'::text, 'roster'::text])))
)
WITH (fillfactor='50');

COMMENT ON TABLE parley.writer IS 'One row for each connection by which a node writes. Every batch updates the row first: a batch whose incarnation or epoch is no longer the row''s has no effect, and whoever updates the row waits for the batch under way';

COMMENT ON COLUMN parley.writer.writer_no IS 'What notifications refer to it by';

COMMENT ON COLUMN parley.writer.node_no IS 'Its node';

COMMENT ON COLUMN parley.writer.incarnation IS 'That of the node for which it writes; batches of an earlier one have no effect';

COMMENT ON COLUMN parley.writer.epoch IS 'Raised by every new connection: voids what an older one may still deliver';

COMMENT ON COLUMN parley.writer.last_batch IS 'Number of the newest batch that was committed; there are no gaps';

COMMENT ON COLUMN parley.writer.lease_until IS 'Until then no other node may declare this one dead';

COMMENT ON COLUMN parley.writer.dead_at IS 'When its node ended, or was declared dead';

COMMENT ON COLUMN parley.writer.backend_start IS 'When that process began: tells it from a later one with the same number';

COMMENT ON COLUMN parley.writer.backend_pid IS 'The process of the database that writes for it; NULL behind a pooler';

COMMENT ON COLUMN parley.writer.kind IS 'log: batches of many rooms. apart: rooms that a foreign transaction held. roster: joins and leaves';

CREATE VIEW parley.nodes AS
 SELECT n.node_no,
    n.name,
    n.address,
    n.version,
    n.started_at,
    ((n.dead_at IS NULL) AND COALESCE((w.lease_until > clock_timestamp()), false)) AS alive,
    (w.lease_until - clock_timestamp()) AS lease_left,
    COALESCE(w.batches, (0)::numeric) AS batches,
    COALESCE(w.backend_pids, '{}'::integer[]) AS backend_pids,
    ( SELECT count(*) AS count
           FROM parley.member m
          WHERE ((m.node_no = n.node_no) AND (m.left_at IS NULL))) AS members,
    (clock_timestamp() - (w.lease_until - ((n.lease_ms)::double precision * '00:00:00.001'::interval))) AS lease_age,
        CASE
            WHEN (n.dead_at IS NULL) THEN w.lag
            ELSE NULL::interval
        END AS lag
   FROM (parley.node n
     LEFT JOIN ( SELECT w_1.node_no,
            max(w_1.lease_until) AS lease_until,
            sum(w_1.last_batch) AS batches,
            array_agg(w_1.backend_pid ORDER BY w_1.writer_no) FILTER (WHERE (w_1.backend_pid IS NOT NULL)) AS backend_pids,
            (clock_timestamp() - min(a.xact_start)) AS lag
           FROM (parley.writer w_1
             LEFT JOIN pg_stat_activity a ON (((a.pid = w_1.backend_pid) AND (a.backend_start = w_1.backend_start))))
          GROUP BY w_1.node_no) w ON ((w.node_no = n.node_no)));

COMMENT ON VIEW parley.nodes IS 'The server processes that have this database, and those that had it in the last day';

COMMENT ON COLUMN parley.nodes.node_no IS 'Number of this process; a restarted one has another';

COMMENT ON COLUMN parley.nodes.name IS 'As configured';

COMMENT ON COLUMN parley.nodes.address IS 'Where it can be reached, as configured';

COMMENT ON COLUMN parley.nodes.version IS 'Version of Parley';

COMMENT ON COLUMN parley.nodes.started_at IS 'When it registered';

COMMENT ON COLUMN parley.nodes.alive IS 'It has renewed its lease in time and was not declared dead';

COMMENT ON COLUMN parley.nodes.lease_left IS 'How long its lease lasts if it is not renewed; negative once it is over';

COMMENT ON COLUMN parley.nodes.batches IS 'How many batches it has written';

COMMENT ON COLUMN parley.nodes.backend_pids IS 'The database''s processes that write for it, as in pg_stat_activity';

COMMENT ON COLUMN parley.nodes.members IS 'Members whose socket was last there';

COMMENT ON COLUMN parley.nodes.lease_age IS 'How long ago it gave its last sign of life: up to two heartbeats (2 s) while nothing is written; NULL of older nodes';

COMMENT ON COLUMN parley.nodes.lag IS 'For how long the oldest of its writing transactions has been running: what clients wait for at this moment; NULL when none is, or when one may not see it';

CREATE VIEW parley.notify_queue AS
 SELECT pg_notification_queue_usage() AS usage,
    s.listeners,
    o.pid AS oldest_pid,
    o.role AS oldest_role,
    o.application AS oldest_application,
    o.age AS oldest_age
   FROM (( SELECT count(*) AS listeners
           FROM pg_stat_activity a
          WHERE ((a.application_name = 'parley/listener'::text) AND (a.datname = current_database()))) s
     LEFT JOIN ( SELECT a.pid,
            (a.usename)::text AS role,
            a.application_name AS application,
            (clock_timestamp() - a.xact_start) AS age
           FROM pg_stat_activity a
          WHERE ((a.xact_start IS NOT NULL) AND (a.pid <> pg_backend_pid()) AND (a.backend_type = 'client backend'::text))
          ORDER BY a.xact_start
         LIMIT 1) o ON (true));

COMMENT ON VIEW parley.notify_queue IS 'The queue of notifications, which the whole server shares. It fills up only while a session listens inside an open transaction, or does not read';

COMMENT ON COLUMN parley.notify_queue.usage IS 'Which part of it is taken, from 0 to 1. At 1 transactions that notify fail';

COMMENT ON COLUMN parley.notify_queue.listeners IS 'How many nodes listen here, one connection each';

COMMENT ON COLUMN parley.notify_queue.oldest_pid IS 'The session whose transaction is the oldest on the server: if it listens, it is what keeps the queue from moving on';

COMMENT ON COLUMN parley.notify_queue.oldest_role IS 'Its role';

COMMENT ON COLUMN parley.notify_queue.oldest_application IS 'What it calls itself';

COMMENT ON COLUMN parley.notify_queue.oldest_age IS 'How long ago that transaction began';

CREATE TABLE parley.room_edge_value (
    room_no bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON TABLE parley.room_edge_value IS 'The shared values of a room before first_seq: what the part of the log that was pruned came to. With it the log that is left rebuilds the values at every place that is kept';

COMMENT ON COLUMN parley.room_edge_value.room_no IS 'The room';

COMMENT ON COLUMN parley.room_edge_value.key IS 'The key, as text';

COMMENT ON COLUMN parley.room_edge_value.value IS 'JSON, byte by byte as it was sent';

CREATE VIEW parley.room_locks AS
 WITH waiting AS (
         SELECT r_1.room_no,
            l.pid,
            l.granted
           FROM (pg_locks l
             JOIN parley.room r_1 ON ((r_1.ctid = ((((('('::text || l.page) || ','::text) || l.tuple) || ')'::text))::tid)))
          WHERE ((l.locktype = 'tuple'::text) AND (l.relation = ('parley.room'::regclass)::oid) AND (l.database = ( SELECT d.oid
                   FROM pg_database d
                  WHERE (d.datname = current_database()))))
        ), holding AS (
         SELECT r_1.room_no,
            l.pid
           FROM (parley.room r_1
             JOIN pg_locks l ON ((l.transactionid = r_1.xmax)))
          WHERE ((l.locktype = 'transactionid'::text) AND l.granted)
        UNION
         SELECT w.room_no,
            b.pid
           FROM ((waiting w
             JOIN pg_locks l ON (((l.pid = w.pid) AND (l.locktype = 'transactionid'::text) AND (NOT l.granted))))
             CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) b(pid))
          WHERE w.granted
        )
 SELECT (r.room_id)::text AS room_id,
    h.pid,
    (a.usename)::text AS role,
    a.application_name AS application,
    a.state,
    (clock_timestamp() - a.xact_start) AS held_for,
    a.query,
    ARRAY( SELECT DISTINCT w.pid
           FROM waiting w
          WHERE ((w.room_no = h.room_no) AND (w.pid <> h.pid))
          ORDER BY w.pid) AS waiting_pids
   FROM ((holding h
     JOIN parley.room r ON ((r.room_no = h.room_no)))
     LEFT JOIN pg_stat_activity a ON ((a.pid = h.pid)));

COMMENT ON VIEW parley.room_locks IS 'Transactions that have a lock on the row of a room: until they end the room gets nothing, and no other room waits. Nodes have one for milliseconds at a time';

COMMENT ON COLUMN parley.room_locks.room_id IS 'The room';

COMMENT ON COLUMN parley.room_locks.pid IS 'The session that holds it; SELECT pg_terminate_backend(pid) ends it';

COMMENT ON COLUMN parley.room_locks.role IS 'Its role';

COMMENT ON COLUMN parley.room_locks.application IS 'What it calls itself; parley/writer and the like are nodes';

COMMENT ON COLUMN parley.room_locks.state IS 'As in pg_stat_activity: "idle in transaction" waits for its own client';

COMMENT ON COLUMN parley.room_locks.held_for IS 'How long ago its transaction began';

COMMENT ON COLUMN parley.room_locks.query IS 'Its last command';

COMMENT ON COLUMN parley.room_locks.waiting_pids IS 'The sessions that wait for this room';

CREATE VIEW parley.room_nodes AS
 SELECT (r.room_id)::text AS room_id,
    n.name AS node,
    m.node_no,
    m.members,
    (n.dead_at IS NULL) AS alive
   FROM ((( SELECT m_1.room_no,
            m_1.node_no,
            count(*) AS members
           FROM parley.member m_1
          WHERE (m_1.left_at IS NULL)
          GROUP BY m_1.room_no, m_1.node_no) m
     JOIN parley.room r ON ((r.room_no = m.room_no)))
     LEFT JOIN parley.node n ON ((n.node_no = m.node_no)));

COMMENT ON VIEW parley.room_nodes IS 'On which nodes the members of each room are';

COMMENT ON COLUMN parley.room_nodes.room_id IS 'The room';

COMMENT ON COLUMN parley.room_nodes.node IS 'The node on which these members'' sockets were last';

COMMENT ON COLUMN parley.room_nodes.node_no IS 'Its number in parley.nodes';

COMMENT ON COLUMN parley.room_nodes.members IS 'How many members of the room';

COMMENT ON COLUMN parley.room_nodes.alive IS 'The node was not declared dead; when it was, its members leave after their grace, unless they come back elsewhere';

ALTER TABLE parley.room ALTER COLUMN room_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME parley.room_room_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW parley.room_sizes AS
 SELECT (r.room_id)::text AS room_id,
    ((r.last_seq - r.first_seq) + 1) AS changes,
    l.batches,
    (l.bytes + v.bytes) AS bytes,
    l.text_bytes,
    v.bytes AS values_bytes,
    l.oldest_at
   FROM ((parley.room r
     CROSS JOIN LATERAL ( SELECT count(*) AS batches,
            COALESCE(sum(((pg_column_size(u.body) + COALESCE(pg_column_size(u.refused), 0)) + 90)), (0)::bigint) AS bytes,
            COALESCE(sum(octet_length(u.body)), (0)::bigint) AS text_bytes,
            min(u.at) AS oldest_at
           FROM parley.update_log u
          WHERE (u.room_no = r.room_no)) l)
     CROSS JOIN LATERAL ( SELECT COALESCE(sum((octet_length(v_1.key) + octet_length(v_1.value))), (0)::bigint) AS bytes
           FROM parley.room_value v_1
          WHERE (v_1.room_no = r.room_no)) v);

COMMENT ON VIEW parley.room_sizes IS 'What each room takes on disk, about. Looks at every row of the log of the rooms that are asked for, but does not unpack them: some seconds for ten million';

COMMENT ON COLUMN parley.room_sizes.room_id IS 'The room; closed ones too';

COMMENT ON COLUMN parley.room_sizes.changes IS 'Changes that are kept';

COMMENT ON COLUMN parley.room_sizes.batches IS 'Rows of the log that hold them';

COMMENT ON COLUMN parley.room_sizes.bytes IS 'What the log, as it is compressed, and the values take on disk, about';

COMMENT ON COLUMN parley.room_sizes.text_bytes IS 'The JSON text of the log, before it is compressed';

COMMENT ON COLUMN parley.room_sizes.values_bytes IS 'The JSON text of the shared values, with their keys';

COMMENT ON COLUMN parley.room_sizes.oldest_at IS 'When the oldest row that is kept was written';

CREATE VIEW parley.room_traffic AS
 SELECT (r.room_id)::text AS room_id,
    r.member_count AS members,
        CASE
            WHEN (t.batches > 0) THEN (r.last_seq - COALESCE(o.last_seq, (r.first_seq - 1)))
            ELSE (0)::bigint
        END AS changes_last_minute,
    t.batches AS batches_last_minute,
    t.bytes AS bytes_last_minute,
    COALESCE(n.at, r.edge_at) AS last_change_at
   FROM (((parley.room r
     LEFT JOIN LATERAL ( SELECT u.last_seq
           FROM parley.update_log u
          WHERE ((u.room_no = r.room_no) AND (u.at <= (now() - '00:01:00'::interval)))
          ORDER BY u.last_seq DESC
         LIMIT 1) o ON (true))
     LEFT JOIN LATERAL ( SELECT u.at
           FROM parley.update_log u
          WHERE (u.room_no = r.room_no)
          ORDER BY u.last_seq DESC
         LIMIT 1) n ON (true))
     CROSS JOIN LATERAL ( SELECT count(*) AS batches,
            COALESCE(sum(octet_length(u.body)), (0)::bigint) AS bytes
           FROM parley.update_log u
          WHERE ((u.room_no = r.room_no) AND (u.last_seq > COALESCE(o.last_seq, (0)::bigint)))) t)
  WHERE (r.closed_at IS NULL);

COMMENT ON VIEW parley.room_traffic IS 'What open rooms got in the last minute, from their logs';

COMMENT ON COLUMN parley.room_traffic.room_id IS 'The room';

COMMENT ON COLUMN parley.room_traffic.members IS 'How many are members now';

COMMENT ON COLUMN parley.room_traffic.changes_last_minute IS 'Changes of the last minute';

COMMENT ON COLUMN parley.room_traffic.batches_last_minute IS 'Rows of the log that hold them: one for each batch of a node';

COMMENT ON COLUMN parley.room_traffic.bytes_last_minute IS 'Their JSON text, before it is compressed';

COMMENT ON COLUMN parley.room_traffic.last_change_at IS 'When the newest change was written; NULL when there was none';

CREATE VIEW parley.room_values AS
 SELECT (r.room_id)::text AS room_id,
    v.key,
    (v.value)::json AS value,
    v.seq
   FROM (parley.room_value v
     JOIN parley.room r ON ((r.room_no = v.room_no)));

COMMENT ON VIEW parley.room_values IS 'The shared values of all rooms';

COMMENT ON COLUMN parley.room_values.room_id IS 'The room';

COMMENT ON COLUMN parley.room_values.key IS 'The key';

COMMENT ON COLUMN parley.room_values.value IS 'The value, byte by byte as it was sent';

COMMENT ON COLUMN parley.room_values.seq IS 'Place of the change that wrote it last';

CREATE VIEW parley.rooms AS
 SELECT (r.room_id)::text AS room_id,
    r.last_seq,
    r.first_seq,
    r.member_count AS members,
    (r.meta)::json AS meta,
    (r.retain_messages)::bigint AS retain_messages,
    (r.retain_seconds)::bigint AS retain_seconds,
    r.created_at,
    r.closed_at,
    (u.name)::text AS rule
   FROM (parley.room r
     LEFT JOIN parley.rule u ON ((u.rule_no = r.rule_no)));

COMMENT ON VIEW parley.rooms IS 'All rooms';

COMMENT ON COLUMN parley.rooms.room_id IS 'The name by which clients join it';

COMMENT ON COLUMN parley.rooms.last_seq IS 'Place of the newest change; places count 1, 2, 3 ... without gaps';

COMMENT ON COLUMN parley.rooms.first_seq IS 'Place of the oldest change still kept';

COMMENT ON COLUMN parley.rooms.members IS 'How many are members now';

COMMENT ON COLUMN parley.rooms.meta IS 'JSON object given at creation';

COMMENT ON COLUMN parley.rooms.retain_messages IS 'How many of the newest changes are kept at least; NULL: all';

COMMENT ON COLUMN parley.rooms.retain_seconds IS 'For how long changes are kept at least; NULL: for ever';

COMMENT ON COLUMN parley.rooms.created_at IS 'When it was created';

COMMENT ON COLUMN parley.rooms.closed_at IS 'When it was closed; NULL while it is open';

COMMENT ON COLUMN parley.rooms.rule IS 'The rule that judges what sockets say in it; NULL for none';

ALTER TABLE parley.rule ALTER COLUMN rule_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME parley.rule_rule_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW parley.rules AS
 SELECT (u.name)::text AS name,
    format('%I.%I'::text, u.function_schema, u.function_name) AS function,
    u.is_batch,
    ( SELECT count(*) AS count
           FROM parley.room r
          WHERE ((r.rule_no = u.rule_no) AND (r.closed_at IS NULL))) AS rooms,
    u.created_at
   FROM parley.rule u;

COMMENT ON VIEW parley.rules IS 'Rules that rooms can be created with';

COMMENT ON COLUMN parley.rules.name IS 'The name by which rooms are created with it';

COMMENT ON COLUMN parley.rules.function IS 'The function that judges';

COMMENT ON COLUMN parley.rules.is_batch IS 'It judges many inputs in one call';

COMMENT ON COLUMN parley.rules.rooms IS 'How many open rooms have it';

COMMENT ON COLUMN parley.rules.created_at IS 'When it was made';

ALTER TABLE parley.session ALTER COLUMN session_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME parley.session_session_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW parley.sessions AS
 SELECT (s.client_id)::text AS client_id,
    s.user_id,
    s.created_at,
    ( SELECT count(*) AS count
           FROM parley.member m
          WHERE ((m.session_no = s.session_no) AND (m.left_at IS NULL))) AS rooms
   FROM parley.session s;

COMMENT ON VIEW parley.sessions IS 'Clients that have ever joined a room';

COMMENT ON COLUMN parley.sessions.client_id IS 'The client';

COMMENT ON COLUMN parley.sessions.user_id IS 'The subject of its credential; NULL for an anonymous one';

COMMENT ON COLUMN parley.sessions.created_at IS 'When it first joined a room';

COMMENT ON COLUMN parley.sessions.rooms IS 'In how many rooms it is a member now';

CREATE TABLE parley.setting (
    is_all boolean DEFAULT true NOT NULL,
    values_bytes_max integer DEFAULT 65536 NOT NULL,
    CONSTRAINT setting_has_one_row CHECK (is_all),
    CONSTRAINT setting_leaves_values_room_in_a_frame CHECK (((values_bytes_max >= 1024) AND (values_bytes_max <= 262144)))
);

COMMENT ON TABLE parley.setting IS 'What all nodes of this database keep to. One row, for its owner to change';

COMMENT ON COLUMN parley.setting.is_all IS 'Keeps the table to one row';

COMMENT ON COLUMN parley.setting.values_bytes_max IS 'Bytes that the shared values of one room have together at most, as JSON text with their keys. Counts at once; nodes tell clients what it was when they started';

CREATE TABLE parley.signing_key (
    key_no integer NOT NULL,
    key bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT signing_key_has_32_bytes CHECK ((octet_length(key) = 32))
);

COMMENT ON TABLE parley.signing_key IS 'Secret. New session tokens are signed with the key of the highest number; those of a lower one are accepted until the one above it is as old as a session lasts. The first node makes the first key';

COMMENT ON COLUMN parley.signing_key.key_no IS 'The highest one signs';

COMMENT ON COLUMN parley.signing_key.key IS 'The secret';

COMMENT ON COLUMN parley.signing_key.created_at IS 'When it was made; the one before it is accepted for as long after that as a session lasts';

ALTER TABLE parley.writer ALTER COLUMN writer_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME parley.writer_writer_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY parley.member_mark
    ADD CONSTRAINT member_mark_pkey PRIMARY KEY (room_no, session_no);

CREATE FUNCTION parley.note_marks(room bigint, after_seq bigint, to_seq bigint, refused_max integer) RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO parley.member_mark AS k (room_no, session_no, last_id, refused)  SELECT note_marks.room AS room,
             m.session_no,
             COALESCE(max(s.id) FILTER (WHERE (NOT s.is_refused)), (0)::bigint) AS "coalesce",
             COALESCE((array_agg(DISTINCT s.id ORDER BY s.id DESC) FILTER (WHERE s.is_refused))[1:note_marks.refused_max], '{}'::bigint[]) AS "coalesce"
            FROM (( SELECT u.last_seq,
                     e."clientId" AS client_id,
                     e.id,
                     false AS is_refused
                    FROM (parley.update_log u
                      CROSS JOIN LATERAL json_to_recordset(((('['::text || u.body) || ']'::text))::json) e("clientId" text, id bigint))
                   WHERE ((u.room_no = note_marks.room) AND (u.last_seq > note_marks.after_seq) AND (u.last_seq <= note_marks.to_seq) AND (e.id IS NOT NULL))
                 UNION ALL
                  SELECT u.last_seq,
                     split_part(p.part, '='::text, 1) AS split_part,
                     (i.id)::bigint AS id,
                     true
                    FROM ((parley.update_log u
                      CROSS JOIN LATERAL string_to_table(u.refused, ' '::text) p(part))
                      CROSS JOIN LATERAL string_to_table(split_part(p.part, '='::text, 2), ','::text) i(id))
                   WHERE ((u.room_no = note_marks.room) AND (u.last_seq > note_marks.after_seq) AND (u.last_seq <= note_marks.to_seq) AND (u.refused IS NOT NULL))) s
              JOIN ( SELECT m_1.session_no,
                     m_1.joined_seq,
                     (c.client_id)::text AS client_id
                    FROM (parley.member m_1
                      JOIN parley.session c ON ((c.session_no = m_1.session_no)))
                   WHERE (m_1.room_no = note_marks.room)) m ON (((m.client_id = s.client_id) AND (m.joined_seq < s.last_seq))))
           GROUP BY m.session_no
           ORDER BY m.session_no ON CONFLICT ON CONSTRAINT member_mark_pkey DO UPDATE SET last_id = GREATEST(k.last_id, excluded.last_id), refused = ARRAY( SELECT DISTINCT r.id
            FROM unnest((k.refused || excluded.refused)) r(id)
           ORDER BY r.id DESC
          LIMIT note_marks.refused_max);
END;

COMMENT ON FUNCTION parley.note_marks(room bigint, after_seq bigint, to_seq bigint, refused_max integer) IS 'For nodes: notes in member_mark what the chunks of a room between two places say of ids. The caller has locked the room''s mark_checkpoint';

ALTER TABLE ONLY parley.granted_role
    ADD CONSTRAINT granted_role_pkey PRIMARY KEY (role, kind);

ALTER TABLE ONLY parley.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (room_no, key);

ALTER TABLE ONLY parley.mark_checkpoint
    ADD CONSTRAINT mark_checkpoint_pkey PRIMARY KEY (room_no);

ALTER TABLE ONLY parley.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (room_no, session_no);

ALTER TABLE ONLY parley.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);

ALTER TABLE ONLY parley.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (node_no);

ALTER TABLE ONLY parley.room_edge_value
    ADD CONSTRAINT room_edge_value_pkey PRIMARY KEY (room_no, key);

ALTER TABLE ONLY parley.room
    ADD CONSTRAINT room_id_is_unique UNIQUE (room_id);

ALTER TABLE ONLY parley.room
    ADD CONSTRAINT room_pkey PRIMARY KEY (room_no);

ALTER TABLE ONLY parley.room_value
    ADD CONSTRAINT room_value_pkey PRIMARY KEY (room_no, key);

ALTER TABLE ONLY parley.rule
    ADD CONSTRAINT rule_name_is_unique UNIQUE (name);

ALTER TABLE ONLY parley.rule
    ADD CONSTRAINT rule_pkey PRIMARY KEY (rule_no);

ALTER TABLE ONLY parley.session
    ADD CONSTRAINT session_key_is_unique UNIQUE (session_key);

ALTER TABLE ONLY parley.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (session_no);

ALTER TABLE ONLY parley.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (is_all);

ALTER TABLE ONLY parley.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (key_no);

ALTER TABLE ONLY parley.update_log
    ADD CONSTRAINT update_log_pkey PRIMARY KEY (room_no, last_seq);

ALTER TABLE ONLY parley.writer
    ADD CONSTRAINT writer_pkey PRIMARY KEY (writer_no);

CREATE INDEX idempotency_over ON parley.idempotency USING btree (room_no, kept_until);

CREATE INDEX idempotency_over_anywhere ON parley.idempotency USING btree (kept_until);

CREATE INDEX member_by_roster_seq ON parley.member USING btree (room_no, roster_seq);

CREATE INDEX member_by_session ON parley.member USING btree (session_no);

CREATE INDEX member_present_by_node ON parley.member USING btree (node_no) WHERE (left_at IS NULL);

CREATE INDEX node_to_be_cleared ON parley.node USING btree (dead_at) WHERE ((dead_at IS NOT NULL) AND (cleared_at IS NULL));

CREATE INDEX room_by_rule ON parley.room USING btree (rule_no) WHERE (rule_no IS NOT NULL);

CREATE INDEX room_closed ON parley.room USING btree (closed_at) WHERE (closed_at IS NOT NULL);

CREATE INDEX room_to_be_pruned ON parley.room USING btree (prune_at) WHERE ((retain_messages IS NOT NULL) OR (retain_seconds IS NOT NULL));

CREATE INDEX update_log_refused ON parley.update_log USING btree (room_no, last_seq) WHERE (refused IS NOT NULL);

CREATE INDEX writer_of_node ON parley.writer USING btree (node_no);

ALTER TABLE ONLY parley.idempotency
    ADD CONSTRAINT idempotency_is_of_a_room FOREIGN KEY (room_no) REFERENCES parley.room(room_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.mark_checkpoint
    ADD CONSTRAINT mark_checkpoint_is_of_a_room FOREIGN KEY (room_no) REFERENCES parley.room(room_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.member
    ADD CONSTRAINT member_is_a_session FOREIGN KEY (session_no) REFERENCES parley.session(session_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.member
    ADD CONSTRAINT member_is_in_a_room FOREIGN KEY (room_no) REFERENCES parley.room(room_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.member_mark
    ADD CONSTRAINT member_mark_is_of_a_member FOREIGN KEY (room_no, session_no) REFERENCES parley.member(room_no, session_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.room_edge_value
    ADD CONSTRAINT room_edge_value_is_in_a_room FOREIGN KEY (room_no) REFERENCES parley.room(room_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.room_value
    ADD CONSTRAINT room_value_is_in_a_room FOREIGN KEY (room_no) REFERENCES parley.room(room_no) ON DELETE CASCADE;

ALTER TABLE ONLY parley.writer
    ADD CONSTRAINT writer_belongs_to_a_node FOREIGN KEY (node_no) REFERENCES parley.node(node_no) ON DELETE CASCADE;
