//! What an institution sends → days, rows and lines; every bad field is noted.

use std::collections::HashSet;

use jiff::civil::Date;

use crate::domain::ids::{RequestId, SettlementId};
use crate::domain::money::Money;
use crate::domain::reconcile::{Cell, Claimed, LineKind, Names, TheirLine};
use crate::domain::time::Moment;
use crate::grpc::enums::{Wire, wire};
use crate::grpc::fields::{Fields, all3};
use crate::grpc::proto;
use crate::ledger::reconcile::Days;

wire! {
    LineKind => proto::LineKind { Settlement, Refund }
}

const NOT_ITS_PARTS: &str = "is not own_account_fen + mutual_aid_fen";

/// The days of a comparison, bounded.
pub fn days(
    fields: &mut Fields,
    institution: &str,
    start: &str,
    last: &str,
    cut_off: Option<prost_types::Timestamp>,
    most: u32,
) -> Option<Days> {
    let institution = fields.institution("institution_code", institution);
    let start = fields.day("start_date", start);
    let last = fields.optional_day("last_day", last);
    let cut_off = match cut_off.map(moment) {
        Some(None) => {
            fields.bad("cut_off", "must be an instant of the years 1900 to 2999");
            None
        }
        Some(Some(moment)) => Some(Some(moment)),
        None => Some(None),
    };
    let (start, last) = start.zip(last)?;
    let last = last.unwrap_or(start);
    let span = start.until(last).map(|span| span.get_days()).unwrap_or(i32::MAX);
    if span < 0 {
        fields.bad("last_day", "must not be before start_date");
        return None;
    }
    if i64::from(span) >= i64::from(most) {
        fields.bad("last_day", format!("makes more than {most} days"));
        return None;
    }
    Some(Days { institution: institution?, start, last, cut_off: cut_off? })
}

fn moment(stamp: prost_types::Timestamp) -> Option<Moment> {
    let valid = (-2_208_988_800..32_503_680_000).contains(&stamp.seconds) && (0..1_000_000_000).contains(&stamp.nanos);
    valid.then(|| Moment::from_micros(stamp.seconds * 1_000_000 + i64::from(stamp.nanos / 1_000)))
}

/// One row of their totals.
pub struct Row {
    pub kind: LineKind,
    pub day: Option<Date>,
    pub count: i64,
    pub claimed: Claimed,
}

