//! Rows of cells, a line each: a cell that runs over several lines is refused with its line, so that a quotation mark that
//! somebody forgot to close costs one row and not all that come after it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use csv_core::ReadRecordResult;

use super::{Content, LINE_MAX, Place, Row, too_long};

/// The names of its columns stand in its first line. In a tab-separated one `null` is an empty cell.
pub struct Table<R = File> {
    pub(super) reader: BufReader<R>,
    pub(super) at: Place,
    pub(super) columns: Vec<String>,
    tabs: bool,
    core: Box<csv_core::Reader>,
    /// The line that is read, its cells one behind another, and where each ends.
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: io::Read> Table<R> {
    pub fn begin(reader: BufReader<R>, tabs: bool) -> Result<Self, String> {
        let core = csv_core::ReaderBuilder::new().quoting(!tabs).delimiter(if tabs { b'\t' } else { b',' }).build();
        let (line, text, ends) = (Vec::new(), Vec::new(), vec![0; 16]);
        let core = Box::new(core);
        let mut table = Self { reader, at: Place::default(), columns: Vec::new(), tabs, core, line, text, ends };
        if table.next_line()? {
            let names = table.cells().map_err(|what| format!("line {}: {what}", table.at.line))?;
            table.columns = names.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        }
        Ok(table)
    }

    /// The next row.
    pub fn read(&mut self) -> Result<Option<Row>, String> {
        if !self.next_line()? {
            return Ok(None);
        }
        let content = match self.cells() {
            Err(what) => Content::Bad(what),
            Ok(cells) if cells.len() != self.columns.len() => {
                Content::Bad(format!("has {} cells, not {}", cells.len(), self.columns.len()))
            }
            Ok(cells) if self.tabs && cells.iter().any(|cell| cell == "null") => {
                Content::Cells(cells.iter().map(|cell| if cell == "null" { "" } else { cell }).collect())
            }
            Ok(cells) => Content::Cells(cells),
        };
        Ok(Some(Row { line: self.at.line, content }))
    }

    /// Reads the next line that is not empty, without its end: a line feed, a carriage return, or both. No: there is none.
    fn next_line(&mut self) -> Result<bool, String> {
        loop {
            self.line.clear();
            let taken = self.take_line().map_err(|error| error.to_string())?;
            if self.line.len() > LINE_MAX {
                return Err(too_long(self.at.line + 1));
            }
            if taken == 0 {
                return Ok(false);
            }
            self.at.byte += taken as u64;
            self.at.line += 1;
            if !self.line.is_empty() {
                return Ok(true);
            }
        }
    }

    fn take_line(&mut self) -> io::Result<usize> {
        let mut taken = 0;
        while self.line.len() <= LINE_MAX {
            let ready = self.reader.fill_buf()?;
            if ready.is_empty() {
                break;
            }
            let end = ready.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let carriage_return = end.is_some_and(|end| ready[end] == b'\r');
            self.line.extend_from_slice(&ready[..end.unwrap_or(ready.len())]);
            let used = end.map_or(ready.len(), |end| end + 1);
            self.reader.consume(used);
            taken += used;
            if end.is_none() {
                continue;
            }
            if carriage_return && self.reader.fill_buf()?.first() == Some(&b'\n') {
                self.reader.consume(1);
                taken += 1;
            }
            break;
        }
        Ok(taken)
    }

    /// The cells of the line, or what is wrong with it.
    fn cells(&mut self) -> Result<csv::StringRecord, String> {
        if std::str::from_utf8(&self.line).is_err() {
            return Err("is not UTF-8: save the file as UTF-8, not as GBK".to_owned());
        }
        if !self.tabs && has_stray_quote(&self.line) {
            return Err(STRAY_QUOTE.to_owned());
        }
        self.line.push(b'\n');
        // Cells are never longer than the line they stand in.
        self.text.resize(self.line.len(), 0);
        self.core.reset();
        let (mut input, mut written, mut ended) = (self.line.as_slice(), 0, 0);
        loop {
            let (came, read, more, ends) =
                self.core.read_record(input, &mut self.text[written..], &mut self.ends[ended..]);
            (input, written, ended) = (&input[read..], written + more, ended + ends);
            match came {
                ReadRecordResult::Record => break,
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull | ReadRecordResult::End => {
                    return Err("has a quotation mark that is not closed: a cell stays on its line".to_owned());
                }
            }
        }
        let mut from = 0;
        let cells = self.ends[..ended].iter().map(|end| &self.text[std::mem::replace(&mut from, *end)..*end]);
        let cells: Result<csv::StringRecord, _> = cells.map(std::str::from_utf8).collect();
        cells.map_err(|_| "is not a row of text".to_owned())
    }
}

const STRAY_QUOTE: &str = "has a quotation mark within a cell: what is left of a cell that ran over two lines, or one that must \
                           be doubled in a cell in quotation marks";

/// Whether a quotation mark stands where no cell begins or ends. The rest of a cell that ran over a line's end has one, and
/// would be read as a row of its own.
fn has_stray_quote(line: &[u8]) -> bool {
    let (mut within, mut last) = (false, b',');
    let mut bytes = line.iter().copied().peekable();
    if line.starts_with("\u{feff}".as_bytes()) {
        bytes.nth(2);
    }
    while let Some(byte) = bytes.next() {
        if byte == b'"' {
            let next = bytes.peek().copied();
            match (within, next) {
                (false, _) if last != b',' => return true,
                (false, _) => within = true,
                // A doubled one is part of the cell.
                (true, Some(b'"')) => drop(bytes.next()),
                (true, None | Some(b',')) => within = false,
                (true, Some(_)) => return true,
            }
        }
        last = byte;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows as `line: cells` or what is wrong, then where the reading stands.
    fn check(text: &str, tabs: bool, expected: &[&str]) {
        // A small buffer, so that every end of a line meets the end of one somewhere.
        for room in [1, 2, 3, 8 << 10] {
            let mut table = Table::begin(BufReader::with_capacity(room, text.as_bytes()), tabs).expect("columns");
            let mut found = Vec::new();
            while let Some(Row { line, content }) = table.read().expect("read") {
                found.push(match content {
                    Content::Cells(cells) => format!("{line}: {}", cells.iter().collect::<Vec<_>>().join("|")),
                    Content::Bad(what) => format!("{line}: {what}"),
                    Content::Line(_) => panic!("cells"),
                });
            }
            assert_eq!(found, expected, "{text:?} through {room}");
            assert_eq!(table.at.byte, text.len() as u64);
        }
    }

    #[test]
    fn a_row_is_a_line() {
        let open = "has a quotation mark that is not closed: a cell stays on its line";
        check("a,b\n1,2\n\n3,4", false, &["2: 1|2", "4: 3|4"]);
        check("\u{feff}a,b\r\n1,\"2, \"\"x\"\"\"\r\n3,4\r\n", false, &["2: 1|2, \"x\"", "3: 3|4"]);
        check("a,b\r1,2\r3,4\r", false, &["2: 1|2", "3: 3|4"]);
        check("a,b\n1,\"2\n3,4\n5,\"6\n", false, &[&format!("2: {open}"), "3: 3|4", &format!("4: {open}")]);
        check("a,b\n1\n1,2,3\n,\n", false, &["2: has 1 cells, not 2", "3: has 3 cells, not 2", "4: |"]);
        let stray = STRAY_QUOTE;
        check("a,b\n\"x\ny\",2\n3,4\n", false, &[&format!("2: {open}"), &format!("3: {stray}"), "4: 3|4"]);
        check(
            "a,b\n1\"2,3\n\"1\"2,3\n\"\",\"\"\"\"\n",
            false,
            &[&format!("2: {stray}"), &format!("3: {stray}"), "4: |\""],
        );
        check("a\tb\n\"1\tnull\n", true, &["2: \"1|"]);
        let many = vec!["7"; 100].join(",");
        check(&format!("{many}\n{many}\n"), false, &[&format!("2: {}", many.replace(',', "|"))]);
        check("", false, &[]);
    }

    #[test]
    fn a_line_has_so_many_bytes() {
        let last = |length: usize| {
            let text = format!("a\n{}\n", "x".repeat(length));
            let mut table = Table::begin(BufReader::new(text.as_bytes()), false).expect("columns");
            table.read().map(|row| row.map(|row| row.line))
        };
        assert_eq!(last(LINE_MAX), Ok(Some(2)));
        assert_eq!(last(LINE_MAX + 1), Err(format!("line 2 is longer than {LINE_MAX} bytes")));
    }

    #[test]
    fn what_is_not_utf_8_is_told_by_line() {
        let mut table = Table::begin(BufReader::new(&b"a\n\xd5\xc5\nx\n"[..]), false).expect("columns");
        let bad = table.read().expect("read").expect("a row");
        assert!(matches!(bad, Row { line: 2, content: Content::Bad(what) } if what.contains("UTF-8")));
        assert!(matches!(table.read(), Ok(Some(Row { line: 3, content: Content::Cells(_) }))));
    }
}
