//! Bindings: file, and check without effect.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::looks::Looks;
use super::payers::regularise_slips;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::binding::{Binding, Caps, Evidence, Life, Ward};
use crate::domain::filing::{self, Filing, FilingDecision};
use crate::domain::ids::{BindingId, MemberId, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::policy::Policy;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::relation_codes::Detail;
use crate::domain::time::Moment;
use crate::domain::vocabulary::{Channel, Grant, Relation};
use crate::domain::wording::Told;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

/// What is filed; `CheckBinding` asks about the same.
#[derive(Clone, Debug)]
pub struct FilingAsk {
    pub owner: MemberRef,
    pub beneficiary: MemberRef,
    pub relation: Relation,
    pub relation_detail: String,
    pub channel: Channel,
    pub evidence: Vec<Evidence>,
    /// Which of the channel's grants; empty: all of them.
    pub grants: Vec<Grant>,
    /// None: today.
    pub start: Option<Date>,
    pub last_day: Option<Date>,
    pub caps: Caps,
    pub priority: u32,
}

/// A filing decided, with the people and policies it was decided for.
pub struct FilingAnswer {
    pub decision: FilingDecision,
    /// Of the first day, the owner's and the beneficiary's; then of today, where that is another law.
    pub policies: Vec<Arc<Policy>>,
    pub read_at: u64,
    owner: MemberId,
    beneficiary: MemberId,
}

impl Ledger {
    /// `CheckBinding`: the decision that `CreateBinding` would come to now.
    pub async fn check_binding(&self, ask: &FilingAsk) -> Result<FilingAnswer, Failure> {
        let mut looks = Looks::new(self);
        loop {
            let mut reading = Reading::new(self.store());
            let answer = self.decide_filing(ask, &mut reading, self.now().civil_day()).await;
            if !looks.again(&reading, &answer).await? {
                drop(looks);
                self.store().wait_durable(reading.read_at()).await?;
                return answer;
            }
        }
    }

    /// Refuses a first day that may not be filed, and a last one before it or in the past: both, where both are bad.
    pub fn check_filing_days(&self, start: Option<Date>, last: Option<Date>, today: Date) -> Result<(), Failure> {
        let start = start.unwrap_or(today);
        let faults = [
            self.check_day("start_date", start, today),
            match last {
                Some(last) if last < start || last < today => {
                    Err(Failure::invalid("last_day", "lies before the first day or in the past"))
                }
                _ => Ok(()),
            },
        ];
        Failure::all(faults)
    }

    /// Refuses a code that is none of the national table, or that is another relation's.
    pub fn check_detail(&self, relation: Relation, detail: &str) -> Result<(), Failure> {
        match self.book.regions.relation_codes.judge(relation, detail) {
            Detail::Fits | Detail::NoKin => Ok(()),
            Detail::Contradicts => Err(Failure::invalid("relation_detail", "is the code of another relation")),
            Detail::Unknown => Err(Failure::invalid("relation_detail", "is no code of GB/T 4761")),
        }
    }

    async fn decide_filing(
        &self,
        ask: &FilingAsk,
        reading: &mut Reading<'_>,
        today: Date,
    ) -> Result<FilingAnswer, Failure> {
        let start = ask.start.unwrap_or(today);
        let days = self.check_filing_days(ask.start, ask.last_day, today);
        Failure::all([days, self.check_detail(ask.relation, &ask.relation_detail)])?;
        let owner = self.resolve_as(reading, &ask.owner, "owner").await?;
        let beneficiary = self.resolve_as(reading, &ask.beneficiary, "beneficiary").await?;
        let (of_owner, of_beneficiary) = (Key::Person(owner), Key::Person(beneficiary));
        reading
            .get(&[
                Key::Standing(owner),
                Key::Wards(owner),
                Key::Card(owner),
                of_owner,
                Key::Standing(beneficiary),
                of_beneficiary,
                Key::Slips(beneficiary),
            ])
            .await?;
        let (from, to) = (reading.member(owner)?, reading.member(beneficiary)?);
        let law = [self.policy_of(from, start)?, self.policy_of(to, start)?];
        let now = [self.policy_of(from, today)?, self.policy_of(to, today)?];
        let one_family = now.iter().any(|policy| policy.rules.one_family_per_person);
        if one_family {
            reading.get(&[Key::Wards(beneficiary)]).await?;
        }
        let runs = |last_day: Option<Date>| last_day.is_none_or(|last| last >= today);
        // Where numbers speak of the province alone, each binding tells where its two were insured.
        let ties_of = |reading: &Reading<'_>, member: MemberId| -> Result<Vec<(BindingId, MemberId)>, Failure> {
            let ties = reading.known(member)?.family.ties.iter().filter(|tie| runs(tie.last_day));
            Ok(ties.map(|tie| (tie.binding, tie.owner)).collect())
        };
        let wards_of = |reading: &Reading<'_>, member: MemberId| -> Result<Vec<(BindingId, MemberId)>, Failure> {
            let wards = reading.wards(&Key::Wards(member))?.map_or(&[][..], |wards| &wards.bindings);
            let wards = wards.iter().filter(|ward| runs(ward.last_day));
            Ok(wards.map(|ward| (ward.binding, ward.beneficiary)).collect())
        };
        let (live, wards) = (ties_of(reading, beneficiary)?, wards_of(reading, owner)?);
        // The owner's family is the owner with those bound to the owner; that the two aid each other makes no second one.
        let mut elsewhere: Vec<BindingId> = Vec::new();
        if one_family {
            let other = |known: Vec<(BindingId, MemberId)>, one: MemberId| {
                known.into_iter().filter(move |(_, who)| *who != one).map(|(binding, _)| binding)
            };
            elsewhere.extend(other(live.clone(), owner));
            elsewhere.extend(other(ties_of(reading, owner)?, beneficiary));
            elsewhere.extend(other(wards_of(reading, beneficiary)?, owner));
        }
        let far = far_among(reading, &now, [&live, &wards], &elsewhere).await?;
        let near = |bound: &[(BindingId, MemberId)]| bound.iter().filter(|(id, _)| !far.contains(id)).count();
        let (from, to) = (reading.member(owner)?, reading.member(beneficiary)?);
        let account = reading.account(owner)?;
        let bound = reading.person(&of_beneficiary)?;
        let has_card = reading.person(&of_owner)?.is_some_and(|person| !person.card_number.is_empty());
        let filing = Filing {
            owner: from,
            owner_account: account,
            owner_card_active: has_card && reading.card(&Key::Card(owner))?.is_none_or(|card| card.active),
            beneficiary: to,
            beneficiary_age: bound.map(|person| person.id_number.age_on(today)),
            relation: ask.relation,
            relation_detail: &ask.relation_detail,
            channel: ask.channel,
            evidence: &ask.evidence,
            chosen: &ask.grants,
            owners_now: live.len(),
            members_now: wards.len(),
            owners_near: near(&live),
            members_near: near(&wards),
            in_another_family: !elsewhere.is_empty(),
            in_another_near: elsewhere.iter().any(|id| !far.contains(id)),
            already_bound: live.iter().any(|(_, known)| *known == owner),
            ties_max: self.limits.bindings_per_member as usize,
            today,
        };
        let pairs = [[&*law[0], &*law[1]], [&*now[0], &*now[1]]];
        let decision = filing::decide_filing(&filing, pairs[0], pairs[1], &self.book.regions, start);
        let same = filing::same_revisions(pairs[0], pairs[1]);
        let policies: Vec<_> = law.into_iter().chain(now.into_iter().filter(|_| !same)).collect();
        self.check_grades(&decision.trace, &policies, start)?;
        Ok(FilingAnswer { decision, policies, read_at: reading.read_at(), owner, beneficiary })
    }
}

