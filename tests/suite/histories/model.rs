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
    /// Drawn from each son, and cash; whether it was done before.
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
    /// The balance after.
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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settled {
    /// Who paid how much and has how much back, in draw order.
    drawn: Vec<(usize, i64, i64)>,
    cash: i64,
    cash_back: i64,
}

impl Settled {
    fn sums(&self) -> (i64, i64) {
        self.drawn.iter().fold((0, 0), |(paid, back), (_, amount, returned)| (paid + amount, back + returned))
    }
}

/// A mother without money, and the sons who pay for her.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Family {
    balances: [i64; SONS],
    entries: [Vec<i64>; SONS],
    settled: BTreeMap<Id, Settled>,
    /// In order of creation.
    order: Vec<Id>,
    /// Which settlement a refund gave back: its request leads there too.
    refunds: BTreeMap<Id, Id>,
    /// What a repeat is answered with.
    done: BTreeMap<Id, Answer>,
}

impl Family {
    pub fn new(balances: [i64; SONS]) -> Self {
        let entries = balances.map(|fen| vec![fen]);
        Self {
            balances,
            entries,
            settled: BTreeMap::new(),
            order: Vec::new(),
            refunds: BTreeMap::new(),
            done: BTreeMap::new(),
        }
    }

    fn post(&mut self, son: usize, fen: i64) {
        self.balances[son] += fen;
        self.entries[son].push(fen);
    }

    /// The larger balance first; of equal ones the one bound first.
    fn settle(&mut self, id: Id, fen: i64) -> Answer {
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
        self.settled.insert(id, Settled { drawn, cash: left, cash_back: 0 });
        self.order.push(id);
        Answer::Settled { drawn: sums, cash: left, replayed: false }
    }

    /// Last drawn, first returned.
    fn refund(&mut self, of: Id, accounts: Option<i64>) -> Answer {
        let Some(settled) = self.settled.get_mut(&of) else { return Answer::Refused("SETTLEMENT_NOT_FOUND") };
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
        for (son, part) in &returned {
            self.post(*son, *part);
        }
        Answer::Refunded { returned: by_son(returned.into_iter()), cash, replayed: false }
    }

    /// What the call does and is answered with.
    pub fn act(&mut self, call: &Call) -> Answer {
        let id = match call {
            Call::Settle { id, .. } | Call::Refund { id, .. } | Call::Credit { id, .. } => Some(*id),
            Call::Balance { .. } | Call::Outcome { .. } | Call::List | Call::Entries { .. } => None,
        };
        if let Some(known) = id.and_then(|id| self.done.get(&id)) {
            return repeated(known.clone());
        }
        let answer = match call {
            Call::Settle { id, fen } => self.settle(*id, *fen),
            Call::Refund { of, accounts, .. } => self.refund(*of, *accounts),
            Call::Credit { son, fen, .. } => {
                self.post(*son, *fen);
                Answer::Credited { after: self.balances[*son], replayed: false }
            }
            Call::Balance { son } => Answer::Balance(self.balances[*son]),
            Call::Outcome { of } => match self.settled.get(self.refunds.get(of).unwrap_or(of)) {
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
            if let Call::Refund { of, .. } = call {
                self.refunds.insert(id, *of);
            }
            self.done.insert(id, answer.clone());
        }
        answer
    }
}

fn by_son(parts: impl Iterator<Item = (usize, i64)>) -> [i64; SONS] {
    let mut sums = [0; SONS];
    parts.for_each(|(son, part)| sums[son] += part);
    sums
}

fn repeated(mut answer: Answer) -> Answer {
    if let Answer::Settled { replayed, .. } | Answer::Refunded { replayed, .. } | Answer::Credited { replayed, .. } =
        &mut answer
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
