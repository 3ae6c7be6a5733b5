use jiff::civil::{Date, date};

use super::*;
use crate::domain::ids::{RequestId, SettlementId};
use crate::domain::money::Money;
use crate::domain::time::Moment;

const READ: u64 = 100;

/// Noon of a day of March 2025.
fn noon(day: i8) -> Moment {
    Moment::of_civil(march(day), jiff::civil::time(12, 0, 0, 0))
}

fn march(day: i8) -> Date {
    date(2025, 3, day)
}

/// The 10th to the 20th, their book closed at noon of the 15th.
fn window() -> Window {
    Window { start: march(10), last: march(20), cut_off: Some(noon(15)), read_position: READ }
}

fn figures(total: i64) -> Figures {
    let fen = Money::fen;
    Figures {
        total: fen(total),
        fund: fen(total - 60),
        own_account: fen(10),
        mutual_aid: fen(20),
        cash: fen(30),
        ..Figures::default()
    }
}

fn ours(day: i8, position: u64, stage: Stage) -> OurLine {
    OurLine {
        kind: LineKind::Settlement,
        stage,
        settlement: SettlementId::from_u128(1),
        position,
        at: noon(day),
        figures: figures(100),
        request_id: String::new(),
        msgid: String::new(),
        medins_setl_id: String::new(),
    }
}

fn theirs(day: i8, cells: &[(Cell, i64)]) -> TheirLine {
    let mut claimed = Claimed::default();
    for (cell, fen) in cells {
        claimed.set(*cell, Some(Money::fen(*fen)));
    }
    TheirLine { number: 1, kind: LineKind::Settlement, date: march(day), names: Names::default(), claimed }
}

fn told(verdict: Option<Verdict>) -> String {
    verdict.map_or("agree".to_owned(), |verdict| {
        let cells: Vec<&str> = verdict.cells.iter().map(|cell| cell.name()).collect();
        format!("{:?} {:?} {}", verdict.kind, verdict.repair, cells.join(" ")).trim_end().to_owned()
    })
}

