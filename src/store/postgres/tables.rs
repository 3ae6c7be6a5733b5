//! The tables of facts: one for each kind of key, with its natural key and the columns that people query.
//!
//! Statements are made of this list, once for each connection; `cells.rs` gives the values in the same order.

use arrayvec::ArrayVec;
use tokio_postgres::Row;

use super::cell::{self, Cell, Unreadable};
use crate::domain::ids::{BindingId, MemberId, RegionCode, SettlementId, TransferId};
use crate::domain::record::Job;
use crate::store::Key;

/// A column and its type.
type Column = (&'static str, &'static str);

pub(super) struct Table {
    pub name: &'static str,
    pub key: &'static [Column],
    /// Between the version and the body.
    pub columns: &'static [Column],
}

/// In the order of [`place_of`].
pub(super) const TABLES: [Table; 21] = [
    Table {
        name: "gongji.request",
        key: &[("hash", "bytea")],
        columns: &[("scope", "text"), ("request_id", "text"), ("method", "smallint")],
    },
    Table { name: "gongji_person.reference", key: &[("hash", "bytea")], columns: &[("member", "uuid")] },
    Table {
        name: "gongji_person.person",
        key: &[("member", "uuid")],
        columns: &[
            ("name", "text"),
            ("id_number", "text"),
            ("card_number", "text"),
            ("personal_number", "text"),
            ("computer_number", "text"),
        ],
    },
    Table {
        name: "gongji.standing",
        key: &[("member", "uuid")],
        columns: &[
            ("region", "integer"),
            ("scheme", "smallint"),
            ("state", "smallint"),
            ("account_year", "smallint"),
            ("current_fen", "bigint"),
            ("prior_fen", "bigint"),
            ("wallet_fen", "bigint"),
            ("held_fen", "bigint"),
            ("relatives", "smallint"),
        ],
    },
    Table { name: "gongji.wards", key: &[("member", "uuid")], columns: &[("bindings", "smallint")] },
    Table {
        name: "gongji.binding",
        key: &[("binding", "uuid")],
        columns: &[
            ("owner", "uuid"),
            ("beneficiary", "uuid"),
            ("owner_region", "integer"),
            ("beneficiary_region", "integer"),
            ("relation", "smallint"),
            ("channel", "smallint"),
            ("starts", "date"),
            ("last_day", "date"),
            ("life", "smallint"),
            ("cap_settlement_fen", "bigint"),
            ("cap_day_fen", "bigint"),
            ("cap_year_fen", "bigint"),
            ("priority", "bigint"),
        ],
    },
    Table {
        name: "gongji.settlement",
        key: &[("settlement", "uuid")],
        columns: &[
            ("institution", "text"),
            ("patient", "uuid"),
            ("region", "integer"),
            ("visit_date", "date"),
            ("state", "smallint"),
            ("created_at", "timestamptz"),
            ("total_fen", "bigint"),
            ("fund_fen", "bigint"),
            ("hospital_part_fen", "bigint"),
            ("own_account_fen", "bigint"),
            ("mutual_aid_fen", "bigint"),
            ("cash_fen", "bigint"),
            ("refunded_fen", "bigint"),
        ],
    },
    Table {
        name: "gongji_health.basis",
        key: &[("settlement", "uuid")],
        columns: &[("total_fen", "bigint"), ("lines", "integer")],
    },
    Table {
        name: "gongji.policy",
        key: &[("digest", "bytea")],
        columns: &[("region", "integer"), ("starts", "date"), ("ends", "date"), ("known_from", "date")],
    },
    Table { name: "gongji.decided", key: &[("request", "bytea")], columns: &[("steps", "integer")] },
    Table {
        name: "gongji.aid_use",
        key: &[("owner", "uuid"), ("beneficiary", "uuid")],
        columns: &[("used_on", "date"), ("day_fen", "bigint"), ("year_fen", "bigint")],
    },
    Table { name: "gongji.policy_set", key: &[("digest", "bytea")], columns: &[("parts", "integer")] },
    Table {
        name: "gongji.card",
        key: &[("member", "uuid")],
        columns: &[("active", "boolean"), ("issuing_bank", "text")],
    },
    Table { name: "gongji.wallet", key: &[("member", "uuid")], columns: &[("opened_at", "timestamptz")] },
    Table {
        name: "gongji.wallet_day",
        key: &[("member", "uuid"), ("day", "date")],
        columns: &[("sent", "bigint"), ("amount_fen", "bigint")],
    },
    Table {
        name: "gongji.transfer",
        key: &[("transfer", "uuid")],
        columns: &[
            ("owner", "uuid"),
            ("beneficiary", "uuid"),
            ("relation", "smallint"),
            ("amount_fen", "bigint"),
            ("sent_on", "date"),
            ("claim_before", "timestamptz"),
            ("state", "smallint"),
        ],
    },
    Table {
        name: "gongji.quota",
        key: &[("binding", "uuid")],
        columns: &[
            ("owner", "uuid"),
            ("beneficiary", "uuid"),
            ("year", "smallint"),
            ("current_fen", "bigint"),
            ("prior_fen", "bigint"),
            ("since", "timestamptz"),
        ],
    },
    Table { name: "gongji.slips", key: &[("member", "uuid")], columns: &[("owners", "integer")] },
    Table { name: "gongji.job_day", key: &[("job", "smallint")], columns: &[("done", "date")] },
    Table {
        name: "gongji.certification",
        key: &[("member", "uuid")],
        columns: &[
            ("certification", "uuid"),
            ("state", "smallint"),
            ("began", "date"),
            ("ended", "date"),
            ("last_passed", "date"),
        ],
    },
    Table {
        name: "gongji.year_close",
        key: &[("region", "integer"), ("year", "smallint")],
        columns: &[
            ("started", "timestamptz"),
            ("ended", "timestamptz"),
            ("closed", "bigint"),
            ("without", "bigint"),
            ("refused", "bigint"),
            ("interest_fen", "bigint"),
        ],
    },
];

