//! Where values come from: `policies/sources.toml` and the `[sources.…]` tables of each folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::error::Problems;
use super::reader::{Node, Table};
use super::value::name_of;
use crate::domain::policy::Citation;
use crate::domain::vocabulary::Grade;

/// The first part of the id of a citation that every folder may use.
pub(super) const SHARED: &str = "shared";

/// Citations by the key a file uses for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(BTreeMap<String, Arc<Citation>>);

impl Sources {
    /// Reads the tables of one file; `shared` are those of `sources.toml`, whose keys may not be used twice.
    pub fn read(folder: &str, table: &Table<'_>, shared: &Self, problems: &mut Problems) -> Self {
        let mut sources = shared.clone();
        for (key, node) in table.entries() {
            if shared.0.contains_key(key) {
                node.refuse(problems, "is a key of sources.toml already");
            }
            let citation = citation(format!("{folder}/{key}"), &node, problems);
            sources.0.insert(key.to_owned(), Arc::new(citation));
        }
        sources
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Citation>> {
        self.0.get(key)
    }
}

/// A citation with a mistake in it stays usable, so that the values that name it are read too.
fn citation(id: String, node: &Node<'_>, problems: &mut Problems) -> Citation {
    let mut citation = Citation {
        id,
        document: String::new(),
        article: String::new(),
        effective: None,
        url: String::new(),
        grade: Grade::Official,
        note: String::new(),
        place: node.place(),
    };
    let Some(mut table) = node.table(problems) else { return citation };
    if let Some(document) = table.need("document", problems).and_then(|node| node.filled(problems)) {
        document.clone_into(&mut citation.document);
    }
    if let Some(grade) = table.need("grade", problems).and_then(|node| name_of(&node, problems)) {
        citation.grade = grade;
    }
    citation.effective = table.get("effective").and_then(|node| node.day(problems));
    for (key, field) in [("article", &mut citation.article), ("url", &mut citation.url), ("note", &mut citation.note)] {
        let Some(node) = table.get(key) else { continue };
        let Some(text) = node.filled(problems) else { continue };
        if key == "url" && !text.starts_with("https://") && !text.starts_with("http://") {
            node.refuse(problems, "must begin with https:// or http://");
        }
        text.clone_into(field);
    }
    table.finish(problems);
    citation
}

/// The grade of a value: its source's, or a lower one. Nothing is surer than where it comes from.
pub(super) fn lowered(source: Grade, own: Option<Grade>) -> Result<Grade, String> {
    match own {
        Some(own) if own.code() < source.code() => {
            Err(format!("{} is higher than the source's {}", own.name(), source.name()))
        }
        Some(own) => Ok(own),
        None => Ok(source),
    }
}

/// What vouches for an entry of any file: its source, how sure it is, since when it is in the data, and the remark.
pub(super) struct Vouched {
    pub citation: Arc<Citation>,
    pub grade: Grade,
    pub known_from: Date,
    pub note: String,
}

impl Vouched {
    pub fn read(table: &mut Table<'_>, sources: &Sources, problems: &mut Problems) -> Option<Self> {
        let citation = table.need("source", problems).and_then(|node| {
            let key = node.filled(problems)?;
            let citation = sources.get(key).cloned();
            if citation.is_none() {
                node.refuse(problems, format!("{key:?} is not a key of [sources] or sources.toml"));
            }
            citation
        });
        let known_from = table.need("known_from", problems).and_then(|node| node.day(problems));
        let grade_node = table.get("grade");
        let own = grade_node.as_ref().and_then(|node| name_of(node, problems));
        let note = table.get("note").and_then(|node| node.filled(problems)).unwrap_or_default().to_owned();
        let citation = citation?;
        let grade = match (lowered(citation.grade, own), &grade_node) {
            (Ok(grade), _) => grade,
            (Err(message), Some(node)) => {
                node.refuse(problems, message);
                citation.grade
            }
            (Err(_), None) => citation.grade,
        };
        Some(Self { citation, grade, known_from: known_from?, note })
    }
}
