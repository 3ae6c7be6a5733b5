//! A line of a book: a settlement or a refund, with who bore what.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::draw::Contribution;
use crate::domain::ids::{RequestId, SettlementId};
use crate::domain::money::Money;
use crate::domain::settlement::{Amounts, Parts};
use crate::domain::time::Moment;

/// What a line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    Settlement,
    /// Amounts given back, 0 or more.
    Refund,
}

/// Amounts of a line or sums of many; always total = fund + hospital part + own account + mutual aid + cash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub total: Money,
    pub fund: Money,
    pub hospital_part: Money,
    pub own_account: Money,
    pub mutual_aid: Money,
    pub cash: Money,
}

impl Figures {
    pub fn settled(amounts: &Amounts) -> Self {
        let split = &amounts.split;
        Self {
            total: split.total,
            fund: split.fund,
            hospital_part: split.hospital_part,
            own_account: amounts.own_account,
            mutual_aid: amounts.mutual_aid,
            cash: amounts.cash,
        }
    }

    /// Of a refund: what each contribution got back tells the own account's part from the relatives'.
    pub fn refunded(parts: &Parts, returned: &[(u16, Money)], contributions: &[Contribution]) -> Self {
        let own =
            returned.iter().filter(|(place, _)| contributions.get(usize::from(*place)).is_some_and(|c| c.is_own()));
        let own_account: Money = own.map(|(_, amount)| *amount).sum();
        let figures = Self {
            total: parts.total(),
            fund: parts.fund,
            hospital_part: parts.hospital_part,
            own_account,
            mutual_aid: parts.accounts - own_account,
            cash: parts.cash,
        };
        assert!(!figures.mutual_aid.is_negative(), "what the own account got back is a part of what accounts got back");
        figures
    }

    pub fn accounts(&self) -> Money {
        self.own_account + self.mutual_aid
    }

    pub fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.fund += other.fund;
        self.hospital_part += other.hospital_part;
        self.own_account += other.own_account;
        self.mutual_aid += other.mutual_aid;
        self.cash += other.cash;
    }

    pub fn of(&self, cell: Cell) -> Money {
        match cell {
            Cell::Total => self.total,
            Cell::Fund => self.fund,
            Cell::HospitalPart => self.hospital_part,
            Cell::Accounts => self.accounts(),
            Cell::OwnAccount => self.own_account,
            Cell::MutualAid => self.mutual_aid,
            Cell::Cash => self.cash,
        }
    }
}

/// One amount of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Total,
    Fund,
    HospitalPart,
    Accounts,
    OwnAccount,
    MutualAid,
    Cash,
}

impl Cell {
    pub const ALL: [Self; 7] =
        [Self::Total, Self::Fund, Self::HospitalPart, Self::Accounts, Self::OwnAccount, Self::MutualAid, Self::Cash];

    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "total_fen",
            Self::Fund => "fund_fen",
            Self::HospitalPart => "hospital_part_fen",
            Self::Accounts => "accounts_fen",
            Self::OwnAccount => "own_account_fen",
            Self::MutualAid => "mutual_aid_fen",
            Self::Cash => "cash_fen",
        }
    }
}

/// What the other book says of amounts; what it does not say is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed([Option<Money>; Cell::ALL.len()]);

impl Claimed {
    pub fn set(&mut self, cell: Cell, amount: Option<Money>) {
        self.0[cell as usize] = amount;
    }

    pub fn of(&self, cell: Cell) -> Option<Money> {
        self.0[cell as usize]
    }

    pub fn differing(&self, figures: &Figures) -> Vec<Cell> {
        let differs = |cell: &Cell| self.of(*cell).is_some_and(|claimed| claimed != figures.of(*cell));
        Cell::ALL.into_iter().filter(differs).collect()
    }

    pub fn agrees(&self, figures: &Figures) -> bool {
        Cell::ALL.into_iter().all(|cell| self.of(cell).is_none_or(|claimed| claimed == figures.of(cell)))
    }
}

/// How far a settlement has come on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Money moved.
    Posted,
    /// Reserved, and not ended at the position read.
    Held,
    /// A reservation that was released or ran out, a refund that was put back: no money moved in the end.
    Ended,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurLine {
    pub kind: LineKind,
    pub stage: Stage,
    pub settlement: SettlementId,
    pub position: u64,
    pub at: Moment,
    pub figures: Figures,
    /// Of a refund.
    pub request_id: String,
    pub msgid: String,
    pub medins_setl_id: String,
}

/// What a line of theirs names; each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub settlement: Option<SettlementId>,
    pub request: Option<RequestId>,
    pub msgid: String,
    pub medins_setl_id: String,
    /// On a refund: of the settlement given back.
    pub refunded_request: Option<RequestId>,
}

/// A line of the institution's book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TheirLine {
    pub number: u64,
    pub kind: LineKind,
    pub date: Date,
    pub names: Names,
    pub claimed: Claimed,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Date,
    pub last: Date,
    /// When their book was closed.
    pub cut_off: Option<Moment>,
    /// Up to where ours was read.
    pub read_position: u64,
}

impl Window {
    pub fn has(&self, day: Date) -> bool {
        (self.start..=self.last).contains(&day)
    }

    /// Whether a line of ours is one of those compared.
    pub fn has_ours(&self, ours: &OurLine) -> bool {
        ours.position <= self.read_position && self.has(ours.at.civil_day())
    }

    pub fn is_closed_before(&self, at: Moment) -> bool {
        self.cut_off.is_some_and(|cut_off| at > cut_off)
    }
}

/// Counts and sums by day and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(pub BTreeMap<(Date, LineKind), (u64, Figures)>);

impl Totals {
    pub fn add(&mut self, line: &OurLine) {
        if line.stage == Stage::Posted {
            let (count, sums) = self.0.entry((line.at.civil_day(), line.kind)).or_default();
            *count += 1;
            sums.add(&line.figures);
        }
    }

    /// Of a kind on one day, or on all.
    pub fn of(&self, kind: LineKind, day: Option<Date>) -> (u64, Figures) {
        let mut found = (0, Figures::default());
        for ((on, of), (count, sums)) in &self.0 {
            if *of == kind && day.is_none_or(|day| day == *on) {
                found.0 += count;
                found.1.add(sums);
            }
        }
        found
    }
}
