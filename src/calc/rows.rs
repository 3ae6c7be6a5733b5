//! A row of a file as a request, and its result.

use super::Calculator;
use crate::grpc::calculation::json::{self, Kind};
use crate::grpc::proto;
use crate::rows::{Content, Row};

/// The column, or field of a line, that names a row.
pub const ITEM_ID: &str = "item_id";

/// The result of a row; `id` is the place of the column that names rows.
pub fn result(
    row: Row,
    calculator: &Calculator<'_>,
    columns: &[String],
    id: Option<usize>,
) -> proto::CalculationResult {
    match row.content {
        Content::Cells(record) => {
            let item_id = id.and_then(|place| record.get(place)).unwrap_or_default().to_owned();
            let named = columns.iter().zip(record.iter()).enumerate();
            let named =
                named.filter(|(place, _)| Some(*place) != id).map(|(_, (name, cell))| (name.as_str(), cell.trim()));
            let read = json::read_columns(calculator.kind, named).map_err(|error| error.to_string());
            calculator.result(item_id, read)
        }
        Content::Line(line) => {
            let (item_id, read) = from_line(calculator.kind, &line);
            calculator.result(item_id, read)
        }
        Content::Bad(what) => calculator.result(String::new(), Err(what)),
    }
}

/// A line: the request, with an `item_id` among its fields where the caller wants one.
fn from_line(kind: Kind, line: &[u8]) -> (String, Result<proto::calculation_item::Calculation, String>) {
    let is_plain = !line.windows(ITEM_ID.len()).any(|part| part == ITEM_ID.as_bytes());
    if is_plain {
        let read = kind.read(&mut serde_json::Deserializer::from_slice(line)).map_err(|error| told(&error));
        return (String::new(), read);
    }
    let mut value: serde_json::Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return (String::new(), Err(told(&error))),
    };
    let id = value.as_object_mut().and_then(|fields| fields.remove(ITEM_ID));
    let id = id.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    (id, kind.read(value).map_err(|error| error.to_string()))
}

/// What is wrong with a line: it is a text of one line, wherever it stands in the file.
fn told(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}
