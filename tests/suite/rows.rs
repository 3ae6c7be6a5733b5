//! The rows of the founding documents and the cases that answer them. `cargo test --test suite rows:: -- --nocapture`
//! prints the table. A row is named by `seed = "E38"` in a worked case, by a line `# seed: E38` in a story, and by
//! `// seed: E38` before a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gongji::policy::{PolicyFiles, cases};

/// Rows whose mechanism this version does not have; only ever shorter.
const WAITING: &[&str] = &[];

const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite");

#[test]
fn every_row_of_the_documents_has_a_case() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |row: &str, place: String| found.entry(row.trim().to_owned()).or_default().push(place);
    for case in cases::read(&PolicyFiles::embedded()).unwrap_or_else(|error| panic!("{error}")) {
        for row in &case.seeds {
            add(row, format!("policies/{}:{} {}", case.file, case.line, case.name));
        }
    }
    let mut files = Vec::new();
    walk(Path::new(SUITE), &mut files);
    for file in files {
        let name = file.strip_prefix(SUITE).expect("below").display().to_string();
        for (line, text) in fs::read_to_string(&file).expect("a text").lines().enumerate() {
            let rows = text.strip_prefix("# seed: ").or_else(|| text.strip_prefix("// seed: "));
            for row in rows.into_iter().flat_map(|rows| rows.split(',')) {
                add(row, format!("tests/suite/{name}:{}", line + 1));
            }
        }
    }
    let rows: Vec<(&str, &str)> = include_str!("rows.txt").lines().filter_map(|line| line.split_once(' ')).collect();
    for (row, text) in &rows {
        let places = found.get(*row).map(Vec::as_slice).unwrap_or_default();
        println!("{row:5} {text}: {} case(s)", places.len());
        places.iter().for_each(|place| println!("        {place}"));
    }
    let unknown: Vec<&String> = found.keys().filter(|row| rows.iter().all(|(known, _)| known != row)).collect();
    assert!(unknown.is_empty(), "no such rows: {unknown:?}");
    let empty: Vec<&str> = rows.iter().map(|(row, _)| *row).filter(|row| !found.contains_key(*row)).collect();
    assert_eq!((rows.len(), empty), (55, WAITING.to_vec()));
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "txt") && !path.ends_with("rows.rs")
        {
            found.push(path);
        }
    }
    found.sort();
}
