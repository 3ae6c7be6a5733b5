//! What one family's calls do, one after another: the least that could answer them.

use std::collections::BTreeMap;

use super::checker::Model;

/// A change, by its request id.
pub type Id = u32;
pub const SONS: usize = 2;

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Settle {
        id: Id,
        fen: i64,
    },
    /// What is left of a settlement, or so much of what accounts paid.
    Refund {
        id: Id,
        of: Id,
        accounts: Option<i64>,
    },
    Credit {
        id: Id,
        son: usize,
        fen: i64,
    },
    Hold {
        id: Id,
        fen: i64,
    },
    /// All that is held, or so much of it.
    Confirm {
        id: Id,
        of: Id,
        accounts: Option<i64>,
    },
    Release {
        id: Id,
        of: Id,
    },
    Balance {
        son: usize,
    },
    /// Paid by relatives, given back to them, in cash, given back in cash.
    Outcome {
        of: Id,
    },
    /// The settlements of the mother, in order.
    List,
    /// The amounts that an account moved by, in order.
    Entries {
        son: usize,
    },
}

/// What they are told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Drawn from each son, or held of him, and cash; whether it was done before.
    Settled {
        drawn: [i64; SONS],
        cash: i64,
        replayed: bool,
    },
    /// What each son got back, and cash.
    Refunded {
        returned: [i64; SONS],
        cash: i64,
        replayed: bool,
    },
    /// What each son paid, cash, and what went back of what was held.
    Confirmed {
        taken: [i64; SONS],
        cash: i64,
        back: i64,
        replayed: bool,
    },
    Released {
        back: i64,
        replayed: bool,
    },
    /// What can be paid with after it.
    Credited {
        after: i64,
        replayed: bool,
    },
    Balance(i64),
    Outcome {
        aid: i64,
        aid_back: i64,
        cash: i64,
        cash_back: i64,
    },
    List(Vec<Id>),
    Entries(Vec<i64>),
    Refused(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Held {
    /// Settled at once.
    Never,
    Open,
    Confirmed,
    Released,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settled {
    held: Held,
    /// Who paid how much and has how much back, in draw order.
    drawn: Vec<(usize, i64, i64)>,
    cash: i64,
    cash_back: i64,
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
}

/// A mother without money, and the sons who pay for her.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    /// What they can pay with.
    balances: [i64; SONS],
    /// What open holds hold of it.
    held: [i64; SONS],
    entries: [Vec<i64>; SONS],
    settled: BTreeMap<Id, Settled>,
    /// In order of creation.
    order: Vec<Id>,
    /// Which settlement a later call was about: its request leads there too.
    about: BTreeMap<Id, Id>,
    /// What a repeat is answered with.
    done: BTreeMap<Id, Answer>,
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
            about: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    /// What is held is an account's until it is paid.
    fn posted(&self, son: usize) -> i64 {
        self.balances[son] + self.held[son]
    }

    fn post(&mut self, son: usize, fen: i64) {
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
        self.settled.insert(id, Settled { held, drawn, cash: left, cash_back: 0 });
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

    fn release(&mut self, of: Id) -> Answer {
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
    fn refund(&mut self, of: Id, accounts: Option<i64>) -> Answer {
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
        self.give_back(&returned);
        Answer::Refunded { returned: by_son(returned.into_iter()), cash, replayed: false }
    }

    /// What the call does and is answered with.
    pub fn act(&mut self, call: &Call) -> Answer {
        let id = match call {
            Call::Settle { id, .. }
            | Call::Refund { id, .. }
            | Call::Credit { id, .. }
            | Call::Hold { id, .. }
            | Call::Confirm { id, .. }
            | Call::Release { id, .. } => Some(*id),
            Call::Balance { .. } | Call::Outcome { .. } | Call::List | Call::Entries { .. } => None,
        };
        if let Some(known) = id.and_then(|id| self.done.get(&id)) {
            return repeated(known.clone());
        }
        let answer = match call {
            Call::Settle { id, fen } => self.settle(*id, *fen, Held::Never),
            Call::Hold { id, fen } => self.settle(*id, *fen, Held::Open),
            Call::Confirm { of, accounts, .. } => self.confirm(*of, *accounts),
            Call::Release { of, .. } => self.release(*of),
            Call::Refund { of, accounts, .. } => self.refund(*of, *accounts),
            Call::Credit { son, fen, .. } => {
                self.post(*son, *fen);
                // Holds are told by who reads, not after a change.
                Answer::Credited { after: self.balances[*son], replayed: false }
            }
            Call::Balance { son } => Answer::Balance(self.posted(*son)),
            Call::Outcome { of } => match self.settled.get(self.about.get(of).unwrap_or(of)) {
                None => Answer::Refused("SETTLEMENT_NOT_FOUND"),
                Some(settled) => {
                    let (aid, aid_back) = settled.sums();
                    Answer::Outcome { aid, aid_back, cash: settled.cash, cash_back: settled.cash_back }
                }
            },
            Call::List => Answer::List(self.order.clone()),
            Call::Entries { son } => Answer::Entries(self.entries[*son].clone()),
        };
        // A refusal leaves no trace: the id may be used again.
        if let Some(id) = id
            && !matches!(answer, Answer::Refused(_))
        {
            if let Call::Refund { of, .. } | Call::Confirm { of, .. } | Call::Release { of, .. } = call {
                self.about.insert(id, *of);
            }
            self.done.insert(id, answer.clone());
        }
        answer
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

/// The one order of all changes of a server: where the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(pub i64);

/// What is learned of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A change takes the next position, and is told which.
    Changed,
    /// A reader is told where the ledger stands.
    Head,
    /// A follower has records up to here, so they were committed; more may have been.
    Followed,
}

impl Model for Position {
    type Call = Seen;
    type Answer = i64;

    fn step(&self, call: &Seen, answer: Option<&i64>) -> Option<Self> {
        let next = match call {
            Seen::Changed => Self(self.0 + 1),
            Seen::Head | Seen::Followed => self.clone(),
        };
        let right = |answer: &i64| match call {
            Seen::Changed | Seen::Head => *answer == next.0,
            Seen::Followed => *answer <= next.0,
        };
        answer.is_none_or(right).then_some(next)
    }
}