/// The place of references, which lead to standings.
pub(super) const REFERENCE: usize = 1;
/// The place of standings, whose masked names lie apart.
pub(super) const STANDING: usize = 3;

/// Where the fact of a key lies, and its natural key there.
pub(super) fn place_of(key: &Key) -> (usize, ArrayVec<Cell, 2>) {
    let one = |cell| ArrayVec::from_iter([cell]);
    match *key {
        Key::Request(hash) => (0, one(Cell::Hash(hash))),
        Key::Reference(hash) => (REFERENCE, one(Cell::Hash(hash))),
        Key::Person(member) => (2, one(Cell::Uuid(member.as_u128()))),
        Key::Standing(member) => (STANDING, one(Cell::Uuid(member.as_u128()))),
        Key::Wards(member) => (4, one(Cell::Uuid(member.as_u128()))),
        Key::Binding(binding) => (5, one(Cell::Uuid(binding.as_u128()))),
        Key::Settlement(settlement) => (6, one(Cell::Uuid(settlement.as_u128()))),
        Key::Basis(settlement) => (7, one(Cell::Uuid(settlement.as_u128()))),
        Key::Policy(digest) => (8, one(Cell::Bytes(digest.to_vec()))),
        Key::Decided(hash) => (9, one(Cell::Hash(hash))),
        Key::AidUse(owner, beneficiary) => {
            (10, [Cell::Uuid(owner.as_u128()), Cell::Uuid(beneficiary.as_u128())].into())
        }
        Key::PolicySet(digest) => (11, one(Cell::Bytes(digest.to_vec()))),
        Key::Card(member) => (12, one(Cell::Uuid(member.as_u128()))),
        Key::Wallet(member) => (13, one(Cell::Uuid(member.as_u128()))),
        Key::WalletDay(member, day) => (14, [Cell::Uuid(member.as_u128()), Cell::Day(day)].into()),
        Key::Transfer(transfer) => (15, one(Cell::Uuid(transfer.as_u128()))),
        Key::Quota(binding) => (16, one(Cell::Uuid(binding.as_u128()))),
        Key::Slips(member) => (17, one(Cell::Uuid(member.as_u128()))),
        Key::JobDay(job) => (18, one(Cell::small(job.code()))),
        Key::Certification(member) => (19, one(Cell::Uuid(member.as_u128()))),
        Key::YearClose(region, year) => (20, [region_cell(region), Cell::Small(year)].into()),
    }
}

/// The key of a row of this table, whose natural key stands from a column on.
pub(super) fn key_of(table: usize, row: &Row, first: usize) -> Result<Key, Unreadable> {
    let id = || cell::uuid(row, first);
    let member = |id| MemberId::from_u128(id);
    Ok(match table {
        0 => Key::Request(cell::exactly(row, first)?),
        REFERENCE => Key::Reference(cell::exactly(row, first)?),
        2 => Key::Person(member(id()?)),
        STANDING => Key::Standing(member(id()?)),
        4 => Key::Wards(member(id()?)),
        5 => Key::Binding(BindingId::from_u128(id()?)),
        6 => Key::Settlement(SettlementId::from_u128(id()?)),
        7 => Key::Basis(SettlementId::from_u128(id()?)),
        8 => Key::Policy(cell::exactly(row, first)?),
        9 => Key::Decided(cell::exactly(row, first)?),
        10 => Key::AidUse(member(id()?), member(cell::uuid(row, first + 1)?)),
        11 => Key::PolicySet(cell::exactly(row, first)?),
        12 => Key::Card(member(id()?)),
        13 => Key::Wallet(member(id()?)),
        14 => Key::WalletDay(member(id()?), cell::day(row, first + 1)?),
        15 => Key::Transfer(TransferId::from_u128(id()?)),
        16 => Key::Quota(BindingId::from_u128(id()?)),
        17 => Key::Slips(member(id()?)),
        18 => {
            let code = u8::try_from(cell::small(row, first)?).map_err(|_| Unreadable)?;
            Key::JobDay(Job::from_code(code).ok_or(Unreadable)?)
        }
        19 => Key::Certification(member(id()?)),
        20 => {
            let code = cell::exactly(row, first).map(u32::from_be_bytes)?;
            Key::YearClose(RegionCode::from_u32(code).ok_or(Unreadable)?, cell::small(row, first + 1)?)
        }
        _ => return Err(Unreadable),
    })
}

