//! Data sets that go from one store to another: the same to the last byte, whatever breaks off in the middle, and refused
//! where they are damaged or the target is another's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gongji::copy::{CopyError, compare, copy};
use gongji::store::embedded::EmbeddedStore;
use gongji::store::kept::{KeptChange, Portable, TakeError};
use gongji::store::memory::MemoryStore;
use gongji::store::record::encode_entity;
use gongji::store::{Head, Key, ListKind, Store};
use tempfile::TempDir;

use crate::damage::Image;
use crate::feed::{load, people};
use crate::kills::{Outcome, credit, send};
use crate::postgres::PostgresServer;
use crate::process::{Dice, Replay, Server, check_ledger, ended, from_env, gongji, run};
use crate::store::canaries::bend::Bend;
use crate::store::canaries::right::Right;
use crate::store::{
    Harness, HeadNow, SECRET, STORES, Verbs, account, account_key, assert_chain, block_on, change, list, listed,
};

struct Dirs(TempDir);

impl Dirs {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub fn embedded(dir: &Path) -> String {
    format!("embedded:{}", dir.display())
}

fn copied(from: &Path, to: &Path) -> Output {
    ended(gongji(&["copy", "--from", &embedded(from), "--to", &embedded(to)]))
}

#[track_caller]
pub fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("panicked"), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
pub fn refused(output: &Output, part: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(part) && !said.contains("panicked"), "{said}");
}

/// A data directory as a server left it.
pub fn data_set(dir: &Path, records: u64) {
    let server = Server::on(dir, &["--index-bytes", "50000"]);
    run(async {
        people(&server).await;
        load(&server, 0, records).await;
    });
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
}

fn all_of(dir: &Path) -> (Head, Vec<KeptChange>) {
    let store = EmbeddedStore::open_existing(dir).expect("opens");
    (store.head_now(), block_on(store.changes(1, usize::MAX)).expect("hands out"))
}

#[test]
fn a_copy_is_the_same_data_set() {
    let dirs = Dirs::new();
    let (data, to) = (dirs.path("data"), dirs.path("to"));
    data_set(&data, 300);
    let said = done(&copied(&data, &to));
    let (head, changes) = all_of(&data);
    assert!(said.starts_with(&format!("{} changes, digest", head.position)), "{said}");
    assert!(all_of(&to) == (head, changes), "every record, fact and list row");
    done(&ended(gongji(&["ledger", "verify", "--data-dir", to.to_str().expect("a plain path")])));
    // Slashes behind a name are no part of it.
    done(&copied(&data, &dirs.path("slash//")));
    assert!(all_of(&dirs.path("slash")) == all_of(&to));
    let server = Server::on(&to, &[]);
    run(async {
        check_ledger(server.channel().await).await;
        // The secret came along: a request id is known.
        let again = send(&server.channel().await, credit("load-0".to_owned(), 0, 1)).await;
        assert!(matches!(again, Outcome::Done { replayed: true, .. }), "{again:?}");
    });
}

