//! `gongji import`: files of millions of people or credits, through `ImportMembers` and `ImportCredits` of a running server.

mod kind;
mod read;
mod send;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use self::kind::{Credits, Kind, Members};
use self::read::Reader;
use self::send::{Outcome, send};
use self::summary::Summary;
use crate::client::{Client, Refusal};
use crate::rows::results::{Results, bar, task, write_summary};
use crate::rows::{Row, Rows};
use crate::terminal::{put, remark};

/// Rows of a call, and between two notes of where the run stands, unless the options say otherwise.
const CALL_ROWS: usize = 5_000;
/// Refused rows that are printed; the results have all.
const PRINTED_MAX: u64 = 100;

const AFTER: &str = "\
The file: .csv; .tsv or .txt (cells separated by tabs, null or nothing for an empty one); .jsonl or .ndjson. The first line\n\
of a table names the columns: the fields of the request in the .proto, those inside others as insurance.scheme; empty cells\n\
are left out. Enumerations by their full names. UTF-8. A row is one line: no cell runs over several, quoted or not.\n\n\
Each row has one effect, under its request_id, however often the file is sent. A row without a request_id gets one that is\n\
made of --batch and all of its content: choose a name that is this import's alone (2026-11, not monthly), and keep it when\n\
the file is sent again. Two rows of one batch that are equal in everything are one: the second is told as there before.\n\n\
The results: a line of JSON for each row, in the order of the rows: line, request_id, and member_id, ledger_position and\n\
replayed, or error with reason, message and the bad fields. Beside it a note (.progress) tells how far the run has come:\n\
stopped at any instant, the same line with --resume goes on where it was. At a server with other data it does not.\n\n\
A server that is away or overloaded is asked again; what it has done by then is not done twice.\n\
Ends with 0: every row is carried out; 1: some rows are refused, the results say which; 2: the run did not come to its end.\n";

/// `gongji import`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Record people, a row each, as CreateMember takes them (批量导入参保人).
    ///
    /// Columns: request_id name id_number card_number personal_number computer_number card_state issuing_bank_code
    /// insurance.scheme insurance.tier insurance.state insurance.region_code insurance.has_account insurance.start_date
    #[command(after_help = "  \
        gongji import members people.csv --out people.jsonl --batch opening-2026\n\n  \
        name,id_number,insurance.scheme,insurance.tier,insurance.state,insurance.region_code,insurance.has_account\n  \
        张三,440305195304120021,SCHEME_EMPLOYEE,1,INSURANCE_STATE_NORMAL,440300,true")]
    Members(Task),
    /// Credit accounts, a row each, as CreditAccount takes them (批量划入).
    ///
    /// Columns: request_id bucket amount_fen kind note_ref, and one of member.member_id member.id_number member.card_number
    /// member.personal_number member.computer_number
    #[command(after_help = "  \
        gongji import credits 2026-11.csv --out 2026-11.jsonl --batch monthly-2026-11\n\n  \
        member.id_number,bucket,amount_fen,kind,note_ref\n  \
        440305195304120021,BUCKET_CURRENT_YEAR,12605,CREDIT_KIND_MONTHLY,2026-11")]
    Credits(Task),
}

#[derive(Debug, clap::Args)]
struct Task {
    /// The rows.
    file: PathBuf,
    /// Address of the server.
    #[arg(long, alias = "addr", env = "GONGJI_CONNECT", default_value = "http://127.0.0.1:50051")]
    connect: String,
    /// Where the results go; it must not be there yet, unless the run goes on.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of this import, a part of the request id of each row that has none of its own.
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// Goes on with a run that was stopped half-way.
    #[arg(long)]
    resume: bool,
    /// Writes the summary as JSON.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Rows of one call; never more than the server takes.
    #[arg(long, value_name = "ROWS", default_value_t = CALL_ROWS)]
    call_rows: usize,
}

/// Imports.
pub fn run(options: &Options) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| error.to_string()).and_then(|runtime| match &options.what {
        What::Members(task) => runtime.block_on(import::<Members>(task)),
        What::Credits(task) => runtime.block_on(import::<Credits>(task)),
    });
    match done {
        Ok(summary) if summary.failed() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(text) => {
            remark!("gongji: {text}");
            ExitCode::from(2)
        }
    }
}

