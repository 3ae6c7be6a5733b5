//! `gongji reconcile totals`: counts and sums of a file against the ledger's.

use std::collections::BTreeMap;
use std::path::Path;

use super::fields::yuan;
use super::file::Lines;
use super::{Book, Outcome, table};
use crate::client::{ANSWER_BYTES, Client, told};
use crate::grpc::proto;
use crate::grpc::proto::reconciliation_service_client::ReconciliationServiceClient;
use crate::terminal::{put, remark, say};

/// Bad lines that are told.
const BAD_MAX: u64 = 100;

pub async fn run(book: &Book, path: &Path) -> Result<Outcome, String> {
    let mut lines = Lines::open(path)?;
    let mut sums: BTreeMap<(i32, String), Sum> = BTreeMap::new();
    for kind in [proto::LineKind::Settlement, proto::LineKind::Refund] {
        sums.insert((kind as i32, String::new()), Sum::default());
    }
    let mut bad = 0_u64;
    while let Some(read) = lines.next(book)? {
        if !read.wrong.is_empty() {
            bad += 1;
            if bad <= BAD_MAX {
                remark!("line {}: {}", read.line.line_number, read.wrong.join("; "));
            }
            continue;
        }
        // Neighbouring days may be in the file; they are not counted.
        if book.has(&read.line.date) {
            let amounts = read.line.amounts.unwrap_or_default();
            let days =
                if book.from == book.last_day() { vec![String::new()] } else { vec![String::new(), read.line.date] };
            for day in days {
                let sum = sums.entry((read.line.kind, day)).or_default();
                sum.add(&amounts).ok_or_else(|| format!("line {}: the sums are too large", read.line.line_number))?;
            }
        }
    }
    if bad > 0 {
        return Err(format!("{}: {bad} bad lines; nothing was compared", path.display()));
    }
    let theirs = sums.into_iter().map(|((kind, date), sum)| proto::TotalsRow {
        kind,
        date,
        count: sum.count,
        amounts: Some(sum.amounts()),
    });
    let request = proto::CompareTotalsRequest {
        institution_code: book.institution.clone(),
        start_date: book.from.clone(),
        last_day: book.last_day().to_owned(),
        theirs: theirs.collect(),
        min_ledger_position: 0,
    };
    let client = Client::connect(&book.connect).await?;
    let mut service = ReconciliationServiceClient::new(client.channel).max_decoding_message_size(ANSWER_BYTES);
    let found = service.compare_totals(request).await.map_err(|status| told(&status))?.into_inner();
    print(&found);
    Ok(if found.equal { Outcome::Equal } else { Outcome::Different })
}

fn kind(number: i32) -> &'static str {
    proto::LineKind::try_from(number).unwrap_or_default().as_str_name().trim_start_matches("LINE_KIND_")
}

fn print(found: &proto::CompareTotalsResponse) {
    let mut rows =
        vec![["种类/kind", "日期/date", "项目/cell", "账本/ledger", "医院/book"].map(str::to_owned).to_vec()];
    for cell in &found.differences {
        let value = |value: i64| if cell.cell == "count" { value.to_string() } else { yuan(value) };
        rows.push(vec![
            kind(cell.kind).to_owned(),
            cell.date.clone(),
            cell.cell.clone(),
            value(cell.ours),
            value(cell.theirs),
        ]);
    }
    if !found.differences.is_empty() {
        put!("{}", table::table(&rows));
    }
    let all = found.ours.iter().filter(|row| row.date.is_empty());
    let all = all.map(|row| {
        let total = row.amounts.unwrap_or_default().total_fen;
        format!("{} {} ({})", kind(row.kind), row.count, yuan(total))
    });
    let all: Vec<String> = all.collect();
    let word = if found.equal { "equal" } else { "different" };
    say!("{word}: ledger up to position {}: {}", found.read_position, all.join(", "));
}

/// Sums of one kind; a part that any line leaves out is not summed.
#[derive(Default)]
struct Sum {
    count: i64,
    total: i64,
    parts: [Option<i64>; 6],
}

impl Sum {
    fn add(&mut self, amounts: &proto::LineAmounts) -> Option<()> {
        let proto::LineAmounts {
            total_fen,
            fund_fen,
            hospital_part_fen,
            accounts_fen,
            own_account_fen,
            mutual_aid_fen,
            cash_fen,
        } = *amounts;
        let first = self.count == 0;
        self.count += 1;
        self.total = self.total.checked_add(total_fen)?;
        let given = [fund_fen, hospital_part_fen, accounts_fen, own_account_fen, mutual_aid_fen, cash_fen];
        for (sum, fen) in self.parts.iter_mut().zip(given) {
            *sum = match (*sum, fen) {
                (Some(sum), Some(fen)) => Some(sum.checked_add(fen)?),
                (None, Some(fen)) if first => Some(fen),
                (_, None) | (None, Some(_)) => None,
            };
        }
        Some(())
    }

    fn amounts(&self) -> proto::LineAmounts {
        let [fund_fen, hospital_part_fen, accounts_fen, own_account_fen, mutual_aid_fen, cash_fen] = self.parts;
        let total_fen = self.total;
        proto::LineAmounts {
            total_fen,
            fund_fen,
            hospital_part_fen,
            accounts_fen,
            own_account_fen,
            mutual_aid_fen,
            cash_fen,
        }
    }
}
