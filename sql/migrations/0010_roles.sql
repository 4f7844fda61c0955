-- older nodes: go on
--
-- Three kinds of roles, none of which owns anything: nodes (what a node needs), applications (the functions and the views,
-- no table) and readers (the views).
--
-- Roles belong to the whole server, rights to each database. So nothing is done by itself here: parley.set_up_roles, once for
-- each database, makes the roles that are missing, if it may, and notes which roles have which part. From then on every
-- migration gives them the rights to what it makes.

CREATE TABLE parley.granted_role (
    role name NOT NULL,
    kind text NOT NULL,
    CONSTRAINT granted_role_pkey PRIMARY KEY (role, kind),
    CONSTRAINT granted_role_is_of_a_known_kind CHECK (kind IN ('node', 'app', 'read'))
);

COMMENT ON TABLE parley.granted_role IS
    'Roles that have rights here, so that migrations can give them the rights to what is new';
COMMENT ON COLUMN parley.granted_role.kind IS
    'node: all that a node needs. app: every function that runs as its owner, those that make rulings, and the views. '
    'read: the views';

CREATE FUNCTION parley.renew_grants() RETURNS void
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
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', thing.name, part.role);
        END LOOP;
    END LOOP;
END
$$;

COMMENT ON FUNCTION parley.renew_grants IS
    'For the owner: gives the roles of parley.granted_role their rights to all that there is. Migrations end with it';

CREATE FUNCTION parley.set_up_roles(
    node text DEFAULT 'parley_node', app text DEFAULT 'parley_app', read text DEFAULT 'parley_read'
) RETURNS TABLE (role text, kind text, is_new boolean)
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION parley.set_up_roles IS
    'For the owner: roles for nodes, applications and readers, made unless they are there, with their rights in this '
    'database; NULL leaves one out. They cannot log in: give them LOGIN, or make roles that are IN ROLE parley_app';

-- Nodes that have run as a role with rights on the tables need those on functions from now on.
INSERT INTO parley.granted_role (role, kind)
SELECT DISTINCT r.rolname, 'node'
FROM pg_class c
CROSS JOIN LATERAL aclexplode(c.relacl) a
JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = 'parley.room'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner;
