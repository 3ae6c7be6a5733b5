//! Person's part and accounts → who pays how much, in which order. The heart of mutual aid (共济).
//!
//! Own account as the policy says, then relatives in the policy's order, then cash. Every tie in the order is broken by
//! filing order, then by place in the list. Excluded payers contribute nothing and say why; cash is always a legal answer.

use std::sync::Arc;

use jiff::civil::Date;

use super::account::Account;
use super::binding::{AidUse, Spends, Tie};
pub use super::contribution::{Contribution, Excluded};
use super::ids::BindingId;
use super::judging::{asked, counted};
use super::limit;
use super::member::Member;
use super::money::Money;
use super::open::Open;
use super::order::in_order;
use super::paper::Slip;
use super::policy::Policy;
use super::quota::Quota;
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Input, Inputs, Rule, Subject, Trace};
use super::sharing::{self, Side};
use super::split::Split;
use super::vocabulary::{Bucket, OwnAccountOrder, Purpose, Relation};

/// The patient, as of the day the money moves.
#[derive(Clone, Debug)]
pub struct Patient<'a> {
    pub member: &'a Member,
    /// None where there is no personal account.
    pub account: Option<&'a Account>,
}

/// One relative who may pay: by a binding, or named on paper.
#[derive(Clone, Debug)]
pub struct Owner<'a> {
    pub tie: &'a Tie,
    /// Set where the tie is a paper authorisation: its place in the request.
    pub paper: Option<u16>,
    /// On paper: what earlier slips of this owner left behind.
    pub slip: Option<&'a Slip>,
    pub member: &'a Member,
    pub account: Option<&'a Account>,
    /// The quota set for this binding, as of today, where one is in force.
    pub quota: Option<&'a Quota>,
    pub policy: &'a Arc<Policy>,
    /// The policy's place in the decision's list.
    pub policy_index: u8,
    /// What this account gave the patient already; counted only where the owner's region limits it.
    pub aid: AidUse,
}

impl Owner<'_> {
    pub(super) fn subject(&self) -> Subject {
        self.paper.map_or(Subject::Binding(self.tie.binding), Subject::Paper)
    }
}

/// Own account + relatives + cash = the person's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    pub own: Money,
    pub mutual_aid: Money,
    pub cash: Money,
    pub contributions: Vec<Contribution>,
    pub excluded: Vec<Excluded>,
}

/// What every payer's turn looks at.
struct Table<'a> {
    patient: &'a Patient<'a>,
    policy: &'a Policy,
    regions: &'a RegionBook,
    purpose: Purpose,
    visit_day: Date,
    today: Date,
}

