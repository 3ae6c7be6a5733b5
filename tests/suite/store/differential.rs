//! The same random operations, one after another, on every store, commands of the ledger and changes of the store by itself:
//! equal answers, and the same ledger to the last digest.
//!
//! `GONGJI_DIFFERENTIAL=100000 cargo test --test suite store::differential -- --nocapture` makes 100 000 operations instead
//! of a few hundred; `GONGJI_SEED=…` begins with that seed.

use std::collections::BTreeSet;
use std::fmt::Debug;

use gongji::store::{Change, Key, ListKey, ListKind};

use super::commands::Commands;
use super::harness::*;
use super::{STORES, kinds};
use crate::process::{Dice, Replay, from_env};

/// Operations of one data set.
const SESSION: u64 = 4_000;
/// 2026-03-03T09:30+08:00.
const MORNING: i64 = 1_772_501_400_000_000;
/// Looks that are kept, to be committed on when they are older.
const HELD: usize = 6;

/// What a decision would have seen, and when.
struct Seen {
    began_at: u64,
    versions: Vec<(Key, u64)>,
}

struct Session {
    stores: Vec<(&'static str, Harness)>,
    commands: Commands,
    dice: Dice,
    held: Vec<Seen>,
    micros: i64,
    keys: Vec<Key>,
    lists: BTreeSet<ListKey>,
    done: u64,
    committed: u64,
}

impl Session {
    fn new(seed: u64) -> Self {
        let stores: Vec<_> = STORES.iter().map(|(name, harness)| (*name, harness())).collect();
        let commands = Commands::new(seed << 20, &stores, MORNING);
        let mut keys: Vec<Key> = (0..24).map(account_key).chain((0..24).map(request_key)).collect();
        keys.extend(kinds::one_of_each().into_iter().map(|(key, _)| key));
        let (held, lists) = (Vec::new(), BTreeSet::new());
        Self { stores, commands, dice: Dice::new(seed), held, micros: MORNING, keys, lists, done: 0, committed: 0 }
    }

    /// Asks every store, which must all say the same.
    fn all<T: PartialEq + Debug>(&self, ask: impl Fn(&Harness) -> T) -> T {
        let mut answers = self.stores.iter().map(|(name, harness)| (name, ask(harness)));
        let (first, answer) = answers.next().expect("a store");
        for (name, other) in answers {
            assert_eq!(answer, other, "operation {}: {first} and {name} differ", self.done);
        }
        answer
    }

    fn some_keys(&mut self) -> Vec<Key> {
        (0..1 + self.dice.roll(4)).map(|_| *self.dice.one_of(&self.keys)).collect()
    }

    fn look(&mut self) -> Seen {
        let keys = self.some_keys();
        let facts = self.all(|harness| {
            let facts = harness.store().look(&keys);
            let found: Vec<_> = facts.facts.into_iter().map(|fact| (fact.key, fact.version, fact.entity)).collect();
            (facts.began_at, facts.read_at, found)
        });
        Seen { began_at: facts.0, versions: facts.2.into_iter().map(|(key, version, _)| (key, version)).collect() }
    }

    fn some_list(&mut self) -> ListKey {
        list(*self.dice.one_of(&ListKind::ALL), u8::try_from(self.dice.roll(4)).expect("few"))
    }

    fn change(&mut self, seen: &Seen) -> Change {
        let bytes: Vec<u8> = (0..self.dice.roll(300)).map(|_| self.dice.next() as u8).collect();
        let mut change = recorded(change(seen.began_at, &seen.versions, &[]), &bytes);
        for _ in 0..self.dice.roll(4) {
            let number = self.dice.roll(24) as u128;
            change.puts.push((account_key(number), account(number, self.dice.fen(1_000_000))));
        }
        for (key, _) in &seen.versions {
            // What was expected is what is written, as a decision would.
            match key {
                Key::Request([number, ..]) => change.puts.push((*key, request(&format!("{number} {bytes:?}")))),
                Key::Standing(_) => {}
                key => change.puts.extend(kinds::one_of_each().into_iter().filter(|(other, _)| other == key)),
            }
        }
        for _ in 0..self.dice.roll(3) {
            let key = self.some_list();
            self.lists.insert(key);
            change.lists.push((key, u128::from(self.dice.next()) << 64 | u128::from(self.dice.next())));
        }
        if self.dice.roll(8) == 0 {
            let late = self.micros + self.dice.roll(400) as i64 - 200;
            change.before = Some(at(late));
        }
        change
    }

