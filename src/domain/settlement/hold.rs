//! Holds (预留): a settlement whose account money is set aside first, and taken, in whole or part, or let go later.
//!
//! Held money has left its buckets for a party of its own, so nobody's draw can reach it. Fund, hospital and cash pay when
//! the hold is confirmed. A hold that runs out is gone at that very instant: whoever meets its mark afterwards ends it first.

use super::books::Books;
use super::{Amounts, Decision, Parts, Settlement, SettlementState, outside};
use crate::domain::account::{Account, YearEnd};
use crate::domain::draw::Contribution;
use crate::domain::ids::{MemberId, SettlementId};
use crate::domain::money::Money;
use crate::domain::posting::{Party, Posting};
use crate::domain::reason::Reason;
use crate::domain::rule::{Input, Rule, Trace};
use crate::domain::time::Moment;
use crate::domain::vocabulary::Bucket;

/// The life of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// From this instant on the money is free again.
    pub expires: Moment,
    pub state: HoldState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    Open,
    Confirmed {
        at: Moment,
        /// Where the request stands that confirmed it, and with it why less was taken than was held.
        request: [u8; 16],
    },
    Released {
        at: Moment,
    },
    Expired {
        at: Moment,
    },
}

/// How a hold came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    Released,
    Expired,
}

/// What one open hold holds of one person; kept with the person, so that whoever looks at the person's money sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub settlement: SettlementId,
    pub expires: Moment,
    pub parts: Vec<MarkPart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkPart {
    pub bucket: Bucket,
    pub year: i16,
    pub amount: Money,
    /// Held of what was set aside for a relative, not of the account.
    pub of_quota: bool,
}

impl Mark {
    /// What all marks hold of a bucket of an account.
    pub fn held(marks: &[Self], account: &Account, bucket: Bucket) -> Money {
        let parts = marks.iter().flat_map(|mark| &mark.parts).filter(|part| !part.of_quota);
        let of_bucket = parts.filter(|part| account.bucket_of_year(part.bucket, part.year) == bucket);
        of_bucket.map(|part| part.amount).sum()
    }

    /// What all marks held of the owner's money at the end of a year, of the account and of its quotas.
    pub fn held_at_end(marks: &[Self], year: i16) -> YearEnd {
        let mut end = YearEnd { year, current: Money::ZERO, prior: Money::ZERO };
        let parts = marks.iter().flat_map(|mark| &mark.parts);
        for part in parts.filter(|part| part.bucket != Bucket::Wallet && part.year <= year) {
            let of_year = part.bucket == Bucket::CurrentYear && part.year == year;
            *(if of_year { &mut end.current } else { &mut end.prior }) += part.amount;
        }
        end
    }

    /// What all marks hold of quotas.
    pub fn held_of_quotas(marks: &[Self]) -> Money {
        let parts = marks.iter().flat_map(|mark| &mark.parts).filter(|part| part.of_quota);
        parts.map(|part| part.amount).sum()
    }
}

impl Settlement {
    /// Until when it is held; none where it is not.
    pub fn held_until(&self) -> Option<Moment> {
        let open = self.hold.as_ref().filter(|hold| hold.state == HoldState::Open);
        open.map(|hold| hold.expires)
    }

    /// What its accounts hold for it now.
    pub fn held(&self) -> Money {
        match self.held_until() {
            Some(_) => self.contributions.iter().map(|paid| paid.amount).sum(),
            None => Money::ZERO,
        }
    }

    /// Only what was paid can be refunded.
    pub(super) fn refuse_unless_confirmed(&self) -> Result<(), Reason> {
        match self.state() {
            SettlementState::Held => Err(Reason::HoldOpen),
            SettlementState::Released => Err(Reason::HoldReleased),
            SettlementState::Expired => Err(Reason::HoldExpired),
            SettlementState::Confirmed | SettlementState::PartiallyRefunded | SettlementState::Refunded => Ok(()),
        }
    }

    /// A hold is resolved once: whoever comes second is told by whom.
    pub fn refuse_unless_held(&self) -> Result<(), Reason> {
        match self.hold.as_ref().map(|hold| hold.state) {
            None => Err(Reason::NotHeld),
            Some(HoldState::Open) => Ok(()),
            Some(HoldState::Confirmed { .. }) => Err(Reason::HoldConfirmed),
            Some(HoldState::Released { .. }) => Err(Reason::HoldReleased),
            Some(HoldState::Expired { .. }) => Err(Reason::HoldExpired),
        }
    }

    /// The people who carry its mark while it is open, each once: the patient, whose counters it moved, and the payers.
    pub fn marked(&self) -> Vec<MemberId> {
        let mut people = vec![self.patient];
        for paid in &self.contributions {
            if !people.contains(&paid.payer) {
                people.push(paid.payer);
            }
        }
        people
    }
}

/// Sets a decision's account money aside. Returns the marks of patient and payers.
pub fn apply_hold(
    decision: &Decision,
    id: SettlementId,
    patient: MemberId,
    expires: Moment,
    books: &mut Books,
) -> Vec<(MemberId, Mark)> {
    let mark = || Mark { settlement: id, expires, parts: Vec::new() };
    let mut marks = vec![(patient, mark())];
    let mut held = Money::ZERO;
    for paid in &decision.contributions {
        books.draw(paid, Party::Hold(id));
        held += paid.amount;
        let posting = books.postings.last_mut().expect("drawing posts");
        posting.to_after = Some(held);
        let of_quota = matches!(posting.from, Party::Quota(..));
        let part = MarkPart { bucket: paid.bucket, year: paid.year, amount: paid.amount, of_quota };
        match marks.iter_mut().find(|(member, _)| *member == paid.payer) {
            Some((_, mark)) => mark.parts.push(part),
            None => marks.push((paid.payer, Mark { parts: vec![part], ..mark() })),
        }
    }
    let amounts = &decision.amounts;
    assert_eq!(held, amounts.own_account + amounts.mutual_aid, "what accounts would pay is held");
    marks
}

