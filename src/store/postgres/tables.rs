//! The tables of facts: one for each kind of key, with its natural key and the columns that people query.
//!
//! Statements are made of this list, once for each connection; `cells.rs` gives the values in the same order.

use super::cell::Cell;
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

/// The place of standings, whose masked names lie apart.
pub(super) const STANDING: usize = 3;

/// Where the fact of a key lies, and its natural key there.
pub(super) fn place_of(key: &Key) -> (usize, Vec<Cell>) {
    match *key {
        Key::Request(hash) => (0, vec![Cell::Bytes(hash.to_vec())]),
        Key::Reference(hash) => (1, vec![Cell::Bytes(hash.to_vec())]),
        Key::Person(member) => (2, vec![Cell::Uuid(member.as_u128())]),
        Key::Standing(member) => (STANDING, vec![Cell::Uuid(member.as_u128())]),
        Key::Wards(member) => (4, vec![Cell::Uuid(member.as_u128())]),
        Key::Binding(binding) => (5, vec![Cell::Uuid(binding.as_u128())]),
        Key::Settlement(settlement) => (6, vec![Cell::Uuid(settlement.as_u128())]),
        Key::Basis(settlement) => (7, vec![Cell::Uuid(settlement.as_u128())]),
        Key::Policy(digest) => (8, vec![Cell::Bytes(digest.to_vec())]),
        Key::Decided(hash) => (9, vec![Cell::Bytes(hash.to_vec())]),
        Key::AidUse(owner, beneficiary) => (10, vec![Cell::Uuid(owner.as_u128()), Cell::Uuid(beneficiary.as_u128())]),
        Key::PolicySet(digest) => (11, vec![Cell::Bytes(digest.to_vec())]),
        Key::Card(member) => (12, vec![Cell::Uuid(member.as_u128())]),
        Key::Wallet(member) => (13, vec![Cell::Uuid(member.as_u128())]),
        Key::WalletDay(member, day) => (14, vec![Cell::Uuid(member.as_u128()), Cell::Day(day)]),
        Key::Transfer(transfer) => (15, vec![Cell::Uuid(transfer.as_u128())]),
        Key::Quota(binding) => (16, vec![Cell::Uuid(binding.as_u128())]),
        Key::Slips(member) => (17, vec![Cell::Uuid(member.as_u128())]),
        Key::JobDay(job) => (18, vec![Cell::small(job.code())]),
        Key::Certification(member) => (19, vec![Cell::Uuid(member.as_u128())]),
        Key::YearClose(region, year) => (20, vec![region_cell(region), Cell::Small(year)]),
    }
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

    /// Looks many keys up; `first` is the number of the first parameter.
    fn look(&self, place: usize, first: usize, whole: bool) -> String {
        let key = names(self.key.iter());
        let on: Vec<_> = key.iter().map(|name| format!("t.{name} = k.{name}")).collect();
        let body = match (whole, place == STANDING) {
            (false, _) => String::new(),
            (true, false) => ", t.body, NULL::text".to_owned(),
            (true, true) => ", t.body, m.masked_name".to_owned(),
        };
        let names_too = if whole && place == STANDING {
            " LEFT JOIN gongji_person.masked_name m ON m.member = k.member"
        } else {
            ""
        };
        let (arrays, columns, on) = (arrays(self.key.iter(), first), key.join(", "), on.join(" AND "));
        format!(
            "SELECT {place}::smallint, k.ord, t.version{body} FROM unnest({arrays}) WITH ORDINALITY AS k({columns}, ord) \
             JOIN {} t ON {on}{names_too}",
            self.name
        )
    }
}

/// One statement that looks keys of these kinds up, as of one moment. Its rows: place of the kind, place among the keys of
/// that kind from 1 on, version, and with `whole` body and masked name. A look at whole facts also tells the head, as kind -1.
pub(super) fn look(kinds: &[usize], whole: bool) -> String {
    let mut first = 1;
    let mut parts = Vec::new();
    if whole {
        parts.push("SELECT -1::smallint, 0::bigint, position, link, NULL::text FROM gongji.head".to_owned());
    }
    for place in kinds {
        let table = &TABLES[*place];
        parts.push(table.look(*place, first, whole));
        first += table.key.len();
    }
    parts.join(" UNION ALL ")
}
