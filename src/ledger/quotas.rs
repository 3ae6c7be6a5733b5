//! `SetQuota`, and what becomes of quotas when their binding ends.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::binding::{Binding, BindingState, Evidence, Life, Spends};
use crate::domain::ids::{BindingId, MemberId, RequestId};
use crate::domain::money::Money;
use crate::domain::posting::Posting;
use crate::domain::quota::{self, Quota, QuotaAsk};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::{Input, Rule, Subject, Trace};
use crate::domain::time::Moment;
use crate::domain::wording::Told;
use crate::store::entity::{Decided, Standing};
use crate::store::{Entity, Key, ListKind};

/// `SetQuota`.
#[derive(Clone, Debug)]
pub struct SetQuota {
    pub caller: Caller,
    pub request_id: RequestId,
    pub binding: BindingId,
    /// Zero gives the quota up.
    pub wanted: Money,
    pub evidence: Vec<Evidence>,
}

/// A quota as it was set.
#[derive(Clone, Debug)]
pub struct QuotaOutcome {
    pub binding: Binding,
    pub quota: Quota,
    pub owner: Account,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

impl Command for SetQuota {
    type Outcome = QuotaOutcome;
    const METHOD: u8 = 34;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("binding_id", &self.binding).field("quota_fen", &self.wanted).field("evidence", &self.evidence);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<QuotaOutcome>, Failure> {
        let today = now.civil_day();
        let (key, quota_key) = (Key::Binding(self.binding), Key::Quota(self.binding));
        reading.get(&[key, quota_key]).await?;
        let mut binding = reading.binding(&key)?.cloned().ok_or(Failure::NotFound(Thing::Binding))?;
        self.check_binding(&binding, today)?;
        let (owner, beneficiary) = (binding.owner, binding.beneficiary);
        reading.get(&[Key::Standing(owner), Key::Standing(beneficiary)]).await?;
        let held = held_of(reading, owner, &quota_key).await?;
        let (from, to) = (reading.member(owner)?, reading.member(beneficiary)?);
        let policies = [ledger.policy_of(from, today)?, ledger.policy_of(to, today)?];
        let mut postings = Vec::new();
        let mut account = reading.account(owner)?.cloned();
        if let Some(account) = &mut account {
            account.turn_year(today, reading.marks(owner)?, &mut postings);
        }
        let found = reading.quota(&quota_key)?.cloned();
        let mut quota = found.unwrap_or_else(|| Quota::none(self.binding, owner, beneficiary, today));
        quota.turn_year(today, &mut postings);

        for evidence in &self.evidence {
            if binding.evidence.iter().all(|known| known.kind != evidence.kind) {
                binding.evidence.push(evidence.clone());
            }
        }
        let mut trace = Trace::under(ledger.book.digest);
        self.check(&quota, held, account.as_ref(), &binding, from, to, &policies, ledger, today, &mut trace)?;
        ledger.check_grades(&trace, &policies, today)?;
        let mut account = account.ok_or(Failure::NotFound(Thing::Account))?;
        // What was drawn before a quota came into force goes back to the account, what is drawn after it to the quota; who
        // was first is told by the ledger, since every clock was read before the look.
        let seen = ledger.record_at(reading.read_at()).await?.at;
        let starts = now.max(seen.next());
        let buckets = &policies[0].rules.relative_buckets;
        quota.set(self.wanted, &mut account, buckets, starts, &mut postings).map_err(Failure::refused)?;

        let digests: Vec<[u8; 32]> = policies.iter().map(|policy| policy.revision.digest).collect();
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: digests.clone() };
        let mut puts = vec![
            (key, Entity::Binding(Arc::new(binding.clone()))),
            (quota_key, Entity::Quota(Arc::new(quota.clone()))),
            (Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))),
        ];
        let mut standings = Standings::new(reading);
        standings.of(owner)?.account = Some(account.clone());
        puts.extend(standings.into_puts());
        ledger.policy_puts(&policies, &mut puts);
        reading.happens_from(starts);
        let event = Event::QuotaSet { quota: quota.clone(), owner_after: account.clone(), policies: digests.clone() };
        let lists = vec![(list_of(ListKind::AccountEntries, owner.as_u128()), 0)];
        let outcome = QuotaOutcome { binding, quota, owner: account, trace, policies: digests };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<QuotaOutcome, Failure> {
        let Event::QuotaSet { quota, owner_after, policies } = record.event else {
            return Err(Failure::Bug("a quota request made another record"));
        };
        let (key, decided) = (Key::Binding(quota.binding), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        let mut binding = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a quota leads to no binding"))?;
        // Only where it is in force is a quota set: what ended it came later.
        binding.life = Life::InForce;
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        Ok(QuotaOutcome { binding, quota, owner: owner_after, trace, policies })
    }
}

