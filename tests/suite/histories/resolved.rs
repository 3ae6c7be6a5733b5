//! Histories of resolutions written by hand: those that an order explains, and beside each the wrong one that differs least.

use super::calls::{Answer, Call, Id, Original, Resolve, SONS, State, Told, View};
use super::checker::{Op, check};
use super::model::Family;

const BALANCES: [i64; SONS] = [1_000, 600];
const BILL: i64 = 1_200;
const DRAWN: [i64; SONS] = [1_000, 200];

type Step = (u64, u64, Call, Answer);

fn settle(id: Id) -> Call {
    Call::Settle { id, fen: BILL }
}

fn settled() -> Answer {
    Answer::Settled { drawn: DRAWN, cash: 0, replayed: false }
}

fn hold(id: Id) -> Call {
    Call::Hold { id, fen: BILL }
}

fn refund(id: Id, of: Id) -> Call {
    Call::Refund { id, of, accounts: None }
}

fn refunded() -> Answer {
    Answer::Refunded { returned: DRAWN, cash: 0, replayed: false }
}

fn confirm(id: Id, of: Id) -> Call {
    Call::Confirm { id, of, accounts: None }
}

fn confirmed() -> Answer {
    Answer::Confirmed { taken: DRAWN, cash: 0, back: 0, replayed: false }
}

fn report(id: Id, of: Id) -> Call {
    Call::Resolve(Resolve { id, of, fence: false, reverse: false })
}

fn fence(id: Id, of: Id) -> Call {
    Call::Resolve(Resolve { id, of, fence: true, reverse: false })
}

fn reverse(id: Id, of: Id) -> Call {
    Call::Resolve(Resolve { id, of, fence: false, reverse: true })
}

/// Of a call that had no effect.
fn none(told: Told, changed: bool) -> Answer {
    Answer::Resolved { told, original: None, settlement: None, changed, replayed: false }
}

/// Of a call about the settlement of request 1.
fn about(told: Told, original: Original, view: View, changed: bool) -> Answer {
    Answer::Resolved { told, original: Some(original), settlement: Some((1, view)), changed, replayed: false }
}

fn again(mut answer: Answer) -> Answer {
    if let Answer::Resolved { replayed, .. } = &mut answer {
        *replayed = true;
    }
    answer
}

fn paid() -> View {
    let (aid, refunds) = (BILL, Vec::new());
    View { state: State::Confirmed, aid, aid_back: 0, cash: 0, cash_back: 0, refunds, reversed_by: None }
}

fn given_back(by: Id) -> View {
    View { state: State::Refunded, aid_back: BILL, refunds: vec![(by, None)], ..paid() }
}

fn undone(by: Id) -> View {
    View { reversed_by: Some(by), ..given_back(by) }
}

fn put_back(refund: Id, by: Id) -> View {
    View { refunds: vec![(refund, Some(by))], ..paid() }
}

fn let_go(by: Option<Id>) -> View {
    View { state: State::Released, reversed_by: by, ..paid() }
}

/// One after another.
fn row(calls: &[(Call, Answer)]) -> Vec<Step> {
    let ticks = (0..).map(|place| (place * 2 + 1, place * 2 + 2));
    calls
        .iter()
        .zip(ticks)
        .map(|((call, answer), (began, ended))| (began, ended, call.clone(), answer.clone()))
        .collect()
}

/// Those, and then some side by side.
fn beside(first: &[(Call, Answer)], then: &[(Call, Answer)]) -> Vec<Step> {
    let all: Vec<_> = first.iter().chain(then).cloned().collect();
    let mut steps = row(&all);
    for (place, step) in steps.iter_mut().skip(first.len()).enumerate() {
        (step.0, step.1) = (100 + place as u64, 200 + place as u64);
    }
    steps
}

fn explained(steps: &[Step], unheard: &[(u64, Call)]) -> bool {
    let heard =
        steps.iter().cloned().map(|(began, ended, call, answer)| Op { call, began, ended: Some((ended, answer)) });
    let unheard = unheard.iter().cloned().map(|(began, call)| Op { call, began, ended: None });
    let ops: Vec<_> = heard.chain(unheard).collect();
    check(&Family::new(BALANCES), &ops).is_ok()
}

