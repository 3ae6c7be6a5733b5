//! A book as a file: lines in the national shape, read one by one; what is wrong with a line is told with all its columns.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::fields::{Column, UNNAMED, cell, fen};
use super::{Book, MutualAid};
use crate::domain::time::parse_day;
use crate::grpc::proto;

/// The longest line that is read, in bytes.
const LINE_MAX: usize = 64 << 10;

/// A line, and what is wrong with it. A bad one still carries the names that could be read, but no amounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub line: proto::ReconciliationLine,
    pub wrong: Vec<String>,
}

/// The lines of a file.
pub struct Lines {
    reader: BufReader<File>,
    columns: Vec<Option<Column>>,
    pub bytes: u64,
    number: i64,
    first: Option<String>,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let reader = BufReader::new(File::open(path).map_err(told)?);
        let mut lines = Self { reader, columns: Vec::new(), bytes: 0, number: 0, first: None };
        let first = lines.text()?.unwrap_or(Ok(String::new())).map_err(|wrong| format!("line 1: {wrong}"))?;
        let names: Vec<&str> = first.trim_start_matches('\u{feff}').split('\t').map(str::trim).collect();
        if names.contains(&Column::MedfeeSumamt.name()) {
            lines.columns = names.into_iter().map(Column::named).collect();
            lines.number = 1;
        } else if !first.trim().is_empty() && names.len() != UNNAMED.len() {
            return Err(format!(
                "{}: line 1 names no columns and has {} cells, not {}: cells are separated by tabs",
                path.display(),
                names.len(),
                UNNAMED.len()
            ));
        } else {
            lines.columns = UNNAMED.into_iter().map(Column::named).collect();
            lines.first = Some(first);
        }
        Ok(lines)
    }

    /// The next line as text; what is wrong with it inside.
    fn text(&mut self) -> Result<Option<Result<String, String>>, String> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| error.to_string())?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if read > LINE_MAX {
            return Err(format!("line {}: is longer than {LINE_MAX} bytes", self.number + 1));
        }
        Ok(Some(String::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())))
    }

    /// The next line that is not blank.
    pub fn next(&mut self, book: &Book) -> Result<Option<Read>, String> {
        loop {
            let text = match self.first.take() {
                Some(first) => Ok(first),
                None => match self.text()? {
                    Some(text) => text,
                    None => return Ok(None),
                },
            };
            self.number += 1;
            let mut read = match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => self.line(&text, book),
                Err(wrong) => Read { line: proto::ReconciliationLine::default(), wrong: vec![wrong] },
            };
            read.line.line_number = self.number;
            return Ok(Some(read));
        }
    }

    fn line(&self, text: &str, book: &Book) -> Read {
        let cells: Vec<&str> = text.trim_end_matches(['\n', '\r']).split('\t').collect();
        let mut wrong = Vec::new();
        if cells.len() != self.columns.len() {
            wrong.push(format!("has {} cells, not {}", cells.len(), self.columns.len()));
        }
        let of = |wanted: Column| {
            let named = self.columns.iter().zip(&cells).find(|(column, _)| **column == Some(wanted));
            named.and_then(|(_, text)| cell(text)).unwrap_or_default()
        };
        let mut money = |column: Column| {
            let text = of(column);
            let read = fen(text);
            if read.is_none() && !text.is_empty() {
                wrong.push(format!("{} must be yuan with at most two decimals", column.name()));
            }
            read
        };
        let total = money(Column::MedfeeSumamt);
        let fund = money(Column::FundPaySumamt);
        let hospital_part = money(Column::HospPartAmt);
        let paid = money(Column::AcctPay);
        let aid = money(Column::AcctMulaidPay);
        let cash = money(Column::PsnCashPay);
        if total.is_none() && of(Column::MedfeeSumamt).is_empty() {
            wrong.push(format!("{} is required", Column::MedfeeSumamt.name()));
        }
        let parts = [total, fund, hospital_part, paid, aid, cash];
        let is_refund = match of(Column::RefdSetlFlag) {
            "1" => true,
            "0" => {
                if parts.iter().flatten().any(|fen| *fen < 0) {
                    wrong.push("refd_setl_flag is 0 and an amount is negative".to_owned());
                }
                false
            }
            "" => total.is_some_and(|fen| fen < 0),
            _ => {
                wrong.push("refd_setl_flag must be 0, 1 or null".to_owned());
                false
            }
        };
        let signs: Vec<i64> = parts.iter().flatten().map(|fen| fen.signum()).filter(|sign| *sign != 0).collect();
        if signs.windows(2).any(|pair| pair[0] != pair[1]) {
            wrong.push("amounts have different signs".to_owned());
        }
        let [total, fund, hospital_part, paid, aid, cash] = parts.map(|fen| fen.and_then(i64::checked_abs));
        let (accounts, own) = match (book.mutual_aid, paid, aid) {
            (MutualAid::Inside, Some(paid), Some(aid)) if aid > paid => {
                wrong.push("acct_mulaid_pay is more than acct_pay".to_owned());
                (None, None)
            }
            (MutualAid::Inside, paid, aid) => (paid, paid.zip(aid).map(|(paid, aid)| paid - aid)),
            (MutualAid::Beside, paid, aid) => (paid.zip(aid).and_then(|(paid, aid)| paid.checked_add(aid)), paid),
        };
        let date = match of(Column::SetlTime) {
            "" => book.from.clone(),
            time => match time.get(..10).filter(|day| parse_day(day).is_some()) {
                Some(day) => day.to_owned(),
                None => {
                    wrong.push("setl_time must begin with a day as YYYY-MM-DD".to_owned());
                    book.from.clone()
                }
            },
        };
        let (msgid, request_id) = (of(Column::Msgid), of(Column::RequestId));
        let setl_id = of(Column::SetlId);
        let kind = if is_refund { proto::LineKind::Refund } else { proto::LineKind::Settlement };
        let amounts = proto::LineAmounts {
            total_fen: total.unwrap_or_default(),
            fund_fen: fund,
            hospital_part_fen: hospital_part,
            accounts_fen: accounts,
            own_account_fen: own,
            mutual_aid_fen: aid,
            cash_fen: cash,
        };
        let line = proto::ReconciliationLine {
            kind: kind as i32,
            date,
            // A number of another system's tells nothing here.
            settlement_id: if setl_id.starts_with("stl_") { setl_id.to_owned() } else { String::new() },
            request_id: if request_id.is_empty() { msgid } else { request_id }.to_owned(),
            // A refund's message is its own or, where it names no other, perhaps its settlement's: many books give both one.
            msgid: if is_refund && !of(Column::Omsgid).is_empty() { String::new() } else { msgid.to_owned() },
            medins_setl_id: of(Column::MedinsSetlId).to_owned(),
            refunded_request_id: if is_refund { of(Column::Omsgid).to_owned() } else { String::new() },
            amounts: wrong.is_empty().then_some(amounts),
            ..Default::default()
        };
        Read { line, wrong }
    }
}
