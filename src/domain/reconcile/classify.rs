//! Each difference has one kind and one proposed repair. Of a line that both have, the gravest difference is told.

use super::line::{Cell, LineKind, OurLine, Stage, TheirLine, Window};

/// How two books differ over one settlement or refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    OnlyOurs,
    OnlyTheirs,
    Amount,
    State,
    InFlight,
    DateEdge,
    ReversedPair,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::OnlyOurs,
        Self::OnlyTheirs,
        Self::Amount,
        Self::State,
        Self::InFlight,
        Self::DateEdge,
        Self::ReversedPair,
    ];
}

/// What the institution should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repair {
    BookLine,
    Resolve,
    StrikeLine,
    StrikeDuplicate,
    CorrectAmounts,
    BookRefund,
    SendRefund,
    SettleAnew,
    CompareLater,
    EndHold,
    MoveDay,
    BookBothOrNeither,
    StrikeReversed,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub kind: Kind,
    pub repair: Repair,
    /// Amounts that differ; of `Kind::Amount` only.
    pub cells: Vec<Cell>,
}

impl Verdict {
    const fn new(kind: Kind, repair: Repair) -> Self {
        Self { kind, repair, cells: Vec::new() }
    }
}

/// Two lines of one settlement or refund; none where they agree, or where neither lies within the days.
pub fn matched(ours: &OurLine, theirs: &TheirLine, window: &Window) -> Option<Verdict> {
    let (here, there) = (window.has_ours(ours), window.has(theirs.date));
    if !here && !there {
        return None;
    }
    if ours.position > window.read_position {
        return Some(Verdict::new(Kind::InFlight, Repair::CompareLater));
    }
    match ours.stage {
        Stage::Posted => {}
        Stage::Held => return Some(Verdict::new(Kind::InFlight, Repair::EndHold)),
        Stage::Ended => return Some(Verdict::new(Kind::State, ended(ours.kind))),
    }
    let cells = theirs.claimed.differing(&ours.figures);
    if !cells.is_empty() {
        return Some(Verdict { cells, ..Verdict::new(Kind::Amount, Repair::CorrectAmounts) });
    }
    (here != there).then_some(Verdict::new(Kind::DateEdge, Repair::MoveDay))
}

/// What to do about a line of theirs that stands for nothing any more. A refund that was put back leaves its settlement paid, so
/// nothing may be settled anew.
const fn ended(kind: LineKind) -> Repair {
    match kind {
        LineKind::Settlement => Repair::SettleAnew,
        LineKind::Refund => Repair::StrikeReversed,
    }
}

/// Why a line of theirs has no counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing it names is known.
    Unknown,
    /// Nothing it names is known, and its request was declared void.
    Fenced,
    /// Its counterpart is taken by an earlier line.
    Duplicate,
    /// A refund of a settlement that we have, where we have no such refund.
    NotRefunded,
    /// A refund that we had too, and that was put back.
    PutBack,
    /// One of a settlement and its whole refund, both unknown.
    Pair,
}

/// A line that only they have; none where it lies outside the days.
pub fn absent_from_ours(theirs: &TheirLine, missing: Missing, window: &Window) -> Option<Verdict> {
    if !window.has(theirs.date) {
        return None;
    }
    Some(match missing {
        // A request that was sent may still arrive; what was never sent, or was fenced, cannot.
        Missing::Unknown if theirs.names.request.is_some() => Verdict::new(Kind::OnlyTheirs, Repair::Resolve),
        Missing::Unknown | Missing::Fenced => Verdict::new(Kind::OnlyTheirs, Repair::StrikeLine),
        Missing::Duplicate => Verdict::new(Kind::OnlyTheirs, Repair::StrikeDuplicate),
        Missing::NotRefunded => Verdict::new(Kind::State, Repair::SendRefund),
        Missing::PutBack => Verdict::new(Kind::State, ended(LineKind::Refund)),
        Missing::Pair => Verdict::new(Kind::ReversedPair, Repair::BookBothOrNeither),
    })
}

/// What theirs has beside a line of ours that it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// A settlement of which theirs has no refund either, wholly given back on our side.
    WhollyRefunded,
    /// A settlement.
    Settlement,
    /// A refund of a settlement that theirs has, or that lies before the days.
    RefundOfKnown,
    /// A refund of a settlement that theirs lacks too.
    RefundOfUnknown,
}

/// A line that only we have; none where no money moved.
pub fn absent_from_theirs(ours: &OurLine, absent: Absent, window: &Window) -> Option<Verdict> {
    match ours.stage {
        Stage::Posted => {}
        Stage::Held => return Some(Verdict::new(Kind::InFlight, Repair::EndHold)),
        Stage::Ended => return None,
    }
    if window.is_closed_before(ours.at) {
        return Some(Verdict::new(Kind::InFlight, Repair::CompareLater));
    }
    debug_assert_eq!(ours.kind == LineKind::Settlement, matches!(absent, Absent::WhollyRefunded | Absent::Settlement));
    Some(match absent {
        Absent::WhollyRefunded => Verdict::new(Kind::ReversedPair, Repair::BookBothOrNeither),
        Absent::Settlement | Absent::RefundOfUnknown => Verdict::new(Kind::OnlyOurs, Repair::BookLine),
        Absent::RefundOfKnown => Verdict::new(Kind::State, Repair::BookRefund),
    })
}
