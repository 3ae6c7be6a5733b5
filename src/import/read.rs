//! A row of a file as a message; what is wrong with it is told field by field, and never with what stands in the field: it
//! may be somebody's number.

use std::marker::PhantomData;

use prost::Message as _;
use serde::Deserialize as _;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::kind::Kind;
use crate::client::Refusal;
use crate::rows::{Content, Row};

/// Reads rows of a kind.
pub struct Reader<'a, K> {
    columns: Vec<Column>,
    /// Names the import in request ids that are made here.
    batch: Option<&'a str>,
    kind: PhantomData<K>,
}

/// A column leads to a field, `insurance.scheme` to one inside another.
struct Column {
    path: Vec<String>,
    /// Text is no yes or no in JSON.
    is_bool: bool,
}

type Bad = Vec<(String, String)>;

impl<'a, K: Kind> Reader<'a, K> {
    pub fn new(columns: &[String], batch: Option<&'a str>) -> Result<Self, String> {
        let read = columns.iter().enumerate().map(|(place, name)| {
            if columns[..place].contains(name) {
                return Err(format!("column {} of the first line is there twice", place + 1));
            }
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            let text = wrong::<K>(&path, Value::String("0".to_owned()));
            if text.is_some_and(|what| what == UNKNOWN) {
                // Not what stands there: where the first line is a row it is somebody's number.
                let place = place + 1;
                return Err(format!(
                    "column {place} of the first line {UNKNOWN}; `gongji import {} --help` names them",
                    K::NAME
                ));
            }
            let is_bool = wrong::<K>(&path, Value::Bool(true)).is_none();
            Ok(Column { path, is_bool })
        });
        Ok(Self { columns: read.collect::<Result<_, _>>()?, batch, kind: PhantomData })
    }

    /// The message of a row, with its request id.
    pub fn read(&self, row: &Row) -> Result<K::Row, Refusal> {
        let fields = match &row.content {
            Content::Cells(cells) => self.cells(cells),
            Content::Line(line) => match serde_json::from_slice(line) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(malformed(vec![(String::new(), "is no JSON object".to_owned())])),
                Err(error) => return Err(malformed(vec![(String::new(), format!("is not JSON: {error}"))])),
            },
            Content::Bad(what) => return Err(malformed(vec![(String::new(), what.clone())])),
        };
        let value = Value::Object(fields);
        let mut read = K::Row::deserialize(&value).map_err(|_| malformed(all_wrong::<K>(&value)))?;
        if K::request_id(&mut read).is_empty() {
            let Some(batch) = self.batch else {
                let what = "is required, unless --batch names the import".to_owned();
                return Err(malformed(vec![("request_id".to_owned(), what)]));
            };
            *K::request_id(&mut read) = id_of::<K>(batch, &read);
        }
        Ok(read)
    }

    fn cells(&self, cells: &csv::StringRecord) -> Map<String, Value> {
        let mut fields = Map::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let value = match cell.trim() {
                "" => continue,
                "true" | "1" if column.is_bool => Value::Bool(true),
                "false" | "0" if column.is_bool => Value::Bool(false),
                text => Value::String(text.to_owned()),
            };
            put(&mut fields, &column.path, value);
        }
        fields
    }
}