async fn import<K: Kind>(options: &Task) -> Result<Summary, String> {
    let input = options.file.as_path();
    let mut rows = Rows::open(input)?;
    if options.batch.as_deref().is_some_and(|batch| batch.trim().is_empty()) {
        return Err(
            "--batch: must be a name; the same rows under no name at all would be one import for ever".to_owned()
        );
    }
    let reader = Reader::<K>::new(rows.columns(), options.batch.as_deref())
        .map_err(|error| format!("{}: {error}", input.display()))?;
    let size = std::fs::metadata(input).map_err(|error| format!("{}: {error}", input.display()))?.len();
    let client = Client::connect(&options.connect).await?;
    let call_rows = options.call_rows.clamp(1, client.limit("import_rows")?);
    let asked = task(input, &[K::NAME, options.batch.as_deref().unwrap_or_default(), &client.data_set])?;
    let mut results = Results::<Summary>::begin(&options.out, options.resume, asked)?;
    if results.read().byte > 0 {
        rows.go_to(results.read())?;
    }
    let bar = bar(size);
    bar.set_position(results.read().byte);
    loop {
        let piece = rows.read(call_rows)?;
        if piece.is_empty() {
            break;
        }
        for (row, done) in carry_out::<K>(&client, &reader, &piece, call_rows).await? {
            let Done { request_id, fen, outcome } = done;
            results.write(&line_of(row.line, &request_id, &outcome)?)?;
            results.sum_up(|summary| summary.add(&outcome, fen));
            if let Err(refusal) = &outcome
                && results.summary().failed() <= PRINTED_MAX
            {
                bar.suspend(|| remark!("line {}: {refusal}", row.line));
            }
        }
        results.reach(rows.place());
        results.note()?;
        bar.set_position(rows.place().byte);
        bar.set_message(format!("{} rows, {} refused", results.summary().rows, results.summary().failed()));
    }
    let summary = results.finish()?;
    bar.finish_and_clear();
    if summary.failed() > PRINTED_MAX {
        remark!("… {} further refused rows: {}", summary.failed() - PRINTED_MAX, options.out.display());
    }
    put!("{summary}");
    options.summary.as_deref().map_or(Ok(()), |path: &Path| write_summary(path, &summary))?;
    Ok(summary)
}

/// What came of a row, under which name, and what it moves.
struct Done {
    request_id: String,
    fen: Option<i64>,
    outcome: Outcome,
}

/// Each row with what came of it, in order. What cannot be read is not sent.
async fn carry_out<'r, K: Kind>(
    client: &Client,
    reader: &Reader<'_, K>,
    piece: &'r [Row],
    call_rows: usize,
) -> Result<Vec<(&'r Row, Done)>, String> {
    let read: Vec<Result<K::Row, Refusal>> = piece.iter().map(|row| reader.read(row)).collect();
    let good: Vec<K::Row> = read.iter().flatten().cloned().collect();
    let mut outcomes = send::<K>(&client.channel, &good, call_rows).await?.into_iter();
    let done = piece.iter().zip(read).map(|(row, read)| match read {
        Ok(mut message) => {
            let outcome = outcomes.next().ok_or("a row has no result")?;
            let request_id = std::mem::take(K::request_id(&mut message));
            Ok((row, Done { request_id, fen: K::fen(&message), outcome }))
        }
        Err(refusal) => Ok((row, Done { request_id: String::new(), fen: None, outcome: Err(refusal) })),
    });
    done.collect()
}

/// A line of the results.
#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    member_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorOf<'a>>,
}

#[derive(Serialize)]
struct ErrorOf<'a> {
    reason: &'a str,
    message: &'a str,
    fields: Vec<BadField<'a>>,
}

#[derive(Serialize)]
struct BadField<'a> {
    field: &'a str,
    description: &'a str,
}

fn line_of(line: u64, request_id: &str, outcome: &Outcome) -> Result<Vec<u8>, String> {
    let done = outcome.as_ref().ok();
    let error = outcome.as_ref().err().map(|Refusal { reason, sentence, fields }| ErrorOf {
        reason,
        message: sentence,
        fields: fields.iter().map(|(field, description)| BadField { field, description }).collect(),
    });
    let told = Line {
        line,
        request_id,
        member_id: done.map(|row| row.member_id.as_str()),
        ledger_position: done.map(|row| row.ledger_position),
        replayed: done.map(|row| row.replayed),
        error,
    };
    let mut bytes = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}
