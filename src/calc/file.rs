//! A file of rows: read in pieces, calculated on every core, written in order; what is done is noted beside the results, so
//! that a run that was stopped goes on where it was. Memory holds a few pieces, however long the file.

use std::fs;
use std::path::Path;

use super::rows::{ITEM_ID, result};
use super::summary::{Summary, Sums};
use super::{Calculator, Options, error_text};
use crate::grpc::proto::calculation_result::Result as Found;
use crate::rows::results::{Results, bar, task, write_summary};
use crate::rows::{Row, Rows};
use crate::terminal::{put, remark, say};

/// Rows of one thread's piece.
const PIECE: usize = 4_096;
/// Rounds of pieces between two notes of where the run stands.
const NOTE_EVERY: u32 = 8;
/// Rows without a result that are printed; the results have all.
const PRINTED_MAX: usize = 100;

pub fn run(calculator: &Calculator<'_>, options: &Options, input: &Path) -> Result<(), String> {
    let out = options.out.as_deref().ok_or("--out: name the file for the results")?;
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads.min(256),
    };
    let mut rows = Rows::open(input)?;
    let size = fs::metadata(input).map_err(|error| format!("{}: {error}", input.display()))?.len();
    let tables: String = calculator.asked.book.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let today = calculator.asked.today.to_string();
    let view = calculator.view.as_str_name();
    let asked = [calculator.kind.name(), calculator.region, calculator.on, view, &today, &tables];
    let mut results = Results::<Summary>::begin(out, options.resume, task(input, &asked)?)?;
    if results.read().byte > 0 {
        rows.go_to(results.read())?;
    }
    let bar = bar(size);
    bar.set_position(results.read().byte);
    let columns = rows.columns().to_vec();
    let id = columns.iter().position(|name| name == ITEM_ID);
    let began_with = results.summary().rows;
    let (mut round, mut printed) = (0_u32, 0);
    loop {
        let mut pieces = Vec::with_capacity(threads);
        while pieces.len() < threads {
            let piece = rows.read(PIECE)?;
            if piece.is_empty() {
                break;
            }
            pieces.push(piece);
        }
        if pieces.is_empty() {
            break;
        }
        for piece in calculate(calculator, pieces, &columns, id)? {
            results.write(&piece.bytes)?;
            results.sum_up(|summary| summary.merge(&piece.summary, &piece.sums));
            for (line, what) in piece.refused.iter().take(PRINTED_MAX - printed) {
                printed += 1;
                bar.suspend(|| remark!("line {line}: {what}"));
            }
        }
        results.reach(rows.place());
        bar.set_position(rows.place().byte);
        bar.set_message(format!("{} rows, {} errors", results.summary().rows, results.summary().failed()));
        round += 1;
        if round.is_multiple_of(NOTE_EVERY) {
            results.note()?;
        }
    }
    let summary = results.finish()?;
    bar.finish_and_clear();
    let elapsed = bar.elapsed();
    let done = summary.rows - began_with;
    let per_second = u128::from(done) * 1_000 / elapsed.as_millis().max(1);
    put!("{summary}");
    say!(
        "{done} rows in {}.{:03} s, {per_second} a second, {threads} threads",
        elapsed.as_secs(),
        elapsed.subsec_millis()
    );
    options.summary.as_deref().map_or(Ok(()), |path| write_summary(path, &summary))?;
    match summary.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} rows have no result; {} says why", out.display())),
    }
}

/// What one thread made of its piece.
struct Done {
    bytes: Vec<u8>,
    summary: Summary,
    sums: Sums,
    /// The first rows without a result, by their lines.
    refused: Vec<(u64, String)>,
}

fn calculate(
    calculator: &Calculator<'_>,
    pieces: Vec<Vec<Row>>,
    columns: &[String],
    id: Option<usize>,
) -> Result<Vec<Done>, String> {
    let one = |piece: Vec<Row>| -> Result<Done, String> {
        let mut done = Done {
            bytes: Vec::with_capacity(piece.len() * 512),
            summary: Summary::default(),
            sums: Sums::default(),
            refused: Vec::new(),
        };
        for row in piece {
            let line = row.line;
            let result = result(row, calculator, columns, id);
            done.summary.add(&result);
            done.sums.add(&result);
            if let Some(Found::Error(error)) = &result.result
                && done.refused.len() < PRINTED_MAX
            {
                done.refused.push((line, error_text(error)));
            }
            serde_json::to_writer(&mut done.bytes, &result).map_err(|error| error.to_string())?;
            done.bytes.push(b'\n');
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = pieces.into_iter().map(|piece| scope.spawn(move || one(piece))).collect();
        let joined = running.into_iter().map(|thread| thread.join().map_err(|_| "a thread ended".to_owned())?);
        joined.collect()
    })
}
