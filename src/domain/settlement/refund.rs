//! Refunds (退费): a settlement mirrored in whole or part under the stored decision, and a refund put back.

use super::books::Books;
use super::{Parts, Settlement, outside};
use crate::domain::money::Money;
use crate::domain::posting::{Party, Posting};
use crate::domain::reason::Reason;
use crate::domain::rule::{Input, Rule, Subject, Trace};
use crate::domain::time::Moment;

/// Money returned, never more than what was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub request_id: String,
    pub parts: Parts,
    /// What each contribution got back, by its place; only those that got something.
    pub returned: Vec<(u16, Money)>,
    pub at: Moment,
    /// Set when it was put back.
    pub reversal: Option<Reversal>,
}

/// How a refund came to be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    pub request_id: String,
    pub at: Moment,
    /// How many refunds the settlement had by then.
    pub after: u16,
}

/// What a refund asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundAsk {
    /// Everything that is left.
    Whole,
    Parts(Parts),
}

/// Decides a refund under the stored decision: which contribution gets back how much, last drawn first.
pub fn decide_refund(
    settlement: &Settlement,
    ask: RefundAsk,
    trace: &mut Trace,
) -> Result<(Parts, Vec<(u16, Money)>), Reason> {
    settlement.refuse_unless_confirmed()?;
    let left = settlement.paid().minus(&settlement.refunded());
    if left.total().is_zero() {
        return Err(Reason::AlreadyRefunded);
    }
    let parts = match ask {
        RefundAsk::Whole => left,
        RefundAsk::Parts(parts) => parts,
    };
    if parts.exceeds(&left) {
        return Err(Reason::RefundExceedsPaid);
    }
    let mut accounts = parts.accounts;
    let mut returned = Vec::new();
    for (place, contribution) in settlement.contributions.iter().enumerate().rev() {
        let amount = accounts.min(contribution.left());
        if amount.is_positive() {
            accounts -= amount;
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            returned.push((place, amount));
            let subject = contribution.subject();
            trace.amount(Rule::RefundAccounts, subject, 0, &[(Input::Amount, contribution.amount)], amount);
        }
    }
    assert!(accounts.is_zero(), "what the accounts paid is what their contributions sum to");
    let inputs = [(Input::Fund, parts.fund), (Input::HospitalPart, parts.hospital_part), (Input::Cash, parts.cash)];
    trace.amount(Rule::RefundOther, Subject::Bill, 0, &inputs, parts.total() - parts.accounts);
    Ok((parts, returned))
}

/// Writes a refund: the settlement's postings mirrored, to the same payer, bucket and year.
pub fn apply_refund(settlement: &mut Settlement, refund: Refund, books: &mut Books) -> Result<(), Reason> {
    let hospital = Party::Institution(settlement.institution.clone());
    let first = books.postings.len();
    for (to, amount) in outside(settlement.region, &settlement.institution, &refund.parts) {
        if amount.is_positive() {
            books.postings.push(Posting::outside(hospital.clone(), to, amount));
        }
    }
    for (place, amount) in &refund.returned {
        let paid = &mut settlement.contributions[usize::from(*place)];
        books.give_back(paid, *amount, hospital.clone(), settlement.created_at)?;
        paid.refunded += *amount;
        assert!(paid.refunded <= paid.amount, "refunds never exceed what each paid");
    }
    let paid: Money = books.postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(paid, refund.parts.total(), "postings balance: the institution returns what was refunded");
    settlement.refunds.push(refund);
    Ok(())
}

/// Puts a refund back: its postings mirrored again, while what the accounts got is still there.
pub fn reverse_refund(
    settlement: &mut Settlement,
    place: u16,
    reversal: Reversal,
    books: &mut Books,
    trace: &mut Trace,
) -> Result<(), Reason> {
    let refund = &mut settlement.refunds[usize::from(place)];
    assert!(refund.reversal.is_none(), "a refund is put back once");
    refund.reversal = Some(reversal);
    let (parts, returned) = (refund.parts, refund.returned.clone());
    let hospital = Party::Institution(settlement.institution.clone());
    let first = books.postings.len();
    for (from, amount) in outside(settlement.region, &settlement.institution, &parts) {
        if amount.is_positive() {
            books.postings.push(Posting::outside(from, hospital.clone(), amount));
        }
    }
    for (place, amount) in returned {
        let paid = &mut settlement.contributions[usize::from(place)];
        books.take_again(paid, amount, hospital.clone(), settlement.created_at)?;
        paid.refunded -= amount;
        assert!(!paid.refunded.is_negative(), "no more is taken again than was given back");
        let inputs = [(Input::Amount, paid.amount)];
        trace.amount(Rule::RefundReversed, paid.subject(), 0, &inputs, amount);
    }
    let taken: Money = books.postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(taken, parts.total(), "postings balance: the institution gets back what it returned");
    Ok(())
}
