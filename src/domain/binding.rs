//! Bindings (共济绑定): the tie between an owner (共济人) and a beneficiary (被共济人), and its life.

use jiff::civil::Date;

use super::ids::{BindingId, MemberId, RegionCode};
use super::money::Money;
use super::vocabulary::{Channel, Grant, Relation};

/// States of a binding. `Ended` is computed: the last day is past. `Released`: by a party, or by a change of insurance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BindingState {
    /// Steps of its channel are still to come (待核验).
    Pending,
    Active,
    Released,
    Ended,
}

/// Amounts agreed for one binding; none means no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    pub per_settlement: Option<Money>,
    pub per_day: Option<Money>,
    pub per_year: Option<Money>,
}

impl Caps {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A reference to a document shown when filing; no images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub kind: String,
    pub reference: String,
    pub digest: String,
}

/// A binding as filed. What settlements need of it stands in [`Tie`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub id: BindingId,
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub owner_region: RegionCode,
    pub beneficiary_region: RegionCode,
    pub relation: Relation,
    /// GB/T 4761 code, kept as given.
    pub relation_detail: String,
    pub channel: Channel,
    pub evidence: Vec<Evidence>,
    pub grants: Vec<Grant>,
    pub start: Date,
    pub last_day: Option<Date>,
    pub caps: Caps,
    pub priority: u32,
    pub life: Life,
}

/// Where a binding stands apart from its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    InForce,
    Released(Release),
    /// Waits for these steps, in their order.
    Pending {
        missing: Vec<String>,
    },
    /// Released, and in force until this day begins.
    ReleasedFrom {
        release: Release,
        from: Date,
    },
}

/// How a binding came to its end before its last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub at: super::time::Moment,
    /// By a person; otherwise because an insurance ended or moved.
    pub requested: bool,
}

impl Binding {
    pub fn state(&self, on: Date) -> BindingState {
        let ended = self.last_day.is_some_and(|last| last < on);
        match &self.life {
            Life::Released(_) => BindingState::Released,
            Life::ReleasedFrom { from, .. } if *from <= on => BindingState::Released,
            Life::InForce | Life::Pending { .. } | Life::ReleasedFrom { .. } if ended => BindingState::Ended,
            Life::Pending { .. } => BindingState::Pending,
            Life::InForce | Life::ReleasedFrom { .. } => BindingState::Active,
        }
    }

    /// How and from which day on it was released.
    pub fn released(&self) -> Option<(Release, Date)> {
        match &self.life {
            Life::Released(release) => Some((*release, release.at.civil_day())),
            Life::ReleasedFrom { release, from } => Some((*release, *from)),
            Life::InForce | Life::Pending { .. } => None,
        }
    }

    /// What it waits for.
    pub fn missing(&self) -> &[String] {
        match &self.life {
            Life::Pending { missing } => missing,
            Life::InForce | Life::Released(_) | Life::ReleasedFrom { .. } => &[],
        }
    }

    /// What its grants let the beneficiary spend, whatever became of it.
    pub fn granted(&self) -> Spends {
        let has = |grant: Grant| self.grants.contains(&grant);
        match (has(Grant::Spend), has(Grant::SpendOnCare), has(Grant::PayPremiums)) {
            (true, _, _) | (false, true, true) => Spends::Yes,
            (false, true, false) => Spends::OnCare,
            (false, false, true) => Spends::OnPremiums,
            (false, false, false) => Spends::No,
        }
    }

    fn spends(&self) -> Spends {
        match (&self.life, self.granted()) {
            (Life::Pending { .. }, Spends::Yes | Spends::OnCare | Spends::OnPremiums) => Spends::Unverified,
            (_, granted) => granted,
        }
    }

    pub fn tie(&self, filed: u64) -> Tie {
        Tie {
            binding: self.id,
            owner: self.owner,
            relation: self.relation,
            spends: self.spends(),
            start: self.start,
            last_day: self.last_day,
            caps: self.caps,
            used_on: None,
            used_day: Money::ZERO,
            used_year: Money::ZERO,
            priority: self.priority,
            filed,
        }
    }
}

/// Whether money may be drawn through a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spends {
    No,
    Yes,
    /// Once the steps that are still to come are done.
    Unverified,
    /// For everything but premiums.
    OnCare,
    /// For premiums alone.
    OnPremiums,
}

impl Spends {
    /// Whether anything may be drawn now.
    pub fn draws(self) -> bool {
        matches!(self, Self::Yes | Self::OnCare | Self::OnPremiums)
    }

    /// Whether the owner's choice leaves this out; `premium`: the region counts the purpose among premiums.
    pub fn leaves_out(self, premium: bool) -> bool {
        match self {
            Self::OnCare => premium,
            Self::OnPremiums => !premium,
            Self::No | Self::Yes | Self::Unverified => false,
        }
    }
}

/// What a settlement needs of one binding, kept in the beneficiary's [`Family`] so that one look follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    pub binding: BindingId,
    pub owner: MemberId,
    pub relation: Relation,
    pub spends: Spends,
    pub start: Date,
    pub last_day: Option<Date>,
    pub caps: Caps,
    /// The day the two counters below belong to (their day, and its year).
    pub used_on: Option<Date>,
    pub used_day: Money,
    pub used_year: Money,
    pub priority: u32,
    /// Order of filing: the ledger position the binding was filed after. Ties filed at one position stand in list order.
    pub filed: u64,
}

impl Tie {
    /// Whether it can pay on a day, as far as the tie itself tells.
    pub fn can_pay(&self, today: Date) -> bool {
        self.spends.draws() && self.start <= today && self.last_day.is_none_or(|last| last >= today)
    }

