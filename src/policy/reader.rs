//! Walks a TOML document and remembers where each value stands, so that every problem names its line and key.

use jiff::civil::{Date, Time};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;
use crate::domain::time::parse_day;

/// One text with its name.
pub(super) struct Doc<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl<'a> Doc<'a> {
    /// Reads the text as TOML; says so and stops where it is none.
    pub fn parse(&self, problems: &mut Problems) -> Option<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text)
            .map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                problems.add(self.file, self.line(at), "", format!("is not TOML: {}", error.message()));
            })
            .ok()
    }

    pub fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// A value with the path of keys that leads to it.
#[derive(Clone)]
pub(super) struct Node<'a> {
    doc: &'a Doc<'a>,
    pub path: String,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    pub fn line(&self) -> usize {
        self.doc.line(self.at)
    }

    /// File and line, for those who want to read there.
    pub fn place(&self) -> String {
        format!("{}:{}", self.doc.file, self.line())
    }

    pub fn refuse(&self, problems: &mut Problems, message: impl Into<String>) {
        problems.add(self.doc.file, self.line(), self.path.clone(), message);
    }

    fn expect<T>(&self, found: Option<T>, wanted: &str, problems: &mut Problems) -> Option<T> {
        if found.is_none() {
            self.refuse(problems, format!("must be {wanted}, not {}", self.value.type_str()));
        }
        found
    }

    pub fn table(&self, problems: &mut Problems) -> Option<Table<'a>> {
        let table = self.expect(self.value.as_table(), "a table", problems)?;
        Some(Table { doc: self.doc, path: self.path.clone(), at: self.at, table, asked: Vec::new() })
    }

    /// The elements of a list.
    pub fn items(&self, problems: &mut Problems) -> Option<Vec<Self>> {
        let array = self.expect(self.value.as_array(), "a list", problems)?;
        let item = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Self {
            doc: self.doc,
            path: format!("{}[{index}]", self.path),
            at: item.span().start,
            value: item.get_ref(),
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    pub fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        self.expect(self.value.as_str(), "a string", problems)
    }

    /// A string with something in it.
    pub fn filled(&self, problems: &mut Problems) -> Option<&'a str> {
        let text = self.text(problems)?;
        if text.trim().is_empty() {
            self.refuse(problems, "is empty");
            return None;
        }
        Some(text)
    }

    pub fn flag(&self, problems: &mut Problems) -> Option<bool> {
        self.expect(self.value.as_bool(), "true or false", problems)
    }

    pub fn integer(&self, problems: &mut Problems) -> Option<i64> {
        let digits = self.expect(self.value.as_integer(), "a whole number", problems)?;
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        if number.is_none() {
            self.refuse(problems, "is too large");
        }
        number
    }

    pub fn day(&self, problems: &mut Problems) -> Option<Date> {
        let stamp = self.expect(self.value.as_datetime(), "a date such as 2024-07-26", problems)?;
        let day = parse_day(&stamp.to_string());
        if day.is_none() {
            self.refuse(problems, "is not a day between 1900 and 2999");
        }
        day
    }

    /// A time of day with its seconds: `22:00:00`.
    pub fn time(&self, problems: &mut Problems) -> Option<Time> {
        let stamp = self.expect(self.value.as_datetime(), "a time of day such as 22:00:00", problems)?;
        let text = stamp.to_string();
        let time = if text.len() == 8 { text.parse().ok() } else { None };
        if time.is_none() {
            self.refuse(problems, "is not a time of day such as 22:00:00");
        }
        time
    }

    /// Whether the value is the string `none`, which stands for "no limit".
    pub fn is_none(&self) -> bool {
        self.value.as_str() == Some("none")
    }
}

/// A table that knows which of its keys were asked for; the others are unknown keys.
pub(super) struct Table<'a> {
    doc: &'a Doc<'a>,
    pub path: String,
    at: usize,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub fn root(doc: &'a Doc<'a>, table: &'a DeTable<'a>) -> Self {
        Self { doc, path: String::new(), at: 0, table, asked: Vec::new() }
    }

    pub fn line(&self) -> usize {
        self.doc.line(self.at)
    }

    /// File and line it begins on.
    pub fn place(&self) -> String {
        format!("{}:{}", self.doc.file, self.line())
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn node(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        Node { doc: self.doc, path: self.path_of(key), at: value.span().start, value: value.get_ref() }
    }

    pub fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        self.table.get(key).map(|value| self.node(key, value))
    }

    /// A key that must be there.
    pub fn need(&mut self, key: &'static str, problems: &mut Problems) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            self.refuse(problems, key, "is missing");
        }
        node
    }

    pub fn refuse(&self, problems: &mut Problems, key: &str, message: impl Into<String>) {
        problems.add(self.doc.file, self.line(), self.path_of(key), message);
    }

    /// Every key with its value, where the keys are names of the file's own.
    pub fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), self.node(key.get_ref(), value))).collect()
    }

    /// Refuses every key nobody asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in self.table.iter().filter(|(key, _)| !self.asked.contains(&key.get_ref().as_ref())) {
            let line = self.doc.line(key.span().start);
            problems.add(self.doc.file, line, self.path_of(key.get_ref()), "is not a known key");
        }
    }
}
