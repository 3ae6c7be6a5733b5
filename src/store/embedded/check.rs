//! Whether the index is what the rows say: every fact the last one put, every list row there, and nothing beside. For
//! `gongji ledger verify`, on a store that nobody else uses.

use std::path::Path;

use super::{EmbeddedStore, files, open};
use crate::store::{ListKey, StoreError};

use super::disk::Disk;
use super::keeping::copied;
use super::open::OpenError;
use super::row;

/// Rows read at a time.
const CHUNK: usize = 256;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexReport {
    pub changes: u64,
    pub facts: u64,
    pub list_rows: u64,
    /// The first problems, at most [`IndexReport::PROBLEMS_MAX`].
    pub problems: Vec<String>,
}

impl IndexReport {
    pub const PROBLEMS_MAX: usize = 100;

    fn problem(&mut self, text: String) {
        if self.problems.len() < Self::PROBLEMS_MAX {
            self.problems.push(text);
        }
    }
}

impl EmbeddedStore {
    /// Reads every file of a data set that nobody has open; how many tables there are.
    pub fn check_files(dir: &Path, read: impl FnMut(u64, u64)) -> Result<u64, OpenError> {
        open::must_exist(dir)?;
        let _lock = open::lock(dir)?;
        let data = dir.join("data");
        let io = |source| OpenError::Io { dir: dir.to_owned(), source };
        match files::check_tables(&data, read).map_err(io)? {
            Ok(tables) => Ok(tables),
            Err(file) => Err(OpenError::damaged(dir, format_args!("{} is not as it was written", file.display()))),
        }
    }

    /// Compares the index with the rows as far as it reaches; the rows behind it were read when the store was opened. Tells
    /// changes as they are read, and how many there are in all.
    pub fn check_index(&self, mut told: impl FnMut(u64, u64)) -> Result<IndexReport, StoreError> {
        let guard = self.shared.disk()?;
        let disk = guard.get();
        let until = disk.indexed()?;
        let mut report = IndexReport::default();
        let mut next = 1;
        while next <= until {
            let rows = disk.rows(next, until, CHUNK)?;
            if rows.is_empty() {
                report.problem(format!("change {next}: is missing"));
                break;
            }
            for row in rows {
                check_row(disk, next, &row, &mut report)?;
                next += 1;
            }
            told(next - 1, until);
        }
        report.changes = next - 1;
        let (facts, list_rows) = disk.index_sizes()?;
        for (what, found, expected) in [("facts", facts, report.facts), ("list rows", list_rows, report.list_rows)] {
            if found != expected {
                report.problem(format!("the index has {found} {what} and the changes make {expected}"));
            }
        }
        Ok(report)
    }
}

fn check_row(disk: &Disk, position: u64, bytes: &[u8], report: &mut IndexReport) -> Result<(), StoreError> {
    let (_, body) = row::read(position, bytes)?;
    for (key, fact) in body.facts() {
        match disk.index_row(&key)? {
            Some((version, _)) if version > position => {}
            Some((version, kept)) if version == position => {
                report.facts += 1;
                // Earlier servers copied more.
                let may_lead = kept.is_empty() && !copied(&key);
                if !may_lead && kept[..] != *fact {
                    report.problem(format!("change {position}: a fact is not what the change made it"));
                }
            }
            Some(_) | None => report.problem(format!("change {position}: a fact is older than the change, or missing")),
        }
    }
    for (list, subject) in body.lists() {
        report.list_rows += 1;
        if !has_row(disk, list, position, subject)? {
            report.problem(format!("change {position}: a list row is missing, or another"));
        }
    }
    Ok(())
}

fn has_row(disk: &Disk, list: ListKey, position: u64, subject: u128) -> Result<bool, StoreError> {
    let rows = disk.list(list, position - 1, position, 1)?;
    Ok(rows.first().is_some_and(|row| (row.position, row.subject) == (position, subject)))
}

#[cfg(test)]
mod tests {
    use super::super::EmbeddedOptions;
    use super::*;
    use crate::domain::ids::MemberId;
    use crate::domain::time::Moment;
    use crate::store::{Change, Entity, Key, chain, record};

    fn fact(number: u128) -> Entity {
        Entity::Reference(MemberId::from_u128(number))
    }

    #[test]
    fn an_index_may_copy_what_it_need_not_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let options = EmbeddedOptions::new(dir.path().join("ledger"), [7; 32]);
        let (standing, wards) = (Key::Standing(MemberId::from_u128(1)), Key::Wards(MemberId::from_u128(1)));
        let store = EmbeddedStore::open(&options).expect("a new data set");
        let bytes = b"a record".to_vec();
        let change = Change {
            began_at: 0,
            expects: Vec::new(),
            puts: vec![(standing, fact(2)), (wards, fact(3))],
            content_hash: chain::content_hash(&bytes),
            record: bytes,
            lists: Vec::new(),
            before: None,
        };
        assert!(store.shared.commit(vec![change], Moment::from_micros(1))[0].is_ok());
        store.shut().expect("closed");
        let store = EmbeddedStore::open(&options).expect("opened again");
        let row = |copy: &[u8]| [&1_u64.to_be_bytes(), copy].concat();
        let copy = |number| record::encode_entity(&fact(number));
        // Each row in turn, whether it is right, and what is read of it.
        let rows: [(Key, Vec<u8>, bool, u128); 6] = [
            (standing, row(&[]), true, 2),
            (standing, row(&copy(2)), true, 2),
            (standing, row(&copy(9)), false, 9),
            (standing, row(&[]), true, 2),
            (wards, row(&[]), false, 3),
            (wards, row(&copy(3)), true, 3),
        ];
        for (key, row, right, found) in rows {
            let guard = store.shared.disk().expect("open");
            guard.get().put_index_row(&key, &row).expect("written");
            assert_eq!(guard.get().fact(key), Ok(Some((1, fact(found)))), "{key:?} {row:?}");
            drop(guard);
            let report = store.check_index(|_, _| {}).expect("readable");
            assert_eq!(report.problems.is_empty(), right, "{key:?} {row:?}: {:?}", report.problems);
        }
    }
}