pub(super) fn region_cell(region: crate::domain::ids::RegionCode) -> Cell {
    Cell::Int(i32::try_from(region.as_u32()).unwrap_or(i32::MAX))
}

/// `$1::uuid[], $2::date[]` for these columns, from a first number on.
fn arrays<'a>(columns: impl Iterator<Item = &'a Column>, first: usize) -> String {
    let array = |(place, (_, kind)): (usize, &Column)| format!("${}::{kind}[]", first + place);
    columns.enumerate().map(array).collect::<Vec<_>>().join(", ")
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<&'a str> {
    columns.map(|(name, _)| *name).collect()
}

impl Table {
    /// Key, version, columns, body: as they are written.
    fn written(&self) -> Vec<Column> {
        let version: Column = ("version", "bigint");
        let body: Column = ("body", "bytea");
        self.key.iter().copied().chain([version]).chain(self.columns.iter().copied()).chain([body]).collect()
    }

    /// Writes many facts of one kind; each key at most once.
    pub fn put(&self) -> String {
        let columns = self.written();
        let (all, key) = (names(columns.iter()), names(self.key.iter()));
        let set = all.iter().filter(|name| !key.contains(name)).map(|name| format!("{name} = excluded.{name}"));
        let set = set.collect::<Vec<_>>().join(", ");
        let (arrays, all, key) = (arrays(columns.iter(), 1), all.join(", "), key.join(", "));
        format!(
            "INSERT INTO {} ({all}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO UPDATE SET {set}",
            self.name
        )
    }

    /// Looks many keys up; `first` is the number of the first parameter. The `OFFSET 0` keeps the planner from walking a
    /// table that was empty when the statement was prepared, and comparing each of its rows with the keys ever after.
    fn look(&self, place: usize, first: usize, whole: bool) -> String {
        let key = names(self.key.iter());
        let on: Vec<_> = key.iter().map(|name| format!("t.{name} = k.{name}")).collect();
        let (body, of_body, names_too) = match (whole, place == STANDING) {
            (false, _) => ("", "", ""),
            (true, false) => (", t.body", ", f.body, NULL::text", ""),
            (true, true) => (", t.body", ", f.body, m.masked_name", MASKED_NAME),
        };
        let (arrays, columns, on) = (arrays(self.key.iter(), first), key.join(", "), on.join(" AND "));
        format!(
            "SELECT {place}::smallint, k.ord, f.version{of_body} \
             FROM unnest({arrays}) WITH ORDINALITY AS k({columns}, ord) \
             CROSS JOIN LATERAL (SELECT t.version{body} FROM {} t WHERE {on} OFFSET 0) f{names_too}",
            self.name
        )
    }
}

const MASKED_NAME: &str = " LEFT JOIN gongji_person.masked_name m ON m.member = k.member";

/// The kind of the row that tells the head, of a reference that leads, and of the standing that it leads to.
pub(super) const HEAD: i16 = -1;
pub(super) const LEADING: i16 = -2;
pub(super) const LED_TO: i16 = -3;

/// What a statement of [`look`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Versions,
    /// Bodies and masked names too, and the head.
    Facts,
    /// These, and references with the standings they lead to; their hashes are the last parameter.
    FactsAhead,
}

/// One statement that looks keys of these kinds up, as of one moment. Its rows: place of the kind, place among the keys of
/// that kind from 1 on, version, and unless only versions are wanted body and masked name.
pub(super) fn look(kinds: &[usize], wanted: Wanted) -> String {
    let mut first = 1;
    let mut parts = Vec::new();
    let whole = wanted != Wanted::Versions;
    if whole {
        parts.push(format!("SELECT {HEAD}::smallint, 0::bigint, position, link, NULL::text FROM gongji.head"));
    }
    for place in kinds {
        let table = &TABLES[*place];
        parts.push(table.look(*place, first, whole));
        first += table.key.len();
    }
    if wanted == Wanted::FactsAhead {
        // One row for each of the two.
        parts.push(format!(
            "SELECT v.* FROM unnest(${first}::bytea[]) WITH ORDINALITY AS k(hash, ord) \
             CROSS JOIN LATERAL (SELECT t.* FROM {} t WHERE t.hash = k.hash OFFSET 0) r \
             LEFT JOIN LATERAL (SELECT t.member, t.version, t.body FROM {} t WHERE t.member = r.member OFFSET 0) f ON true \
             LEFT JOIN gongji_person.masked_name m ON m.member = f.member \
             CROSS JOIN LATERAL (VALUES ({LEADING}::smallint, k.ord, r.version, r.body, NULL::text), \
             ({LED_TO}::smallint, k.ord, f.version, f.body, m.masked_name)) AS v WHERE v.column3 IS NOT NULL",
            TABLES[REFERENCE].name, TABLES[STANDING].name
        ));
    }
    parts.join(" UNION ALL ")
}
