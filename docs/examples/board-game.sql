-- A board of 16 by 16 coloured cells that all members share. A member asks for a cell, {"take":{"x":3,"y":4,"color":"red"}}, and
-- the server decides whose it is: free cells go to whoever asks first, and somebody else's cell to a member who has two
-- cells beside it. The cells are the room's shared values: "3,4" is {"owner":"...","color":"red"}.
--
-- The rule judges one input after another, each with the cells as the one before has left them. The page at /cells plays it.

CREATE SCHEMA board;

-- To nodes, which may have a role of their own.
GRANT USAGE ON SCHEMA board TO PUBLIC;

CREATE FUNCTION board.judge(room text, cells jsonb, input parley.rule_input) RETURNS parley.ruling
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, board, pg_temp
AS $$
DECLARE
    size constant integer := 16;
    colors constant text[] := '{red,green,blue,yellow}';
    take jsonb := (input.message -> 'take')::jsonb;
    x integer;
    y integer;
    cell text;
    owner text;
    beside integer;
BEGIN
    IF input.set IS NOT NULL OR jsonb_typeof(take -> 'x') IS DISTINCT FROM 'number'
        OR jsonb_typeof(take -> 'y') IS DISTINCT FROM 'number' OR NOT COALESCE(take ->> 'color' = ANY (colors), false)
    THEN
        RETURN parley.refuse('ask for a cell: {"take":{"x":3,"y":4,"color":"red"}}');
    END IF;
    IF (take ->> 'x')::numeric NOT BETWEEN 0 AND size - 1 OR (take ->> 'y')::numeric NOT BETWEEN 0 AND size - 1 THEN
        RETURN parley.refuse(format('the board goes from 0,0 to %s,%s', size - 1, size - 1));
    END IF;
    x := floor((take ->> 'x')::numeric);
    y := floor((take ->> 'y')::numeric);
    cell := format('%s,%s', x, y);
    owner := cells -> cell ->> 'owner';
    IF owner <> input.client THEN
        SELECT count(*) INTO beside
        FROM (VALUES (x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)) n(x, y)
        WHERE cells -> format('%s,%s', n.x, n.y) ->> 'owner' = input.client;
        IF beside < 2 THEN
            RETURN parley.refuse(format('%s is the cell of %s: have two cells beside it first', cell, owner));
        END IF;
    END IF;
    RETURN parley.accept(
        message => json_build_object('took', cell, 'from', owner),
        set => json_build_object(cell, json_build_object('owner', input.client, 'color', take ->> 'color')));
END
$$;

SELECT parley.create_rule('board', 'board.judge');
