//! What only a store with a disk can do: be opened twice, be too old, lose its disk, be cut off in the middle.

use std::fs::{self, File};
use std::future::Future;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore, Fault, Faults, OpenError};
use gongji::store::{CommitError, Head, ListKind, Store, StoreError};
use tempfile::TempDir;

use crate::store::{HeadNow, SECRET, Verbs, account_key, block_on, change, fen_of, list, listed, opened, recorded};

struct Set {
    dir: TempDir,
    faults: Arc<Faults>,
}

impl Set {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory"), faults: Arc::default() }
    }

    fn options(&self) -> EmbeddedOptions {
        let mut options = EmbeddedOptions::new(self.dir.path().join("ledger"), SECRET);
        options.faults = Some(self.faults.clone());
        options
    }

    fn open(&self) -> Arc<dyn Store> {
        self.open_with(&self.options())
    }

    fn open_with(&self, options: &EmbeddedOptions) -> Arc<dyn Store> {
        self.faults.set(Fault::None);
        opened(options)
    }
}

fn refused(options: &EmbeddedOptions) -> OpenError {
    match EmbeddedStore::open(options) {
        Ok(_) => panic!("was opened"),
        Err(error) => error,
    }
}

fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    std::pin::Pin::new(future).poll(&mut context).is_pending()
}

#[test]
fn a_data_set_serves_one_at_a_time() {
    let set = Set::new();
    let store = set.open();
    let error = refused(&set.options());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&*set.options().dir.to_string_lossy()), "{error}");
    store.put(1, 10);
    block_on(store.close()).expect("closes");
    // Closed is let go, even while a handle is still about.
    assert_eq!(set.open().head_now().position, 1);
}

