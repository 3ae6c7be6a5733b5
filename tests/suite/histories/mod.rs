//! Real clients on several connections, all at once, some of them giving up before they are answered and asking again: what
//! they asked and heard is written down, and there must be one order of single effects that explains all of it. Each family by
//! itself, since families share nothing; and the positions of the ledger, which all share, with those who follow it.
//!
//! `GONGJI_HISTORIES=500 cargo test --test suite histories:: -- --nocapture` makes 500 histories on each store instead of a
//! few; `GONGJI_SEED=…` begins with that seed.

mod calls;
mod checker;
mod model;
mod position;
mod record;
mod resolved;
mod resolving;
mod wire;

use calls::{Answer, Call, Id, Original, Told, View};
use checker::{Op, Stuck, check};
use model::Family;
use position::{Position, Seen};
use record::{FAMILIES, History, OPENING, Size, record};

use crate::process::{Dice, Replay, from_env};
use crate::support::{Setup, TestServer};

const USUAL: Size = Size { clients: 4, calls: 12, gives_up: true };
/// Few enough that every order can be tried.
const SMALL: Size = Size { clients: 3, calls: 5, gives_up: false };

fn explained(history: &History) -> Result<(), Stuck> {
    for (number, family) in history.families.iter().enumerate() {
        let start = Family::new(OPENING);
        check(&start, family).map_err(|Stuck(why)| Stuck(format!("family {number}: {why}")))?;
    }
    check(&Position(history.head), &history.positions).map_err(|Stuck(why)| Stuck(format!("positions: {why}")))
}

fn many(store: &str, start: fn() -> Vec<TestServer>) {
    let histories = from_env("GONGJI_HISTORIES", 4);
    let first = from_env("GONGJI_SEED", Dice::new(u64::from(std::process::id())).next() % 1_000_000_000);
    let (mut calls, mut unheard) = (0, 0);
    for seed in first..first + histories {
        let _replay =
            Replay(format!("GONGJI_SEED={seed} GONGJI_HISTORIES=1 cargo test --test suite histories::{store}"));
        let history = record(&start(), seed, USUAL);
        calls += history.families.iter().map(Vec::len).sum::<usize>();
        unheard += history.families.iter().flatten().filter(|op| op.ended.is_none()).count();
        if let Err(Stuck(why)) = explained(&history) {
            panic!("seed {seed}: no order explains what the clients heard\n{why}");
        }
    }
    println!("{store}: {histories} histories from seed {first}, {calls} calls, {unheard} of them never answered");
    assert!(unheard < calls, "somebody heard something");
}

#[test]
fn memory_is_linearizable() {
    many("memory", || vec![Setup::memory().start()]);
}

#[test]
fn embedded_is_linearizable() {
    many("embedded", || vec![Setup::embedded().start()]);
}

/// Two servers over one database: clients change between them from call to call.
#[test]
fn postgres_is_linearizable() {
    many("postgres", || {
        let one = Setup::postgres().start();
        let mut other = Setup::over(one.another_store());
        // As another process it draws other ids.
        other.ids = 0x7071;
        vec![other.start(), one]
    });
}

/// What a wrong service would have answered is not explained: each kind of answer, changed by the least, in real histories.
#[test]
fn a_recorded_history_with_one_wrong_answer_is_refused() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 1..100 {
        let history = record(&[Setup::memory().start()], seed, SMALL);
        assert_eq!(explained(&history), Ok(()), "seed {seed}");
        for (number, family) in history.families.iter().enumerate() {
            for (place, op) in family.iter().enumerate() {
                let Some((ended, answer)) = &op.ended else { continue };
                let Some((kind, wrong)) = spoiled(answer) else { continue };
                if !kinds.insert(kind) {
                    continue;
                }
                let mut other = family.clone();
                other[place].ended = Some((*ended, wrong.clone()));
                let found = check(&Family::new(OPENING), &other);
                assert!(found.is_err(), "seed {seed}, family {number}: {:?} answered {wrong:?}", op.call);
            }
        }
        // A change twice at one position, a head that goes back or was never there, a record followed before its time.
        let spoil = |wanted: Seen, by: i64| {
            let mut other = history.positions.clone();
            let found =
                other.iter_mut().rev().find(|op| op.call == wanted && op.ended.is_some()).expect("one of a kind");
            found.ended = found.ended.map(|(ended, answer)| (ended, answer + by));
            check(&Position(history.head), &other)
        };
        for (wanted, by) in [(Seen::Changed, -1), (Seen::Head, -1_000), (Seen::Head, 1_000), (Seen::Followed, 1_000)] {
            assert!(spoil(wanted.clone(), by).is_err(), "seed {seed}: {wanted:?} {by}");
        }
        if kinds.len() == KINDS.len() {
            break;
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), KINDS);
}

const KINDS: [&str; 11] =
    ["balance", "confirm", "credit", "entries", "fence", "list", "outcome", "refund", "release", "resolve", "settle"];