    fn used(&self, on: Date) -> (Money, Money) {
        match self.used_on {
            Some(day) if day >= on => (self.used_day, self.used_year),
            Some(day) if day.year() == on.year() => (Money::ZERO, self.used_year),
            Some(_) | None => (Money::ZERO, Money::ZERO),
        }
    }

    /// What the caps leave for one more settlement today.
    pub fn cap_left(&self, on: Date) -> Option<Money> {
        let (day, year) = self.used(on);
        let left = [
            self.caps.per_settlement,
            self.caps.per_day.map(|cap| cap.minus_or_zero(day)),
            self.caps.per_year.map(|cap| cap.minus_or_zero(year)),
        ];
        left.into_iter().flatten().min()
    }

    /// Counts today money that was drawn on `on`, or with a negative amount money of that day that came back: in the day
    /// and the year it was counted in, as far as they are not over. A day that was counted is never left for an earlier one:
    /// whose clock is behind counts with the rest.
    pub fn recount(&mut self, today: Date, on: Date, amount: Money) {
        let (today, on) = counted_on(self.used_on, today, on);
        if on.year() != today.year() {
            return;
        }
        let (day, year) = self.used(today);
        let of_day = if on == today { amount } else { Money::ZERO };
        self.used_on = Some(today);
        self.used_day = (day + of_day).max(Money::ZERO);
        self.used_year = (year + amount).max(Money::ZERO);
    }
}

/// What one beneficiary drew from one owner's account, where the owner's region limits it: by pair, so that a new binding
/// between the same two begins with what the old one used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AidUse {
    /// The day the two amounts belong to (their day, and its year).
    pub on: Option<Date>,
    pub day: Money,
    pub year: Money,
}

impl AidUse {
    /// What was drawn on a day, and in its year up to now.
    pub fn of(&self, on: Date) -> (Money, Money) {
        match self.on {
            Some(day) if day >= on => (self.day, self.year),
            Some(day) if day.year() == on.year() => (Money::ZERO, self.year),
            Some(_) | None => (Money::ZERO, Money::ZERO),
        }
    }

    /// As [`Tie::recount`].
    pub fn recount(&mut self, today: Date, on: Date, amount: Money) {
        let (today, on) = counted_on(self.on, today, on);
        if on.year() != today.year() {
            return;
        }
        let (day, year) = self.of(today);
        let of_day = if on == today { amount } else { Money::ZERO };
        *self = Self { on: Some(today), day: (day + of_day).max(Money::ZERO), year: (year + amount).max(Money::ZERO) };
    }
}

/// The day that counts, which is never before one that was counted, and the day on which money was drawn: now is then.
fn counted_on(counted: Option<Date>, today: Date, on: Date) -> (Date, Date) {
    let latest = counted.map_or(today, |counted| counted.max(today));
    (latest, if on >= today { latest } else { on })
}

/// The active ties of one beneficiary. One record: its version guards against a binding made or ended meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    pub ties: Vec<Tie>,
}

/// The active bindings of one owner, for limits and for release when the owner's insurance ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wards {
    pub bindings: Vec<Ward>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ward {
    pub binding: BindingId,
    pub beneficiary: MemberId,
    pub last_day: Option<Date>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse_day;

    /// What was counted by a clock on one day, then what a clock on another sees, and both see after it has drawn too.
    #[test]
    fn a_clock_that_is_behind_counts_with_the_rest() {
        let day = |text: &str| parse_day(text).expect("test day");
        let fen = Money::fen;
        for (first, second, seen, after) in [
            ("2026-01-01", "2026-01-01", (5_000, 5_000), (7_000, 7_000)),
            ("2026-01-01", "2025-12-31", (5_000, 5_000), (7_000, 7_000)),
            ("2026-01-02", "2026-01-01", (5_000, 5_000), (7_000, 7_000)),
            ("2026-01-01", "2025-01-01", (5_000, 5_000), (7_000, 7_000)),
            ("2026-01-01", "2026-01-02", (0, 5_000), (2_000, 7_000)),
            ("2025-12-31", "2026-01-01", (0, 0), (2_000, 2_000)),
        ] {
            let (first, second) = (day(first), day(second));
            let latest = first.max(second);
            let (seen, after) = ((fen(seen.0), fen(seen.1)), (fen(after.0), fen(after.1)));
            let mut aid = AidUse::default();
            aid.recount(first, first, fen(5_000));
            assert_eq!(aid.of(second), seen, "{first}, {second}");
            aid.recount(second, second, fen(2_000));
            assert_eq!((aid.on, aid.of(latest)), (Some(latest), after), "{first}, {second}");
            let mut tie = Tie {
                binding: BindingId::from_u128(1),
                owner: MemberId::from_u128(2),
                relation: Relation::Parent,
                spends: Spends::Yes,
                start: first,
                last_day: None,
                caps: Caps { per_settlement: None, per_day: Some(fen(9_000)), per_year: Some(fen(10_000)) },
                used_on: None,
                used_day: Money::ZERO,
                used_year: Money::ZERO,
                priority: 0,
                filed: 1,
            };
            tie.recount(first, first, fen(5_000));
            let left = |(day, year): (Money, Money)| Some((fen(9_000) - day).min(fen(10_000) - year));
            assert_eq!(tie.cap_left(second), left(seen), "{first}, {second}");
            tie.recount(second, second, fen(2_000));
            assert_eq!((tie.used_on, tie.cap_left(latest)), (Some(latest), left(after)), "{first}, {second}");
        }
    }
}