/// Decides who pays the person's part. The law is that of the visit's day; bindings, caps and money are today's.
#[allow(clippy::too_many_arguments, reason = "each is a fact of its own, and every caller has all of them")]
pub fn draw(
    split: &Split,
    patient: &Patient<'_>,
    owners: &[Owner<'_>],
    policy: &Policy,
    regions: &RegionBook,
    purpose: Purpose,
    visit_day: Date,
    today: Date,
    trace: &mut Trace,
) -> Draw {
    let table = Table { patient, policy, regions, purpose, visit_day, today };
    let mut draw = Draw::default();
    let mut open = Open::of(split);
    // 个人账户余额: a wallet is money that came from others, and no personal account.
    let of_account = policy.rules.own_buckets.iter().filter(|bucket| **bucket != Bucket::Wallet);
    let own_before =
        patient.account.map_or(Money::ZERO, |account| of_account.map(|bucket| account.balance(*bucket)).sum());
    own_turn(&table, &mut open, &mut draw, trace);
    relatives_turn(&table, split, owners, own_before, &mut open, &mut draw, trace);

    draw.cash = split.person_part - draw.own - draw.mutual_aid;
    let inputs =
        [(Input::PersonPart, split.person_part), (Input::OwnAccount, draw.own), (Input::MutualAid, draw.mutual_aid)];
    trace.amount(Rule::Cash, Subject::Bill, 0, &inputs, draw.cash);
    assert!(!draw.cash.is_negative(), "accounts never pay more than the person's part");
    let drawn: Money = draw.contributions.iter().map(|contribution| contribution.amount).sum();
    assert_eq!(drawn, draw.own + draw.mutual_aid, "contributions are what the accounts paid");
    draw
}

fn own_turn(table: &Table<'_>, open: &mut Open, draw: &mut Draw, trace: &mut Trace) {
    let rules = &table.policy.rules;
    let allowed = rules.own_purposes.contains(&table.purpose) && !rules.prohibited_purposes.contains(&table.purpose);
    let payable = if allowed { open.payable(&rules.own_components) } else { Money::ZERO };
    let Some(account) = table.patient.account else {
        return;
    };
    let parts = |open: &Open, allowed: bool| open.parts(if allowed { &rules.own_components } else { &[] });
    trace.amount(Rule::OwnPayable, Subject::Own, 0, &parts(open, allowed), payable);
    // The wallet has purposes of its own: care and drugs, and the resident premium that an account may not pay.
    let has_wallet = rules.own_buckets.contains(&Bucket::Wallet) && account.wallet.is_positive();
    let by_wallet =
        rules.wallet_purposes.contains(&table.purpose) && !rules.prohibited_purposes.contains(&table.purpose);
    let wallet_payable = if has_wallet && by_wallet { open.payable(&rules.own_components) } else { Money::ZERO };
    if has_wallet && wallet_payable != payable {
        trace.amount(Rule::WalletPayable, Subject::Own, 0, &parts(open, by_wallet), wallet_payable);
    }
    let can_pay = |bucket: Bucket| if bucket == Bucket::Wallet { wallet_payable } else { payable };
    let mut paid = Money::ZERO;
    for bucket in &rules.own_buckets {
        let amount = can_pay(*bucket).minus_or_zero(paid).min(account.balance(*bucket));
        if amount.is_positive() {
            paid += amount;
            draw.contributions.push(contribution(account, None, None, *bucket, amount));
        }
    }
    if paid.is_zero() && open.total().is_positive() && account.sum(&rules.own_buckets).is_positive() {
        let no_component = open.payable(&rules.own_components).is_zero();
        let reason = if rules.prohibited_purposes.contains(&table.purpose) {
            Reason::PurposeProhibited
        } else if (allowed || by_wallet) && no_component {
            Reason::ComponentNotPayable
        } else {
            Reason::PurposeNotAllowed
        };
        trace.judged(Rule::OwnExcluded, Subject::Own, 0, &[(Input::StillToPay, open.total())], Some(reason));
        draw.excluded.push(Excluded { payer: account.member, binding: None, relation: None, reason });
    }
    draw.own = paid;
    open.pay(&rules.own_components, draw.own);
    let usable = rules.own_buckets.iter().copied().filter(|bucket| can_pay(*bucket).is_positive());
    let usable: Money = usable.map(|bucket| account.balance(bucket)).sum();
    let inputs = [(Input::Payable, payable.max(wallet_payable)), (Input::OwnBalance, usable)];
    trace.amount(Rule::OwnDraw, Subject::Own, 0, &inputs, draw.own);
}

fn contribution(
    account: &Account,
    binding: Option<BindingId>,
    relation: Option<Relation>,
    bucket: Bucket,
    amount: Money,
) -> Contribution {
    let (payer, year, refunded) = (account.member, account.year, Money::ZERO);
    let (counted, from_quota, paper) = (false, false, None);
    Contribution { payer, binding, relation, bucket, year, amount, refunded, counted, from_quota, paper }
}

fn relatives_turn(
    table: &Table<'_>,
    split: &Split,
    owners: &[Owner<'_>],
    own_before: Money,
    open: &mut Open,
    draw: &mut Draw,
    trace: &mut Trace,
) {
    let rules = &table.policy.rules;
    if owners.is_empty() {
        return;
    }
    let zero_rule = rules.own_account_order == OwnAccountOrder::RelativesOnlyIfOwnZero;
    let own_no = (zero_rule && own_before.is_positive()).then_some(Reason::OwnBalanceNotZero);
    trace.judged(Rule::OwnAccountOrder, Subject::Own, 0, &[(Input::OwnBalance, own_before)], own_no);
    let payable = open.payable(&rules.relative_components);
    let payable_at_first = Open::of(split).payable(&rules.relative_components);
    let parts = open.parts(&rules.relative_components);
    trace.amount(Rule::RelativesPayable, Subject::Bill, 0, &parts, payable);

    let mut paying_owners: u32 = 0;
    let (place_of_order, mut could_pay) = (trace.steps.len(), 0);
    for owner in in_order(owners, rules.owner_order) {
        let too_many = rules.owners_per_settlement.is_some_and(|limit| paying_owners >= limit);
        let by_patient = |no: bool, reason| no.then_some((reason, OF_PATIENT));
        let refused = refused(table, owner)
            .or(own_no.map(|reason| (reason, OF_PATIENT)))
            .or(by_patient(payable_at_first.is_zero(), Reason::ComponentNotPayable))
            .or(by_patient(open.payable(&rules.relative_components).is_zero(), Reason::NothingLeftToPay))
            .or(by_patient(too_many, Reason::OwnersPerSettlementExceeded));
        let outcome = match (refused, owner.account) {
            (Some(refusal), _) => Err(refusal),
            (None, None) => Err((Reason::OwnerWithoutAccount, owner.policy_index)),
            (None, Some(account)) => {
                owner_pays(table, owner, account, open, draw, trace).map_err(|reason| (reason, owner.policy_index))
            }
        };
        // Who comes too late would have paid in another order, if there is something to pay with.
        let late = |reason| matches!(reason, Reason::NothingLeftToPay | Reason::OwnersPerSettlementExceeded);
        let could = outcome.as_ref().err().is_none_or(|(reason, _)| late(*reason) && has_something(owner, table.today));
        could_pay += i64::from(could);
        match outcome {
            Ok(()) => paying_owners += 1,
            Err((reason, policy)) => {
                // Between provinces both regions' openings count: the step names the owner's, the patient's is the first.
                let of_pair = [Reason::ModeNotDirect, Reason::ModeNotQuota, Reason::RegionNotOpen].contains(&reason);
                let policy = if of_pair { owner.policy_index } else { policy };
                let inputs = looked_at(owner, reason, own_before, paying_owners, rules.owners_per_settlement);
                trace.judged(Rule::Excluded, owner.subject(), policy, &inputs, Some(reason));
                let binding = owner.paper.is_none().then_some(owner.tie.binding);
                let relation = Some(owner.tie.relation);
                draw.excluded.push(Excluded { payer: owner.member.id, binding, relation, reason });
            }
        }
    }
    if could_pay > 1 && payable.is_positive() {
        trace.ordered(place_of_order, could_pay);
    }
    trace.amount(Rule::MutualAidTotal, Subject::Bill, 0, &[(Input::Payable, payable)], draw.mutual_aid);
}

/// Whether an owner's account or quota, and cap, would have let something be paid.
fn has_something(owner: &Owner<'_>, today: Date) -> bool {
    let usable = match (owner.quota, owner.account) {
        (Some(quota), _) => quota.left(),
        (None, Some(account)) => usable(account, owner.policy),
        (None, None) => Money::ZERO,
    };
    usable.is_positive() && owner.tie.cap_left(today) != Some(Money::ZERO)
}

/// What a refusal of an owner looked at, where that is an amount or a number.
fn looked_at(owner: &Owner<'_>, reason: Reason, own: Money, paying: u32, owners_most: Option<u32>) -> Inputs {
    let mut inputs = Inputs::new();
    if reason == Reason::RelationNotAllowed {
        inputs.push(asked(owner.tie.relation));
    } else if reason == Reason::OwnBalanceNotZero {
        inputs.push((Input::OwnBalance, own));
    } else if reason == Reason::OwnersPerSettlementExceeded {
        inputs.extend(counted(paying as usize, owners_most));
    } else if reason == Reason::NothingUsable
        && let Some(account) = owner.account
    {
        let rules = &owner.policy.rules;
        inputs.push((Input::Balance, account.total()));
        inputs.push((Input::Drawable, account.sum(&rules.relative_buckets)));
        inputs.push((Input::Floor, rules.floor.amount()));
    }
    inputs
}

fn owner_pays(
    table: &Table<'_>,
    owner: &Owner<'_>,
    account: &Account,
    open: &mut Open,
    draw: &mut Draw,
    trace: &mut Trace,
) -> Result<(), Reason> {
    let components = &table.policy.rules.relative_components;
    let usable = match owner.quota {
        Some(quota) if quota.left().is_zero() => return Err(Reason::QuotaUsedUp),
        Some(quota) => quota.left(),
        None => usable_by_relatives(account, owner.policy, owner.subject(), owner.policy_index, trace),
    };
    if usable.is_zero() {
        return Err(Reason::NothingUsable);
    }
    let cap = owner.tie.cap_left(table.today);
    if cap == Some(Money::ZERO) {
        return Err(Reason::CapReached);
    }
    let limit = limit::left(owner, table.today, trace)?;
    let still = open.payable(components);
    let least = usable.min(cap.unwrap_or(usable)).min(limit.map_or(usable, |(_, left)| left));
    let amount = still.min(least);
    let mut left = amount;
    // A quota is drawn whichever buckets the policy of this day names: it was taken from those of its own day.
    let of_quota = [Bucket::PriorYears, Bucket::CurrentYear];
    let buckets = if owner.quota.is_some() { &of_quota[..] } else { &owner.policy.rules.relative_buckets };
    for bucket in buckets {
        let part = left.min(owner.quota.map_or_else(|| account.balance(*bucket), |quota| quota.balance(*bucket)));
        if part.is_positive() {
            left -= part;
            let binding = owner.paper.is_none().then_some(owner.tie.binding);
            let paid = contribution(account, binding, Some(owner.tie.relation), *bucket, part);
            let (counted, from_quota) = (owner.policy.rules.counts_aid(), owner.quota.is_some());
            draw.contributions.push(Contribution { counted, from_quota, paper: owner.paper, ..paid });
        }
    }
    assert!(left.is_zero(), "usable money lies in the drawable buckets");
    open.pay(components, amount);
    draw.mutual_aid += amount;
    let mut inputs: Inputs = [(Input::StillToPay, still), (Input::Usable, usable)].into_iter().collect();
    if owner.quota.is_none() && usable < account.sum(&owner.policy.rules.relative_buckets) {
        inputs.push((Input::Floor, owner.policy.rules.floor.amount()));
    }
    inputs.extend(cap.map(|cap| (Input::CapLeft, cap)));
    inputs.extend(limit);
    let rule = if owner.quota.is_some() { Rule::QuotaDraw } else { Rule::OwnerDraw };
    trace.amount(rule, owner.subject(), owner.policy_index, &inputs, amount);
    Ok(())
}

/// What of an account relatives may use: the drawable buckets, but never so much that less than the floor stays in the
/// personal account as a whole.
pub fn usable_by_relatives(
    account: &Account,
    policy: &Policy,
    subject: Subject,
    policy_index: u8,
    trace: &mut Trace,
) -> Money {
    let (drawable, floor) = (account.sum(&policy.rules.relative_buckets), policy.rules.floor.amount());
    let usable = usable(account, policy);
    let inputs = [(Input::Balance, account.total()), (Input::Drawable, drawable), (Input::Floor, floor)];
    trace.amount(Rule::OwnerUsable, subject, policy_index, &inputs, usable);
    usable
}

fn usable(account: &Account, policy: &Policy) -> Money {
    let drawable = account.sum(&policy.rules.relative_buckets);
    drawable.min(account.total().minus_or_zero(policy.rules.floor.amount()))
}

/// The patient's policy stands first in the decision's list.
const OF_PATIENT: u8 = 0;

/// The first reason, in a fixed order of precedence, why this owner may not pay, and the place of the policy that says so.
fn refused(table: &Table<'_>, owner: &Owner<'_>) -> Option<(Reason, u8)> {
    let (of_owner, of_patient) = (owner.policy.as_ref(), table.policy);
    let tie = owner.tie;
    let paper_refused =
        owner.paper.is_some() && !(of_owner.rules.paper_authorisation && of_patient.rules.paper_authorisation);
    // The patient's region gives the time: it is the patient who has to come with the owner.
    let by = owner.slip.and_then(|slip| slip.regularise_by(of_patient));
    let window = match tie {
        _ if paper_refused => Some(Reason::PaperAuthorisationNotAllowed),
        _ if by.is_some_and(|by| by < table.today) => Some(Reason::PaperNotRegularised),
        _ if owner.member.id == table.patient.member.id => Some(Reason::SamePerson),
        _ if tie.start > table.today => Some(Reason::BindingNotStarted),
        _ if tie.last_day.is_some_and(|last| last < table.today) => Some(Reason::BindingEnded),
        _ if tie.spends == Spends::No => Some(Reason::FamilyServiceDoesNotSpend),
        _ if tie.spends == Spends::Unverified => Some(Reason::BindingNotVerified),
        _ if tie.spends.leaves_out(of_owner.rules.premium_purposes.contains(&table.purpose)) => {
            Some(Reason::UseNotChosen)
        }
        _ => None,
    };
    let law = || {
        sharing::relation_refused(of_owner, of_patient, tie.relation)
            .or_else(|| sharing::purpose_refused(of_owner, of_patient, table.purpose))
            .or_else(|| match owner.quota {
                Some(_) => sharing::quota_refused(of_owner, of_patient, table.regions, table.visit_day),
                None => sharing::direct_draw_refused(of_owner, of_patient, table.regions, table.visit_day),
            })
            .or_else(|| sharing::owner_refused(owner.member, owner.account.is_some(), of_owner, of_patient))
            .or_else(|| sharing::beneficiary_refused(table.patient.member, of_owner, of_patient))
            .map(|refusal| match refusal.side {
                Side::Owner => (refusal.reason, owner.policy_index),
                Side::Beneficiary => (refusal.reason, OF_PATIENT),
            })
    };
    window.map(|reason| (reason, owner.policy_index)).or_else(law)
}