/// A name, whether there is an order, and the calls.
type Row = (&'static str, bool, Vec<Step>);

fn judge(rows: &[Row]) {
    for (name, expected, steps) in rows {
        assert_eq!(explained(steps, &[]), *expected, "{name}");
    }
}

#[test]
fn a_fence_and_its_original() {
    let fenced = || none(Told::Fenced, true);
    let late = || Answer::Refused("REQUEST_FENCED");
    let stands = || about(Told::Applied, Original::Settle, paid(), false);
    let unknown = || none(Told::NotApplied, false);
    judge(&[
        ("a late original is refused", true, row(&[(fence(2, 1), fenced()), (settle(1), late())])),
        ("applied after a fence was told", false, row(&[(fence(2, 1), fenced()), (settle(1), settled())])),
        ("refused without a fence", false, row(&[(settle(1), late()), (fence(2, 1), fenced())])),
        ("an original that was told is there", true, row(&[(settle(1), settled()), (fence(2, 1), stands())])),
        ("fenced after applied was told", false, row(&[(settle(1), settled()), (fence(2, 1), fenced())])),
        ("side by side, the original first", true, beside(&[], &[(fence(2, 1), stands()), (settle(1), settled())])),
        ("side by side, the fence first", true, beside(&[], &[(settle(1), late()), (fence(2, 1), fenced())])),
        ("side by side, both", false, beside(&[], &[(settle(1), settled()), (fence(2, 1), fenced())])),
        ("side by side, neither", false, beside(&[], &[(settle(1), late()), (fence(2, 1), stands())])),
        ("a doubt that is left", true, row(&[(report(2, 1), unknown()), (settle(1), settled())])),
        ("a report that misses what was answered", false, row(&[(settle(1), settled()), (report(2, 1), unknown())])),
        ("a report beside the original", true, beside(&[], &[(settle(1), settled()), (report(2, 1), unknown())])),
        ("a report of what was never asked for", false, row(&[(report(2, 1), stands())])),
        ("a doubt after a fence", false, row(&[(fence(2, 1), fenced()), (report(3, 1), unknown())])),
        ("a fence that is there", true, row(&[(fence(2, 1), fenced()), (fence(3, 1), none(Told::Fenced, false))])),
        ("one fence made twice", false, row(&[(fence(2, 1), fenced()), (fence(3, 1), fenced())])),
        ("a fence made by a report", false, row(&[(report(2, 1), fenced())])),
        ("a fence asked for again", true, row(&[(fence(2, 1), fenced()), (fence(2, 1), again(fenced()))])),
        ("a repeat that is told as new", false, row(&[(fence(2, 1), fenced()), (fence(2, 1), fenced())])),
        (
            "a repeat that is told to have changed nothing",
            false,
            row(&[(fence(2, 1), fenced()), (fence(2, 1), none(Told::Fenced, false))]),
        ),
        ("a first one that is told as a repeat", false, row(&[(fence(2, 1), again(fenced()))])),
        ("a resolution that is fenced", true, row(&[(fence(3, 2), fenced()), (fence(2, 1), late())])),
        ("a resolution after its fence", false, row(&[(fence(3, 2), fenced()), (fence(2, 1), fenced())])),
        ("a fence is no settlement", true, {
            row(&[(fence(2, 1), fenced()), (Call::Outcome { of: 2 }, Answer::Refused("SETTLEMENT_NOT_FOUND"))])
        }),
        ("a credit of the same number is another's", true, {
            let credit = Call::Credit { id: 1, son: 0, fen: 5 };
            row(&[(fence(2, 1), fenced()), (credit, Answer::Credited { after: 1_005, replayed: false })])
        }),
    ]);
    // The original's answer is lost: it may come late, and never after the fence.
    let original = [(1, settle(1))];
    let spent = (Call::Balance { son: 0 }, Answer::Balance(0));
    let rows: [Row; 4] = [
        ("it comes after a report", true, row(&[(report(2, 1), unknown()), spent.clone()])),
        ("it never comes", true, row(&[(fence(2, 1), fenced()), (Call::List, Answer::List(Vec::new()))])),
        ("it comes after the fence", false, row(&[(fence(2, 1), fenced()), spent.clone()])),
        ("it had come before the fence", false, row(&[spent, (fence(2, 1), fenced())])),
    ];
    for (name, expected, steps) in rows {
        assert_eq!(explained(&steps, &original), expected, "{name}");
    }
}

#[test]
fn what_is_reversed_and_how_often() {
    let made = || (settle(1), settled());
    let by = |by: Id| about(Told::Reversed, Original::Settle, undone(by), true);
    let before = |by: Id| about(Told::Reversed, Original::Settle, undone(by), false);
    let balance = |fen: i64| (Call::Balance { son: 0 }, Answer::Balance(fen));
    let outcome = |view: View| (Call::Outcome { of: 1 }, Answer::Outcome(view));
    judge(&[
        ("undone", true, row(&[made(), (reverse(2, 1), by(2)), balance(1_000)])),
        ("undone, and no money is there", false, row(&[made(), (reverse(2, 1), by(2)), balance(0)])),
        ("undone, and the money is there twice", false, row(&[made(), (reverse(2, 1), by(2)), balance(2_000)])),
        ("undone, and it is shown", true, row(&[made(), (reverse(2, 1), by(2)), outcome(undone(2))])),
        ("undone, and shown as paid", false, row(&[made(), (reverse(2, 1), by(2)), outcome(paid())])),
        ("undone, and shown as refunded alone", false, row(&[made(), (reverse(2, 1), by(2)), outcome(given_back(2))])),
        ("undone by one of two", true, beside(&[made()], &[(reverse(2, 1), by(2)), (reverse(3, 1), before(2))])),
        ("undone by both", false, beside(&[made()], &[(reverse(2, 1), by(2)), (reverse(3, 1), by(3))])),
        ("undone by neither", false, beside(&[made()], &[(reverse(2, 1), before(3)), (reverse(3, 1), before(2))])),
        ("told to who only asks", true, row(&[made(), (reverse(2, 1), by(2)), (report(3, 1), before(2))])),
        ("undone by who only asks", false, row(&[made(), (report(2, 1), by(2))])),
        ("paid, of what is undone", false, {
            let stands = about(Told::Applied, Original::Settle, undone(2), false);
            row(&[made(), (reverse(2, 1), by(2)), (report(3, 1), stands)])
        }),
        ("a repeat of the original", true, {
            let repeat = Answer::Settled { drawn: DRAWN, cash: 0, replayed: true };
            row(&[made(), (reverse(2, 1), by(2)), (settle(1), repeat), balance(1_000)])
        }),
        ("refunded after it was undone", false, row(&[made(), (reverse(2, 1), by(2)), (refund(3, 1), refunded())])),
        ("undone after it was refunded, the money twice", false, {
            let twice = View { aid_back: 2 * BILL, refunds: vec![(2, None), (3, None)], ..undone(3) };
            let answer = about(Told::Reversed, Original::Settle, twice, true);
            row(&[made(), (refund(2, 1), refunded()), (reverse(3, 1), answer)])
        }),
        ("a reversal that is asked about", true, {
            let answer = about(Told::Applied, Original::Resolve, undone(2), false);
            row(&[made(), (reverse(2, 1), by(2)), (report(3, 2), answer)])
        }),
        ("a reversal is not undone", true, {
            row(&[made(), (reverse(2, 1), by(2)), (reverse(3, 2), Answer::Refused("NOT_REVERSIBLE"))])
        }),
        ("a reversal that is undone", false, {
            let answer = about(Told::Reversed, Original::Resolve, paid(), true);
            row(&[made(), (reverse(2, 1), by(2)), (reverse(3, 2), answer)])
        }),
    ]);
}

#[test]
fn refunds_that_are_put_back() {
    let back = || [(settle(1), settled()), (refund(2, 1), refunded())];
    let by = |by: Id| about(Told::Reversed, Original::Refund, put_back(2, by), true);
    let spent = || (Call::Settle { id: 3, fen: 100 }, Answer::Settled { drawn: [100, 0], cash: 0, replayed: false });
    let refused = |why: &'static str| Answer::Refused(why);
    let after = |more: &[(Call, Answer)]| row(&[&back()[..], more].concat());
    let balance = |fen: i64| (Call::Balance { son: 1 }, Answer::Balance(fen));
    let stands = || about(Told::Applied, Original::Settle, given_back(2), false);
    let noted = View { reversed_by: Some(3), ..given_back(2) };
    let final_now = || (reverse(3, 1), about(Told::Reversed, Original::Settle, noted.clone(), true));
    judge(&[
        ("put back", true, after(&[(reverse(3, 2), by(3)), balance(400)])),
        ("put back, and nothing is taken", false, after(&[(reverse(3, 2), by(3)), balance(600)])),
        ("the money is spent", true, after(&[spent(), (reverse(4, 2), refused("REFUND_SPENT")), balance(600)])),
        ("put back, of money that is spent", false, after(&[spent(), (reverse(4, 2), by(4))])),
        ("refused, and the money is there", false, after(&[(reverse(3, 2), refused("REFUND_SPENT"))])),
        ("put back twice", false, after(&[(reverse(3, 2), by(3)), (reverse(4, 2), by(4))])),
        ("the second is told", true, {
            let told = about(Told::Reversed, Original::Refund, put_back(2, 3), false);
            after(&[(reverse(3, 2), by(3)), (reverse(4, 2), told)])
        }),
        (
            "side by side with who spends it",
            true,
            beside(&back(), &[(reverse(4, 2), refused("REFUND_SPENT")), spent()]),
        ),
        ("side by side, both have it", false, beside(&back(), &[(reverse(4, 2), by(4)), spent()])),
        ("given back by refunds alone, it is applied", true, after(&[(report(3, 1), stands())])),
        ("… it is told as reversed", false, {
            after(&[(report(3, 1), about(Told::Reversed, Original::Settle, given_back(2), false))])
        }),
        ("… until that is final", true, after(&[final_now(), (reverse(4, 2), refused("NOT_REVERSIBLE"))])),
        ("… and is put back all the same", false, after(&[final_now(), (reverse(4, 2), by(4))])),
        ("… by one of two", false, {
            let other = View { reversed_by: Some(4), ..given_back(2) };
            let other = (reverse(4, 1), about(Told::Reversed, Original::Settle, other, true));
            beside(&back(), &[final_now(), other])
        }),
        ("a refund of what was put back", true, {
            let twice = View { aid_back: BILL, refunds: vec![(2, Some(3)), (4, None)], ..given_back(4) };
            let shown = (Call::Outcome { of: 4 }, Answer::Outcome(twice));
            after(&[(reverse(3, 2), by(3)), (refund(4, 1), refunded()), shown])
        }),
    ]);
}

#[test]
fn holds_whose_answer_was_lost() {
    let held = || (hold(1), settled());
    let by = |by: Id| about(Told::Reversed, Original::Hold, let_go(Some(by)), true);
    let refused = |why: &'static str| Answer::Refused(why);
    let open = || View { state: State::Held, ..paid() };
    let released = || (Call::Release { id: 2, of: 1 }, Answer::Released { back: BILL, replayed: false });
    let taken = || (confirm(2, 1), confirmed());
    judge(&[
        ("open", true, row(&[held(), (report(2, 1), about(Told::Applied, Original::Hold, open(), false))])),
        ("open, told as settled", false, {
            row(&[held(), (report(2, 1), about(Told::Applied, Original::Settle, open(), false))])
        }),
        ("let go", true, row(&[held(), (reverse(2, 1), by(2)), (confirm(3, 1), refused("HOLD_RELEASED"))])),
        ("let go and confirmed", false, row(&[held(), (reverse(2, 1), by(2)), (confirm(3, 1), confirmed())])),
        ("side by side with its confirmation", false, beside(&[held()], &[(reverse(3, 1), by(3)), taken()])),
        ("confirmed", true, row(&[held(), taken(), (reverse(3, 1), refused("HOLD_CONFIRMED"))])),
        ("confirmed and let go", false, row(&[held(), taken(), (reverse(3, 1), by(3))])),
        ("the confirmation is undone", true, {
            let answer = about(Told::Reversed, Original::Confirm, undone(3), true);
            let gone = about(Told::Reversed, Original::Hold, undone(3), false);
            row(&[held(), taken(), (reverse(3, 2), answer), (report(4, 1), gone)])
        }),
        ("released before", true, {
            row(&[held(), released(), (report(3, 1), about(Told::Reversed, Original::Hold, let_go(None), false))])
        }),
        ("released before, told as standing", false, {
            row(&[held(), released(), (report(3, 1), about(Told::Applied, Original::Hold, let_go(None), false))])
        }),
        ("released before, and let go once more", false, row(&[held(), released(), (reverse(3, 1), by(3))])),
        ("a release stands", true, {
            row(&[held(), released(), (report(3, 2), about(Told::Applied, Original::Release, let_go(None), false))])
        }),
        ("a release is not undone", true, row(&[held(), released(), (reverse(3, 2), refused("NOT_REVERSIBLE"))])),
        ("a release that is undone", false, {
            row(&[held(), released(), (reverse(3, 2), about(Told::Reversed, Original::Release, open(), true))])
        }),
    ]);
}
