-- older nodes: stop
--
-- A rule is somebody else's code in a node's transaction and session. It is held to more: what its tables check at the end of
-- a transaction is checked in its own time and as its owner, it is known by its arguments and its owner, and it cannot
-- forbid the transaction to write. What a session keeps of it, the node puts back.
--
-- What a rule makes of a batch may be too much for one row of the log: nothing of it is done then, and its node tries fewer
-- inputs at once, where it refused what did not fit. Older nodes do not know that answer.
--
-- A session cannot be kept from all that code in it may do (it can take prepared statements away, or end the backend), so a rule is
-- trusted as the node is, and to make one is no right of every application any more: its owner gives it.

CREATE FUNCTION parley.rule_arguments(is_batch boolean) RETURNS oidvector
LANGUAGE sql
STABLE
RETURN concat_ws(' ', 'text'::regtype::oid, 'jsonb'::regtype::oid,
    CASE WHEN is_batch THEN 'parley.rule_input[]'::regtype ELSE 'parley.rule_input'::regtype END::oid)::oidvector;

COMMENT ON FUNCTION parley.rule_arguments IS 'The types of what a rule is given, as pg_proc has them';

ALTER TABLE parley.rule ADD COLUMN function_owner name;
UPDATE parley.rule r SET function_owner = COALESCE((
    SELECT pg_get_userbyid(min(p.proowner))
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = r.function_schema AND p.proname = r.function_name AND p.prosecdef
        AND p.proargtypes = parley.rule_arguments(r.is_batch)), '');
ALTER TABLE parley.rule ALTER COLUMN function_owner SET NOT NULL;

COMMENT ON COLUMN parley.rule.function_owner IS
    'Who owned the function when it was made the rule: whoever gives the rule is trusted, a later owner is not';

CREATE FUNCTION parley.check_keys(news json, name text) RETURNS void
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION parley.check_keys IS 'Raises PY005 unless the keys of a set are as short as those of sockets have to be';


CREATE OR REPLACE FUNCTION parley.create_rule(name text, function regproc) RETURNS void
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
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

CREATE OR REPLACE FUNCTION parley.apply_rule(
    room bigint, room_id text, function text, is_batch boolean, at bigint, passed integer, values_bytes_max integer,
    bytes_max integer, changes text[], OUT texts text[], OUT refusals text[]
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

CREATE OR REPLACE FUNCTION parley.judge_by_rule(
    room bigint, room_id text, rule bigint, at bigint, values_bytes_max integer, changes text[], conditions text[],
    OUT verdicts "char"[], OUT texts text[], OUT more text[]
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION parley.judge_by_rule IS
    'For nodes: what a room''s rule says of changes, one after another, with their values set. A verdict for each: a (written as '
    'it came), r (written as this text), x (refused for this reason), c (its condition did not hold: values and versions), t '
    '(values too large). Or one alone, and nothing was done: l, for another transaction was in the way of the rule, or o, for the '
    'changes together would be too much for one row of the log';

CREATE OR REPLACE FUNCTION parley.append_judged(
    writer bigint, writer_incarnation bigint, writer_epoch bigint, batch bigint, lease_ms integer, skip_locked boolean,
    values_bytes_max integer, room_nos bigint[], claims bigint[], tags integer[], refused text[], counts integer[],
    changes text[], sets text[], conditions text[]
) RETURNS TABLE (
    ix integer, input integer, verdict "char", base bigint, claim bigint, values_now text, versions_now text,
    rule_us bigint
)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION parley.append_judged IS
    'For nodes: a batch of which each room holds inputs that are judged, or has a rule. A row for the fence, one for each room '
    'that was there and not locked, verdict a (accepted, with base, and how long its rule took), m (its claim has moved), l (its rule '
    'could not run, for another transaction was in the way) or o (too much for one row of the log), and one for each input that was '
    'not written as it came, verdict c (its condition did not hold), t (too large), x (refused by the rule, for the reason in '
    'values_now) or r (values_now is what the rule made of it). No row at all when the writer is fenced';

CREATE OR REPLACE FUNCTION parley.set_values(room text, set json, "if" json DEFAULT NULL, client text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

CREATE OR REPLACE FUNCTION parley.create_room(
    room text DEFAULT NULL, meta json DEFAULT NULL, retain_messages bigint DEFAULT NULL,
    retain_seconds bigint DEFAULT NULL, if_missing boolean DEFAULT false, rule text DEFAULT NULL
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

-- Its literals hold backslashes.
ALTER FUNCTION parley.check_payload(text, text, integer, integer) SET standard_conforming_strings = on;

CREATE OR REPLACE FUNCTION parley.refuse(reason text) RETURNS parley.ruling
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN ROW(COALESCE(NULLIF(reason, ''), 'the room''s rule refuses this'), NULL, NULL)::parley.ruling;

CREATE FUNCTION parley.hold_rule(name text) RETURNS bigint
LANGUAGE sql
VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT r.rule_no FROM parley.rule r WHERE r.name = hold_rule.name FOR KEY SHARE;
END;

COMMENT ON FUNCTION parley.hold_rule IS
    'For nodes: the number of a rule, which stays until the transaction ends; NULL when there is none of this name';

CREATE OR REPLACE FUNCTION parley.renew_grants() RETURNS void
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON COLUMN parley.granted_role.kind IS
    'node: all that a node needs. app: every function that runs as its owner, except those that make and drop rules; those that '
    'make rulings; and the views. read: the views';

-- Who made rules until now can be given the right again: GRANT EXECUTE ON FUNCTION parley.create_rule, parley.drop_rule TO …
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT g.role FROM parley.granted_role g JOIN pg_roles r ON r.rolname = g.role WHERE g.kind = 'app'
            AND NOT EXISTS (SELECT FROM parley.granted_role n WHERE n.role = g.role AND n.kind = 'node')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION parley.create_rule(text, regproc), parley.drop_rule(text) FROM %I', part.role);
    END LOOP;
END
$$;
