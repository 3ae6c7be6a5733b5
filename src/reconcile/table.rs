//! Differences as a table to read and as a file in the national shape.

use std::fmt::Write as _;

use super::fields::yuan;
use crate::grpc::proto;

/// A table whose columns are as wide as what stands in them; Chinese characters take two places.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |text: &str| text.chars().map(|letter| if letter.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|text| width(text)).max();
    let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (text, widest) in row.iter().zip(&widths) {
            let _ = write!(line, "{text}{}  ", " ".repeat(widest - width(text)));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub fn kind(difference: &proto::Difference) -> &'static str {
    difference.kind().as_str_name().trim_start_matches("DIFFERENCE_KIND_")
}

fn repair(difference: &proto::Difference) -> &'static str {
    difference.repair().as_str_name().trim_start_matches("REPAIR_")
}

/// Amounts of one side as a book has them: refunds below zero.
fn total(lines: &[proto::ReconciliationLine]) -> String {
    let totals = lines.iter().map(|line| yuan(signed(line, line.amounts.unwrap_or_default().total_fen)));
    totals.collect::<Vec<_>>().join(" ")
}

pub fn signed(line: &proto::ReconciliationLine, fen: i64) -> i64 {
    if line.kind() == proto::LineKind::Refund { -fen } else { fen }
}

/// The amount that a field of `LineAmounts` holds.
fn part(amounts: &proto::LineAmounts, name: &str) -> i64 {
    let part = match name {
        "total_fen" => Some(amounts.total_fen),
        "fund_fen" => amounts.fund_fen,
        "hospital_part_fen" => amounts.hospital_part_fen,
        "accounts_fen" => amounts.accounts_fen,
        "own_account_fen" => amounts.own_account_fen,
        "mutual_aid_fen" => amounts.mutual_aid_fen,
        "cash_fen" => amounts.cash_fen,
        _ => None,
    };
    part.unwrap_or_default()
}

fn name(line: &proto::ReconciliationLine) -> String {
    let names = [&line.settlement_id, &line.request_id, &line.msgid, &line.medins_setl_id, &line.refunded_request_id];
    names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default()
}

pub const HEAD: [&str; 6] = ["行/line", "差异/difference", "账本/ledger", "医院/book", "编号/id", "处理/repair"];

/// One row of the table.
pub fn row(difference: &proto::Difference) -> Vec<String> {
    let numbers = difference.theirs.iter().map(|line| line.line_number.to_string());
    let named = difference.ours.iter().chain(&difference.theirs).next().map(name).unwrap_or_default();
    let mut message = difference.message.clone();
    if let (Some(ours), Some(theirs)) = (difference.ours.first(), difference.theirs.first()) {
        let cells = difference.differing_amounts.iter().map(|name| {
            let both = [ours, theirs].map(|line| yuan(signed(line, part(&line.amounts.unwrap_or_default(), name))));
            format!("{name} {}", both.join(" / "))
        });
        let cells: Vec<String> = cells.collect();
        if !cells.is_empty() {
            let _ = write!(message, "（{}）", cells.join("，"));
        }
    }
    vec![
        numbers.collect::<Vec<_>>().join(" "),
        kind(difference).to_owned(),
        total(&difference.ours),
        total(&difference.theirs),
        named,
        message,
    ]
}

/// Columns of the results file: those of the national one, then what it has no place for.
pub const RESULT: [&str; 15] = [
    "psn_no",
    "mdtrt_id",
    "setl_id",
    "msgid",
    "stmt_rslt",
    "refd_setl_flag",
    "memo",
    "medfee_sumamt",
    "fund_pay_sumamt",
    "acct_pay",
    "medins_setl_id",
    "setl_time",
    "side",
    "line",
    "repair",
];

/// A line for each line of a difference, ours first.
pub fn results(difference: &proto::Difference) -> String {
    let mut out = String::new();
    let sides = [("ledger", &difference.ours), ("book", &difference.theirs)];
    for (side, line) in sides.into_iter().flat_map(|(side, lines)| lines.iter().map(move |line| (side, line))) {
        let amounts = line.amounts.unwrap_or_default();
        let money = |fen: Option<i64>| fen.map(|fen| yuan(signed(line, fen))).unwrap_or_default();
        let msgid = if line.msgid.is_empty() { &line.request_id } else { &line.msgid };
        let cells = [
            String::new(),
            String::new(),
            line.settlement_id.clone(),
            msgid.clone(),
            kind(difference).to_owned(),
            if line.kind() == proto::LineKind::Refund { "1" } else { "0" }.to_owned(),
            difference.message.clone(),
            money(Some(amounts.total_fen)),
            money(amounts.fund_fen),
            money(amounts.accounts_fen),
            line.medins_setl_id.clone(),
            line.date.clone(),
            side.to_owned(),
            if line.line_number > 0 { line.line_number.to_string() } else { String::new() },
            repair(difference).to_owned(),
        ];
        out.push_str(&join(&cells));
    }
    out
}

/// Cells as a line of a file: nothing is `null`.
pub fn join(cells: &[String]) -> String {
    let cells: Vec<&str> = cells.iter().map(|cell| if cell.is_empty() { "null" } else { cell.as_str() }).collect();
    format!("{}\n", cells.join("\t"))
}
