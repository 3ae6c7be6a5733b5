//! A file of rows: read in pieces, calculated on every core, written in order; what is done is noted beside the results, so
//! that a run that was stopped goes on where it was. Memory holds a few pieces, however long the file.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rows::{Row, Rows};
use super::summary::{Summary, Sums};
use super::{Calculator, Options};

/// Rows of one thread's piece.
const PIECE: usize = 4_096;
/// Rounds of pieces between two notes of where the run stands.
const NOTE_EVERY: u32 = 8;

/// Where a run stands: all before it is in the results.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// What was asked for: another calculation, region, day or input is another run.
    task: String,
    input_byte: u64,
    output_bytes: u64,
    summary: Summary,
}

pub fn run(calculator: &Calculator<'_>, options: &Options, input: &Path) -> Result<(), String> {
    let out = options.out.as_deref().ok_or("--out: name the file for the results")?;
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads.min(256),
    };
    let mut rows = Rows::open(input)?;
    let size = fs::metadata(input).map_err(|error| format!("{}: {error}", input.display()))?.len();
    let noted = noted_at(out);
    let task = task(calculator, input, size)?;
    let (mut results, mut note) = begin(options, out, &noted, task)?;
    if note.input_byte > 0 {
        rows.go_to(note.input_byte)?;
    }
    let bar = ProgressBar::new(size);
    bar.set_style(style());
    bar.set_position(note.input_byte);
    let (columns, id) = match &rows {
        Rows::Csv { columns, id, .. } => (columns.clone(), *id),
        Rows::Lines { .. } => (Vec::new(), None),
    };
    let began_with = note.summary.rows;
    let mut round = 0_u32;
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
            results.write_all(&piece.bytes).map_err(|error| format!("{}: {error}", out.display()))?;
            note.output_bytes += piece.bytes.len() as u64;
            note.summary.merge(&piece.summary, &piece.sums);
        }
        note.input_byte = rows.position();
        bar.set_position(note.input_byte);
        bar.set_message(format!("{} rows, {} errors", note.summary.rows, note.summary.failed()));
        round += 1;
        if round.is_multiple_of(NOTE_EVERY) {
            write_note(&mut results, &noted, &note)?;
        }
    }
    results.sync_all().map_err(|error| format!("{}: {error}", out.display()))?;
    // A run without a note is a whole one.
    let _ = fs::remove_file(&noted);
    bar.finish_and_clear();
    let elapsed = bar.elapsed();
    let done = note.summary.rows - began_with;
    let per_second = u128::from(done) * 1_000 / elapsed.as_millis().max(1);
    print!("{}", note.summary);
    println!(
        "{done} rows in {}.{:03} s, {per_second} a second, {threads} threads",
        elapsed.as_secs(),
        elapsed.subsec_millis()
    );
    if let Some(path) = &options.summary {
        let text = serde_json::to_string_pretty(&note.summary).map_err(|error| error.to_string())?;
        fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// What one thread made of its piece.
struct Done {
    bytes: Vec<u8>,
    summary: Summary,
    sums: Sums,
}

fn calculate(
    calculator: &Calculator<'_>,
    pieces: Vec<Vec<Row>>,
    columns: &[String],
    id: Option<usize>,
) -> Result<Vec<Done>, String> {
    let one = |piece: Vec<Row>| -> Result<Done, String> {
        let mut done =
            Done { bytes: Vec::with_capacity(piece.len() * 512), summary: Summary::default(), sums: Sums::default() };
        for row in piece {
            let result = row.result(calculator, columns, id);
            done.summary.add(&result);
            done.sums.add(&result);
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

fn noted_at(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".progress");
    PathBuf::from(name)
}

/// What makes a run this run and no other.
fn task(calculator: &Calculator<'_>, input: &Path, size: u64) -> Result<String, String> {
    let changed = fs::metadata(input).and_then(|found| found.modified()).map_err(|error| error.to_string())?;
    let mut hash = Sha256::new();
    let parts = [
        calculator.kind.name().to_owned(),
        calculator.region.to_owned(),
        calculator.on.to_owned(),
        calculator.view.as_str_name().to_owned(),
        calculator.asked.today.to_string(),
        input.display().to_string(),
        size.to_string(),
        format!("{changed:?}"),
    ];
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(calculator.asked.book.digest);
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Opens the results: new ones, or those of a run to go on with.
fn begin(options: &Options, out: &Path, noted: &Path, task: String) -> Result<(File, Note), String> {
    let told = |error: std::io::Error| format!("{}: {error}", out.display());
    let known = fs::read(noted).ok();
    if options.resume {
        let known = known.ok_or_else(|| format!("{}: there is no run to go on with", noted.display()))?;
        let note: Note = serde_json::from_slice(&known).map_err(|error| format!("{}: {error}", noted.display()))?;
        if note.task != task {
            return Err(format!(
                "{}: the run it notes is another: other input, options, tables or day",
                noted.display()
            ));
        }
        let mut results = OpenOptions::new().write(true).open(out).map_err(told)?;
        // What was written after the last note is calculated again.
        results.set_len(note.output_bytes).map_err(told)?;
        results.seek(SeekFrom::End(0)).map_err(told)?;
        return Ok((results, note));
    }
    if known.is_some() {
        return Err(format!("{}: a run was stopped half-way; --resume goes on, or remove this file", noted.display()));
    }
    let results = OpenOptions::new().write(true).create_new(true).open(out);
    let mut results = results.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        if is_there { format!("{}: is there already", out.display()) } else { told(error) }
    })?;
    let note = Note { task, input_byte: 0, output_bytes: 0, summary: Summary::default() };
    write_note(&mut results, noted, &note)?;
    Ok((results, note))
}

/// The results first, then the note: what it says is there is there.
fn write_note(results: &mut File, noted: &Path, note: &Note) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", noted.display());
    results.sync_data().map_err(told)?;
    let mut fresh = noted.as_os_str().to_owned();
    fresh.push(".new");
    let text = serde_json::to_vec(note).map_err(|error| error.to_string())?;
    fs::write(&fresh, text).map_err(told)?;
    fs::rename(&fresh, noted).map_err(told)
}

fn style() -> ProgressStyle {
    let line = "{bar:40} {bytes}/{total_bytes} {eta} {msg}";
    ProgressStyle::with_template(line).unwrap_or_else(|_| ProgressStyle::default_bar())
}