impl SetQuota {
    fn check_binding(&self, binding: &Binding, today: Date) -> Result<(), Failure> {
        let released = binding.released().is_some();
        let no = match binding.state(today) {
            BindingState::Active if released => Some(Reason::BindingNotActive),
            BindingState::Active if binding.granted() == Spends::No => Some(Reason::FamilyServiceDoesNotSpend),
            BindingState::Active if binding.last_day.is_some() => Some(Reason::BindingHasLastDay),
            BindingState::Active => None,
            BindingState::Pending => Some(Reason::BindingNotVerified),
            BindingState::Released | BindingState::Ended => Some(Reason::BindingNotActive),
        };
        no.map_or(Ok(()), |reason| Err(Failure::refused(reason)))
    }

    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
    fn check(
        &self,
        quota: &Quota,
        held: Money,
        account: Option<&Account>,
        binding: &Binding,
        owner: &crate::domain::member::Member,
        beneficiary: &crate::domain::member::Member,
        policies: &[Arc<crate::domain::policy::Policy>; 2],
        ledger: &Ledger,
        today: Date,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        if self.wanted.is_zero() {
            // What was set aside is the owner's: nothing but its absence keeps it from going back.
            let no = (!quota.is_live()).then_some(Reason::QuotaUnchanged);
            trace.amount(Rule::QuotaSet, Subject::Own, 0, &[(Input::QuotaBefore, quota.left())], self.wanted);
            return no.map_or(Ok(()), |reason| Err(Failure::refused(reason)));
        }
        let ask = QuotaAsk {
            owner,
            account,
            beneficiary,
            relation: binding.relation,
            quota,
            held,
            wanted: self.wanted,
            evidence: &binding.evidence,
            on: today,
        };
        let (reasons, missing) = quota::refusals(&ask, &policies[0], &policies[1], &ledger.book.regions, trace);
        match reasons.as_slice() {
            [] => Ok(()),
            [Reason::EvidenceMissing] => Err(Failure::EvidenceMissing(missing)),
            _ => Err(Failure::Refused(reasons)),
        }
    }
}

/// What open holds hold of a quota in force. What they held of one that was given up since goes back to the owner.
async fn held_of(reading: &mut Reading<'_>, owner: MemberId, key: &Key) -> Result<Money, Failure> {
    let Some((binding, since)) = reading.quota(key)?.and_then(|quota| Some((quota.binding, quota.since?))) else {
        return Ok(Money::ZERO);
    };
    let marks = reading.known(owner)?.holds.iter().filter(|mark| mark.parts.iter().any(|part| part.of_quota));
    let settlements: Vec<Key> = marks.map(|mark| Key::Settlement(mark.settlement)).collect();
    reading.get(&settlements).await?;
    let mut held = Money::ZERO;
    for key in &settlements {
        let hold = reading.settlement(key)?.ok_or(Failure::Bug("a mark leads to no hold"))?;
        let of_quota = hold.contributions.iter().filter(|paid| paid.binding == Some(binding) && paid.from_quota);
        if hold.held_until().is_some() && since <= hold.created_at {
            held += of_quota.map(|paid| paid.amount).sum::<Money>();
        }
    }
    Ok(held)
}

/// Ends the quotas of bindings that end: what is left goes back to each owner. Returns the owners whose accounts changed.
/// The quotas and the owners' standings have been loaded.
pub(super) fn end_all(
    reading: &Reading<'_>,
    bindings: &[(BindingId, MemberId)],
    today: Date,
    standings: &mut Standings<'_>,
    puts: &mut Vec<(Key, Entity)>,
    postings: &mut Vec<Posting>,
) -> Result<Vec<MemberId>, Failure> {
    let mut owners = Vec::new();
    for (binding, owner) in bindings {
        let key = Key::Quota(*binding);
        let Some(mut quota) = reading.quota(&key)?.filter(|quota| quota.is_live()).cloned() else { continue };
        let Standing { account, holds, .. } = standings.of(*owner)?;
        let account = account.as_mut().ok_or(Failure::Bug("a quota has no account"))?;
        account.turn_year(today, holds, postings);
        quota.turn_year(today, postings);
        quota.end(account, postings).map_err(Failure::refused)?;
        puts.push((key, Entity::Quota(Arc::new(quota))));
        if !owners.contains(owner) {
            owners.push(*owner);
        }
    }
    Ok(owners)
}