/// Which of these bindings tie two provinces together; none are looked up where no region's numbers ask.
async fn far_among(
    reading: &mut Reading<'_>,
    now: &[Arc<Policy>; 2],
    bound: [&[(BindingId, MemberId)]; 2],
    others: &[BindingId],
) -> Result<Vec<BindingId>, Failure> {
    let asks = |policy: &Arc<Policy>| {
        let rules = &policy.rules;
        let numbers = rules.members_per_owner.or(rules.owners_per_member).or(rules.family_size);
        !rules.limits_other_provinces && (numbers.is_some() || rules.one_family_per_person)
    };
    if !now.iter().any(asks) {
        return Ok(Vec::new());
    }
    let ids = bound.into_iter().flatten().map(|(id, _)| *id).chain(others.iter().copied());
    let ids: Vec<BindingId> = ids.collect();
    let keys: Vec<Key> = ids.iter().map(|id| Key::Binding(*id)).collect();
    reading.get(&keys).await?;
    let mut far = Vec::new();
    for (id, key) in ids.into_iter().zip(&keys) {
        let binding = reading.binding(key)?.ok_or(Failure::Bug("a tie leads to no binding"))?;
        if binding.owner_region.province() != binding.beneficiary_region.province() {
            far.push(id);
        }
    }
    Ok(far)
}

