//! Reads the `.csv` files of the policy directory: exact columns, each cell with its line.

use std::sync::Arc;

use jiff::civil::Date;

use super::error::Problems;
use super::sources::{Sources, lowered};
use crate::domain::ids::RegionCode;
use crate::domain::policy::Citation;
use crate::domain::time::parse_day;
use crate::domain::vocabulary::Grade;

/// One row with its columns by name.
pub(super) struct Row {
    file: String,
    pub line: usize,
    columns: &'static [&'static str],
    cells: Vec<String>,
}

/// Reads all rows of a text whose first line is exactly `columns`.
pub(super) fn rows(file: &str, text: &str, columns: &'static [&'static str], problems: &mut Problems) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
                problems.add(file, line, "", format!("is not a row of {} columns", columns.len()));
                continue;
            }
        };
        if index == 0 {
            if !record.iter().eq(columns.iter().copied()) {
                problems.add(file, 1, "", format!("must have the columns {}", columns.join(",")));
                return Vec::new();
            }
            continue;
        }
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        rows.push(Row { file: file.to_owned(), line, columns, cells: record.iter().map(str::to_owned).collect() });
    }
    if text.trim().is_empty() {
        problems.add(file, 1, "", format!("must have the columns {}", columns.join(",")));
    }
    rows
}

impl Row {
    /// The cell of a column; a name that is no column is a mistake of this program and reads as empty.
    pub fn get(&self, column: &str) -> &str {
        let index = self.columns.iter().position(|name| *name == column);
        index.and_then(|index| self.cells.get(index)).map_or("", String::as_str)
    }

    pub fn refuse(&self, problems: &mut Problems, column: &str, message: impl Into<String>) {
        problems.add(&self.file, self.line, column, message);
    }

    pub fn filled(&self, column: &str, problems: &mut Problems) -> Option<&str> {
        let text = self.get(column);
        if text.trim().is_empty() {
            self.refuse(problems, column, "is empty");
            return None;
        }
        Some(text)
    }

    pub fn code(&self, column: &str, problems: &mut Problems) -> Option<RegionCode> {
        let text = self.get(column);
        let code = RegionCode::parse(text);
        if code.is_none() {
            self.refuse(problems, column, format!("{text:?} is not a code of six digits"));
        }
        code
    }

    pub fn day(&self, column: &str, problems: &mut Problems) -> Option<Date> {
        let text = self.get(column);
        let day = parse_day(text);
        if day.is_none() {
            self.refuse(problems, column, format!("{text:?} is not a date such as 2024-07-26"));
        }
        day
    }

    /// The citation of the columns `source` and `grade`. A row that lowers the grade or adds a note has a citation of its
    /// own, named after the row, so that one id never stands for two things.
    pub fn citation(&self, id: &str, note: &str, sources: &Sources, problems: &mut Problems) -> Option<Arc<Citation>> {
        let key = self.filled("source", problems)?;
        let Some(citation) = sources.get(key) else {
            self.refuse(problems, "source", format!("{key:?} is not a key of the sources"));
            return None;
        };
        let text = self.filled("grade", problems)?;
        let Some(own) = Grade::parse(text) else {
            let known: Vec<_> = Grade::ALL.iter().map(|grade| grade.name()).collect();
            self.refuse(problems, "grade", format!("is {text:?}, not one of {}", known.join(", ")));
            return None;
        };
        let grade = match lowered(citation.grade, Some(own)) {
            Ok(grade) => grade,
            Err(message) => {
                self.refuse(problems, "grade", message);
                return None;
            }
        };
        if grade == citation.grade && note.is_empty() {
            return Some(Arc::clone(citation));
        }
        let place = format!("{}:{}", self.file, self.line);
        let mut own = Citation { id: format!("{}#{id}", citation.id), grade, place, ..Citation::clone(citation) };
        if !note.is_empty() {
            note.clone_into(&mut own.note);
        }
        Some(Arc::new(own))
    }
}
