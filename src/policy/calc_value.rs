//! One calculation table from a node of a file, or from the JSON text a caller sends.

use std::fmt::Write as _;

use serde_json::Value as JsonValue;

use super::calc_shapes::Shape;
use super::error::Problems;
use super::json::Once;
use super::reader::{Doc, Node, Table};
use crate::domain::calc::checks;
use crate::domain::calc::keys::{Key, Value, for_each_key};
use crate::domain::calc::law::{Entry, Mistakes};

/// Reads the table of `key` with its canonical text; every mistake is reported and makes it `None`.
pub(super) fn read(key: Key, node: &Node<'_>, problems: &mut Problems) -> Option<(Value, String)> {
    macro_rules! arms {
        ($($variant:ident)*) => {
            match key {
                $(Key::$variant => {
                    let value = Shape::read(node, problems)?;
                    let text = Shape::canonical(&value).unwrap_or_default();
                    (Value::$variant(value), text)
                })*
            }
        };
    }
    let (value, text) = for_each_key!(arms);
    if let Some(fault) = checks::fault(&value) {
        node.refuse(problems, fault);
        return None;
    }
    Some((value, text))
}

/// Reads a caller's own table from the JSON text that explanations show.
pub(super) fn from_json(key: Key, text: &str) -> Result<Entry, Mistakes> {
    let json: JsonValue = match serde_json::from_str(text) {
        Ok(Once(json)) => json,
        // A word or a decimal alone needs no quotation marks.
        Err(_) if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) => {
            JsonValue::String(text.to_owned())
        }
        Err(error) => {
            let what = if error.is_data() { "names a key twice" } else { "is not JSON" };
            return Err(vec![(String::new(), format!("{what}: line {}, column {}", error.line(), error.column()))]);
        }
    };
    let mut toml = "value = ".to_owned();
    inline(&json, &mut toml);
    toml.push('\n');
    let mut problems = Problems::default();
    let doc = Doc { file: "", text: &toml };
    let read = doc.parse(&mut problems).and_then(|parsed| {
        let mut root = Table::root(&doc, parsed.get_ref());
        let node = root.need("value", &mut problems)?;
        read(key, &node, &mut problems)
    });
    match read {
        Some((value, text)) if problems.is_empty() => Ok(Entry { key, value, text, origin: None }),
        Some(_) | None => {
            Err(problems.into_error().problems.into_iter().map(|problem| (problem.key, problem.message)).collect())
        }
    }
}

/// JSON as TOML on one line. What TOML does not have (null) becomes a word that no table admits.
fn inline(json: &JsonValue, out: &mut String) {
    match json {
        JsonValue::Null => out.push_str("\"null\""),
        JsonValue::Bool(flag) => _ = write!(out, "{flag}"),
        JsonValue::Number(number) => _ = write!(out, "{number}"),
        JsonValue::String(text) => {
            out.push_str(&JsonValue::String(text.clone()).to_string().replace('\u{7f}', "\\u007f"));
        }
        JsonValue::Array(items) => {
            out.push('[');
            for item in items {
                inline(item, out);
                out.push(',');
            }
            out.push(']');
        }
        JsonValue::Object(fields) => {
            out.push('{');
            for (place, (key, value)) in fields.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                _ = write!(out, "{comma}{}=", JsonValue::String(key.clone()).to_string().replace('\u{7f}', "\\u007f"));
                inline(value, out);
            }
            out.push('}');
        }
    }
}