#[test]
fn a_newer_format_is_refused_by_name_and_left_alone() {
    let set = Set::new();
    set.open().put(1, 10);
    let format = set.options().dir.join("FORMAT");
    let ours = fs::read_to_string(&format).expect("reads");
    let newer = ours.replace("format 2\nreader 2", "format 9\nreader 7");
    assert_ne!(newer, ours);
    fs::write(&format, &newer).expect("writes");
    let error = refused(&set.options());
    assert!(matches!(error, OpenError::NewerFormat { found: 7, supported: 2, .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(fs::read_to_string(&format).expect("reads"), newer);
    // A newer one that says we may read it is opened.
    fs::write(&format, ours.replace("format 2", "format 9")).expect("writes");
    assert_eq!(set.open().head_now().position, 1);
}

#[test]
fn an_older_format_is_refused_by_name_and_left_alone() {
    let set = Set::new();
    set.open().put(1, 10);
    let format = set.options().dir.join("FORMAT");
    let older = fs::read_to_string(&format).expect("reads").replace("format 2\nreader 2", "format 1\nreader 1");
    fs::write(&format, &older).expect("writes");
    let error = refused(&set.options());
    assert!(matches!(error, OpenError::OlderFormat { found: 1, oldest: 2, .. }), "{error}");
    assert!(error.to_string().contains("older version"), "{error}");
    assert_eq!(fs::read_to_string(&format).expect("reads"), older);
}

#[test]
fn a_directory_of_others_is_not_taken() {
    let set = Set::new();
    fs::create_dir(set.options().dir).expect("makes");
    fs::write(set.options().dir.join("thesis.txt"), "for Friday").expect("writes");
    let error = refused(&set.options());
    assert!(matches!(error, OpenError::NotADataSet { .. }), "{error}");
    fs::remove_file(set.options().dir.join("thesis.txt")).expect("removes");
    assert_eq!(set.open().head_now(), Head::EMPTY);
}

#[test]
fn the_directory_is_for_its_owner_alone() {
    let set = Set::new();
    let _store = set.open();
    let mode = fs::metadata(set.options().dir).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_start_that_was_cut_off_is_made_good() {
    let set = Set::new();
    drop(set.open());
    let dir = set.options().dir;
    // As if stopped while the database was being made.
    fs::rename(dir.join("data"), dir.join("data.new")).expect("renames");
    fs::remove_file(dir.join("data.new/version")).expect("removes");
    assert_eq!(set.open().secret(), SECRET);
}

fn after_a_failure(fault: Fault) {
    let set = Set::new();
    let store = set.open();
    store.put(1, 10);
    store.settled();
    set.faults.set(Fault::Paused);
    let position = store.put(1, 20);
    let mut waiting = store.wait_durable(position);
    assert!(is_pending(&mut waiting));
    set.faults.set(fault);
    assert_eq!(block_on(waiting), Err(StoreError::Unavailable), "nothing is acknowledged after a failure");
    assert_eq!(block_on(store.wait_durable(position)), Err(StoreError::Unavailable));
    assert_eq!(block_on(store.wait_durable(1)), Ok(()), "what was durable before still is");
    assert_eq!(block_on(store.load(&[account_key(1)])).map(|_| ()), Err(StoreError::Unavailable));
    assert_eq!(store.try_one(change(0, &[], &[])), Err(CommitError::NotApplied(StoreError::Unavailable)));
    assert_eq!(block_on(store.records(1, 9)), Err(StoreError::Unavailable));
    assert_eq!(block_on(store.list(list(ListKind::AccountEntries, 1), 0, 9, 9)), Err(StoreError::Unavailable));
    assert_eq!(block_on(store.close()), Err(StoreError::Unavailable));
    assert_eq!(block_on(store.load(&[])).map(|_| ()), Err(StoreError::Closed));

    let store = set.open();
    let facts = store.look(&[account_key(1)]);
    match fault {
        Fault::SyncFails => assert!(matches!(store.head_now().position, 1 | 2), "may be there or not, whole"),
        _ => assert_eq!(store.head_now().position, 1),
    }
    assert_eq!(facts.facts[0].version, store.head_now().position);
    assert_eq!(store.all().len(), usize::try_from(store.head_now().position).unwrap());
    store.put(1, 30);
    store.settled();
}

#[test]
fn a_failed_sync_ends_the_store() {
    after_a_failure(Fault::SyncFails);
}

#[test]
fn a_failed_write_ends_the_store() {
    after_a_failure(Fault::WriteFails);
}

#[test]
fn a_panic_of_the_flusher_ends_the_store() {
    after_a_failure(Fault::Panics);
}

#[test]
fn what_is_not_yet_flushed_is_seen_and_not_acknowledged() {
    let set = Set::new();
    let store = set.open();
    let key = list(ListKind::AccountEntries, 1);
    let put = |number: u64| {
        store.one(listed(
            change(0, &[], &[(u128::from(number), 5), (99, i64::try_from(number).unwrap())]),
            &[(key, u128::from(number))],
        ))
    };
    (1..=3).for_each(|number| assert_eq!(put(number), number));
    store.settled();
    set.faults.set(Fault::Paused);
    (4..=6).for_each(|number| assert_eq!(put(number), number));

    let mut waits: Vec<_> = (4..=6).map(|position| store.wait_durable(position)).collect();
    assert!(waits.iter_mut().all(is_pending), "not durable, not acknowledged");
    assert_eq!(block_on(store.wait_durable(3)), Ok(()));
    let facts = store.look(&[account_key(3), account_key(6), account_key(99)]);
    assert_eq!((facts.facts[1].version, fen_of(&facts, 2), facts.read_at), (6, Some(6), 6));
    let all: Vec<_> = (1..=6_u64).map(|n| (n, u128::from(n))).collect();
    assert_eq!(store.rows(key, 0, 9, 9), all);
    assert_eq!(store.rows(key, 1, 5, 9), all[1..5]);
    assert_eq!(store.rows(key, 4, 9, 9), all[4..]);
    assert_eq!(store.rows(key, 1, 9, 3), all[1..4], "the limit falls among the unflushed");
    let positions = |from, limit| {
        let records = block_on(store.records(from, limit)).expect("reads");
        records.iter().map(|record| record.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(1, 9), [1, 2, 3, 4, 5, 6]);
    assert_eq!((positions(2, 3), positions(5, 9), positions(3, 1)), (vec![2, 3, 4], vec![5, 6], vec![3]));
    assert!(waits.iter_mut().all(is_pending));

    set.faults.set(Fault::None);
    waits.into_iter().for_each(|wait| assert_eq!(block_on(wait), Ok(())));
}

#[test]
fn a_full_queue_holds_commits_back_and_lets_them_go_on() {
    let set = Set::new();
    let mut options = set.options();
    options.queue_bytes = 1;
    let store = set.open_with(&options);
    set.faults.set(Fault::Paused);
    store.put(1, 1);
    thread::scope(|scope| {
        let parked: Vec<_> = (2..6)
            .map(|number| {
                scope.spawn({
                    let store = &store;
                    move || store.put(number, 1)
                })
            })
            .collect();
        // Room comes only with a flush, so they have to wait for this.
        set.faults.set(Fault::None);
        let mut positions: Vec<_> = parked.into_iter().map(|thread| thread.join().expect("runs")).collect();
        positions.sort_unstable();
        assert_eq!(positions, [2, 3, 4, 5]);
    });
}

#[test]
fn a_full_queue_on_a_failed_disk_refuses() {
    let set = Set::new();
    let mut options = set.options();
    options.queue_bytes = 1;
    let store = set.open_with(&options);
    set.faults.set(Fault::Paused);
    store.put(1, 1);
    let refused = thread::scope(|scope| {
        let parked = scope.spawn(|| store.try_one(change(0, &[], &[])));
        set.faults.set(Fault::WriteFails);
        parked.join().expect("runs")
    });
    assert_eq!(refused, Err(CommitError::NotApplied(StoreError::Unavailable)));
}

/// Bytes of changes that the index does not have yet, as `/metrics` tells them.
fn unindexed(store: &Arc<dyn Store>) -> u64 {
    let mut page = gongji::metrics::Page::default();
    store.measure(&mut page);
    let text = page.into_text();
    let line = text.lines().find_map(|line| line.strip_prefix("gongji_store_unindexed_bytes "));
    line.expect("it is told").parse().expect("a number")
}

/// A close brings little into the index and leaves much to the next start: it must not keep whoever stops the program waiting.
#[test]
fn a_close_indexes_so_much_and_no_more_and_nothing_is_missed() {
    const MIB: usize = 1 << 20;
    let key = list(ListKind::AccountEntries, 1);
    // A place for each change is counted too, so the eighth MiB is not quite one.
    for (last, left) in [(MIB - 8_000, false), (MIB + 8_000, true)] {
        let set = Set::new();
        let store = set.open();
        for number in 0..8_u64 {
            let bytes = vec![number as u8; if number == 7 { last } else { MIB }];
            let rows = [(key, u128::from(number) + 1)];
            store.one(recorded(listed(change(0, &[], &[(u128::from(number), 5)]), &rows), &bytes));
        }
        store.settled();
        block_on(store.close()).expect("closes");
        drop(store);
        for start in 0..2 {
            let store = set.open();
            assert_eq!(unindexed(&store) > 8 * MIB as u64, left, "{last} bytes, start {start}: {}", unindexed(&store));
            let all: Vec<_> = (1..=8).map(|number| (number, u128::from(number))).collect();
            assert_eq!(store.rows(key, 0, 9, 9), all);
            let facts = store.look(&(0..8).map(account_key).collect::<Vec<_>>());
            let found: Vec<_> = facts.facts.iter().map(|fact| fact.version).collect();
            assert_eq!(found, (1..=8).collect::<Vec<u64>>());
            block_on(store.close()).expect("closes");
        }
    }
}

#[test]
fn a_look_older_than_the_memory_is_a_conflict() {
    let set = Set::new();
    let mut options = set.options();
    options.recent_keys = 4;
    let store = set.open_with(&options);
    let old = store.look(&[account_key(1), account_key(2)]);
    for number in 10..20 {
        store.put(number, 1);
    }
    // Neither key has changed, but the store no longer knows that.
    assert_eq!(store.try_one(change(old.began_at, &[(account_key(1), 0)], &[(1, 1)])), Err(CommitError::Conflict));
    let now = store.look(&[account_key(1)]);
    store.one(change(now.began_at, &[(account_key(1), 0)], &[(1, 1)]));
}

#[test]
fn small_memories_forget_nothing_that_counts() {
    let set = Set::new();
    let mut options = set.options();
    (options.cached_facts, options.recent_keys, options.cache_bytes) = (256, 64, 1 << 20);
    options.index_bytes = 20_000;
    let store = set.open_with(&options);
    let start = std::sync::Barrier::new(4);
    thread::scope(|scope| {
        for place in 0..4_u128 {
            let (store, start) = (&store, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..1_500_i64 {
                    // Few enough to meet again soon, many enough to fall out of the cache and come back from the disk.
                    let number = place * 1_000 + u128::try_from(round * 7 % 97).unwrap();
                    let facts = store.look(&[account_key(number)]);
                    let expects = [(account_key(number), facts.facts[0].version)];
                    let change = change(facts.began_at, &expects, &[(number, round)]);
                    let Ok(committed) = store.try_one(change) else { continue };
                    let seen = store.look(&[account_key(number)]);
                    assert_eq!((seen.facts[0].version, fen_of(&seen, 0)), (committed.position, Some(round)));
                }
            });
        }
    });
    assert!(store.head_now().position > 1_000);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("makes");
    for entry in fs::read_dir(from).expect("reads") {
        let entry = entry.expect("reads");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("is there").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// A set as a kill at this moment would leave it.
fn image(set: &Set) -> Set {
    let other = Set::new();
    copy(&set.options().dir, &other.options().dir);
    other
}

fn journal(set: &Set) -> PathBuf {
    set.options().dir.join("data/0.jnl")
}

/// Where the bytes of the journal end; zeros follow.
fn journal_end(set: &Set) -> u64 {
    let mut start = Vec::new();
    let file = File::open(journal(set)).expect("opens");
    file.take(1 << 16).read_to_end(&mut start).expect("reads");
    let end = start.iter().rposition(|byte| *byte != 0).expect("something was written") + 1;
    end.try_into().expect("is small")
}

#[test]
fn a_kill_loses_nothing_that_is_durable() {
    let set = Set::new();
    let store = set.open();
    for number in 1..=50 {
        store.put(number, 7);
    }
    store.settled();
    let found = image(&set).open();
    assert_eq!((found.head_now(), found.all(), found.secret()), (store.head_now(), store.all(), SECRET));
}

#[test]
fn a_torn_end_of_the_journal_is_cut_off() {
    let set = Set::new();
    let store = set.open();
    for number in 1..=5 {
        store.put(number, 7);
        store.settled();
    }
    let before = journal_end(&set);
    store.one(listed(change(0, &[], &[(6, 7), (7, 7)]), &[(list(ListKind::AccountEntries, 1), 6)]));
    store.settled();
    let end = journal_end(&set);
    // Cut short at every kind of place in the last batch: it is not there, whole, and the rest is.
    for cut in (before + 1..end).step_by(17).chain([end - 1]) {
        let torn = image(&set);
        File::options().write(true).open(journal(&torn)).and_then(|file| file.set_len(cut)).expect("cuts");
        let found = torn.open();
        assert_eq!(found.head_now().position, 5, "cut at {cut} of {before}..{end}");
        assert_eq!(found.all(), store.all()[..5]);
        assert!(found.look(&[account_key(6), account_key(7)]).facts.iter().all(|fact| fact.version == 0));
        assert_eq!(found.rows(list(ListKind::AccountEntries, 1), 0, 9, 9), []);
        assert_eq!(found.put(6, 8), 6);
        found.settled();
    }
}

/// The power may go while the pages of a sync are on their way, in any order: the end of the last batch is there and its
/// middle is not.
#[test]
fn a_hole_in_the_last_batch_is_cut_off() {
    let set = Set::new();
    let store = set.open();
    store.put(1, 7);
    store.settled();
    let before = journal_end(&set);
    let mut big = change(0, &[], &[(2, 7)]);
    big.record = vec![0x55; 20_000];
    store.one(big);
    store.settled();
    for page in before / 4096 + 1..(before + 20_000) / 4096 {
        let torn = image(&set);
        let file = File::options().write(true).open(journal(&torn)).expect("opens");
        file.write_all_at(&[0; 4096], page * 4096).expect("writes");
        let found = torn.open();
        assert_eq!(found.head_now().position, 1, "page {page} of {}", before / 4096);
        assert_eq!(found.put(1, 8), 2);
        found.settled();
    }
}

#[test]
fn damage_that_is_no_power_cut_is_refused() {
    let set = Set::new();
    let store = set.open();
    let before = journal_end(&set);
    let mut first = change(0, &[], &[(1, 7)]);
    first.record = vec![0x55; 20_000];
    store.one(first);
    store.settled();
    let (damaged, followed) = (image(&set), image(&set));
    // One byte that is not as written, in the last batch: it may have been acknowledged.
    let file = File::options().write(true).open(journal(&damaged)).expect("opens");
    file.write_all_at(&[0x54], before + 10_000).expect("writes");
    let error = refused(&damaged.options());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    // A hole with another batch after it: what is followed was synced.
    followed.open().put(2, 7);
    let file = File::options().write(true).open(journal(&followed)).expect("opens");
    file.write_all_at(&[0; 4096], (before / 4096 + 1) * 4096).expect("writes");
    let error = refused(&followed.options());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}
