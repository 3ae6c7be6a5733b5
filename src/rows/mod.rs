//! Files of rows, for the programs that work through millions of them: CSV, tab-separated, JSON lines. Read in pieces, and
//! where in the file one stands; the results beside it (`results.rs`).

pub mod results;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The longest line of JSON that is read, in bytes.
const LINE_MAX: usize = 1 << 20;

/// A file of rows.
pub enum Rows {
    /// The names of its columns stand in its first line. In a tab-separated file `null` is an empty cell.
    Cells {
        reader: Box<csv::Reader<File>>,
        columns: Vec<String>,
        tabs: bool,
    },
    Lines {
        reader: BufReader<File>,
        at: Place,
    },
}

/// Where in a file one stands: behind so many bytes and lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub byte: u64,
    pub line: u64,
}

/// One row, and the line that it begins on, from 1.
#[derive(Clone, Debug)]
pub struct Row {
    pub line: u64,
    pub content: Content,
}

/// What a row holds.
#[derive(Clone, Debug)]
pub enum Content {
    Cells(csv::StringRecord),
    /// One line, with its end.
    Line(Vec<u8>),
    /// What is wrong with it.
    Bad(String),
}

impl Rows {
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(told)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let tabs = match ending {
            Some("csv") => false,
            Some("tsv" | "txt") => true,
            Some("jsonl" | "ndjson") => {
                return Ok(Self::Lines { reader: BufReader::new(file), at: Place::default() });
            }
            _ => return Err(format!("{}: must end in .csv, .tsv, .txt, .jsonl or .ndjson", path.display())),
        };
        let mut reader = csv::ReaderBuilder::new();
        reader.flexible(false).quoting(!tabs).delimiter(if tabs { b'\t' } else { b',' });
        let mut reader = reader.from_reader(file);
        let columns = reader.headers().map_err(|error| format!("{}: {error}", path.display()))?;
        let columns = columns.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        Ok(Self::Cells { reader: Box::new(reader), columns, tabs })
    }

    /// The names of the columns; of JSON lines none.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Cells { columns, .. } => columns,
            Self::Lines { .. } => &[],
        }
    }

    /// Behind the last row read.
    pub fn place(&self) -> Place {
        match self {
            Self::Cells { reader, .. } => {
                let position = reader.position();
                Place { byte: position.byte(), line: position.line() - 1 }
            }
            Self::Lines { at, .. } => *at,
        }
    }

    /// Goes on behind what was read before.
    pub fn go_to(&mut self, place: Place) -> Result<(), String> {
        match self {
            Self::Cells { reader, .. } => {
                let mut position = csv::Position::new();
                position.set_byte(place.byte).set_line(place.line + 1);
                reader.seek(position).map_err(|error| error.to_string())
            }
            Self::Lines { reader, at } => {
                *at = place;
                reader.seek(SeekFrom::Start(place.byte)).map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }

    /// Up to `most` further rows; none at the end.
    pub fn read(&mut self, most: usize) -> Result<Vec<Row>, String> {
        let mut found = Vec::with_capacity(most);
        while found.len() < most {
            let row = match self {
                Self::Cells { reader, tabs, .. } => read_cells(reader, *tabs)?,
                Self::Lines { reader, at } => read_line(reader, at)?,
            };
            match row {
                Some(row) => found.push(row),
                None => break,
            }
        }
        Ok(found)
    }
}

fn read_cells(reader: &mut csv::Reader<File>, tabs: bool) -> Result<Option<Row>, String> {
    let mut record = csv::StringRecord::new();
    let line = reader.position().line();
    match reader.read_record(&mut record) {
        Ok(true) => {
            if tabs && record.iter().any(|cell| cell == "null") {
                record = record.iter().map(|cell| if cell == "null" { "" } else { cell }).collect();
            }
            let line = record.position().map_or(line, csv::Position::line);
            Ok(Some(Row { line, content: Content::Cells(record) }))
        }
        Ok(false) => Ok(None),
        Err(error) if error.is_io_error() => Err(error.to_string()),
        Err(error) => {
            let line = error.position().map_or(line, csv::Position::line);
            Ok(Some(Row { line, content: Content::Bad(bad(&error)) }))
        }
    }
}

/// The next line that is not blank.
fn read_line(reader: &mut BufReader<File>, at: &mut Place) -> Result<Option<Row>, String> {
    loop {
        let mut line = Vec::new();
        let read = reader.take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(None);
        }
        if read > LINE_MAX {
            return Err(format!("line {} is longer than {LINE_MAX} bytes", at.line + 1));
        }
        at.byte += read as u64;
        at.line += 1;
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Row { line: at.line, content: Content::Line(line) }));
        }
    }
}

fn bad(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        format!("has {len} cells, not {expected_len}")
    } else if let csv::ErrorKind::Utf8 { .. } = error.kind() {
        "is not UTF-8: save the file as UTF-8, not as GBK".to_owned()
    } else {
        "is not a row of text".to_owned()
    }
}
