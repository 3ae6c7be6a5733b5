//! What a group of changes that hold writes: one set-based statement for each table that is used.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::cell::Cell;
use super::cells::FactRow;
use super::judge::{Applied, Pending};
use super::names::Names;
use super::tables::TABLES;
use crate::store::{Head, Key, ListKey};

const RECORD: &str = "INSERT INTO gongji.record (position, at, event, content_hash, link, bytes) \
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::smallint[], $4::bytea[], $5::bytea[], $6::bytea[])";
const POSTING: &str = "INSERT INTO gongji.posting (position, place, amount_fen, \
    from_kind, from_id, from_code, from_bucket, from_after_fen, to_kind, to_id, to_code, to_bucket, to_after_fen) \
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::smallint[], $5::uuid[], $6::text[], $7::smallint[], \
    $8::bigint[], $9::smallint[], $10::uuid[], $11::text[], $12::smallint[], $13::bigint[])";
const LIST: &str = "INSERT INTO gongji.list (kind, of, position, subject) \
    SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::uuid[])";
/// Names of which it is not known whether they change: a conflict would lock and rewrite each of them.
const MASKED: &str = "INSERT INTO gongji_person.masked_name (member, masked_name) \
    SELECT u.member, u.masked_name FROM unnest($1::uuid[], $2::text[]) AS u (member, masked_name) \
    LEFT JOIN LATERAL (SELECT m.masked_name FROM gongji_person.masked_name m WHERE m.member = u.member OFFSET 0) f ON true \
    WHERE f.masked_name IS DISTINCT FROM u.masked_name \
    ON CONFLICT (member) DO UPDATE SET masked_name = excluded.masked_name";
const HEAD: &str = "UPDATE gongji.head SET position = $1, link = $2, at = $3";

/// A parameter: many values of a column, or one.
pub(super) enum Param<'a> {
    Many(Vec<&'a Cell>),
    One(Cell),
}

/// A statement with its parameters.
pub(super) struct Write<'a> {
    pub sql: Arc<str>,
    pub params: Vec<Param<'a>>,
}

/// Values that stand in the changes only since they hold: positions, links, times.
#[derive(Default)]
pub(super) struct Made {
    positions: Vec<Cell>,
    times: Vec<Cell>,
    links: Vec<Cell>,
    lists: Vec<[Cell; 4]>,
}

impl Made {
    pub fn of(applied: &[Applied], group: &[&Pending]) -> Self {
        let mut made = Self::default();
        for it in applied {
            made.positions.push(Cell::big(it.head.position));
            made.times.push(Cell::At(it.head.at));
            made.links.push(Cell::Bytes(it.head.link.to_vec()));
            // One row a list and position: the last one given stays.
            let rows: BTreeMap<ListKey, u128> = group[it.place].change.lists.iter().copied().collect();
            made.lists.extend(rows.into_iter().map(|(list, subject)| {
                let of = Cell::Uuid(u128::from_be_bytes(list.of));
                [Cell::small(list.kind as u8), of, Cell::big(it.head.position), Cell::Uuid(subject)]
            }));
        }
        made
    }
}

/// What becomes of a fact: as the last change of the group leaves it, and at which version the first one found it.
struct Last<'a> {
    version: &'a Cell,
    fact: &'a FactRow,
    /// None: nobody looked.
    before: Option<u64>,
}

fn columns<'a, const N: usize>(rows: impl Iterator<Item = [&'a Cell; N]>) -> Vec<Param<'a>> {
    let mut columns: Vec<Vec<&Cell>> = vec![Vec::new(); N];
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    columns.into_iter().map(Param::Many).collect()
}

/// Everything the group writes. Facts that several of its changes write are written once, as the last of them left them.
pub(super) fn writes<'a>(
    applied: &[Applied],
    group: &[&'a Pending],
    made: &'a Made,
    head: &Head,
    names: &Names,
) -> Vec<Write<'a>> {
    let mut writes = Vec::new();
    let records = applied.iter().enumerate().map(|(number, it)| {
        let pending = group[it.place];
        let (position, at, link) = (&made.positions[number], &made.times[number], &made.links[number]);
        [position, at, &pending.event, &pending.content_hash, link, &pending.bytes]
    });
    writes.push(Write { sql: RECORD.into(), params: columns(records) });
    let mut postings: Vec<Vec<&Cell>> = vec![Vec::new(); 13];
    for (number, it) in applied.iter().enumerate() {
        for row in &group[it.place].postings {
            let row = [&made.positions[number]].into_iter().chain(row);
            postings.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
        }
    }
    if !postings[0].is_empty() {
        writes.push(Write { sql: POSTING.into(), params: postings.into_iter().map(Param::Many).collect() });
    }
    if !made.lists.is_empty() {
        writes.push(Write { sql: LIST.into(), params: columns(made.lists.iter().map(|row| row.each_ref())) });
    }
    let mut last: HashMap<Key, Last<'a>, RandomState> = HashMap::default();
    for (number, it) in applied.iter().enumerate() {
        let pending = group[it.place];
        for fact in pending.facts.as_deref().unwrap_or_default() {
            let version = &made.positions[number];
            match last.entry(fact.key) {
                Entry::Occupied(mut known) => (known.get_mut().version, known.get_mut().fact) = (version, fact),
                // The first to write it saw what the database has.
                Entry::Vacant(free) => drop(free.insert(Last { version, fact, before: pending.expected(&fact.key) })),
            }
        }
    }
    // In the order of their keys, so that who writes without the head's lock would not meet us crosswise.
    let ordered: BTreeMap<Key, Last<'_>> = last.into_iter().collect();
    let mut by_table: BTreeMap<usize, Vec<Vec<&Cell>>> = BTreeMap::new();
    let mut masked: Vec<[&Cell; 2]> = Vec::new();
    for Last { version, fact, before } in ordered.into_values() {
        let columns = by_table.entry(fact.table).or_default();
        let row: Vec<&Cell> = fact.key_cells.iter().chain([version]).chain(&fact.columns).chain([&fact.body]).collect();
        columns.resize_with(row.len(), Vec::new);
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
        if let (Key::Standing(member), Some(name @ Cell::Text(text))) = (fact.key, &fact.masked_name)
            && !before.is_some_and(|before| names.was(member, before, text))
        {
            masked.push([&fact.key_cells[0], name]);
        }
    }
    for (table, columns) in by_table {
        let params = columns.into_iter().map(Param::Many).collect();
        writes.push(Write { sql: TABLES[table].put().into(), params });
    }
    if !masked.is_empty() {
        writes.push(Write { sql: MASKED.into(), params: columns(masked.into_iter()) });
    }
    let end = [Cell::big(head.position), Cell::Bytes(head.link.to_vec()), Cell::At(head.at)];
    writes.push(Write { sql: HEAD.into(), params: end.map(Param::One).into() });
    writes
}
