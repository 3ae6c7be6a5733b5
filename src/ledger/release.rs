//! `ReleaseBinding`: by its id or by the pair, through the channels of the policy of the day.

use std::sync::Arc;

use super::bindings::BindingOutcome;
use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::quotas;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::binding::{BindingState, Evidence, Life, Release};
use crate::domain::filing;
use crate::domain::ids::{BindingId, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::quota::Quota;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record, ReleasedBy};
use crate::domain::rule::{Rule, Subject, Trace};
use crate::domain::time::Moment;
use crate::domain::vocabulary::Channel;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

/// `ReleaseBinding`.
#[derive(Clone, Debug)]
pub struct ReleaseBinding {
    pub caller: Caller,
    pub request_id: RequestId,
    pub target: ReleaseTarget,
    pub by: ReleasedBy,
    pub channel: Channel,
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Debug)]
pub enum ReleaseTarget {
    Binding(BindingId),
    Pair { owner: MemberRef, beneficiary: MemberRef },
}

impl Command for ReleaseBinding {
    type Outcome = BindingOutcome;
    const METHOD: u8 = 31;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        match &self.target {
            ReleaseTarget::Binding(id) => fields.field("binding_id", id).field("pair", &false),
            ReleaseTarget::Pair { owner, beneficiary } => {
                fields.field("binding_id", &false).field("pair", &(owner.parts(), beneficiary.parts()))
            }
        };
        fields.field("requested_by", &self.by).field("channel", &self.channel).field("evidence", &self.evidence);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<BindingOutcome>, Failure> {
        let today = now.civil_day();
        let id = match &self.target {
            ReleaseTarget::Binding(id) => *id,
            ReleaseTarget::Pair { owner, beneficiary } => {
                let owner = ledger.resolve_as(reading, owner, "pair.owner").await?;
                let beneficiary = ledger.resolve_as(reading, beneficiary, "pair.beneficiary").await?;
                reading.get(&[Key::Standing(beneficiary)]).await?;
                let family = &reading.known(beneficiary)?.family;
                let tie = family.ties.iter().rev().find(|tie| tie.owner == owner);
                tie.ok_or(Failure::NotFound(Thing::Binding))?.binding
            }
        };
        let key = Key::Binding(id);
        reading.get(&[key]).await?;
        let mut binding = reading.binding(&key)?.cloned().ok_or(Failure::NotFound(Thing::Binding))?;
        let standing = matches!(binding.state(today), BindingState::Active | BindingState::Pending);
        if !standing || binding.released().is_some() {
            return Err(Failure::refused(Reason::BindingNotActive));
        }
        let wards_key = Key::Wards(binding.owner);
        let quota = Key::Quota(id);
        reading.get(&[Key::Standing(binding.beneficiary), wards_key, Key::Standing(binding.owner), quota]).await?;
        let owner = reading.member(binding.owner)?;
        let policy = ledger.policy_of(owner, today)?;
        let set_aside = reading.quota(&quota)?.is_some_and(Quota::is_live);
        let from = match filing::decide_release(self.channel, &self.evidence, &policy, today) {
            // What waits for its steps was never in force: there is no day to wait for.
            Ok(_) if binding.state(today) == BindingState::Pending => today,
            // A quota is all that its binding may draw on, and goes back at once: nothing is left to draw on until midnight,
            // the owner's whole account least of all.
            Ok(_) if set_aside => today,
            Ok(from) => from,
            Err((Reason::EvidenceMissing, missing)) => return Err(Failure::EvidenceMissing(missing)),
            Err((reason, _)) => return Err(Failure::refused(reason)),
        };
        let mut trace = Trace::under(ledger.book.digest);
        trace.verdict(Rule::ReleaseOffered, Subject::Binding(id), 0, None);
        ledger.check_grades(&trace, &[&policy], today)?;
        let policies = vec![policy.revision.digest];
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        let mut standings = Standings::new(reading);
        let family = &mut standings.of(binding.beneficiary)?.family;
        let mut wards = reading.wards(&wards_key)?.cloned().unwrap_or_default();
        let release = Release { at: now, requested: true };
        if from > today {
            // In force until the day is over.
            let ends = |last: Option<jiff::civil::Date>| Some(last.map_or(today, |last| last.min(today)));
            family.ties.iter_mut().filter(|tie| tie.binding == id).for_each(|tie| tie.last_day = ends(tie.last_day));
            let ward = wards.bindings.iter_mut().filter(|ward| ward.binding == id);
            ward.for_each(|ward| ward.last_day = ends(ward.last_day));
            binding.life = Life::ReleasedFrom { release, from };
        } else {
            family.ties.retain(|tie| tie.binding != id);
            wards.bindings.retain(|ward| ward.binding != id);
            binding.life = Life::Released(release);
        }
        let mut puts =
            vec![(key, Entity::Binding(Arc::new(binding.clone()))), (wards_key, Entity::Wards(Arc::new(wards)))];
        // Nobody draws on a quota any more, so the rest goes back.
        let mut postings = Vec::new();
        let ends = [(id, binding.owner)];
        let changed = quotas::end_all(reading, &ends, today, &mut standings, &mut puts, &mut postings)?;
        puts.extend(standings.into_puts());
        puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))));
        ledger.policy_puts(&[policy], &mut puts);
        let lists = changed.iter().map(|member| (list_of(ListKind::AccountEntries, member.as_u128()), 0)).collect();
        let (owner, beneficiary, by, channel) = (binding.owner, binding.beneficiary, self.by, self.channel);
        let event = Event::BindingReleased { binding: id, owner, beneficiary, by, channel };
        let outcome = BindingOutcome { current: binding.clone(), binding, trace, policies };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<BindingOutcome, Failure> {
        let Event::BindingReleased { binding, .. } = record.event else {
            return Err(Failure::Bug("a release request made another record"));
        };
        let (key, decided) = (Key::Binding(binding), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        // None where it was released before a reason was kept.
        let Decided { trace, policies } = reading.decided(&decided)?.cloned().unwrap_or_default();
        let current = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a released binding is missing"))?;
        Ok(BindingOutcome { binding: current.clone(), current, trace, policies })
    }
}
