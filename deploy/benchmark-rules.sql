-- Two rules for deploy/benchmark, which do what rules do: one looks words up and counts what each member says, all of a batch in
-- one call; the other gives a cell of the room's values away with each message, one call each.
CREATE SCHEMA bench;

CREATE TABLE bench.word (word text PRIMARY KEY);
INSERT INTO bench.word VALUES ('damn');

CREATE TABLE bench.said (room text, client text, messages bigint NOT NULL, PRIMARY KEY (room, client));

CREATE FUNCTION bench.many(room text, shared jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, bench, pg_temp AS $$
DECLARE
    rulings parley.ruling[];
BEGIN
    WITH i AS (
        SELECT i.ix, i.client, lower(i.message #>> '{}') AS text
        FROM unnest(inputs) WITH ORDINALITY i(client, user_id, message, set, ix)
    ), noted AS (
        INSERT INTO said AS s (room, client, messages)
        SELECT many.room, i.client, count(*) FROM i GROUP BY i.client
        ON CONFLICT ON CONSTRAINT said_pkey DO UPDATE SET messages = s.messages + EXCLUDED.messages
    )
    SELECT array_agg(
        CASE
            WHEN EXISTS (SELECT FROM word w WHERE w.word = ANY (regexp_split_to_array(i.text, '[^[:alnum:]]+')))
                THEN parley.refuse('not here')
            ELSE parley.accept()
        END ORDER BY i.ix)
    INTO rulings
    FROM i;
    RETURN rulings;
END
$$;

CREATE FUNCTION bench.one(room text, cells jsonb, input parley.rule_input) RETURNS parley.ruling
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, bench, pg_temp AS $$
DECLARE
    cell text := 'c' || abs(hashtext(input.message #>> '{}') % 16);
BEGIN
    RETURN parley.accept(
        set => json_build_object(
            cell, json_build_object('owner', input.client, 'before', cells -> cell ->> 'owner')));
END
$$;

SELECT parley.create_rule('many', 'bench.many'), parley.create_rule('one', 'bench.one');
