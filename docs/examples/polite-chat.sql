-- A chat in which nobody says what is on a list, and nobody says more than five things at once, then one in two seconds.
--
-- The rule judges all that a batch brings for a room in one call, so its two look-ups cost once for many messages.

CREATE SCHEMA chat;

CREATE TABLE chat.unwanted_word (
    word text PRIMARY KEY CHECK (word = lower(word))
);

-- How many messages a member could still say at a moment. Changed only by the rule, under the lock on the room.
CREATE TABLE chat.allowance (
    room text NOT NULL,
    client text NOT NULL,
    messages double precision NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (room, client)
);

CREATE FUNCTION chat.judge(room text, shared jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[]
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, chat, pg_temp
AS $$
DECLARE
    at_once constant integer := 5;
    in_a_second constant double precision := 0.5;
    rulings parley.ruling[];
BEGIN
    WITH said AS (
        SELECT i.ix, i.client, lower(i.message ->> 'text') AS text, i.set IS NOT NULL AS is_set,
            row_number() OVER (PARTITION BY i.client ORDER BY i.ix) AS nth
        FROM unnest(inputs) WITH ORDINALITY i(client, user_id, message, set, ix)
    ), allowed AS (
        SELECT s.client, count(*) AS said, COALESCE(
            least(at_once, a.messages + in_a_second * extract(epoch FROM clock_timestamp() - a.at)), at_once) AS messages
        FROM said s
        LEFT JOIN allowance a ON a.room = judge.room AND a.client = s.client
        GROUP BY s.client, a.messages, a.at
    ), noted AS (
        INSERT INTO allowance AS a (room, client, messages, at)
        SELECT judge.room, w.client, greatest(w.messages - w.said, w.messages - floor(w.messages)), clock_timestamp()
        FROM allowed w
        ON CONFLICT ON CONSTRAINT allowance_pkey DO UPDATE SET messages = EXCLUDED.messages, at = EXCLUDED.at
    )
    SELECT array_agg(
        CASE
            WHEN s.is_set OR s.text IS NULL THEN parley.refuse('say something: {"text":"..."}')
            WHEN s.nth > floor(w.messages) THEN parley.refuse('not so fast: one message in two seconds')
            WHEN EXISTS (
                SELECT FROM unwanted_word u WHERE u.word = ANY (regexp_split_to_array(s.text, '[^[:alnum:]]+')))
                THEN parley.refuse('that is not said here')
            ELSE parley.accept()
        END ORDER BY s.ix)
    INTO rulings
    FROM said s
    JOIN allowed w ON w.client = s.client;
    RETURN rulings;
END
$$;

SELECT parley.create_rule('polite', 'chat.judge');
