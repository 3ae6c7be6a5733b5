-- The yardstick: one well-written PL/pgSQL call per settlement that writes the same rows, indexes and bytes as gongji does, but
-- for the digest chain, the rules and the wire. Made of the last settlement that gongji wrote to this database, so that row
-- counts and lengths are its own. Run by benches/postgres/run.
\set ON_ERROR_STOP on
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;

CREATE TABLE bench.family AS
SELECT row_number() OVER () AS number, beneficiary AS patient,
       (array_agg(owner))[1] AS o1, (array_agg(owner))[2] AS o2, (array_agg(owner))[3] AS o3
FROM gongji.binding GROUP BY beneficiary HAVING count(*) = 3;
ALTER TABLE bench.family ADD PRIMARY KEY (number);
SELECT 'CREATE SEQUENCE bench.position CACHE 1 START ' || position + 1 FROM gongji.head \gexec

-- The last settlement, with the parts that differ from one to the next as expressions.
CREATE TABLE bench.text (what text PRIMARY KEY, body text NOT NULL);
DO $make$
DECLARE
    last bigint;
    it gongji.settlement;
    family bench.family;
BEGIN
    SELECT max(position) INTO last FROM gongji.record WHERE event = 7;
    SELECT * INTO it FROM gongji.settlement WHERE version = last;
    SELECT * INTO family FROM bench.family WHERE patient = it.patient;
    CREATE FUNCTION pg_temp.who(id uuid, family bench.family) RETURNS text LANGUAGE sql AS $$
        SELECT CASE id WHEN family.patient THEN '{patient}' WHEN family.o1 THEN '{o1}' WHEN family.o2 THEN '{o2}'
                       WHEN family.o3 THEN '{o3}' ELSE 'NULL' END $$;
    INSERT INTO bench.text
    SELECT 'postings', 'INSERT INTO gongji.posting VALUES ' || string_agg(format(
        '({position}, %s, %s, %s, %s::uuid, %L, %s, %s, %s, %s::uuid, %L, %s, %s)', place, amount_fen,
        from_kind, pg_temp.who(from_id, family), from_code, coalesce(from_bucket::text, 'NULL'), coalesce(from_after_fen::text, 'NULL'),
        to_kind, pg_temp.who(to_id, family), to_code, coalesce(to_bucket::text, 'NULL'), coalesce(to_after_fen::text, 'NULL')),
        ', ' ORDER BY place) FROM gongji.posting WHERE position = last
    UNION ALL
    SELECT 'lists', 'INSERT INTO gongji.list VALUES ' || string_agg(format('(%s, %s::uuid, {position}, {settlement}::uuid)', kind,
        CASE pg_temp.who(of, family) WHEN 'NULL' THEN CASE kind WHEN 4 THEN 'gen_random_uuid()' ELSE quote_literal(of) END
             ELSE pg_temp.who(of, family) END), ', ') FROM gongji.list WHERE position = last
    UNION ALL
    SELECT 'record', format('INSERT INTO gongji.record VALUES ({position}, now(), 7, %L, %L, %L)', content_hash, link, bytes)
        FROM gongji.record WHERE position = last
    UNION ALL
    SELECT 'request', format('INSERT INTO gongji.request VALUES ({hash}, {position}, %L, %L, %s, %L)', scope, request_id, method, body)
        FROM gongji.request WHERE version = last
    UNION ALL
    SELECT 'settlement', format('INSERT INTO gongji.settlement VALUES ({settlement}::uuid, {position}, %L, {patient}::uuid, %s, %L, %s, '
        'now(), %s, %s, %s, %s, %s, %s, %s, %L)', institution, region, visit_date, state, total_fen, fund_fen, hospital_part_fen,
        own_account_fen, mutual_aid_fen, cash_fen, refunded_fen, body) FROM gongji.settlement WHERE version = last
    UNION ALL
    SELECT 'basis', format('INSERT INTO gongji_health.basis VALUES ({settlement}::uuid, {position}, %s, %s, %L)', total_fen,
        coalesce(lines::text, 'NULL'), body) FROM gongji_health.basis WHERE version = last
    UNION ALL
    SELECT 'look', 'SELECT min(prior_fen) AS least FROM (SELECT prior_fen, member FROM gongji.standing WHERE member IN '
        '({patient}::uuid, {o1}::uuid, {o2}::uuid, {o3}::uuid) ORDER BY member FOR UPDATE) AS locked WHERE member <> {patient}::uuid'
    UNION ALL
    SELECT 'standings', format('UPDATE gongji.standing SET version = {position}, prior_fen = prior_fen - CASE member WHEN {patient}::uuid '
        'THEN 0 ELSE 1 END, body = CASE member WHEN {patient}::uuid THEN %L::bytea ELSE %L::bytea END WHERE member IN '
        '({patient}::uuid, {o1}::uuid, {o2}::uuid, {o3}::uuid)',
        (SELECT body FROM gongji.standing WHERE member = family.patient), (SELECT body FROM gongji.standing WHERE member = family.o1));
END
$make$;

CREATE FUNCTION bench.filled(what text, names text[], expressions text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made text;
BEGIN
    SELECT body INTO made FROM bench.text WHERE text.what = filled.what;
    FOR place IN 1 .. array_length(names, 1) LOOP
        made := replace(made, '{' || names[place] || '}', expressions[place]);
    END LOOP;
    RETURN made;
END $$;

-- One call per settlement.
DO $make$
DECLARE
    names text[] := '{position,settlement,hash,patient,o1,o2,o3}';
    locals text[] := '{v_position,v_settlement,v_hash,v.patient,v.o1,v.o2,v.o3}';
BEGIN
    EXECUTE 'CREATE FUNCTION bench.settle(v_family bigint, v_hash bytea) RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE
    v bench.family; v_position bigint; v_settlement uuid; v_least bigint;
BEGIN
    PERFORM 1 FROM gongji.request WHERE hash = v_hash;
    IF FOUND THEN RETURN 0; END IF;
    SELECT * INTO v FROM bench.family WHERE number = v_family;
    ' || replace(bench.filled('look', names, locals), 'AS least', 'AS least INTO v_least') || ';
    IF v_least < 9000 THEN RAISE EXCEPTION ''not enough''; END IF;
    v_position := nextval(''bench.position'');
    v_settlement := (''01990000-0000-7000-8000-'' || lpad(to_hex(v_position), 12, ''0''))::uuid;
    ' || bench.filled('request', names, locals) || ';
    ' || bench.filled('standings', names, locals) || ';
    ' || bench.filled('record', names, locals) || ';
    ' || bench.filled('postings', names, locals) || ';
    ' || bench.filled('lists', names, locals) || ';
    ' || bench.filled('settlement', names, locals) || ';
    ' || bench.filled('basis', names, locals) || ';
    RETURN v_position;
END $f$';
END
$make$;
ANALYZE;