/// `CreateBinding`.
#[derive(Clone, Debug)]
pub struct CreateBinding {
    pub caller: Caller,
    pub request_id: RequestId,
    pub ask: FilingAsk,
}

/// A binding as filed or released, its state now, and why.
#[derive(Clone, Debug)]
pub struct BindingOutcome {
    pub binding: Binding,
    pub current: Binding,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

impl Command for CreateBinding {
    type Outcome = BindingOutcome;
    const METHOD: u8 = 30;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        let ask = &self.ask;
        fields
            .person("owner", &ask.owner)
            .person("beneficiary", &ask.beneficiary)
            .field("relation", &ask.relation)
            .field("relation_detail", &ask.relation_detail)
            .field("channel", &ask.channel)
            .field("evidence", &ask.evidence)
            .field("grants", &ask.grants)
            .field("start_date", &ask.start)
            .field("last_day", &ask.last_day)
            .field("caps", &ask.caps)
            .field("priority", &ask.priority);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<BindingOutcome>, Failure> {
        let ask = &self.ask;
        let today = now.civil_day();
        let answer = ledger.decide_filing(ask, reading, today).await?;
        let FilingDecision { reasons, missing, pending, grants, start, trace } = answer.decision;
        if reasons == [Reason::EvidenceMissing] {
            return Err(Failure::EvidenceMissing(missing));
        }
        if !reasons.is_empty() {
            return Err(Failure::Refused(reasons));
        }
        let (owner, beneficiary) = (answer.owner, answer.beneficiary);
        let binding = Binding {
            id: BindingId::from_u128(fresh.id),
            owner,
            beneficiary,
            owner_region: answer.policies[0].region,
            beneficiary_region: answer.policies[1].region,
            relation: ask.relation,
            relation_detail: ask.relation_detail.clone(),
            channel: ask.channel,
            evidence: ask.evidence.clone(),
            grants,
            start,
            last_day: ask.last_day,
            caps: ask.caps,
            priority: ask.priority,
            life: if pending.is_empty() { Life::InForce } else { Life::Pending { missing: pending } },
        };
        let mut standings = Standings::new(reading);
        let family = &mut standings.of(beneficiary)?.family;
        // Ties that ran out are dropped by the next change that touches the family.
        family.ties.retain(|tie| tie.last_day.is_none_or(|last| last >= today));
        family.ties.push(binding.tie(reading.read_at() + 1));
        let mut wards = reading.wards(&Key::Wards(owner))?.cloned().unwrap_or_default();
        wards.bindings.retain(|ward| ward.last_day.is_none_or(|last| last >= today));
        wards.bindings.push(Ward { binding: binding.id, beneficiary, last_day: ask.last_day });
        let policies = answer.policies.iter().map(|policy| policy.revision.digest).collect::<Vec<_>>();
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        let mut puts = vec![
            (Key::Binding(binding.id), Entity::Binding(Arc::new(binding.clone()))),
            (Key::Wards(owner), Entity::Wards(Arc::new(wards))),
            (Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))),
        ];
        puts.extend(standings.into_puts());
        puts.extend(regularise_slips(reading, &binding, now)?);
        ledger.policy_puts(&answer.policies, &mut puts);
        let mut recorded = binding.clone();
        for evidence in &mut recorded.evidence {
            evidence.reference.clear();
        }
        let event = Event::BindingCreated { binding: recorded, policies: policies.clone() };
        let lists = vec![
            (list_of(ListKind::OwnerBindings, owner.as_u128()), fresh.id),
            (list_of(ListKind::BeneficiaryBindings, beneficiary.as_u128()), fresh.id),
        ];
        let outcome = BindingOutcome { current: binding.clone(), binding, trace, policies };
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<BindingOutcome, Failure> {
        let Event::BindingCreated { binding, policies } = record.event else {
            return Err(Failure::Bug("a create request made another record"));
        };
        let (key, decided) = (Key::Binding(binding.id), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        let current = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a created binding is missing"))?;
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        // As the record has it; the references of its evidence stand in the fact alone.
        let evidence = current.evidence[..binding.evidence.len().min(current.evidence.len())].to_vec();
        Ok(BindingOutcome { binding: Binding { evidence, ..binding }, current, trace, policies })
    }
}
