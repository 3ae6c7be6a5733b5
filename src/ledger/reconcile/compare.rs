//! One comparison: their lines come in any order and are compared one by one; at the end what only we have is told. In memory
//! are where our lines stand, and those of theirs that have no counterpart so far.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::find::{Asked, Lead};
use super::{Book, Days, ReconcileLimits};
use crate::domain::ids::SettlementId;
use crate::domain::reason::Reason;
use crate::domain::reconcile::{
    Absent, Claimed, Figures, Kind, LineKind, Missing, Names, OurLine, Stage, TheirLine, Verdict, Window,
    absent_from_ours, absent_from_theirs, matched, pair_up,
};
use crate::ledger::{Failure, Ledger};

/// Differences told at a time at the end, and our lines looked at between two messages.
const TOLD_MAX: usize = 256;
const LOOKED_AT_MAX: usize = 8_192;

/// A difference with the lines it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub verdict: Verdict,
    pub ours: Vec<OurLine>,
    pub theirs: Vec<TheirLine>,
}

/// What came of the end so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    More(Vec<Found>),
    Done,
}

/// The figures of the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub lines: u64,
    pub lines_outside: u64,
    pub bad_lines: u64,
    /// The ledger's lines of the days, as `list_lines` tells them.
    pub ours: u64,
    pub agreed: u64,
    pub differences: BTreeMap<Kind, u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Comparison {
    days: Days,
    window: Window,
    limits: ReconcileLimits,
    book: Book,
    /// Lines of ours outside the days that have their counterpart inside.
    outside: HashSet<u64>,
    /// Refunds that were paired with a line that does not name them, while others of the settlement would have done as well.
    guessed: HashSet<u64>,
    unmatched: Vec<TheirLine>,
    /// Refunds that name their settlement, and no amount that we gave back.
    undecided: Vec<(TheirLine, SettlementId)>,
    pending: VecDeque<Found>,
    theirs_ended: bool,
    looked_at: usize,
    summary: Summary,
}

impl Comparison {
    pub async fn begin(
        ledger: &Ledger,
        days: Days,
        read_position: u64,
        limits: ReconcileLimits,
    ) -> Result<Self, Failure> {
        let range = ledger.range(&days, read_position).await?;
        let book = Book::read(ledger, &days, range, read_position, &limits).await?;
        let window = Window { start: days.start, last: days.last, cut_off: days.cut_off, read_position };
        Ok(Self {
            days,
            window,
            limits,
            book,
            outside: HashSet::new(),
            guessed: HashSet::new(),
            unmatched: Vec::new(),
            undecided: Vec::new(),
            pending: VecDeque::new(),
            theirs_ended: false,
            looked_at: 0,
            summary: Summary::default(),
        })
    }

    pub fn read_position(&self) -> u64 {
        self.window.read_position
    }

    /// Records that may be lines: of a hold there are two, and one that ended is none.
    pub fn records(&self) -> usize {
        self.book.len()
    }

    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Counts a line in; its number where the client gave none.
    pub fn next_number(&mut self) -> Result<u64, Failure> {
        self.summary.lines += 1;
        if self.summary.lines > self.limits.lines.into() {
            return Err(Failure::refused(Reason::ReconciliationTooLarge));
        }
        Ok(self.summary.lines)
    }

    /// A line that cannot be compared: what it names is not missing on their side.
    pub async fn take_bad(&mut self, ledger: &Ledger, kind: LineKind, names: &Names) -> Result<(), Failure> {
        self.summary.bad_lines += 1;
        self.bound()?;
        let asked = [Asked { kind, names, claimed: &Claimed::default() }];
        match ledger.leads(&self.book, &self.days.institution, &asked).await?.pop() {
            Some(Lead::Line(line)) => {
                self.take(line.position, line.stage);
            }
            Some(Lead::RefundOf(settlement)) => {
                let free = |(position, _): &(u64, Figures)| self.is_free(*position);
                if let Some((position, _)) =
                    ledger.refunds(settlement, self.book.until()).await?.stand.into_iter().find(free)
                {
                    self.take(position, Stage::Posted);
                    self.guessed.insert(position);
                }
            }
            Some(Lead::Nothing) | None => {}
        }
        Ok(())
    }

