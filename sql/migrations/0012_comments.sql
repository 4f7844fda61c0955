-- older nodes: go on
--
-- What had no comment yet: everything in the schema says in psql what it is.

COMMENT ON DOMAIN parley.public_id IS 'The id of a room or a client, or the name of a rule: 1 to 64 characters that are safe in a URL';
COMMENT ON DOMAIN parley.json_object IS 'JSON text of an object, kept as it came';
COMMENT ON DOMAIN parley.retention IS 'How many changes, or seconds, are kept: at least one';

COMMENT ON COLUMN parley.room.room_no IS 'What tables refer to it by';
COMMENT ON COLUMN parley.room.room_id IS 'The name by which clients join it';
COMMENT ON COLUMN parley.room.meta IS 'JSON object given at creation';
COMMENT ON COLUMN parley.room.retain_messages IS 'How many of the newest changes are kept at least; NULL: all';
COMMENT ON COLUMN parley.room.retain_seconds IS 'For how long changes are kept at least; NULL: for ever';
COMMENT ON COLUMN parley.room.created_at IS 'When it was created';

COMMENT ON COLUMN parley.update_log.room_no IS 'The room';
COMMENT ON COLUMN parley.update_log.last_seq IS 'Place of the last change in the row';
COMMENT ON COLUMN parley.update_log.first_seq IS 'Place of the first change in the row';

COMMENT ON COLUMN parley.room_value.room_no IS 'The room';
COMMENT ON COLUMN parley.room_value.key IS 'The key, as text';
COMMENT ON COLUMN parley.room_edge_value.room_no IS 'The room';
COMMENT ON COLUMN parley.room_edge_value.key IS 'The key, as text';

COMMENT ON COLUMN parley.node.node_no IS 'Number of the process; a restarted one has another';
COMMENT ON COLUMN parley.node.name IS 'As configured';
COMMENT ON COLUMN parley.node.address IS 'Where it can be reached, as configured';
COMMENT ON COLUMN parley.node.version IS 'Version of Parley';
COMMENT ON COLUMN parley.node.started_at IS 'When it registered';

COMMENT ON COLUMN parley.writer.writer_no IS 'What notifications refer to it by';
COMMENT ON COLUMN parley.writer.node_no IS 'Its node';
COMMENT ON COLUMN parley.writer.incarnation IS 'That of the node for which it writes; batches of an earlier one have no effect';
COMMENT ON COLUMN parley.writer.dead_at IS 'When its node ended, or was declared dead';
COMMENT ON COLUMN parley.writer.backend_pid IS 'The process of the database that writes for it; NULL behind a pooler';
COMMENT ON COLUMN parley.writer.backend_start IS 'When that process began: tells it from a later one with the same number';

COMMENT ON COLUMN parley.session.session_no IS 'What tables refer to it by';
COMMENT ON COLUMN parley.session.client_id IS 'The client, as others see it';
COMMENT ON COLUMN parley.session.created_at IS 'When it first joined a room, or came back';

COMMENT ON COLUMN parley.member.room_no IS 'The room';
COMMENT ON COLUMN parley.member.session_no IS 'The client''s session';
COMMENT ON COLUMN parley.member.joined_at IS 'Since when it is there';
COMMENT ON COLUMN parley.member.grace_until IS 'Not used any more: the grace of a dead node''s members counts from its death';

COMMENT ON COLUMN parley.member_mark.room_no IS 'The room';
COMMENT ON COLUMN parley.member_mark.session_no IS 'The client''s session';
COMMENT ON COLUMN parley.mark_checkpoint.room_no IS 'The room';

COMMENT ON COLUMN parley.idempotency.room_no IS 'The room';
COMMENT ON COLUMN parley.idempotency.key IS 'As it was given';

COMMENT ON COLUMN parley.signing_key.key_no IS 'The highest one signs';
COMMENT ON COLUMN parley.signing_key.key IS 'The secret';
COMMENT ON COLUMN parley.signing_key.created_at IS 'When it was made; the one before it is accepted for as long after that as a session lasts';

COMMENT ON COLUMN parley.granted_role.role IS 'The name of the role';
COMMENT ON COLUMN parley.setting.is_all IS 'Keeps the table to one row';
COMMENT ON COLUMN parley.rule.rule_no IS 'What rooms refer to it by';
COMMENT ON COLUMN parley.rule.function_schema IS 'Where its function is';
COMMENT ON COLUMN parley.rule.function_name IS 'Its function';
COMMENT ON COLUMN parley.rule.created_at IS 'When it was made';

COMMENT ON COLUMN parley.migration.number IS 'They are applied in this order';
COMMENT ON COLUMN parley.migration.name IS 'That of its script';
COMMENT ON COLUMN parley.migration.applied_at IS 'When it was applied';