/// The same content of the same import has the same id, so that it has one effect, however often it is sent.
fn id_of<K: Kind>(batch: &str, row: &K::Row) -> String {
    let mut hash = Sha256::new();
    for part in [K::NAME.as_bytes(), batch.as_bytes(), &row.encode_to_vec()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("import-{hex}")
}

fn put(fields: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            fields.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = fields.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

const UNKNOWN: &str = "is no field of a row";

/// What is wrong with one field by itself.
fn wrong<K: Kind>(path: &[String], value: Value) -> Option<String> {
    let mut fields = Map::new();
    put(&mut fields, path, value);
    let error = K::Row::deserialize(&Value::Object(fields)).err()?.to_string();
    if error.starts_with("unknown field") {
        return Some(UNKNOWN.to_owned());
    }
    // What is behind the last of these words is the reader's, what is before them may be the row's.
    let expected =
        error.rsplit_once(", expected ").map(|(_, expected)| expected.trim_end_matches(" at line 0 column 0"));
    let is_money = path.last().is_some_and(|name| name.ends_with("_fen"));
    let plain = if is_money { "must be a whole number of fen" } else { "cannot be read" };
    Some(expected.map_or(plain.to_owned(), |expected| format!("must be {expected}")))
}

/// What is wrong with each field of a row.
fn all_wrong<K: Kind>(row: &Value) -> Bad {
    let mut bad = Vec::new();
    look::<K>(row, &mut Vec::new(), &mut bad);
    if bad.is_empty() {
        bad.push((String::new(), "has fields of which only one may be set".to_owned()));
    }
    bad
}

fn look<K: Kind>(value: &Value, path: &mut Vec<String>, bad: &mut Bad) {
    if let Value::Object(fields) = value {
        for (name, inner) in fields {
            path.push(name.clone());
            look::<K>(inner, path, bad);
            path.pop();
        }
    } else if let Some(what) = wrong::<K>(path, value.clone()) {
        bad.push((path.join("."), what));
    }
}

fn malformed(fields: Bad) -> Refusal {
    Refusal { reason: "MALFORMED_MESSAGE".to_owned(), sentence: "该行内容无法解析。".to_owned(), fields }
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Credits, Members};
    use super::*;

    fn line(text: &str) -> Row {
        Row { line: 1, content: Content::Line(text.as_bytes().to_vec()) }
    }

    fn told<K: Kind>(text: &str) -> String {
        let reader = Reader::<K>::new(&[], Some("b")).expect("no columns");
        match reader.read(&line(text)) {
            Ok(mut read) => K::request_id(&mut read).clone(),
            Err(refusal) => {
                let fields = refusal.fields.iter().map(|(field, what)| format!("{field} {what}").trim().to_owned());
                fields.collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_field_and_without_what_stands_there() {
        let scheme = "must be one of `SCHEME_UNSPECIFIED`, `SCHEME_EMPLOYEE`, `SCHEME_RESIDENT`";
        let rows = [
            ("{", "is not JSON: EOF while parsing an object at line 1 column 1".to_owned()),
            ("[1]", "is no JSON object".to_owned()),
            (r#"{"nam":"张三"}"#, "nam is no field of a row".to_owned()),
            (r#"{"request_id":"a","insurance":{"scheme":"4403051975"}}"#, format!("insurance.scheme {scheme}")),
            (
                r#"{"insurance":{"has_account":"张三","scheme":"张三"},"name":7}"#,
                format!("insurance.has_account must be a boolean; insurance.scheme {scheme}; name must be a string"),
            ),
            (r#"{"request_id":"mine","name":"张三"}"#, "mine".to_owned()),
        ];
        for (row, expected) in rows {
            assert_eq!(told::<Members>(row), expected, "{row}");
        }
        assert_eq!(told::<Credits>(r#"{"amount_fen":"x"}"#), "amount_fen must be a whole number of fen");
        let both = r#"{"member":{"id_number":"1","card_number":"2"}}"#;
        assert_eq!(told::<Credits>(both), "has fields of which only one may be set");
    }

    #[test]
    fn an_id_is_that_of_the_content_and_of_the_import() {
        let reader = |batch| Reader::<Credits>::new(&[], batch).expect("no columns");
        let id = |batch, text: &str| reader(Some(batch)).read(&line(text)).expect("read").request_id;
        let row = r#"{"member":{"member_id":"mem_1"},"amount_fen":"100"}"#;
        let same = r#" {"amountFen":100,"member":{"memberId":"mem_1"}}"#;
        assert_eq!(id("a", row), id("a", same));
        assert_ne!(id("a", row), id("b", row));
        assert_ne!(id("a", row), id("a", &row.replace("100", "101")));
        assert!(crate::domain::ids::RequestId::parse(&id("a", row)).is_some());
        let refused = reader(None).read(&line(row)).expect_err("no id");
        assert_eq!(refused.fields[0].0, "request_id");
    }

    #[test]
    fn columns_are_fields_or_refused() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let good = names(&["name", "insurance.scheme", "insurance.has_account", "cardNumber"]);
        let reader = Reader::<Members>::new(&good, Some("b")).expect("known columns");
        let cells = csv::StringRecord::from(vec![" 张三 ", "SCHEME_EMPLOYEE", "1", ""]);
        let read = reader.read(&Row { line: 2, content: Content::Cells(cells) }).expect("read");
        let insurance = read.insurance.expect("set");
        assert_eq!((read.name.as_str(), insurance.scheme, insurance.has_account), ("张三", 1, true));
        assert_eq!(read.card_number, None);
        for bad in [names(&["name", "nam"]), names(&["insurance.sch"]), names(&["name", "name"])] {
            assert!(Reader::<Members>::new(&bad, None).is_err(), "{bad:?}");
        }
    }
}