/// How much of each contribution a confirmation takes, in draw order, and what becomes cash instead.
pub fn decide_confirm(
    settlement: &Settlement,
    wanted: Option<Money>,
    trace: &mut Trace,
) -> Result<(Amounts, Vec<Contribution>), Reason> {
    settlement.refuse_unless_held()?;
    let held = settlement.held();
    let wanted = wanted.unwrap_or(held);
    if wanted > held {
        return Err(Reason::ConfirmExceedsHeld);
    }
    let mut rest = wanted;
    let mut taken = Vec::with_capacity(settlement.contributions.len());
    let (mut own_account, mut mutual_aid) = (Money::ZERO, Money::ZERO);
    for paid in &settlement.contributions {
        let amount = rest.min(paid.amount);
        rest -= amount;
        trace.amount(Rule::HoldTaken, paid.subject(), 0, &[(Input::Held, paid.amount)], amount);
        let sum = if paid.is_own() { &mut own_account } else { &mut mutual_aid };
        *sum += amount;
        if amount.is_positive() {
            taken.push(Contribution { amount, ..paid.clone() });
        }
    }
    let cash = settlement.amounts.cash + (held - wanted);
    let inputs = [(Input::Cash, settlement.amounts.cash), (Input::Held, held), (Input::Accounts, wanted)];
    trace.amount(Rule::HoldCash, crate::domain::rule::Subject::Bill, 0, &inputs, cash);
    let amounts = Amounts { own_account, mutual_aid, cash, ..settlement.amounts };
    let split = &amounts.split;
    let paid = split.fund + split.hospital_part + own_account + mutual_aid + cash;
    assert_eq!(split.total, paid, "every fen has a payer");
    Ok((amounts, taken))
}

/// Writes a confirmation: everybody pays, and what was held too much goes back. Returns what went back, by place.
pub fn apply_confirm(
    settlement: &mut Settlement,
    amounts: Amounts,
    taken: Vec<Contribution>,
    state: HoldState,
    books: &mut Books,
) -> Vec<(u16, Money)> {
    let hospital = Party::Institution(settlement.institution.clone());
    let split = &amounts.split;
    let parts =
        Parts { fund: split.fund, hospital_part: split.hospital_part, accounts: Money::ZERO, cash: amounts.cash };
    let first = books.postings.len();
    for (from, amount) in outside(settlement.region, &settlement.institution, &parts) {
        if amount.is_positive() {
            books.postings.push(Posting::outside(from, hospital.clone(), amount));
        }
    }
    let mut held = settlement.held();
    let used = amounts.own_account + amounts.mutual_aid;
    if used.is_positive() {
        held -= used;
        let (from, from_after) = (Party::Hold(settlement.id), Some(held));
        books.postings.push(Posting { from, to: hospital, amount: used, from_after, to_after: None });
    }
    let received: Money = books.postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(received, split.total, "postings balance: the institution receives the whole bill");
    // Taken in draw order, so what is left over is the tail.
    let kept = |place: usize| taken.get(place).map_or(Money::ZERO, |paid: &Contribution| paid.amount);
    let back = settlement.contributions.iter().enumerate().map(|(place, paid)| paid.amount - kept(place));
    let back = let_go(settlement, &back.collect::<Vec<_>>(), &mut held, books);
    settlement.amounts = amounts;
    settlement.contributions = taken;
    resolve(settlement, state);
    assert!(held.is_zero(), "nothing is held after a confirmation");
    back
}

/// Writes a release or an expiry: everything held goes back. Returns what went back, by place.
pub fn apply_end(settlement: &mut Settlement, state: HoldState, books: &mut Books) -> Vec<(u16, Money)> {
    let mut held = settlement.held();
    let all: Vec<Money> = settlement.contributions.iter().map(|paid| paid.amount).collect();
    let back = let_go(settlement, &all, &mut held, books);
    resolve(settlement, state);
    assert!(held.is_zero(), "nothing is held after the end");
    back
}

fn resolve(settlement: &mut Settlement, state: HoldState) {
    let hold = settlement.hold.as_mut().expect("only a hold is resolved");
    assert_eq!(hold.state, HoldState::Open, "a hold is resolved once");
    hold.state = state;
}

/// Gives held money back, last drawn first as refunds do.
fn let_go(settlement: &Settlement, amounts: &[Money], held: &mut Money, books: &mut Books) -> Vec<(u16, Money)> {
    let mut back = Vec::new();
    for (place, paid) in settlement.contributions.iter().enumerate().rev() {
        let amount = amounts[place];
        if amount.is_positive() {
            let given = books.give_back(paid, amount, Party::Hold(settlement.id), settlement.created_at);
            assert!(given.is_ok(), "held money can always go back");
            *held -= amount;
            books.postings.last_mut().expect("giving back posts").from_after = Some(*held);
            back.push((u16::try_from(place).unwrap_or(u16::MAX), amount));
        }
    }
    back
}
