//! Transfer beforehand (历年账户资金划转): prior-year money moves to a relative's account and becomes theirs.

use jiff::civil::Date;

use super::account::Account;
use super::draw::usable_by_relatives;
use super::member::Member;
use super::money::Money;
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Input, Rule, Subject, Trace};
use super::sharing::{self, Refusal, Side};
use super::vocabulary::{Bucket, Mode, Relation};

/// Why the transfer is refused, all reasons at once; none means it may be made.
#[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
pub fn refusals(
    owner: &Member,
    owner_account: Option<&Account>,
    beneficiary: &Member,
    (relation, detail): (Relation, &str),
    amount: Money,
    of_owner: &Policy,
    of_beneficiary: &Policy,
    regions: &RegionBook,
    on: Date,
    trace: &mut Trace,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut check = |trace: &mut Trace, rule: Rule, no: Option<Refusal>| {
        let side = no.map_or(Side::Owner, |no| no.side);
        trace.verdict(rule, Subject::Bill, side.index(), no.map(|no| no.reason));
        reasons.extend(no.map(|no| no.reason));
    };
    let by_owner = |reason| Refusal { reason, side: Side::Owner };
    check(trace, Rule::TwoPersons, (owner.id == beneficiary.id).then_some(by_owner(Reason::SamePerson)));
    check(trace, Rule::RelationAllowed, sharing::kin_refused(of_owner, of_beneficiary, regions, relation, detail));
    let mode = match sharing::modes_between(of_owner, of_beneficiary, regions, on) {
        Err(refusal) => Some(refusal),
        Ok(modes) if modes.contains(&Mode::TransferBeforehand) => None,
        Ok(_) => Some(by_owner(Reason::ModeNotTransfer)),
    };
    check(trace, sharing::mode_rule(of_owner, of_beneficiary), mode);
    let has_account = owner_account.is_some();
    check(trace, Rule::OwnerInsurance, sharing::owner_refused(owner, has_account, of_owner, of_beneficiary));
    check(trace, Rule::BeneficiaryInsurance, sharing::beneficiary_refused(beneficiary, of_owner, of_beneficiary));
    if let Some(account) = owner_account {
        let usable = usable_by_relatives(account, of_owner, Subject::Own, 0, trace).min(account.prior);
        let inputs = [(Input::Balance, account.prior), (Input::Usable, usable)];
        trace.amount(Rule::Transfer, Subject::Own, 0, &inputs, amount);
        if amount > usable {
            reasons.push(Reason::BalanceInsufficient);
        }
    }
    reasons
}

/// Moves the money: ownership moves with it, and nothing brings it back.
pub fn apply(
    owner: &mut Account,
    beneficiary: &mut Account,
    amount: Money,
    postings: &mut Vec<Posting>,
) -> Result<(), Reason> {
    if beneficiary.prior + amount > Money::BALANCE_MAX {
        return Err(Reason::BalanceTooLarge);
    }
    let mut out = Vec::new();
    let mut into = Vec::new();
    owner.pay(Bucket::PriorYears, amount, Party::Bucket(beneficiary.member, Bucket::PriorYears), &mut out);
    beneficiary.receive(Bucket::PriorYears, amount, Party::Bucket(owner.member, Bucket::PriorYears), &mut into)?;
    // One posting tells both sides.
    for (posting, received) in out.iter_mut().zip(&into) {
        posting.to_after = received.to_after;
    }
    postings.append(&mut out);
    Ok(())
}
