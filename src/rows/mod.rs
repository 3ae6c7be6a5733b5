//! Files of rows, for the programs that work through millions of them: CSV, tab-separated, JSON lines. Read in pieces, and
//! where in the file one stands; the results beside it (`results.rs`).

pub mod results;
mod table;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::table::Table;

/// The longest line that is read, in bytes.
const LINE_MAX: usize = 1 << 20;

/// A file of rows.
pub enum Rows {
    Cells(Box<Table>),
    Lines { reader: BufReader<File>, at: Place },
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
        let table = Table::begin(BufReader::new(file), tabs).map_err(|what| format!("{}: {what}", path.display()))?;
        Ok(Self::Cells(Box::new(table)))
    }

    /// The names of the columns; of JSON lines none.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Cells(table) => &table.columns,
            Self::Lines { .. } => &[],
        }
    }

    /// Behind the last row read.
    pub fn place(&self) -> Place {
        match self {
            Self::Cells(table) => table.at,
            Self::Lines { at, .. } => *at,
        }
    }

    /// Goes on behind what was read before.
    pub fn go_to(&mut self, place: Place) -> Result<(), String> {
        let (reader, at) = match self {
            Self::Cells(table) => (&mut table.reader, &mut table.at),
            Self::Lines { reader, at } => (reader, at),
        };
        *at = place;
        reader.seek(SeekFrom::Start(place.byte)).map(|_| ()).map_err(|error| error.to_string())
    }

    /// Up to `most` further rows; none at the end.
    pub fn read(&mut self, most: usize) -> Result<Vec<Row>, String> {
        let mut found = Vec::with_capacity(most);
        while found.len() < most {
            let row = match self {
                Self::Cells(table) => table.read()?,
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
            return Err(too_long(at.line + 1));
        }
        at.byte += read as u64;
        at.line += 1;
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Row { line: at.line, content: Content::Line(line) }));
        }
    }
}

fn too_long(line: u64) -> String {
    format!("line {line} is longer than {LINE_MAX} bytes")
}
