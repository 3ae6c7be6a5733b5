//! `gongji reconcile details`: the file as a stream of lines, what differs as a table.

use std::collections::HashMap;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::aside::Aside;
use super::file::{Lines, Read};
use super::table::{self, HEAD, RESULT};
use super::{Book, Outcome};
use crate::client::{ANSWER_BYTES, Client, told};
use crate::grpc::proto;
use crate::grpc::proto::compare_details_request::Part;
use crate::grpc::proto::reconciliation_service_client::ReconciliationServiceClient;
use crate::terminal::{put, remark, say};

/// Rows of the table that are printed; the results file has all.
const PRINTED_MAX: usize = 1_000;
/// Bad lines that are printed.
const BAD_MAX: usize = 100;

pub async fn run(book: &Book, cut_off: &str, out: Option<&Path>, path: &Path) -> Result<Outcome, String> {
    let cut_off = instant(cut_off)?;
    let size = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?.len();
    let lines = Lines::open(path)?;
    let client = Client::connect(&book.connect).await?;
    let most = client.limit("reconciliation_message_lines")?;
    let mut results = out.map(create).transpose()?;
    let bar = ProgressBar::new(size);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} [{elapsed}]")
            .map_err(|error| error.to_string())?,
    );

    let start = proto::CompareDetailsStart {
        institution_code: book.institution.clone(),
        start_date: book.from.clone(),
        last_day: book.last_day().to_owned(),
        cut_off,
        min_ledger_position: 0,
    };
    let (send, sent) = mpsc::channel(4);
    let request = |part| proto::CompareDetailsRequest { part: Some(part) };
    send.send(request(Part::Start(start))).await.map_err(|_| "the stream was closed")?;
    let reading = Reading { lines, most, bar: bar.clone(), wrong: HashMap::new() };
    let mut service = ReconciliationServiceClient::new(client.channel).max_decoding_message_size(ANSWER_BYTES);
    let answers = service.compare_details(ReceiverStream::new(sent));
    // A book that cannot be read to its end must not look like one that has ended: the way to the server stays open with the
    // error, and the call is broken off.
    let reading = async { reading.send(book, &send).await.map_err(|error| (error, Some(send))) };
    let answers = async {
        let told = |status| (told(&status), None);
        let mut answers = answers.await.map_err(told)?.into_inner();
        let mut gathered = Gathered::default();
        while let Some(answer) = answers.message().await.map_err(told)? {
            gathered.take(answer, results.as_mut(), &bar).map_err(|error| (error, None))?;
        }
        Ok(gathered)
    };
    let done = tokio::try_join!(reading, answers);
    bar.finish_and_clear();
    let (wrong, gathered) = done.map_err(|(error, _)| error)?;
    if let (Some(results), Some(_)) = (results, &gathered.summary) {
        results.finish()?;
    }
    gathered.print(&wrong)
}

fn instant(text: &str) -> Result<Option<prost_types::Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let instant: jiff::Timestamp =
        text.parse().map_err(|_| "--cut-off: must be an instant such as 2026-11-22T20:00:00+08:00".to_owned())?;
    Ok(Some(prost_types::Timestamp { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() }))
}

fn create(path: &Path) -> Result<Aside, String> {
    let mut results = Aside::create(path)?;
    results.write(&table::join(&RESULT.map(str::to_owned)))?;
    Ok(results)
}

/// The file on its way to the server.
struct Reading {
    lines: Lines,
    most: usize,
    bar: ProgressBar,
    /// What is wrong with lines, by number.
    wrong: HashMap<i64, Vec<String>>,
}

impl Reading {
    async fn send(
        mut self,
        book: &Book,
        send: &mpsc::Sender<proto::CompareDetailsRequest>,
    ) -> Result<HashMap<i64, Vec<String>>, String> {
        loop {
            let mut lines = Vec::with_capacity(self.most);
            while lines.len() < self.most {
                let Some(Read { line, wrong }) = self.lines.next(book)? else { break };
                if !wrong.is_empty() && self.wrong.len() < BAD_MAX {
                    self.wrong.insert(line.line_number, wrong);
                }
                lines.push(line);
            }
            self.bar.set_position(self.lines.bytes);
            let part = Some(Part::Lines(proto::CompareDetailsLines { lines }));
            let is_last = matches!(&part, Some(Part::Lines(sent)) if sent.lines.is_empty());
            // A server that has closed the stream says why on its own side.
            if is_last || send.send(proto::CompareDetailsRequest { part }).await.is_err() {
                return Ok(self.wrong);
            }
        }
    }
}

/// What came back.
#[derive(Default)]
struct Gathered {
    rows: Vec<Vec<String>>,
    bad: Vec<proto::BadLine>,
    summary: Option<proto::CompareDetailsSummary>,
    read_position: i64,
}

impl Gathered {
    fn take(
        &mut self,
        answer: proto::CompareDetailsResponse,
        results: Option<&mut Aside>,
        bar: &ProgressBar,
    ) -> Result<(), String> {
        let proto::CompareDetailsResponse {
            differences,
            bad_lines,
            lines,
            read_position,
            ours,
            ours_looked_at,
            summary,
        } = answer;
        if let Some(results) = results {
            for difference in &differences {
                results.write(&table::results(difference))?;
            }
        }
        let room = PRINTED_MAX.saturating_sub(self.rows.len());
        self.rows.extend(differences.iter().take(room).map(table::row));
        let room = BAD_MAX.saturating_sub(self.bad.len());
        self.bad.extend(bad_lines.into_iter().take(room));
        self.read_position = read_position;
        self.summary = summary.or(self.summary.take());
        bar.set_message(format!("{lines} lines sent, {ours_looked_at} of {ours} of the ledger's looked at"));
        Ok(())
    }

    fn print(self, wrong: &HashMap<i64, Vec<String>>) -> Result<Outcome, String> {
        let summary = self.summary.ok_or("the stream ended without a summary: nothing is settled, compare again")?;
        if !self.rows.is_empty() {
            let head = vec![HEAD.map(str::to_owned).to_vec()];
            put!("{}", table::table(&[head, self.rows].concat()));
        }
        for bad in &self.bad {
            let told = bad.violations.iter().map(|bad| format!("{} {}", bad.field, bad.description)).collect();
            // What was wrong here is why it was sent without amounts.
            let told: Vec<String> = wrong.get(&bad.line_number).cloned().unwrap_or(told);
            remark!("line {}: {}", bad.line_number, told.join("; "));
        }
        let differences: i64 = summary.differences.iter().map(|count| count.count).sum();
        let kinds = summary.differences.iter().map(|count| {
            let name = count.kind().as_str_name().trim_start_matches("DIFFERENCE_KIND_");
            format!("{name} {}", count.count)
        });
        say!(
            "{} lines, {} of the ledger up to position {}: {} agree, {differences} differences ({}), {} outside the days, {} bad lines",
            summary.lines,
            summary.ours,
            self.read_position,
            summary.agreed,
            kinds.collect::<Vec<_>>().join(", "),
            summary.lines_outside,
            summary.bad_lines
        );
        Ok(match (summary.bad_lines, summary.equal) {
            (0, true) => Outcome::Equal,
            (0, false) => Outcome::Different,
            _ => Outcome::Incomplete,
        })
    }
}