/// Sums are bounded by what the wire's numbers hold, not by what one amount may be.
pub fn totals(fields: &mut Fields, rows: Vec<proto::TotalsRow>, days: Option<&Days>) -> Option<Vec<Row>> {
    // At most one row of each kind for each day, and one for all days.
    let mut seen = HashSet::new();
    let read = rows.into_iter().enumerate().map(|(place, row)| {
        let proto::TotalsRow { kind, date, count, amounts } = row;
        let before = fields.len();
        let kind = fields.word("kind", kind);
        let day = fields.optional_day("date", &date);
        if let (Some(Some(day)), Some(days)) = (day, days)
            && !(days.start..=days.last).contains(&day)
        {
            fields.bad("date", "is none of the days compared");
        }
        if let (Some(kind), Some(day)) = (kind, day)
            && !seen.insert((kind, day))
        {
            fields.bad("date", "is in an earlier row of this kind");
        }
        if count < 0 {
            fields.bad("count", "must be 0 or more");
        }
        let claimed = sums(fields, amounts);
        let good = fields.len() == before;
        fields.place_since(before, &format_args!("theirs[{place}]"));
        let (kind, day, claimed) = all3(kind, day, claimed)?;
        good.then_some(Row { kind, day, count, claimed })
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

fn sums(fields: &mut Fields, amounts: Option<proto::LineAmounts>) -> Option<Claimed> {
    let mut claimed = Claimed::default();
    let mut good = true;
    let Some(amounts) = amounts else { return Some(claimed) };
    for (cell, fen) in parts(amounts) {
        if fen.is_some_and(|fen| fen < 0) {
            fields.bad(format!("amounts.{}", cell.name()), "must be 0 or more");
            good = false;
        }
        claimed.set(cell, fen.map(Money::fen));
    }
    let parts = claimed.of(Cell::OwnAccount).zip(claimed.of(Cell::MutualAid));
    let sum = parts.map(|(own, aid)| i128::from(own.as_fen()) + i128::from(aid.as_fen()));
    if let (Some(sum), Some(accounts)) = (sum, claimed.of(Cell::Accounts))
        && sum != i128::from(accounts.as_fen())
    {
        fields.bad("amounts.accounts_fen", NOT_ITS_PARTS);
        good = false;
    }
    good.then_some(claimed)
}

fn parts(amounts: proto::LineAmounts) -> [(Cell, Option<i64>); Cell::ALL.len()] {
    let proto::LineAmounts {
        total_fen,
        fund_fen,
        hospital_part_fen,
        accounts_fen,
        own_account_fen,
        mutual_aid_fen,
        cash_fen,
    } = amounts;
    [
        (Cell::Total, Some(total_fen)),
        (Cell::Fund, fund_fen),
        (Cell::HospitalPart, hospital_part_fen),
        (Cell::Accounts, accounts_fen),
        (Cell::OwnAccount, own_account_fen),
        (Cell::MutualAid, mutual_aid_fen),
        (Cell::Cash, cash_fen),
    ]
}

/// A line that cannot be compared, with what it names as far as that could be read.
pub struct Bad {
    pub told: proto::BadLine,
    pub kind: LineKind,
    pub names: Names,
}

/// One line; `counted` is its place in the stream.
pub fn line(line: proto::ReconciliationLine, counted: u64) -> Result<TheirLine, Box<Bad>> {
    let proto::ReconciliationLine {
        line_number,
        kind,
        date,
        settlement_id,
        request_id,
        msgid,
        medins_setl_id,
        refunded_request_id,
        amounts,
        ledger_position,
    } = line;
    let mut fields = Fields::new();
    let number = u64::try_from(line_number).ok();
    if number.is_none() {
        fields.bad("line_number", "must be 0 or more");
    }
    let number = number.filter(|number| *number > 0).unwrap_or(counted);
    let kind: Option<LineKind> = fields.word("kind", kind);
    let date = fields.day("date", &date);
    let is_named = [&settlement_id, &request_id, &msgid, &medins_setl_id, &refunded_request_id]
        .into_iter()
        .any(|name| !name.is_empty());
    if !is_named {
        fields.bad("settlement_id", "is required where no other name of the settlement is given");
    }
    if kind == Some(LineKind::Settlement) && !refunded_request_id.is_empty() {
        fields.bad("refunded_request_id", "is for refunds only");
    }
    if ledger_position != 0 {
        fields.bad("ledger_position", "is for answers only");
    }
    let names = Names {
        settlement: optional(&mut fields, "settlement_id", &settlement_id, SettlementId::parse),
        request: optional(&mut fields, "request_id", &request_id, RequestId::parse),
        msgid: fields.optional_code("msgid", msgid).unwrap_or_default(),
        medins_setl_id: fields.optional_code("medins_setl_id", medins_setl_id).unwrap_or_default(),
        refunded_request: optional(&mut fields, "refunded_request_id", &refunded_request_id, RequestId::parse),
    };
    let claimed = claimed(&mut fields, amounts);
    match (all3(kind, date, claimed), fields.is_empty()) {
        (Some((kind, date, claimed)), true) => Ok(TheirLine { number, kind, date, names, claimed }),
        _ => {
            let violations = fields.into_violations().into_iter();
            let violations =
                violations.map(|bad| proto::LineViolation { field: bad.field, description: bad.description }).collect();
            let line_number = i64::try_from(number).unwrap_or(i64::MAX);
            let told = proto::BadLine { line_number, violations };
            Err(Box::new(Bad { told, kind: kind.unwrap_or(LineKind::Settlement), names }))
        }
    }
}

fn optional<T>(fields: &mut Fields, field: &str, text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    let read = parse(text);
    if read.is_none() && !text.is_empty() {
        fields.bad(
            field,
            if field == "settlement_id" {
                "must be stl_ and 32 hexadecimal digits"
            } else {
                "must be 1 to 64 visible ASCII characters"
            },
        );
    }
    read
}

fn claimed(fields: &mut Fields, amounts: Option<proto::LineAmounts>) -> Option<Claimed> {
    let Some(amounts) = amounts else {
        fields.bad("amounts", "is required");
        return None;
    };
    let mut claimed = Claimed::default();
    let before = fields.len();
    for (cell, fen) in parts(amounts) {
        claimed.set(cell, fen.and_then(|fen| fields.money(&format!("amounts.{}", cell.name()), fen)));
    }
    let sum = claimed.of(Cell::OwnAccount).zip(claimed.of(Cell::MutualAid)).map(|(own, aid)| own + aid);
    if let (Some(sum), Some(accounts)) = (sum, claimed.of(Cell::Accounts))
        && sum != accounts
    {
        fields.bad("amounts.accounts_fen", NOT_ITS_PARTS);
    }
    (fields.len() == before).then_some(claimed)
}

/// A kind on the wire.
pub fn kind_to_wire(kind: LineKind) -> i32 {
    kind.to_wire()
}
