-- Prints a pgbench script that does the yardstick's work as separate statements.
\pset format unaligned
\pset tuples_only on
WITH named AS (SELECT '{position,settlement,hash,patient,o1,o2,o3}'::text[] AS names,
    ARRAY[':position', '(''01990000-0000-7000-8000-'' || lpad(to_hex(:position::bigint), 12, ''0''))', '(decode(md5(:hash::text || random()::text), ''hex''))',
          ':patient', ':o1', ':o2', ':o3'] AS parts)
SELECT string_agg(line, E'\n' ORDER BY place) FROM named, LATERAL (VALUES
    (0, '\set family random(1, :families)'),
    (1, '\set hash random(1, 9000000000000000)'),
    (2, 'BEGIN;'),
    (3, 'SELECT patient, o1, o2, o3 FROM bench.family WHERE number = :family \gset'),
    (4, bench.filled('look', names, parts) || ' \gset'),
    (5, 'SELECT nextval(''bench.position'') AS position \gset'),
    -- pgbench takes a colon for a variable in quotes too.
    (6, replace(bench.filled('request', names, parts), 'institution:', 'institution'' || chr(58) || ''') || ';'),
    (7, bench.filled('standings', names, parts) || ';'),
    (8, bench.filled('record', names, parts) || ';'),
    (9, bench.filled('postings', names, parts) || ';'),
    (10, bench.filled('lists', names, parts) || ';'),
    (11, bench.filled('settlement', names, parts) || ';'),
    (12, bench.filled('basis', names, parts) || ';'),
    (13, 'COMMIT;')) AS lines (place, line);