/// Copies, killed again and again until an attempt comes to its end; how often it was killed.
fn copied_at_last(dice: &mut Dice, from: &str, to: &str, is_there: impl Fn() -> bool) -> u32 {
    let (mut kills, mut longest) = (0, 20);
    loop {
        let mut child = gongji(&["copy", "--from", from, "--to", to]).spawn().expect("starts");
        thread::park_timeout(Duration::from_millis(dice.roll(longest) as u64));
        if let Some(status) = child.try_wait().expect("a child") {
            let output = child.wait_with_output().expect("a child");
            assert!(status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            return kills;
        }
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        (kills, longest) = (kills + 1, longest + 80);
        // Killed behind its last step.
        if is_there() {
            return kills;
        }
    }
}

#[test]
fn a_copy_that_is_killed_goes_on_where_it_was() {
    let records = from_env("GONGJI_COPY_RECORDS", 600);
    let seed = from_env("GONGJI_SEED", 0xc0b1);
    let _replay = Replay(format!("GONGJI_SEED={seed} GONGJI_COPY_RECORDS={records} cargo test --test suite copy::"));
    let mut dice = Dice::new(seed);
    let dirs = Dirs::new();
    let (data, to, back) = (dirs.path("data"), dirs.path("to"), dirs.path("back"));
    data_set(&data, records);
    let kills = copied_at_last(&mut dice, &embedded(&data), &embedded(&to), || to.exists());
    assert!(all_of(&to) == all_of(&data) && kills > 0);
    // A city grows into a database, and back.
    let database = PostgresServer::shared().fresh_database();
    let grown = copied_at_last(&mut dice, &embedded(&data), database.url(), || false);
    // Until it is whole nobody serves it; the line that began it goes on and ends it.
    database.sql("INSERT INTO gongji.copying VALUES (true, now())");
    let serve = gongji(&["serve", "--store", "postgres", "--listen", "127.0.0.1:0", "--database-url", database.url()]);
    refused(&ended(serve), "did not come to its end");
    assert!(ended(gongji(&["copy", "--from", &embedded(&data), "--to", database.url()])).status.success());
    assert_eq!(database.sql("SELECT count(*) FROM gongji.copying"), "0");
    let shrunk = copied_at_last(&mut dice, database.url(), &embedded(&back), || back.exists());
    println!("killed {kills}, {grown} and {shrunk} times");
    let [ours, theirs] = [&data, &back].map(|dir| EmbeddedStore::open_existing(dir).expect("opens"));
    assert_eq!(ours.head_now(), theirs.head_now());
    block_on(compare(&*ours, &*theirs, |_, _| {})).expect("the same");
    block_on(compare(&*theirs, &*ours, |_, _| {})).expect("from either side");
    // What another data set left is not written over.
    drop((ours, theirs));
    let other = dirs.path("other");
    data_set(&other, 5);
    refused(&ended(gongji(&["copy", "--from", &embedded(&other), "--to", database.url()])), "another data set");
}

#[test]
fn places_that_will_not_do_are_refused() {
    let dirs = Dirs::new();
    let (data, other, to) = (dirs.path("data"), dirs.path("other"), dirs.path("to"));
    refused(&copied(&data, &to), "no gongji data set");
    data_set(&data, 20);
    refused(&copied(&data, &data), "the same place");
    fs::create_dir(&other).expect("makes");
    fs::write(other.join("a file"), "somebody's").expect("writes");
    refused(&copied(&data, &other), "is not empty");
    for wrong in ["memory:", "embedded:", "somewhere"] {
        refused(
            &ended(gongji(&["copy", "--from", wrong, "--to", &embedded(&to)])),
            "must be embedded:DIR, postgres or postgres://…",
        );
    }
    refused(
        &ended(gongji(&["copy", "--from", &embedded(&data), "--to", "postgres"])),
        "database_url: name the database",
    );
    let named = ["copy", "--from", "postgres", "--to", "postgres://a@b/c", "--database-url", "postgres://a@b/c"];
    refused(&ended(gongji(&named)), "the same place");
    // What an earlier attempt with another data set left.
    data_set(&dirs.path("to.copying"), 20);
    refused(&copied(&data, &to), "another data set");
    let server = Server::on(&data, &[]);
    refused(&copied(&data, &dirs.path("next")), "in use");
    drop(server);
    assert!(!to.exists() && !dirs.path("next").exists());
}

#[test]
fn a_damaged_source_is_refused_or_changes_nothing() {
    let samples = from_env("GONGJI_COPY_DAMAGE", 12);
    let seed = from_env("GONGJI_SEED", 0xda3);
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_COPY_DAMAGE={samples} cargo test --test suite copy::a_damaged"));
    let mut dice = Dice::new(seed);
    let dirs = Dirs::new();
    let data = dirs.path("data");
    data_set(&data, 150);
    let whole = all_of(&data);
    let mut image = Image::of(&data);
    let mut refusals = 0;
    for number in 0..samples {
        let (damaged, to) = (dirs.path(&format!("damaged-{number}")), dirs.path(&format!("to-{number}")));
        let sizes: Vec<usize> = image.0.iter().map(|file| file.bytes.len()).collect();
        let mut place = dice.roll(sizes.iter().sum());
        let file = sizes.iter().position(|size| {
            let here = place < *size;
            place -= if here { 0 } else { *size };
            here
        });
        let (file, bit) = (file.expect("within the files"), 1 << dice.roll(8));
        image.0[file].bytes[place] ^= bit;
        image.write(&damaged);
        image.0[file].bytes[place] ^= bit;
        let output = copied(&damaged, &to);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        if output.status.success() {
            assert!(all_of(&to) == whole, "a byte that changed an answer went unseen");
        } else {
            refusals += 1;
            assert!(!to.exists(), "nothing is left where a data set would be: {said}");
        }
    }
    println!("{refusals} of {samples} refused");
    assert!(refusals > 0);
}

/// Changes as a store under test takes them.
fn some_data(harness: &Harness, count: u64) {
    for number in 0..count {
        let rows = [(list(ListKind::AccountEntries, (number % 5) as u8), u128::from(number))];
        let puts = [(u128::from(number % 11), number as i64), (u128::from(number) + 100, 1)];
        harness.store().one(listed(change(0, &[], &puts), &rows));
    }
}

fn door(harness: &Harness) -> &dyn Portable {
    harness.store().portable().expect("it hands on its data set")
}

fn copy_over(from: &Harness, to: &Harness) -> Result<Head, CopyError> {
    block_on(copy(door(from), door(to), |_, _| {}))
}

fn compared(from: &Harness, to: &Harness) -> Result<(), CopyError> {
    block_on(compare(door(from), door(to), |_, _| {}))
}

#[test]
fn every_store_goes_into_every_other() {
    for (from_name, from) in STORES {
        for (to_name, to) in STORES {
            println!("{from_name} to {to_name}");
            let (mut from, mut to) = (from(), to());
            some_data(&from, 300);
            from.reopen();
            // As an attempt leaves it that was killed behind its first page.
            let part = block_on(door(&from).changes(1, 120)).expect("hands out");
            block_on(door(&to).take(part)).expect("takes");
            to.crash();
            let (mut before, mut told) = (0, Vec::new());
            let copied = block_on(copy(door(&from), door(&to), |done, all| {
                assert!(done > before && all == 300);
                before = done;
                told.push(done);
            }));
            assert_eq!(copied.expect("copied"), from.store().head_now());
            assert_eq!(told.last(), Some(&300));
            to.crash();
            compared(&from, &to).expect("the same");
            assert_chain(to.store());
            assert_eq!(to.store().all(), from.store().all());
            assert_eq!(copy_over(&from, &to).expect("nothing is left to do"), from.store().head_now());
            // The source goes on, and so does the copy.
            some_data(&from, 30);
            assert!(matches!(compared(&from, &to), Err(CopyError::Moved)));
            copy_over(&from, &to).expect("goes on");
            compared(&from, &to).expect("the same");
            let (after, facts) = (from.store().head_now().position, [from.store(), to.store()]);
            let keys: Vec<_> = (0..11).chain(100..130).map(account_key).collect();
            let [one, other] = facts.map(|store| crate::store::versions(&store.look(&keys)));
            assert_eq!((one, after), (other, 330));
        }
    }
}

#[test]
fn a_target_with_other_content_is_refused() {
    let from = Harness::memory();
    some_data(&from, 20);
    let (own, longer) = (Harness::memory(), Harness::memory());
    own.store().put(7, 7);
    assert!(matches!(copy_over(&from, &own), Err(CopyError::OtherContent(1))));
    assert_eq!(own.store().head_now().position, 1, "and left as it is");
    some_data(&longer, 21);
    assert!(matches!(copy_over(&from, &longer), Err(CopyError::OtherContent(21))));
    let stranger: Arc<dyn Store> = Arc::new(MemoryStore::new([9; 32], u64::MAX));
    assert_ne!(stranger.secret(), SECRET);
    let outcome = block_on(copy(door(&from), stranger.portable().expect("a door"), |_, _| {}));
    assert!(matches!(outcome, Err(CopyError::OtherSecret)));
}

/// Sources and targets that are wrong, each in its own way.
#[test]
fn what_goes_over_wrongly_is_found() {
    let wrong = |bend: Bend| Harness::over(Right::bent(bend));
    let from_a = |kept: fn(&mut Vec<KeptChange>)| {
        let from = wrong(Bend { kept: Some(kept), ..Bend::default() });
        some_data(&from, 20);
        copy_over(&from, &Harness::memory())
    };
    assert!(matches!(from_a(Vec::clear), Err(CopyError::Missing(1))));
    assert!(matches!(from_a(|page| drop(page.remove(0))), Err(CopyError::Missing(1))));
    let gap = from_a(|page| drop(page.remove(5)));
    assert!(matches!(gap, Err(CopyError::Damaged(TakeError::DoesNotFollow(7)))), "{gap:?}");
    let bent = from_a(|page| page[3].record.bytes[0] ^= 1);
    assert!(matches!(bent, Err(CopyError::Damaged(TakeError::DoesNotFollow(4)))), "{bent:?}");
    let cut = from_a(|page| page[4].facts[0].1.truncate(2));
    assert!(matches!(cut, Err(CopyError::Damaged(TakeError::Unreadable(5, _)))), "{cut:?}");

    let into_a = |taken: fn(&mut Vec<KeptChange>), place: u64| {
        let from = Harness::memory();
        some_data(&from, 20);
        let to = wrong(Bend::default());
        let mut changes = block_on(door(&from).changes(1, 99)).expect("hands out");
        taken(&mut changes);
        block_on(door(&to).take(changes)).expect("it follows");
        let found = compared(&from, &to);
        assert!(matches!(found, Err(CopyError::Differs(at)) if at == place), "{found:?}");
    };
    into_a(|changes| changes[4].lists.clear(), 5);
    into_a(|changes| changes[7].lists[0].1 += 1, 8);
    into_a(|changes| drop(changes[19].facts.pop()), 20);
    let other = |changes: &mut Vec<KeptChange>| {
        for (key, bytes) in &mut changes[19].facts {
            if let Key::Standing(id) = key {
                *bytes = encode_entity(&account(id.as_u128(), 5_555));
            }
        }
    };
    into_a(other, 20);
}
