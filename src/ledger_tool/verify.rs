//! `gongji ledger verify`.

use std::path::Path;

use indicatif::ProgressBar;
use tokio::runtime::Runtime;

use super::Place;
use super::source;
use crate::backup::bar;
use crate::client::{in_words, told};
use crate::grpc::proto;
use crate::ledger::check::Report;
use crate::ledger::page::hex;
use crate::store::embedded::{EmbeddedStore, IndexReport};
use crate::terminal::say;

pub(super) fn run(place: &Place, runtime: &Runtime) -> Result<(), String> {
    let problems = match &place.connect {
        Some(url) => runtime.block_on(online(url))?,
        None => offline(place, runtime)?,
    };
    for problem in &problems {
        say!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        found => Err(format!("the ledger is not right: {found} problems")),
    }
}

async fn online(url: &str) -> Result<Vec<String>, String> {
    let answer = source::client(url).await?.check_ledger(proto::CheckLedgerRequest {}).await;
    let found = answer.map_err(|status| told(&status))?.into_inner();
    let head = found.head.unwrap_or_default();
    say!(
        "{} records, {} postings, {} accounts, {} bindings; head {} {}",
        found.records_checked,
        found.postings_checked,
        found.accounts_checked,
        found.bindings_checked,
        head.position,
        head.digest
    );
    Ok(found.problems)
}

fn offline(place: &Place, runtime: &Runtime) -> Result<Vec<String>, String> {
    let mut shown: Option<(&'static str, ProgressBar)> = None;
    let found = runtime.block_on(examine(&place.data_dir, |what, done, total| {
        if shown.as_ref().is_none_or(|(before, _)| *before != what) {
            if let Some((_, before)) = shown.take() {
                before.finish_and_clear();
            }
            shown = Some((what, bar(what)));
        }
        if let Some((_, bar)) = &shown {
            bar.set_length(total);
            bar.set_position(done);
        }
    }));
    if let Some((_, bar)) = shown {
        bar.finish_and_clear();
    }
    let Findings { tables, report, index } = found?;
    say!("{tables} tables as they were written");
    let Report { records, postings, accounts, bindings, .. } = &report;
    say!("{records} records, {postings} postings, {accounts} accounts, {bindings} bindings");
    say!("{} facts and {} list rows of {} changes in the index", index.facts, index.list_rows, index.changes);
    say!("head {} {}", report.head.position, hex(&report.head.link));
    Ok([report.problems, index.problems].concat())
}

/// What was read, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Findings {
    pub tables: u64,
    pub report: Report,
    pub index: IndexReport,
}

/// Reads a whole data directory that nobody has open; tells what it is doing, how much of it is done and how much there is.
/// What cannot be opened or read is an error that names it.
pub async fn examine(dir: &Path, mut told: impl FnMut(&'static str, u64, u64)) -> Result<Findings, String> {
    // Before anything is opened: what is damaged is named by its file.
    let tables = EmbeddedStore::check_files(dir, |done, total| told("bytes of tables read", done, total));
    let tables = tables.map_err(|error| error.to_string())?;
    let store = EmbeddedStore::open_existing(dir).map_err(|error| error.to_string())?;
    let (ledger, _) = source::ledger(store.clone())?;
    let report = ledger.check_telling(|done, total| told("records checked", done, total)).await;
    let report = report.map_err(|failure| format!("the ledger cannot be read: {}", in_words(&failure)))?;
    let index = store.check_index(|done, total| told("changes compared with the index", done, total));
    let index = index.map_err(|error| format!("the index cannot be read: {error}"))?;
    Ok(Findings { tables, report, index })
}
