//! What one family's calls do, one after another: the least that could answer them.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Answer, Call, Id, Original, SONS, State, View};
use super::checker::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Held {
    /// Settled at once.
    Never,
    Open,
    Confirmed,
    Released,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Settled {
    pub held: Held,
    /// Who paid how much and has how much back, in draw order.
    pub drawn: Vec<(usize, i64, i64)>,
    pub cash: i64,
    pub cash_back: i64,
    pub refunds: Vec<Refund>,
    /// The resolution that undid it.
    pub reversed_by: Option<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refund {
    pub by: Id,
    /// Who got how much, in the order in which it was returned.
    pub returned: Vec<(usize, i64)>,
    pub cash: i64,
    /// The resolution that took it again.
    pub put_back: Option<Id>,
}

/// A request of the hospital that had its effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Done {
    pub original: Original,
    /// The settlement it was about. None: it fenced another request.
    pub about: Option<Id>,
    /// What a repeat is answered with; a resolution tells how things stand.
    pub answer: Option<Answer>,
}

impl Held {
    /// Why it cannot be resolved now.
    fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Never => Some("NOT_HELD"),
            Self::Confirmed => Some("HOLD_CONFIRMED"),
            Self::Released => Some("HOLD_RELEASED"),
        }
    }
}

impl Settled {
    fn sums(&self) -> (i64, i64) {
        self.drawn.iter().fold((0, 0), |(paid, back), (_, amount, returned)| (paid + amount, back + returned))
    }

    pub fn state(&self) -> State {
        let (paid, back) = self.sums();
        match self.held {
            Held::Open => State::Held,
            Held::Released => State::Released,
            Held::Never | Held::Confirmed if back + self.cash_back == paid + self.cash => State::Refunded,
            Held::Never | Held::Confirmed if back + self.cash_back > 0 => State::PartiallyRefunded,
            Held::Never | Held::Confirmed => State::Confirmed,
        }
    }

    pub fn view(&self) -> View {
        let (aid, aid_back) = self.sums();
        View {
            state: self.state(),
            aid,
            aid_back,
            cash: self.cash,
            cash_back: self.cash_back,
            refunds: self.refunds.iter().map(|refund| (refund.by, refund.put_back)).collect(),
            reversed_by: self.reversed_by,
        }
    }
}

/// A mother without money, and the sons who pay for her.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    /// What they can pay with.
    pub(super) balances: [i64; SONS],
    /// What open holds hold of it.
    held: [i64; SONS],
    entries: [Vec<i64>; SONS],
    pub(super) settled: BTreeMap<Id, Settled>,
    /// In order of creation.
    order: Vec<Id>,
    pub(super) done: BTreeMap<Id, Done>,
    /// Requests of the hospital that never have an effect.
    pub(super) fenced: BTreeSet<Id>,
    /// Requests of another scope, which no resolution is about, and what a repeat is answered with.
    credited: BTreeMap<Id, Answer>,
}

impl Family {
    pub fn new(balances: [i64; SONS]) -> Self {
        let entries = balances.map(|fen| vec![fen]);
        Self {
            balances,
            held: [0; SONS],
            entries,
            settled: BTreeMap::new(),
            order: Vec::new(),
            done: BTreeMap::new(),
            fenced: BTreeSet::new(),
            credited: BTreeMap::new(),
        }
    }

    /// What is held is an account's until it is paid.
    fn posted(&self, son: usize) -> i64 {
        self.balances[son] + self.held[son]
    }

    pub(super) fn post(&mut self, son: usize, fen: i64) {
        self.balances[son] += fen;
        self.entries[son].push(fen);
    }

    /// The larger balance first; of equal ones the one bound first.
    fn settle(&mut self, id: Id, fen: i64, held: Held) -> Answer {
        let mut sons: Vec<usize> = (0..SONS).collect();
        sons.sort_by_key(|son| std::cmp::Reverse(self.balances[*son]));
        let (mut left, mut drawn) = (fen, Vec::new());
        for son in sons {
            let part = left.min(self.balances[son]);
            if part > 0 {
                left -= part;
                self.post(son, -part);
                drawn.push((son, part, 0));
            }
        }
        let sums = by_son(drawn.iter().map(|(son, part, _)| (*son, *part)));
        if held == Held::Open {
            add(&mut self.held, sums);
        }
        let settled = Settled { held, drawn, cash: left, cash_back: 0, refunds: Vec::new(), reversed_by: None };
        self.settled.insert(id, settled);
        self.order.push(id);
        Answer::Settled { drawn: sums, cash: left, replayed: false }
    }

    /// In draw order; what accounts pay less is cash.
    fn confirm(&mut self, of: Id, accounts: Option<i64>) -> Answer {
        let Some(settled) = self.settled.get_mut(&of) else { return Answer::Refused("SETTLEMENT_NOT_FOUND") };
        if let Some(why) = settled.held.why_not() {
            return Answer::Refused(why);
        }
        let (all, _) = settled.sums();
        let mut left = accounts.unwrap_or(all);
        if left > all {
            return Answer::Refused("CONFIRM_EXCEEDS_HELD");
        }
        let back = all - left;
        settled.held = Held::Confirmed;
        settled.cash += back;
        let mut returned = Vec::new();
        for (son, amount, _) in &mut settled.drawn {
            let part = left.min(*amount);
            left -= part;
            returned.push((*son, *amount - part));
            self.held[*son] -= *amount;
            *amount = part;
        }
        let (taken, cash) = (by_son(settled.drawn.iter().map(|(son, part, _)| (*son, *part))), settled.cash);
        self.give_back(&returned);
        Answer::Confirmed { taken, cash, back, replayed: false }
    }