    /// Compares lines; what differs.
    pub async fn compare(&mut self, ledger: &Ledger, lines: Vec<TheirLine>) -> Result<Vec<Found>, Failure> {
        let asked: Vec<Asked<'_>> =
            lines.iter().map(|line| Asked { kind: line.kind, names: &line.names, claimed: &line.claimed }).collect();
        let leads = ledger.leads(&self.book, &self.days.institution, &asked).await?;
        let mut found = Vec::new();
        for (line, lead) in lines.into_iter().zip(leads) {
            match lead {
                Lead::Nothing => self.unmatched.push(line),
                Lead::Line(ours) => {
                    self.give_way(ledger, &ours).await?;
                    found.extend(self.pair(ledger, ours, line).await?);
                }
                Lead::RefundOf(settlement) => {
                    let refunds = ledger.refunds(settlement, self.book.until()).await?.stand;
                    let same = || refunds.iter().filter(|(_, figures)| line.claimed.agrees(figures));
                    let several = same().nth(1).is_some();
                    match same().find(|(position, _)| self.is_free(*position)).map(|(position, _)| *position) {
                        Some(position) => {
                            if several {
                                self.guessed.insert(position);
                            }
                            found.extend(self.pair_at(ledger, position, line).await?);
                        }
                        None => self.undecided.push((line, settlement)),
                    }
                }
            }
            self.bound()?;
        }
        Ok(found)
    }

