//! Transfer beforehand (历年账户资金划转): prior-year money moves to a relative's account and becomes theirs.

use jiff::civil::Date;

use super::account::Account;
use super::draw::usable_by_relatives;
use super::judging::{Judging, asked};
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
    let mut judging = Judging::by([of_owner, of_beneficiary], trace);
    judging.one(Rule::TwoPersons, Side::Owner, &[], (owner.id == beneficiary.id).then_some(Reason::SamePerson));
    let kin_no = sharing::kin_refused(of_owner, of_beneficiary, regions, relation, detail);
    judging.both(Rule::RelationAllowed, &[asked(relation)], kin_no);
    let mode = match sharing::modes_between(of_owner, of_beneficiary, regions, on) {
        Err(refusal) => Some(refusal),
        Ok(modes) if modes.contains(&Mode::TransferBeforehand) => None,
        Ok(_) => Some(Refusal { reason: Reason::ModeNotTransfer, side: Side::Owner }),
    };
    judging.both(sharing::mode_rule(of_owner, of_beneficiary), &[], mode);
    let owner_no = sharing::owner_refused(owner, owner_account.is_some(), of_owner, of_beneficiary);
    judging.both(Rule::OwnerInsurance, &[], owner_no);
    let beneficiary_no = sharing::beneficiary_refused(beneficiary, of_owner, of_beneficiary);
    judging.both(Rule::BeneficiaryInsurance, &[], beneficiary_no);
    let Judging { trace, mut reasons, .. } = judging;
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