    pub(super) fn release(&mut self, of: Id) -> Answer {
        let Some(settled) = self.settled.get_mut(&of) else { return Answer::Refused("SETTLEMENT_NOT_FOUND") };
        if let Some(why) = settled.held.why_not() {
            return Answer::Refused(why);
        }
        settled.held = Held::Released;
        let returned: Vec<_> = settled.drawn.iter().map(|(son, amount, _)| (*son, *amount)).collect();
        for (son, amount) in &returned {
            self.held[*son] -= amount;
        }
        self.give_back(&returned);
        Answer::Released { back: returned.iter().map(|(_, amount)| amount).sum(), replayed: false }
    }

    fn give_back(&mut self, returned: &[(usize, i64)]) {
        for (son, part) in returned {
            if *part > 0 {
                self.post(*son, *part);
            }
        }
    }

    /// Last drawn, first returned.
    pub(super) fn refund(&mut self, by: Id, of: Id, accounts: Option<i64>) -> Answer {
        let Some(settled) = self.settled.get_mut(&of) else { return Answer::Refused("SETTLEMENT_NOT_FOUND") };
        match settled.held {
            Held::Open => return Answer::Refused("HOLD_OPEN"),
            Held::Released => return Answer::Refused("HOLD_RELEASED"),
            Held::Never | Held::Confirmed => {}
        }
        let (paid, back) = settled.sums();
        let (left, cash_left) = (paid - back, settled.cash - settled.cash_back);
        if left + cash_left == 0 {
            return Answer::Refused("ALREADY_REFUNDED");
        }
        let (mut accounts, cash) = accounts.map_or((left, cash_left), |accounts| (accounts, 0));
        if accounts > left {
            return Answer::Refused("REFUND_EXCEEDS_PAID");
        }
        settled.cash_back += cash;
        let mut returned = Vec::new();
        for (son, amount, back) in settled.drawn.iter_mut().rev() {
            let part = accounts.min(*amount - *back);
            if part > 0 {
                accounts -= part;
                *back += part;
                returned.push((*son, part));
            }
        }
        settled.refunds.push(Refund { by, returned: returned.clone(), cash, put_back: None });
        self.give_back(&returned);
        Answer::Refunded { returned: by_son(returned.into_iter()), cash, replayed: false }
    }

    fn credit(&mut self, id: Id, son: usize, fen: i64) -> Answer {
        if let Some(known) = self.credited.get(&id) {
            return repeated(known.clone());
        }
        self.post(son, fen);
        // Holds are told by who reads, not after a change.
        let answer = Answer::Credited { after: self.balances[son], replayed: false };
        self.credited.insert(id, answer.clone());
        answer
    }

    /// A request of the hospital, which has its effect once. A refusal leaves no trace: the id may be used again.
    fn once(&mut self, id: Id, original: Original, of: Id, act: impl FnOnce(&mut Self) -> Answer) -> Answer {
        if self.fenced.contains(&id) {
            return Answer::Refused("REQUEST_FENCED");
        }
        if let Some(answer) = self.done.get(&id).and_then(|known| known.answer.clone()) {
            return repeated(answer);
        }
        let answer = act(self);
        if !matches!(answer, Answer::Refused(_)) {
            self.done.insert(id, Done { original, about: Some(of), answer: Some(answer.clone()) });
        }
        answer
    }

    /// What the call does and is answered with.
    pub fn act(&mut self, call: &Call) -> Answer {
        use Original as O;
        match *call {
            Call::Settle { id, fen } => self.once(id, O::Settle, id, |family| family.settle(id, fen, Held::Never)),
            Call::Hold { id, fen } => self.once(id, O::Hold, id, |family| family.settle(id, fen, Held::Open)),
            Call::Confirm { id, of, accounts } => self.once(id, O::Confirm, of, |family| family.confirm(of, accounts)),
            Call::Release { id, of } => self.once(id, O::Release, of, |family| family.release(of)),
            Call::Refund { id, of, accounts } => self.once(id, O::Refund, of, |family| family.refund(id, of, accounts)),
            Call::Resolve(ref ask) => self.resolve(ask),
            Call::Credit { id, son, fen } => self.credit(id, son, fen),
            Call::Balance { son } => Answer::Balance(self.posted(son)),
            Call::Outcome { of } => match self.done.get(&of).and_then(|done| done.about) {
                None => Answer::Refused("SETTLEMENT_NOT_FOUND"),
                Some(about) => Answer::Outcome(self.settled[&about].view()),
            },
            Call::List => Answer::List(self.order.clone()),
            Call::Entries { son } => Answer::Entries(self.entries[son].clone()),
        }
    }
}

fn add(to: &mut [i64; SONS], more: [i64; SONS]) {
    to.iter_mut().zip(more).for_each(|(sum, fen)| *sum += fen);
}

fn by_son(parts: impl Iterator<Item = (usize, i64)>) -> [i64; SONS] {
    let mut sums = [0; SONS];
    parts.for_each(|(son, part)| sums[son] += part);
    sums
}

fn repeated(mut answer: Answer) -> Answer {
    if let Answer::Settled { replayed, .. }
    | Answer::Refunded { replayed, .. }
    | Answer::Confirmed { replayed, .. }
    | Answer::Released { replayed, .. }
    | Answer::Credited { replayed, .. } = &mut answer
    {
        *replayed = true;
    }
    answer
}

impl Model for Family {
    type Call = Call;
    type Answer = Answer;

    fn step(&self, call: &Call, answer: Option<&Answer>) -> Option<Self> {
        let mut next = self.clone();
        let right = next.act(call);
        answer.is_none_or(|answer| *answer == right).then_some(next)
    }
}