    /// Goes on with the end: what they have and we do not, then what we have and they do not.
    pub async fn finish(&mut self, ledger: &Ledger) -> Result<Progress, Failure> {
        if !self.theirs_ended {
            self.theirs_ended = true;
            self.end_theirs(ledger).await?;
        }
        let until = self.book.len().min(self.looked_at + LOOKED_AT_MAX);
        let mut looked_at = 0;
        while self.looked_at < until && self.pending.len() < TOLD_MAX {
            let place = self.looked_at;
            self.looked_at += 1;
            if !self.book.is_taken(place)
                && let Some(found) = self.only_ours(ledger, place).await?
            {
                self.tell(found)?;
            }
            looked_at += 1;
            if looked_at % super::TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        if self.pending.is_empty() && looked_at == 0 {
            return Ok(Progress::Done);
        }
        let told = self.pending.len().min(TOLD_MAX);
        Ok(Progress::More(self.pending.drain(..told).collect()))
    }

    /// Whether a line of ours waits for its counterpart.
    fn is_free(&self, position: u64) -> bool {
        match self.book.at(position) {
            Some(place) => !self.book.is_taken(place),
            None => !self.outside.contains(&position),
        }
    }

    /// Notes that a line has its counterpart; false when it had one.
    fn take(&mut self, position: u64, stage: Stage) -> bool {
        let Some(place) = self.book.at(position) else { return self.outside.insert(position) };
        let free = self.book.take(place);
        self.summary.ours += u64::from(free && stage == Stage::Posted);
        free
    }

    /// A refund that was taken for a line without its name is left to the line that names it, where another equal one is
    /// free: lines come in any order.
    async fn give_way(&mut self, ledger: &Ledger, ours: &OurLine) -> Result<(), Failure> {
        if !self.guessed.contains(&ours.position) {
            return Ok(());
        }
        let stand = ledger.refunds(ours.settlement, self.book.until()).await?.stand;
        let other = stand.iter().find(|(position, figures)| *figures == ours.figures && self.is_free(*position));
        if let Some((other, _)) = other {
            self.guessed.remove(&ours.position);
            self.guessed.insert(*other);
            self.take(*other, Stage::Posted);
            match self.book.at(ours.position) {
                Some(place) => {
                    self.book.give_back(place);
                    self.summary.ours -= u64::from(ours.stage == Stage::Posted);
                }
                None => {
                    self.outside.remove(&ours.position);
                }
            }
        }
        Ok(())
    }

    async fn pair_at(&mut self, ledger: &Ledger, position: u64, theirs: TheirLine) -> Result<Option<Found>, Failure> {
        let ours = ledger.our_line(position, self.book.until()).await?;
        let ours = ours.ok_or(Failure::Bug("a refund's record says something else"))?;
        self.pair(ledger, ours, theirs).await
    }

    async fn pair(&mut self, ledger: &Ledger, ours: OurLine, theirs: TheirLine) -> Result<Option<Found>, Failure> {
        let inside = self.window.has(theirs.date);
        if !inside && !self.window.has_ours(&ours) {
            self.summary.lines_outside += 1;
            return Ok(None);
        }
        if !self.take(ours.position, ours.stage) {
            return self.alone(theirs, Missing::Duplicate);
        }
        let Some(verdict) = matched(&ours, &theirs, &self.window) else {
            self.summary.agreed += 1;
            return Ok(None);
        };
        if ours.position > self.window.read_position {
            ledger.store().wait_durable(ours.position).await?;
        }
        let ours = vec![ledger.named_line(ours).await?];
        self.count(Found { verdict, ours, theirs: vec![theirs] }).map(Some)
    }

    /// A line of theirs without counterpart.
    fn alone(&mut self, theirs: TheirLine, missing: Missing) -> Result<Option<Found>, Failure> {
        let Some(verdict) = absent_from_ours(&theirs, missing, &self.window) else {
            self.summary.lines_outside += 1;
            return Ok(None);
        };
        self.count(Found { verdict, ours: Vec::new(), theirs: vec![theirs] }).map(Some)
    }

    async fn end_theirs(&mut self, ledger: &Ledger) -> Result<(), Failure> {
        for (line, settlement) in std::mem::take(&mut self.undecided) {
            let Refunds { stand, put_back } = ledger.refunds(settlement, self.book.until()).await?;
            let free = stand.iter().find(|(position, _)| self.is_free(*position));
            let same = stand.iter().any(|(_, figures)| line.claimed.agrees(figures));
            let found = if !same && put_back.iter().any(|figures| line.claimed.agrees(figures)) {
                self.alone(line, Missing::PutBack)?
            } else if let Some((position, _)) = free {
                self.pair_at(ledger, *position, line).await?
            } else if same {
                self.alone(line, Missing::Duplicate)?
            } else {
                self.alone(line, Missing::NotRefunded)?
            };
            self.pending.extend(found);
            tokio::task::yield_now().await;
        }
        let (pairs, single) = pair_up(std::mem::take(&mut self.unmatched));
        for pair in pairs {
            let inside = pair.iter().find_map(|line| absent_from_ours(line, Missing::Pair, &self.window));
            match inside {
                Some(verdict) => {
                    let found = self.count(Found { verdict, ours: Vec::new(), theirs: pair })?;
                    self.pending.push_back(found);
                }
                None => self.summary.lines_outside += pair.len() as u64,
            }
        }
        for line in single {
            let fenced = ledger.is_fenced(&self.days.institution, line.names.request.as_ref()).await?;
            let found = self.alone(line, if fenced { Missing::Fenced } else { Missing::Unknown })?;
            self.pending.extend(found);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn only_ours(&mut self, ledger: &Ledger, place: usize) -> Result<Option<Found>, Failure> {
        let until = self.book.until();
        let Some(line) = ledger.our_line(self.book.position(place), until).await? else { return Ok(None) };
        self.summary.ours += u64::from(line.stage == Stage::Posted);
        let mut refunds = Vec::new();
        let absent = if line.kind == LineKind::Settlement {
            refunds = ledger.refunds(line.settlement, until).await?.stand;
            refunds.retain(|(position, _)| *position <= self.window.read_position);
            let given_back = refunds.iter().map(|(_, figures)| figures.total).sum();
            let unseen = refunds.iter().all(|(position, _)| self.is_free(*position));
            let whole = !refunds.is_empty() && unseen && line.figures.total == given_back;
            if whole { Absent::WhollyRefunded } else { Absent::Settlement }
        } else {
            let made =
                ledger.settlement_line(line.settlement, until).await?.and_then(|made| self.book.at(made.position));
            let known = made.is_none_or(|made| self.book.is_taken(made));
            if known { Absent::RefundOfKnown } else { Absent::RefundOfUnknown }
        };
        let Some(verdict) = absent_from_theirs(&line, absent, &self.window) else { return Ok(None) };
        let mut ours = vec![ledger.named_line(line).await?];
        if verdict.kind == Kind::ReversedPair {
            for (position, _) in refunds {
                self.take(position, Stage::Posted);
                let refund = ledger.our_line(position, until).await?;
                let refund = refund.ok_or(Failure::Bug("a refund's record is another"))?;
                ours.push(ledger.named_line(refund).await?);
            }
        }
        Ok(Some(Found { verdict, ours, theirs: Vec::new() }))
    }

    fn tell(&mut self, found: Found) -> Result<(), Failure> {
        let found = self.count(found)?;
        self.pending.push_back(found);
        Ok(())
    }

    fn count(&mut self, found: Found) -> Result<Found, Failure> {
        *self.summary.differences.entry(found.verdict.kind).or_default() += 1;
        self.bound()?;
        Ok(found)
    }

    /// What is held and told stays within its bound.
    fn bound(&self) -> Result<(), Failure> {
        let told: u64 = self.summary.differences.values().sum();
        let held = (self.unmatched.len() + self.undecided.len()) as u64;
        if told + held + self.summary.bad_lines > self.limits.differences.into() {
            return Err(Failure::refused(Reason::ReconciliationTooDifferent));
        }
        Ok(())
    }
}

/// The refunds of a settlement.
#[derive(Default)]
struct Refunds {
    /// Where each stands and what it gave back.
    stand: Vec<(u64, Figures)>,
    /// What those gave back that were put back: no money moved in the end.
    put_back: Vec<Figures>,
}

impl Ledger {
    async fn refunds(&self, settlement: SettlementId, until: u64) -> Result<Refunds, Failure> {
        let settlement = self.settlement_fact(settlement).await?;
        let positions = self.refund_positions(&settlement).await?;
        let mut refunds = Refunds::default();
        for (position, refund) in positions.into_iter().zip(&settlement.refunds) {
            let figures = Figures::refunded(&refund.parts, &refund.returned, &settlement.contributions);
            if self.is_put_back(&settlement, refund, until).await? {
                refunds.put_back.push(figures);
            } else {
                refunds.stand.push((position, figures));
            }
        }
        Ok(refunds)
    }
}
