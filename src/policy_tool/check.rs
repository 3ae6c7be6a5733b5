//! `gongji policy check`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;

use crate::domain::policy::PolicyBook;
use crate::ledger::page::hex;
use crate::policy::{PolicyFiles, cases};

#[derive(Debug, Args)]
pub struct Options {
    /// Advice counts as a mistake.
    #[arg(long)]
    strict: bool,
}

pub fn run(options: &Options, files: &PolicyFiles) -> Result<(), String> {
    let book = super::load(files)?;
    let cases = cases::read(files).map_err(|error| error.to_string())?;
    let (values, sides) = cases::uncovered(files, &cases);
    let mut advice: Vec<String> = sides
        .iter()
        .map(|side| format!("{}:{}: {} is shown by no case on {}", side.file, side.line, side.key, side.day))
        .collect();
    advice.extend(unused_sources(files, &book));
    let mut out = String::new();
    let pools = book.regions.iter().filter(|region| region.level.is_pool());
    let (pools, revisions) =
        pools.fold((0, 0), |(pools, all), pool| (pools + 1, all + book.revisions(pool.code).len()));
    _ = writeln!(out, "{} files, {values} dated values, {} cases", files.0.len(), cases.len());
    _ = writeln!(out, "{pools} pools, {revisions} revisions, digest {}", hex(&book.digest));
    for line in &advice {
        _ = writeln!(out, "advice: {line}");
    }
    if options.strict && !advice.is_empty() {
        super::print(&out)?;
        return Err(format!("{} pieces of advice", advice.len()));
    }
    _ = writeln!(out, "nothing is wrong");
    super::print(&out)
}

/// Sources of a folder that no value cites.
fn unused_sources(files: &PolicyFiles, book: &PolicyBook) -> Vec<String> {
    let mut cited: BTreeSet<&str> = BTreeSet::new();
    for region in book.regions.iter() {
        cited.insert(&region.citation.id);
        cited.extend(book.regions.opening(region.code).map(|opening| opening.citation.id.as_str()));
        for policy in book.revisions(region.code) {
            cited.extend(policy.values.iter().map(|value| value.citation.id.as_str()));
        }
    }
    let is_cited = |id: &str| cited.iter().any(|known| *known == id || known.starts_with(&format!("{id}#")));
    let mut unused = Vec::new();
    for (file, text) in &files.0 {
        let Some(folder) = file.strip_suffix("/policy.toml") else { continue };
        for (line, row) in text.lines().enumerate() {
            let Some(key) = row.strip_prefix("[sources.").and_then(|row| row.strip_suffix(']')) else { continue };
            if !is_cited(&format!("{folder}/{key}")) {
                unused.push(format!("{file}:{}: sources.{key} is cited by no value", line + 1));
            }
        }
    }
    unused
}
