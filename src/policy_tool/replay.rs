//! One settlement decided twice: under the policies at hand and under a draft.

use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::account::Account;
use crate::domain::binding::{AidUse, Binding, Caps, Spends, Tie};
use crate::domain::draw::{Owner, Patient};
use crate::domain::ids::{BindingId, MemberId, RegionCode, SettlementId};
use crate::domain::member::Member;
use crate::domain::money::Money;
use crate::domain::paper::Slip;
use crate::domain::policy::{Policy, PolicyBook};
use crate::domain::quota::Quota;
use crate::domain::reason::Reason;
use crate::domain::rule::{Input, Outcome, Rule, Step, Subject};
use crate::domain::settlement::{self, Case, Decision, Settlement};
use crate::domain::time::Moment;
use crate::domain::vocabulary::Relation;
use crate::ledger::reading::Reading;
use crate::store::entity::Basis;
use crate::store::{Key, Store};

/// Both decisions on one settlement.
pub(super) struct Replayed {
    pub id: SettlementId,
    pub region: RegionCode,
    pub visit_day: Date,
    pub before: Decision,
    pub after: Decision,
    /// Whether the draft has the owners pay in another order, which a step about the order does not show.
    pub reordered: bool,
}

struct Payer {
    member: Member,
    account: Option<Account>,
    tie: Tie,
    paper: Option<u16>,
    slip: Option<Slip>,
    quota: Option<Quota>,
    aid: AidUse,
}

/// What a settlement's own trace tells of a payer besides the account: what its quota held, and what the pair had used.
fn of_trace(basis: &Basis, tie: &Tie, paper: Option<u16>, day: Date, patient: MemberId) -> (Option<Quota>, AidUse) {
    let subject = paper.map_or(Subject::Binding(tie.binding), Subject::Paper);
    let about = || basis.trace.steps.iter().filter(move |step| step.subject == subject);
    let amount = |step: &Step, wanted: Input| step.input(wanted).unwrap_or(Money::ZERO);
    let held = about().find_map(|step| match (step.rule, step.outcome) {
        (Rule::QuotaDraw, _) => Some(amount(step, Input::Usable)),
        (Rule::Excluded, Outcome::No(Reason::QuotaUsedUp)) => Some(Money::ZERO),
        _ => None,
    });
    // Which buckets it was taken from changes no amount.
    let quota = held.map(|prior| Quota {
        prior,
        since: Some(Moment::from_micros(0)),
        ..Quota::none(tie.binding, tie.owner, patient, day)
    });
    let used = about().find(|step| step.rule == Rule::AidLimit);
    let aid = used.map_or_else(AidUse::default, |step| AidUse {
        on: Some(day),
        day: amount(step, Input::UsedToday),
        year: amount(step, Input::UsedThisYear),
    });
    (quota, aid)
}

/// Decides again under both books; nothing where today's policies and the facts at hand no longer give what was settled, so
/// that a difference is the draft's alone.
pub(super) async fn twice(
    store: &dyn Store,
    id: SettlementId,
    now: &PolicyBook,
    draft: &PolicyBook,
) -> Result<Option<Replayed>, String> {
    let trouble = |failure| format!("{id}: {failure:?}");
    let (settled, basis) = (Key::Settlement(id), Key::Basis(id));
    let mut reading = Reading::new(store);
    reading.get(&[settled, basis]).await.map_err(trouble)?;
    let (Some(settlement), Some(basis)) =
        (reading.settlement(&settled).map_err(trouble)?, reading.basis(&basis).map_err(trouble)?)
    else {
        return Ok(None);
    };
    let (settlement, basis) = (settlement.clone(), basis.clone());
    let ties = named(&settlement);
    let mut keys = vec![Key::Standing(settlement.patient), Key::Slips(settlement.patient)];
    keys.extend(ties.iter().map(|(owner, ..)| Key::Standing(*owner)));
    keys.extend(ties.iter().filter_map(|(_, binding, _)| Some(Key::Binding((*binding)?))));
    reading.get(&keys).await.map_err(trouble)?;
    let Ok(patient) = reading.member(settlement.patient) else { return Ok(None) };
    let day = settlement.created_at.civil_day();
    let account_of = |member: MemberId| {
        let fact = basis.payers.iter().find(|fact| fact.member == member)?;
        Some(Account { current: fact.current, prior: fact.prior, ..Account::opened(member, day) })
    };
    let mut payers = Vec::with_capacity(ties.len());
    for (place, (owner, binding, relation)) in ties.iter().enumerate() {
        let Ok(member) = reading.member(*owner) else { return Ok(None) };
        let filed = match binding {
            Some(binding) => reading.binding(&Key::Binding(*binding)).map_err(trouble)?.cloned(),
            None => None,
        };
        let cap = basis.payers.iter().find(|fact| fact.member == *owner).and_then(|fact| fact.cap_left);
        let tie = Tie {
            binding: binding.unwrap_or_else(|| BindingId::from_u128(place as u128)),
            owner: *owner,
            relation: *relation,
            spends: filed.as_ref().map_or(Spends::Yes, Binding::granted),
            start: filed.as_ref().map_or(day, |binding| binding.start),
            last_day: filed.as_ref().and_then(|binding| binding.last_day),
            caps: Caps { per_settlement: cap, ..Caps::default() },
            used_on: None,
            used_day: Money::ZERO,
            used_year: Money::ZERO,
            priority: filed.as_ref().map_or(0, |binding| binding.priority),
            // Ids are in order of time.
            filed: place as u64,
        };
        let in_request = |owner: MemberId| basis.papers.iter().position(|paper| paper.owner == owner);
        let paper = binding.is_none().then(|| u16::try_from(in_request(*owner).unwrap_or(place)).unwrap_or(u16::MAX));
        // The slips before this one; the first of all was none yet.
        let slip = reading.slips(&Key::Slips(settlement.patient)).map_err(trouble)?;
        let slip = slip.and_then(|slips| slips.of(*owner)).filter(|slip| paper.is_some() && slip.first < day).copied();
        let (quota, aid) = of_trace(&basis, &tie, paper, day, settlement.patient);
        payers.push(Payer { member: member.clone(), account: account_of(*owner), tie, paper, slip, quota, aid });
    }
    let own = account_of(settlement.patient);
    let decide = |book: &PolicyBook| decide(book, &settlement, &basis, patient, own.as_ref(), &payers, day);
    let (Some(before), Some(after)) = (decide(now), decide(draft)) else { return Ok(None) };
    if before.amounts != settlement.amounts {
        return Ok(None);
    }
    let (region, visit_day) = (settlement.region, settlement.visit.date);
    let order =
        |book: &PolicyBook| book.policy(patient.insurance.region, visit_day).map(|policy| policy.rules.owner_order);
    let reordered = order(now) != order(draft);
    Ok(Some(Replayed { id, region, visit_day, before, after, reordered }))
}

