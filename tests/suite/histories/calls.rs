//! What clients ask, and what they are told.

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
    Resolve(Resolve),
    Balance {
        son: usize,
    },
    /// The settlement that a request was about.
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
    Outcome(View),
    /// What became of a call. Of one that had its effect: which it was, and the settlement it was about; whether this one
    /// changed anything.
    Resolved {
        told: Told,
        original: Option<Original>,
        settlement: Option<(Id, View)>,
        changed: bool,
        replayed: bool,
    },
    List(Vec<Id>),
    Entries(Vec<i64>),
    Refused(&'static str),
}

/// What became of a call of the hospital; and an end to the doubt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resolve {
    pub id: Id,
    pub of: Id,
    /// If it had no effect it shall have none.
    pub fence: bool,
    /// If it had its effect that is undone.
    pub reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    Applied,
    NotApplied,
    Fenced,
    Reversed,
}

/// Which call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Original {
    Settle,
    Hold,
    Confirm,
    Release,
    Refund,
    Resolve,
}

/// A settlement as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    pub state: State,
    /// Paid by relatives, given back to them, in cash, given back in cash.
    pub aid: i64,
    pub aid_back: i64,
    pub cash: i64,
    pub cash_back: i64,
    /// The refunds by their requests, each with that which put it back.
    pub refunds: Vec<(Id, Option<Id>)>,
    pub reversed_by: Option<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Held,
    Confirmed,
    Released,
    PartiallyRefunded,
    Refunded,
}
