//! `VerifyBinding`: the steps a binding waits for. `ReorderBindings`: the user's order of owners.

use std::sync::Arc;

use super::bindings::BindingOutcome;
use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::payers::regularise_slips;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan};
use crate::domain::binding::{Binding, BindingState, Evidence, Life};
use crate::domain::filing;
use crate::domain::ids::{BindingId, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::time::Moment;
use crate::domain::vocabulary::OwnerOrder;
use crate::store::entity::Decided;
use crate::store::{Entity, Key};

/// `VerifyBinding`.
#[derive(Clone, Debug)]
pub struct VerifyBinding {
    pub caller: Caller,
    pub request_id: RequestId,
    pub binding: BindingId,
    pub evidence: Vec<Evidence>,
}

impl Command for VerifyBinding {
    type Outcome = BindingOutcome;
    const METHOD: u8 = 32;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("binding_id", &self.binding).field("evidence", &self.evidence);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<BindingOutcome>, Failure> {
        let today = now.civil_day();
        let key = Key::Binding(self.binding);
        reading.get(&[key]).await?;
        let mut binding = reading.binding(&key)?.cloned().ok_or(Failure::NotFound(Thing::Binding))?;
        match binding.state(today) {
            BindingState::Pending => {}
            BindingState::Active => return Err(Failure::refused(Reason::BindingAlreadyVerified)),
            BindingState::Released | BindingState::Ended => return Err(Failure::refused(Reason::BindingNotActive)),
        }
        let slips = Key::Slips(binding.beneficiary);
        reading.get(&[Key::Standing(binding.beneficiary), Key::Standing(binding.owner), slips]).await?;
        let policy = ledger.policy_of(reading.member(binding.owner)?, today)?;
        let mut trace = Trace::under(ledger.book.digest);
        let missing =
            filing::decide_verification(binding.missing(), &self.evidence, &mut trace).map_err(Failure::refused)?;
        binding.evidence.extend(self.evidence.iter().cloned());
        binding.life = if missing.is_empty() { Life::InForce } else { Life::Pending { missing: missing.clone() } };
        let mut standings = Standings::new(reading);
        let verified = binding.tie(0).spends;
        let family = &mut standings.of(binding.beneficiary)?.family;
        family.ties.iter_mut().filter(|tie| tie.binding == binding.id).for_each(|tie| tie.spends = verified);
        let policies = vec![policy.revision.digest];
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        let mut puts = vec![
            (key, Entity::Binding(Arc::new(binding.clone()))),
            (Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))),
        ];
        puts.extend(standings.into_puts());
        puts.extend(regularise_slips(reading, &binding, now)?);
        ledger.policy_puts(&[policy], &mut puts);
        let event = Event::BindingVerified {
            binding: binding.id,
            owner: binding.owner,
            beneficiary: binding.beneficiary,
            evidence: self.evidence.iter().map(|evidence| evidence.kind.clone()).collect(),
            missing,
            policies: policies.clone(),
        };
        let outcome = BindingOutcome { current: binding.clone(), binding, trace, policies };
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists: Vec::new(), outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<BindingOutcome, Failure> {
        let Event::BindingVerified { binding, evidence, missing, policies, .. } = record.event else {
            return Err(Failure::Bug("a verify request made another record"));
        };
        let (key, decided) = (Key::Binding(binding), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        let current = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a verified binding is missing"))?;
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        let life = if missing.is_empty() { Life::InForce } else { Life::Pending { missing } };
        // What was handed in later stands behind what was handed in then.
        let handed_in = current.evidence.iter().rposition(|known| Some(&known.kind) == evidence.last());
        let mut binding = Binding { life, ..current.clone() };
        binding.evidence.truncate(handed_in.map_or(usize::MAX, |last| last + 1));
        Ok(BindingOutcome { binding, current, trace, policies })
    }
}

/// `ReorderBindings`.
#[derive(Clone, Debug)]
pub struct ReorderBindings {
    pub caller: Caller,
    pub request_id: RequestId,
    pub beneficiary: MemberRef,
    /// Each once.
    pub order: Vec<BindingId>,
}

impl Command for ReorderBindings {
    type Outcome = Vec<Binding>;
    const METHOD: u8 = 33;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.person("beneficiary", &self.beneficiary).field("binding_ids", &self.order);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<Vec<Binding>>, Failure> {
        let today = now.civil_day();
        let id = ledger.resolve(reading, &self.beneficiary).await?;
        reading.get(&[Key::Standing(id)]).await?;
        if ledger.policy_of(reading.member(id)?, today)?.rules.owner_order != OwnerOrder::UserOrder {
            return Err(Failure::refused(Reason::OrderNotForUser));
        }
        let mut family = reading.known(id)?.family.clone();
        family.ties.retain(|tie| tie.last_day.is_none_or(|last| last >= today));
        let all_named = family.ties.iter().all(|tie| self.order.contains(&tie.binding));
        if !all_named || family.ties.len() != self.order.len() {
            let what = "must name every binding of this beneficiary that is in force or waits, each once";
            return Err(Failure::invalid("binding_ids", what));
        }
        let keys: Vec<Key> = self.order.iter().map(|binding| Key::Binding(*binding)).collect();
        reading.get(&keys).await?;
        let mut puts = Vec::with_capacity(keys.len() + 1);
        let mut ordered = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let mut binding = reading.binding(key)?.cloned().ok_or(Failure::Bug("a tie leads to no binding"))?;
            binding.priority = u32::try_from(place + 1).unwrap_or(u32::MAX);
            let tie = family.ties.iter_mut().filter(|tie| tie.binding == binding.id);
            tie.for_each(|tie| tie.priority = binding.priority);
            puts.push((*key, Entity::Binding(Arc::new(binding.clone()))));
            ordered.push(binding);
        }
        let mut standings = Standings::new(reading);
        standings.of(id)?.family = family;
        puts.extend(standings.into_puts());
        let event = Event::BindingsReordered { beneficiary: id, order: self.order.clone() };
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists: Vec::new(), outcome: ordered })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<Vec<Binding>, Failure> {
        let Event::BindingsReordered { order, .. } = record.event else {
            return Err(Failure::Bug("a reorder request made another record"));
        };
        let keys: Vec<Key> = order.iter().map(|binding| Key::Binding(*binding)).collect();
        reading.get(&keys).await?;
        let mut ordered = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let binding = reading.binding(key)?.ok_or(Failure::Bug("a reordered binding is missing"))?;
            let priority = u32::try_from(place + 1).unwrap_or(u32::MAX);
            ordered.push(Binding { priority, ..reading.as_then(binding) });
        }
        Ok(ordered)
    }
}
