//! What a comparison found → proto.

use super::read::{Row, kind_to_wire};
use crate::domain::reconcile::{Cell, Claimed, Figures, Kind, LineKind, OurLine, Repair, TheirLine, Totals};
use crate::grpc::{proto, wire_position};
use crate::ledger::reconcile::{Found, Summary};

fn kind(kind: Kind) -> proto::DifferenceKind {
    match kind {
        Kind::OnlyOurs => proto::DifferenceKind::OnlyOurs,
        Kind::OnlyTheirs => proto::DifferenceKind::OnlyTheirs,
        Kind::Amount => proto::DifferenceKind::Amount,
        Kind::State => proto::DifferenceKind::State,
        Kind::InFlight => proto::DifferenceKind::InFlight,
        Kind::DateEdge => proto::DifferenceKind::DateEdge,
        Kind::ReversedPair => proto::DifferenceKind::ReversedPair,
    }
}

fn repair(repair: Repair) -> proto::Repair {
    match repair {
        Repair::BookLine => proto::Repair::BookLine,
        Repair::Resolve => proto::Repair::Resolve,
        Repair::StrikeLine => proto::Repair::StrikeLine,
        Repair::StrikeDuplicate => proto::Repair::StrikeDuplicate,
        Repair::CorrectAmounts => proto::Repair::CorrectAmounts,
        Repair::BookRefund => proto::Repair::BookRefund,
        Repair::SendRefund => proto::Repair::SendRefund,
        Repair::SettleAnew => proto::Repair::SettleAnew,
        Repair::CompareLater => proto::Repair::CompareLater,
        Repair::EndHold => proto::Repair::EndHold,
        Repair::MoveDay => proto::Repair::MoveDay,
        Repair::BookBothOrNeither => proto::Repair::BookBothOrNeither,
        Repair::StrikeReversed => proto::Repair::StrikeReversed,
    }
}

fn amounts(figures: &Figures) -> proto::LineAmounts {
    proto::LineAmounts {
        total_fen: figures.total.as_fen(),
        fund_fen: Some(figures.fund.as_fen()),
        hospital_part_fen: Some(figures.hospital_part.as_fen()),
        accounts_fen: Some(figures.accounts().as_fen()),
        own_account_fen: Some(figures.own_account.as_fen()),
        mutual_aid_fen: Some(figures.mutual_aid.as_fen()),
        cash_fen: Some(figures.cash.as_fen()),
    }
}

fn claimed(claimed: &Claimed) -> proto::LineAmounts {
    let part = |cell| claimed.of(cell).map(|amount| amount.as_fen());
    proto::LineAmounts {
        total_fen: part(Cell::Total).unwrap_or_default(),
        fund_fen: part(Cell::Fund),
        hospital_part_fen: part(Cell::HospitalPart),
        accounts_fen: part(Cell::Accounts),
        own_account_fen: part(Cell::OwnAccount),
        mutual_aid_fen: part(Cell::MutualAid),
        cash_fen: part(Cell::Cash),
    }
}

/// A line of the ledger.
pub fn ours(line: &OurLine) -> proto::ReconciliationLine {
    proto::ReconciliationLine {
        line_number: 0,
        kind: kind_to_wire(line.kind),
        date: line.at.civil_day().to_string(),
        settlement_id: line.settlement.to_string(),
        request_id: line.request_id.clone(),
        msgid: line.msgid.clone(),
        medins_setl_id: line.medins_setl_id.clone(),
        refunded_request_id: String::new(),
        amounts: Some(amounts(&line.figures)),
        ledger_position: wire_position(line.position),
    }
}

/// A line of theirs, as they sent it.
fn theirs(line: TheirLine) -> proto::ReconciliationLine {
    let request = |id: Option<crate::domain::ids::RequestId>| id.map(|id| id.as_str().to_owned()).unwrap_or_default();
    proto::ReconciliationLine {
        line_number: wire_position(line.number),
        kind: kind_to_wire(line.kind),
        date: line.date.to_string(),
        settlement_id: line.names.settlement.map(|id| id.to_string()).unwrap_or_default(),
        request_id: request(line.names.request),
        msgid: line.names.msgid,
        medins_setl_id: line.names.medins_setl_id,
        refunded_request_id: request(line.names.refunded_request),
        amounts: Some(claimed(&line.claimed)),
        ledger_position: 0,
    }
}

pub fn difference(found: Found) -> proto::Difference {
    let Found { verdict, ours: our_lines, theirs: their_lines } = found;
    proto::Difference {
        kind: kind(verdict.kind) as i32,
        repair: repair(verdict.repair) as i32,
        message: [verdict.kind.sentence(), verdict.repair.sentence()].concat(),
        ours: our_lines.iter().map(ours).collect(),
        theirs: their_lines.into_iter().map(theirs).collect(),
        differing_amounts: verdict.cells.into_iter().map(|cell| cell.name().to_owned()).collect(),
    }
}

pub fn summary(summary: &Summary) -> proto::CompareDetailsSummary {
    let count =
        |(of, count): (&Kind, &u64)| proto::DifferenceCount { kind: kind(*of) as i32, count: wire_position(*count) };
    proto::CompareDetailsSummary {
        equal: summary.differences.is_empty() && summary.bad_lines == 0,
        lines: wire_position(summary.lines),
        lines_outside: wire_position(summary.lines_outside),
        bad_lines: wire_position(summary.bad_lines),
        ours: wire_position(summary.ours),
        agreed: wire_position(summary.agreed),
        differences: summary.differences.iter().map(count).collect(),
    }
}

/// Our rows: of all days, then of each where there are several.
pub fn totals(totals: &Totals, several: bool) -> Vec<proto::TotalsRow> {
    let row = |kind: LineKind, date: String, (count, sums): (u64, Figures)| proto::TotalsRow {
        kind: kind_to_wire(kind),
        date,
        count: wire_position(count),
        amounts: Some(amounts(&sums)),
    };
    let all = [LineKind::Settlement, LineKind::Refund].map(|kind| row(kind, String::new(), totals.of(kind, None)));
    let days = totals.0.iter().filter(|_| several).map(|((day, kind), found)| row(*kind, day.to_string(), *found));
    all.into_iter().chain(days).collect()
}

/// The cells in which their rows differ from ours.
pub fn totals_differences(rows: &[Row], totals: &Totals) -> Vec<proto::TotalsDifference> {
    let mut differences = Vec::new();
    for row in rows {
        let (count, sums) = totals.of(row.kind, row.day);
        let mut add = |cell: &str, ours: i64, theirs: i64| {
            differences.push(proto::TotalsDifference {
                kind: kind_to_wire(row.kind),
                date: row.day.map(|day| day.to_string()).unwrap_or_default(),
                cell: cell.to_owned(),
                ours,
                theirs,
            });
        };
        if wire_position(count) != row.count {
            add("count", wire_position(count), row.count);
        }
        for cell in row.claimed.differing(&sums) {
            let theirs = row.claimed.of(cell).map(|amount| amount.as_fen()).unwrap_or_default();
            add(cell.name(), sums.of(cell).as_fen(), theirs);
        }
    }
    differences
}