/// Everybody whom the settlement names as a relative, in the order of filing.
fn named(settlement: &Settlement) -> Vec<(MemberId, Option<BindingId>, Relation)> {
    let mut found: Vec<(MemberId, Option<BindingId>, Relation)> = Vec::new();
    let paid = settlement.contributions.iter().filter_map(|paid| Some((paid.payer, paid.binding, paid.relation?)));
    let left_out = settlement.excluded.iter();
    let left_out = left_out.filter_map(|excluded| Some((excluded.payer, excluded.binding, excluded.relation?)));
    for one in paid.chain(left_out) {
        if found.iter().all(|known| known.0 != one.0) {
            found.push(one);
        }
    }
    found.sort_by_key(|(_, binding, _)| (binding.is_none(), binding.map(BindingId::as_u128)));
    found
}

fn decide(
    book: &PolicyBook,
    settlement: &Settlement,
    basis: &Basis,
    patient: &Member,
    own: Option<&Account>,
    payers: &[Payer],
    day: Date,
) -> Option<Decision> {
    let policy_of = |member: &Member| book.policy(member.insurance.region, settlement.visit.date);
    let policy = policy_of(patient)?;
    let policies: Vec<&Arc<Policy>> =
        payers.iter().map(|payer| policy_of(&payer.member)).collect::<Option<Vec<_>>>()?;
    let owners = payers.iter().zip(policies).map(|(payer, policy)| Owner {
        tie: &payer.tie,
        paper: payer.paper,
        slip: payer.slip.as_ref(),
        member: &payer.member,
        account: payer.account.as_ref(),
        quota: payer.quota.as_ref(),
        policy,
        policy_index: 0,
        aid: payer.aid,
    });
    Some(settlement::decide(&Case {
        today: day,
        visit: &settlement.visit,
        bill: &basis.bill,
        patient: Patient { member: patient, account: own },
        policy,
        used: &basis.used,
        owners: owners.collect(),
        regions: &book.regions,
    }))
}

/// The rules that came out otherwise, with the reason where one says no.
pub(super) fn reasons(replayed: &Replayed) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for step in &replayed.after.trace.steps {
        let same =
            replayed.before.trace.steps.iter().any(|earlier| {
                (earlier.rule, earlier.subject, earlier.outcome) == (step.rule, step.subject, step.outcome)
            });
        let same = same && !(replayed.reordered && step.rule == Rule::OwnerOrder);
        let told = match step.outcome {
            _ if same || step.params().is_empty() => continue,
            Outcome::No(reason) => format!("{} {}", step.rule.id(), reason.name()),
            Outcome::Yes | Outcome::Amount(_) => {
                let key = step.deciding(false).map_or("", |param| param.name());
                format!("{} ({key})", step.rule.id())
            }
        };
        if !found.contains(&told) {
            found.push(told);
        }
    }
    found
}
