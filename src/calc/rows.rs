//! The rows of a file, in pieces, and where in it one stands.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use super::Calculator;
use crate::grpc::calculation::json::{self, Kind};
use crate::grpc::proto;

/// The longest line that is read, in bytes.
const LINE_MAX: usize = 1 << 20;

/// A file of requests.
pub enum Rows {
    Csv { reader: Box<csv::Reader<File>>, columns: Vec<String>, id: Option<usize> },
    Lines { reader: BufReader<File>, at: u64 },
}

/// One row as read.
pub enum Row {
    Cells(csv::StringRecord),
    Line(Vec<u8>),
    Bad(String),
}

impl Rows {
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(told)?;
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => {
                let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(file);
                let columns = reader.headers().map_err(|error| format!("{}: {error}", path.display()))?;
                let columns: Vec<String> =
                    columns.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
                let id = columns.iter().position(|name| name == "item_id");
                Ok(Self::Csv { reader: Box::new(reader), columns, id })
            }
            Some("jsonl" | "ndjson") => Ok(Self::Lines { reader: BufReader::new(file), at: 0 }),
            _ => Err(format!("{}: must end in .csv, .jsonl or .ndjson", path.display())),
        }
    }

    /// The byte after the last row read.
    pub fn position(&self) -> u64 {
        match self {
            Self::Csv { reader, .. } => reader.position().byte(),
            Self::Lines { at, .. } => *at,
        }
    }

    /// Goes on behind what was read before.
    pub fn go_to(&mut self, byte: u64) -> Result<(), String> {
        match self {
            Self::Csv { reader, .. } => {
                let mut position = csv::Position::new();
                position.set_byte(byte);
                reader.seek(position).map_err(|error| error.to_string())
            }
            Self::Lines { reader, at } => {
                *at = byte;
                reader.seek(SeekFrom::Start(byte)).map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }

    /// Up to `most` further rows; none at the end.
    pub fn read(&mut self, most: usize) -> Result<Vec<Row>, String> {
        let mut found = Vec::with_capacity(most);
        while found.len() < most {
            let row = match self {
                Self::Csv { reader, .. } => {
                    let mut record = csv::StringRecord::new();
                    match reader.read_record(&mut record) {
                        Ok(true) => Row::Cells(record),
                        Ok(false) => break,
                        Err(error) if error.is_io_error() => return Err(error.to_string()),
                        Err(error) => Row::Bad(bad(&error)),
                    }
                }
                Self::Lines { reader, at } => {
                    let mut line = Vec::new();
                    let limit = LINE_MAX as u64 + 1;
                    let read = std::io::Read::take(&mut *reader, limit).read_until(b'\n', &mut line);
                    let read = read.map_err(|error| error.to_string())?;
                    if read == 0 {
                        break;
                    }
                    if read > LINE_MAX {
                        return Err(format!("the line at byte {at} is longer than {LINE_MAX} bytes"));
                    }
                    *at += read as u64;
                    if line.trim_ascii().is_empty() {
                        continue;
                    }
                    Row::Line(line)
                }
            };
            found.push(row);
        }
        Ok(found)
    }
}

fn bad(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        format!("has {len} cells, not {expected_len}")
    } else {
        "is not a row of text".to_owned()
    }
}

impl Row {
    /// The result of this row.
    pub fn result(
        self,
        calculator: &Calculator<'_>,
        columns: &[String],
        id: Option<usize>,
    ) -> proto::CalculationResult {
        match self {
            Self::Cells(record) => {
                let item_id = id.and_then(|place| record.get(place)).unwrap_or_default().to_owned();
                let named = columns.iter().zip(record.iter()).enumerate();
                let named =
                    named.filter(|(place, _)| Some(*place) != id).map(|(_, (name, cell))| (name.as_str(), cell.trim()));
                let read = json::read_columns(calculator.kind, named).map_err(|error| error.to_string());
                calculator.result(item_id, read)
            }
            Self::Line(line) => {
                let (item_id, read) = from_line(calculator.kind, &line);
                calculator.result(item_id, read)
            }
            Self::Bad(what) => calculator.result(String::new(), Err(what)),
        }
    }
}

/// A line: the request, with an `item_id` among its fields where the caller wants one.
fn from_line(kind: Kind, line: &[u8]) -> (String, Result<proto::calculation_item::Calculation, String>) {
    let is_plain = !line.windows(7).any(|part| part == b"item_id");
    if is_plain {
        let read = kind.read(&mut serde_json::Deserializer::from_slice(line)).map_err(|error| error.to_string());
        return (String::new(), read);
    }
    let mut value: serde_json::Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return (String::new(), Err(error.to_string())),
    };
    let id = value.as_object_mut().and_then(|fields| fields.remove("item_id"));
    let id = id.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    (id, kind.read(value).map_err(|error| error.to_string()))
}