/// An answer that no order explains, however the calls around it are turned; nothing for a refusal.
fn spoiled(answer: &Answer) -> Option<(&'static str, Answer)> {
    Some(match answer.clone() {
        Answer::Settled { drawn, cash, replayed } => ("settle", Answer::Settled { drawn, cash: cash + 1, replayed }),
        Answer::Refunded { returned, cash, replayed } => {
            ("refund", Answer::Refunded { returned, cash, replayed: !replayed })
        }
        Answer::Confirmed { taken, cash, back, replayed } => {
            ("confirm", Answer::Confirmed { taken, cash: cash + 1, back, replayed })
        }
        Answer::Released { replayed, .. } => ("release", Answer::Released { back: -1, replayed }),
        Answer::Credited { replayed, .. } => ("credit", Answer::Credited { after: -1, replayed }),
        Answer::Balance(_) => ("balance", Answer::Balance(-1)),
        Answer::Outcome(view) => ("outcome", Answer::Outcome(View { aid_back: -1, ..view })),
        Answer::Resolved { told, original, settlement: Some((of, view)), changed, replayed } => {
            let settlement = Some((of, View { aid_back: -1, ..view }));
            ("resolve", Answer::Resolved { told, original, settlement, changed, replayed })
        }
        Answer::Resolved { told: Told::Fenced, original, settlement, changed, replayed } => {
            ("fence", Answer::Resolved { told: Told::NotApplied, original, settlement, changed, replayed: !replayed })
        }
        Answer::List(mut ids) => {
            ids.push(Id::MAX);
            ("list", Answer::List(ids))
        }
        Answer::Entries(mut amounts) => {
            amounts.push(0);
            ("entries", Answer::Entries(amounts))
        }
        Answer::Resolved { .. } | Answer::Refused(_) => return None,
    })
}

/// Whether this very call undid it.
fn undid(answer: &Answer, which: Original) -> bool {
    matches!(answer, Answer::Resolved { told: Told::Reversed, original, changed: true, replayed: false, .. }
        if *original == Some(which))
}

/// Whether the histories are worth checking: calls overlap, ids are repeated, bills outrun the money. Who meets whom is the
/// machine's doing, so not every history has all of it: the rarest is in one of ten, and so many make it sure.
#[test]
fn histories_are_full_of_races() {
    type Heard = fn(&Answer) -> bool;
    let mut missing: Vec<(&str, Heard)> = vec![
        ("repeats", |answer| matches!(answer, Answer::Settled { replayed: true, .. })),
        ("empty accounts", |answer| matches!(answer, Answer::Settled { cash, .. } if *cash > 0)),
        ("resolved holds", |answer| matches!(answer, Answer::Confirmed { .. } | Answer::Released { .. })),
        ("refusals", |answer| matches!(answer, Answer::Refused(_))),
        ("originals that come after a fence", |answer| matches!(answer, Answer::Refused("REQUEST_FENCED"))),
        ("refunds whose money is spent", |answer| matches!(answer, Answer::Refused("REFUND_SPENT"))),
        ("what cannot be undone", |answer| matches!(answer, Answer::Refused("NOT_REVERSIBLE"))),
        ("doubts left", |answer| matches!(answer, Answer::Resolved { told: Told::NotApplied, .. })),
        ("fences", |answer| matches!(answer, Answer::Resolved { told: Told::Fenced, changed: true, .. })),
        ("fences met", |answer| matches!(answer, Answer::Resolved { told: Told::Fenced, changed: false, .. })),
        ("what stands", |answer| matches!(answer, Answer::Resolved { told: Told::Applied, .. })),
        ("bills undone", |answer| undid(answer, Original::Settle)),
        ("holds undone", |answer| undid(answer, Original::Hold)),
        ("refunds put back", |answer| undid(answer, Original::Refund)),
        ("what was undone before", |answer| {
            matches!(answer, Answer::Resolved { told: Told::Reversed, changed: false, .. })
        }),
        ("resolutions repeated", |answer| matches!(answer, Answer::Resolved { replayed: true, .. })),
    ];
    let (mut met, mut lost) = (false, false);
    for seed in 2..302 {
        let history = record(&[Setup::memory().start()], seed, USUAL);
        let all: Vec<&Op<Call, Answer>> = history.families.iter().flatten().collect();
        let ended = |op: &Op<Call, Answer>| op.ended.as_ref().map_or(u64::MAX, |(ended, _)| *ended);
        let overlap =
            |op: &&&Op<Call, Answer>| all.iter().any(|other| other.began > op.began && other.began < ended(op));
        met |= all.iter().filter(overlap).count() * 2 > all.len();
        lost |= all.iter().any(|op| op.ended.is_none());
        let answers = || all.iter().filter_map(|op| op.ended.as_ref());
        missing.retain(|(_, heard)| !answers().any(|(_, answer)| heard(answer)));
        assert_eq!(history.families.len(), FAMILIES);
        if met && lost && missing.is_empty() {
            return;
        }
    }
    let missing: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    panic!("half of the calls meet another: {met}; lost answers: {lost}; never heard: {missing:?}");
}