#[test]
fn two_lines_of_one_settlement() {
    use Stage::{Ended, Held, Posted};
    let total = (Cell::Total, 100);
    let rows = [
        (ours(12, 5, Posted), theirs(12, &[total]), "agree"),
        // Another day within the days is no difference, nor is anything wholly outside.
        (ours(12, 5, Posted), theirs(13, &[total]), "agree"),
        (ours(9, 5, Posted), theirs(8, &[(Cell::Total, 1)]), "agree"),
        (ours(9, 5, Held), theirs(21, &[total]), "agree"),
        // What is not said is not compared; accounts are both parts.
        (ours(12, 5, Posted), theirs(12, &[(Cell::Accounts, 30)]), "agree"),
        (ours(12, 5, Posted), theirs(12, &[total, (Cell::Accounts, 10)]), "Amount CorrectAmounts accounts_fen"),
        (
            ours(12, 5, Posted),
            theirs(12, &[(Cell::Total, 99), (Cell::MutualAid, 19), (Cell::Cash, 30)]),
            "Amount CorrectAmounts total_fen mutual_aid_fen",
        ),
        (ours(9, 5, Posted), theirs(10, &[total]), "DateEdge MoveDay"),
        (ours(20, 5, Posted), theirs(21, &[total]), "DateEdge MoveDay"),
        // The gravest difference is told.
        (ours(9, 5, Posted), theirs(10, &[(Cell::Total, 99)]), "Amount CorrectAmounts total_fen"),
        (ours(12, READ, Posted), theirs(12, &[total]), "agree"),
        (ours(12, READ + 1, Posted), theirs(12, &[total]), "InFlight CompareLater"),
        // Both have it, so the cut-off does not matter.
        (ours(16, 5, Posted), theirs(16, &[total]), "agree"),
        (ours(12, 5, Held), theirs(12, &[total]), "InFlight EndHold"),
        (ours(12, 5, Ended), theirs(12, &[total]), "State SettleAnew"),
        // Its settlement is paid: nothing may be settled anew.
        (OurLine { kind: LineKind::Refund, ..ours(12, 5, Ended) }, theirs(12, &[total]), "State StrikeReversed"),
    ];
    for (ours, theirs, expected) in rows {
        assert_eq!(told(matched(&ours, &theirs, &window())), expected, "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_line_that_only_they_have() {
    let named = |day: i8| {
        let mut line = theirs(day, &[]);
        line.names.request = RequestId::parse("R-1");
        line
    };
    let rows = [
        (theirs(12, &[]), Missing::Unknown, "OnlyTheirs StrikeLine"),
        (named(12), Missing::Unknown, "OnlyTheirs Resolve"),
        (named(12), Missing::Fenced, "OnlyTheirs StrikeLine"),
        (named(12), Missing::Duplicate, "OnlyTheirs StrikeDuplicate"),
        (named(12), Missing::NotRefunded, "State SendRefund"),
        (named(12), Missing::PutBack, "State StrikeReversed"),
        (named(12), Missing::Pair, "ReversedPair BookBothOrNeither"),
        (named(9), Missing::Unknown, "agree"),
        (named(21), Missing::Duplicate, "agree"),
    ];
    for (line, missing, expected) in rows {
        assert_eq!(told(absent_from_ours(&line, missing, &window())), expected, "{line:?} {missing:?}");
    }
}

#[test]
fn a_line_that_only_we_have() {
    use Stage::{Ended, Held, Posted};
    let refund = |day| OurLine { kind: LineKind::Refund, ..ours(day, 5, Posted) };
    let at_cut_off = OurLine { at: noon(15), ..ours(15, 5, Posted) };
    let just_after = OurLine { at: Moment::from_micros(noon(15).as_micros() + 1), ..ours(15, 5, Posted) };
    let rows = [
        (ours(12, 5, Posted), Absent::Settlement, "OnlyOurs BookLine"),
        (at_cut_off, Absent::Settlement, "OnlyOurs BookLine"),
        (just_after, Absent::Settlement, "InFlight CompareLater"),
        (ours(12, 5, Posted), Absent::WhollyRefunded, "ReversedPair BookBothOrNeither"),
        (ours(16, 5, Posted), Absent::WhollyRefunded, "InFlight CompareLater"),
        (refund(12), Absent::RefundOfKnown, "State BookRefund"),
        (refund(12), Absent::RefundOfUnknown, "OnlyOurs BookLine"),
        (refund(16), Absent::RefundOfKnown, "InFlight CompareLater"),
        (ours(12, 5, Held), Absent::Settlement, "InFlight EndHold"),
        (ours(12, 5, Ended), Absent::Settlement, "agree"),
    ];
    for (line, absent, expected) in rows {
        assert_eq!(told(absent_from_theirs(&line, absent, &window())), expected, "{line:?} {absent:?}");
    }
}

/// A line of theirs: `S` or `R`, its total, and what it names.
fn named(text: &str) -> TheirLine {
    let words: Vec<&str> = text.split(' ').collect();
    let kind = if words[0] == "S" { LineKind::Settlement } else { LineKind::Refund };
    let mut line = TheirLine { kind, ..theirs(12, &[(Cell::Total, words[1].parse().expect("fen"))]) };
    for word in &words[2..] {
        let (name, value) = word.split_once('=').expect("a name");
        match name {
            "stl" => line.names.settlement = Some(SettlementId::from_u128(value.parse().expect("a number"))),
            "req" => line.names.request = RequestId::parse(value),
            "of" => line.names.refunded_request = RequestId::parse(value),
            "msg" => line.names.msgid = value.to_owned(),
            _ => line.names.medins_setl_id = value.to_owned(),
        }
    }
    line
}

#[test]
fn a_settlement_finds_its_refunds() {
    let many: Vec<String> = (0..70).map(|_| "R 1 medins=X".to_owned()).collect();
    let many: Vec<&str> = std::iter::once("S 70 medins=X").chain(many.iter().map(String::as_str)).collect();
    let rows: [(&[&str], &[usize], usize); 9] = [
        (&["S 100 req=a", "R 100 of=a"], &[2], 0),
        (&["R 100 of=a", "S 100 req=a"], &[2], 0),
        (&["S 100 stl=7", "R 40 stl=7 req=x", "R 60 stl=7 req=y"], &[3], 0),
        (&["S 100 medins=M", "R 100 medins=M"], &[2], 0),
        (&["S 100 msg=m", "R 100 msg=m"], &[2], 0),
        // Not the whole, nobody's, or no refund at all.
        (&["S 100 req=a", "R 99 of=a"], &[], 2),
        (&["S 100 req=a", "R 100 of=b", "S 5 req=c"], &[], 3),
        // One refund does for one settlement.
        (&["S 100 req=a", "S 100 req=a", "R 100 of=a"], &[2], 1),
        // A name that everything has names nothing.
        (&many, &[], 71),
    ];
    for (lines, pairs, single) in rows {
        let (found, left) = pair_up(lines.iter().map(|line| named(line)).collect());
        let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!((sizes.as_slice(), left.len()), (pairs, single), "{lines:?}");
    }
}

#[test]
fn totals_count_what_was_posted() {
    let mut totals = Totals::default();
    totals.add(&ours(12, 1, Stage::Posted));
    totals.add(&ours(13, 2, Stage::Posted));
    totals.add(&ours(13, 3, Stage::Held));
    totals.add(&OurLine { kind: LineKind::Refund, ..ours(13, 4, Stage::Posted) });
    let sums = |kind, day: Option<i8>| {
        let (count, sums) = totals.of(kind, day.map(march));
        (count, sums.total.as_fen(), sums.accounts().as_fen())
    };
    assert_eq!(sums(LineKind::Settlement, None), (2, 200, 60));
    assert_eq!(sums(LineKind::Settlement, Some(13)), (1, 100, 30));
    assert_eq!(sums(LineKind::Refund, None), (1, 100, 30));
    assert_eq!(sums(LineKind::Refund, Some(12)), (0, 0, 0));
}

#[test]
fn every_difference_and_repair_has_its_sentence() {
    for kind in Kind::ALL {
        assert!(kind.sentence().ends_with('。'), "{kind:?}");
    }
    let distinct: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.sentence()).collect();
    assert_eq!(distinct.len(), Kind::ALL.len());
}
