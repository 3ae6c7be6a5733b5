//! Which changes of a value no worked case looks at: every dated value wants one on the day before its first and one on it.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::WorkedCase;
use crate::domain::policy::Param;
use crate::policy::PolicyFiles;
use crate::policy::error::Problems;
use crate::policy::parse::FIRST_DAY;
use crate::policy::reader::{Doc, Table};

/// One side of a change: a day of a key of a folder, and where the value stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Side {
    pub folder: String,
    pub key: &'static str,
    pub day: Date,
    pub file: String,
    pub line: usize,
}

/// How many dated values there are, and the sides of their changes that no case shows.
pub fn uncovered(files: &PolicyFiles, cases: &[WorkedCase]) -> (usize, Vec<Side>) {
    let shown: BTreeSet<(&str, &str, Date)> = cases
        .iter()
        .flat_map(|case| case.rules.iter().map(|rule| (case.folder.as_str(), rule.as_str(), case.on)))
        .collect();
    let (mut values, mut sides) = (0, Vec::new());
    for (folder, text) in files.folders() {
        let file = format!("{folder}/policy.toml");
        let doc = Doc { file: &file, text };
        let mut ignored = Problems::default();
        let Some(parsed) = doc.parse(&mut ignored) else { continue };
        let mut root = Table::root(&doc, parsed.get_ref());
        for param in Param::ALL {
            let nodes = root.get(param.name()).and_then(|node| node.items(&mut ignored)).unwrap_or_default();
            values += nodes.len();
            for node in nodes {
                let start = node.table(&mut ignored).and_then(|mut table| table.get("start")?.day(&mut ignored));
                let Some(start) = start.filter(|start| *start > FIRST_DAY) else { continue };
                let before = start.yesterday().unwrap_or(start);
                for day in [before, start].into_iter().filter(|day| !shown.contains(&(folder, param.name(), *day))) {
                    let (folder, file, line) = (folder.to_owned(), file.clone(), node.line());
                    sides.push(Side { folder, key: param.name(), day, file, line });
                }
            }
        }
    }
    (values, sides)
}