    fn commit(&mut self) {
        self.micros += [0, 1, 77, 1_000_003][self.dice.roll(4)];
        let now = self.micros - [0, 0, 0, 150, 5_000][self.dice.roll(5)];
        let mut changes = Vec::new();
        for _ in 0..1 + self.dice.roll(3) {
            let old = self.dice.roll(self.held.len() + 2);
            let fresh = if old < self.held.len() { self.held.remove(old) } else { self.look() };
            changes.push(self.change(&fresh));
        }
        let verdicts = self.all(|harness| block_on(harness.store().commit(changes.clone(), at(now))));
        self.committed += verdicts.iter().filter(|verdict| verdict.is_ok()).count() as u64;
    }

    fn operation(&mut self) {
        self.done += 1;
        match self.dice.roll(100) {
            0..40 => {
                self.micros += [1, 40_000_003, 5_000_000_001][self.dice.roll(3)];
                let changed = self.commands.one(&mut self.dice, self.micros);
                self.committed =
                    if changed { self.all(|harness| harness.store().head_now().position) } else { self.committed };
            }
            40..70 => self.commit(),
            70..78 => {
                let seen = self.look();
                self.held.push(seen);
                if self.held.len() > HELD {
                    self.held.remove(0);
                }
            }
            78..88 => {
                let key = self.some_list();
                let (after, more) = (self.dice.next() % (self.committed + 2), self.dice.next() % 90);
                let limit = self.dice.roll(40);
                self.all(|harness| harness.store().rows(key, after, after + more, limit));
            }
            88..97 => {
                let (from, limit) = (self.dice.next() % (self.committed + 3), self.dice.roll(12));
                self.all(|harness| block_on(harness.store().records(from, limit)).expect("reads"));
            }
            97..99 => drop(self.all(|harness| harness.store().head_now())),
            _ => {
                // A look from before is older than what a store that was opened again remembers.
                self.held.clear();
                self.stores.iter_mut().for_each(|(_, harness)| harness.reopen());
                self.commands.over(&self.stores);
            }
        }
    }

    /// Everything there is.
    fn end(&mut self) -> String {
        self.stores.iter_mut().for_each(|(_, harness)| harness.reopen());
        self.all(|harness| harness.store().all());
        let keys = self.keys.clone();
        self.all(|harness| {
            let facts = harness.store().look(&keys).facts;
            facts.into_iter().map(|fact| (fact.version, fact.entity)).collect::<Vec<_>>()
        });
        for key in &self.lists {
            self.all(|harness| harness.store().rows(*key, 0, u64::MAX, usize::MAX));
        }
        self.stores.iter().for_each(|(_, harness)| assert_chain(harness.store()));
        let head = self.all(|harness| harness.store().head_now());
        assert_eq!(head.position, self.committed);
        head.link.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[test]
fn the_same_operations_make_the_same_ledger_on_every_store() {
    let operations = from_env("GONGJI_DIFFERENTIAL", 400);
    let first = from_env("GONGJI_SEED", Dice::new(u64::from(std::process::id())).next() % 1_000_000_000);
    let (mut left, mut seed) = (operations, first);
    while left > 0 {
        let count = left.min(SESSION);
        let _replay = Replay(format!(
            "GONGJI_SEED={seed} GONGJI_DIFFERENTIAL={count} cargo test --test suite store::differential"
        ));
        let mut session = Session::new(seed);
        (0..count).for_each(|_| session.operation());
        let digest = session.end();
        let (committed, stores) = (session.committed, STORES.len());
        println!("seed {seed}: {count} operations, {committed} changes on {stores} stores, digest {digest}");
        (left, seed) = (left - count, seed + 1);
    }
}
