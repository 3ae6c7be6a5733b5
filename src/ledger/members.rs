//! Members: who is insured where, and what ends when that changes.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::{Failure, Thing, Violation};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of, quotas};
use crate::domain::account::Account;
use crate::domain::binding::{BindingState, Life, Release, Wards};
use crate::domain::card::Card;
use crate::domain::identity::mask_name;
use crate::domain::ids::{BindingId, MemberId, RegionCode, RequestId};
use crate::domain::member::{Insurance, Member, MemberRef, Person};
use crate::domain::policy::{Param, Policy};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::{Rule, Subject, Trace};
use crate::domain::time::Moment;
use crate::domain::vocabulary::{InsuranceState, Scheme, TieSide};
use crate::store::entity::{Decided, Standing};
use crate::store::{Entity, Key, ListKey, ListKind};

/// The first day of an insurance whose start was left out: the server's day when it is decided, whichever that is. Before any
/// law, so no caller can mean it; the content of a request keeps it, so that a repeat on a later day is the same content.
pub const SERVERS_DAY: Date = Date::ZERO;

fn from_today(insurance: &Insurance, today: Date) -> Insurance {
    let start = if insurance.start == SERVERS_DAY { today } else { insurance.start };
    Insurance { start, ..insurance.clone() }
}

/// `CreateMember`. `person.member` is filled in by the ledger.
#[derive(Clone, Debug)]
pub struct CreateMember {
    pub caller: Caller,
    pub request_id: RequestId,
    pub person: Person,
    pub insurance: Insurance,
    /// Whether the card, where there is one, can be used already.
    pub card_active: bool,
    /// Code of the bank that issued the card; empty where it is not known.
    pub issuing_bank: String,
}

/// A member as it was created or changed, with who it is.
#[derive(Clone, Debug)]
pub struct MemberOutcome {
    pub member: Member,
    pub person: Option<Person>,
    pub card: Option<Card>,
    pub released: Vec<BindingId>,
    /// Why they were.
    pub decided: Decided,
}

/// Insurance data as far as they could be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claimed {
    pub birth: Option<Date>,
    pub region: Option<RegionCode>,
    pub start: Option<Date>,
    pub scheme: Option<Scheme>,
    pub has_account: bool,
}

impl Ledger {
    /// What is wrong with insurance data in themselves.
    fn check_insurance(&self, insurance: &Insurance, birth: Option<Date>, today: Date) -> Result<(), Failure> {
        let &Insurance { scheme, tier: _, state: _, region, has_account, start } = insurance;
        let (scheme, region, start) = (Some(scheme), Some(region), Some(start));
        self.check_claimed(Claimed { birth, region, start, scheme, has_account }, today)?;
        self.check_pool(insurance.region, insurance.start)
    }

    /// The bad fields of what could be read, to be told with those that could not.
    pub fn check_claimed(&self, claimed: Claimed, today: Date) -> Result<(), Failure> {
        let Claimed { birth, region, start, scheme, has_account } = claimed;
        let region = region.and_then(|region| self.book.regions.get(region));
        let is_pool = region.is_none_or(|region| region.level.is_pool());
        let resident_account = scheme == Some(Scheme::Resident) && has_account;
        let faults = [
            (birth.is_some_and(|birth| birth > today), "id_number", "has a birth date in the future"),
            (!is_pool, "insurance.region_code", "is not the code of a pooling region"),
            (start.is_some_and(|start| start > today), "insurance.start_date", "lies in the future"),
            (resident_account, "insurance.has_account", "must be false: resident insurance has no personal account"),
        ];
        let bad = faults.into_iter().filter(|(is_bad, ..)| *is_bad);
        let told =
            |(_, field, what): (bool, &str, &str)| Violation { field: field.to_owned(), description: what.to_owned() };
        let bad: Vec<Violation> = bad.map(told).collect();
        if bad.is_empty() { Ok(()) } else { Err(Failure::Invalid(bad)) }
    }

    /// Refuses a pool that does not exist on a day. Nobody comes into one that has ended; who is insured there stays.
    fn check_pool(&self, region: RegionCode, on: Date) -> Result<(), Failure> {
        let found = self.book.regions.get(region).filter(|region| region.is_valid_on(on));
        found.map(|_| ()).ok_or(Failure::NoRegion { thing: Thing::Region, field: "insurance.region_code" })
    }
}

impl Command for CreateMember {
    type Outcome = MemberOutcome;
    const METHOD: u8 = 10;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        let person = &self.person;
        fields
            .field("name", &person.name)
            .field("id_number", &person.id_number)
            .field("card_number", &person.card_number)
            .field("personal_number", &person.personal_number)
            .field("computer_number", &person.computer_number)
            .field("insurance", &self.insurance)
            .field("card_state", &self.card_active)
            .field("issuing_bank_code", &self.issuing_bank);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<MemberOutcome>, Failure> {
        let today = now.civil_day();
        let insurance = from_today(&self.insurance, today);
        ledger.check_insurance(&insurance, Some(self.person.id_number.birth_date()), today)?;
        ledger.check_pool(insurance.region, today)?;
        let id = MemberId::from_u128(fresh.id);
        let references = self.person.references();
        let keys: Vec<Key> =
            references.iter().map(|reference| Key::Reference(ledger.keys.reference(reference))).collect();
        reading.get(&keys).await?;
        for (reference, key) in references.iter().zip(&keys) {
            if reading.reference(key)?.is_some() {
                let is_card = matches!(reference, MemberRef::Card(_));
                return Err(if is_card { Failure::NumberExists } else { Failure::MemberExists });
            }
        }
        let member = Member { id, sex: self.person.id_number.sex(), insurance };
        let person = Person { member: id, ..self.person.clone() };
        let mut puts: Vec<(Key, Entity)> = keys.into_iter().map(|key| (key, Entity::Reference(id))).collect();
        let mut standing = Standing::new(member.clone(), mask_name(&person.name).into());
        standing.account = member.insurance.has_account.then(|| Account::opened(id, today));
        puts.push((Key::Standing(id), Entity::Standing(Arc::new(standing))));
        puts.push((Key::Person(id), Entity::Person(Arc::new(person.clone()))));
        let card = Card { member: id, active: self.card_active, issuing_bank: self.issuing_bank.clone() };
        // A card that is active and of which nothing more is known needs no record.
        let card = (!card.active || !card.issuing_bank.is_empty()).then_some(card);
        puts.extend(card.clone().map(|card| (Key::Card(id), Entity::Card(Arc::new(card)))));
        let record = Record { event: Event::MemberCreated { member: member.clone() }, postings: Vec::new() };
        let lists = vec![insured_in(&member), (members_of(member.insurance.region), id.as_u128())];
        let released = Vec::new();
        let outcome = MemberOutcome { member, person: Some(person), card, released, decided: Decided::default() };
        Ok(Plan { record, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<MemberOutcome, Failure> {
        let Event::MemberCreated { member } = record.event else {
            return Err(Failure::Bug("a create request made another record"));
        };
        outcome(reading, member, Vec::new(), Decided::default()).await
    }
}

/// The list row that says from this record on where a member is insured.
pub(crate) fn insured_in(member: &Member) -> (ListKey, u128) {
    (list_of(ListKind::MemberRegions, member.id.as_u128()), member.insurance.region.as_u32().into())
}

/// Everybody who was ever insured in a region.
pub(super) fn members_of(region: RegionCode) -> ListKey {
    list_of(ListKind::RegionMembers, region.as_u32().into())
}

async fn outcome(
    reading: &mut Reading<'_>,
    member: Member,
    released: Vec<BindingId>,
    decided: Decided,
) -> Result<MemberOutcome, Failure> {
    let (key, card) = (Key::Person(member.id), Key::Card(member.id));
    reading.get(&[key, card]).await?;
    let (person, card) = (reading.person(&key)?.cloned(), reading.card(&card)?.cloned());
    Ok(MemberOutcome { member, person, card, released, decided })
}

/// `UpdateInsurance`.
#[derive(Clone, Debug)]
pub struct UpdateInsurance {
    pub caller: Caller,
    pub request_id: RequestId,
    pub member: MemberRef,
    pub insurance: Insurance,
    pub etag: Option<String>,
}

impl Command for UpdateInsurance {
    type Outcome = MemberOutcome;
    const METHOD: u8 = 11;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.person("member", &self.member).field("insurance", &self.insurance).field("etag", &self.etag);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<MemberOutcome>, Failure> {
        let today = now.civil_day();
        let insurance = from_today(&self.insurance, today);
        ledger.check_insurance(&insurance, None, today)?;
        let id = ledger.resolve(reading, &self.member).await?;
        let key = Key::Person(id);
        reading.get(&[Key::Standing(id), Key::Wards(id), key, Key::Card(id)]).await?;
        let before = reading.member(id)?.clone();
        if self
            .etag
            .as_ref()
            .is_some_and(|etag| *etag != reading.version(&key).max(reading.version(&Key::Card(id))).to_string())
        {
            return Err(Failure::EtagMismatch);
        }
        if before.insurance.region != insurance.region {
            ledger.check_pool(insurance.region, today)?;
        }
        if before.insurance == insurance {
            return Err(Failure::refused(Reason::InsuranceUnchanged));
        }
        let member = Member { insurance, ..before.clone() };
        let mut puts = Vec::new();
        let policy = ledger.policy_of(&before, today)?;
        let ended = member.insurance.state == InsuranceState::Ended && before.insurance.state != InsuranceState::Ended;
        let moved = member.insurance.region != before.insurance.region;
        // What an owner shares is the account of an employee: leaving that scheme is an end for what one owns.
        let leaves = member.insurance.scheme != Scheme::Employee && before.insurance.scheme == Scheme::Employee;
        let rules = &policy.rules;
        if ended || moved || leaves {
            ledger.check_values(&policy, &[Param::ReleaseOnEndOrMove])?;
            let sides = &[Param::ReleaseSides][..];
            ledger.check_values(&policy, if rules.release_on_end_or_move { sides } else { &[] })?;
        }
        let releases = |bound: &Bound| {
            let side = if bound.owner == id { TieSide::Owner } else { TieSide::Beneficiary };
            let changes = ended || moved || (leaves && side == TieSide::Owner);
            changes && rules.release_on_end_or_move && rules.release_sides.contains(&side)
        };
        let others = if ended || moved || leaves { load_bindings(reading, id).await? } else { Vec::new() };
        let mut standings = Standings::new(reading);
        let mut ending = standing_of(reading, &others, today)?;
        ending.retain(|bound| releases(bound));
        let released = release_all(reading, &ending, now, &mut standings, &mut puts)?;
        let mut decided = Decided::default();
        if !released.is_empty() {
            decided = why(&released, &policy, ledger);
            puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided.clone()))));
            ledger.policy_puts(std::slice::from_ref(&policy), &mut puts);
        }
        // What was set aside for a binding that ends goes back; so does what was set aside between two regions when one of
        // them is another from now on: the new pair may know no quota, and nobody would look for it.
        // Nor can one be drawn whose owner is no employee any more.
        let ends = others.iter().filter(|bound| moved || (leaves && bound.owner == id) || releases(bound));
        let ends: Vec<(BindingId, MemberId)> = ends.map(|bound| (bound.binding, bound.owner)).collect();
        let mut postings = Vec::new();
        let changed = quotas::end_all(reading, &ends, today, &mut standings, &mut puts, &mut postings)?;
        let mut lists: Vec<_> =
            changed.iter().map(|owner| (list_of(ListKind::AccountEntries, owner.as_u128()), 0)).collect();
        lists.push(insured_in(&member));
        if moved {
            lists.push((members_of(member.insurance.region), id.as_u128()));
        }
        let standing = standings.of(id)?;
        if member.insurance.has_account && standing.account.is_none() {
            standing.account = Some(Account::opened(id, today));
        }
        standing.member = member.clone();
        puts.extend(standings.into_puts());
        let person = reading.person(&key)?.cloned();
        // Written anew, so that its version is that of the member's last change.
        puts.extend(person.clone().map(|person| (key, Entity::Person(Arc::new(person)))));
        let event = Event::InsuranceUpdated { member: member.clone(), released: released.clone() };
        let record = Record { event, postings };
        let card = reading.card(&Key::Card(id))?.cloned();
        Ok(Plan { record, puts, lists, outcome: MemberOutcome { member, person, card, released, decided } })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<MemberOutcome, Failure> {
        let Event::InsuranceUpdated { member, released } = record.event else {
            return Err(Failure::Bug("an update request made another record"));
        };
        let key = Key::Decided(request);
        reading.get(&[key]).await?;
        let decided = reading.decided(&key)?.cloned().unwrap_or_default();
        outcome(reading, member, released, decided).await
    }
}

/// Each released by the policy of the region that the person was insured in.
fn why(released: &[BindingId], policy: &Policy, ledger: &Ledger) -> Decided {
    let mut trace = Trace::under(ledger.book.digest);
    for binding in released {
        trace.verdict(Rule::InsuranceReleases, Subject::Binding(*binding), 0, None);
    }
    Decided { trace: ledger.tell(trace), policies: vec![policy.revision.digest] }
}

/// A binding of a member, and who is at its other end: the beneficiary whose family it stands in, and the owner.
struct Bound {
    binding: BindingId,
    owner: MemberId,
    beneficiary: MemberId,
}

/// Loads every binding a member has, as owner and as beneficiary, with the facts they stand in.
async fn load_bindings(reading: &mut Reading<'_>, id: MemberId) -> Result<Vec<Bound>, Failure> {
    let family = &reading.known(id)?.family;
    let wards = reading.wards(&Key::Wards(id))?.map_or(&[][..], |wards| &wards.bindings);
    let as_beneficiary =
        family.ties.iter().map(|tie| Bound { binding: tie.binding, owner: tie.owner, beneficiary: id });
    let as_owner = wards.iter().map(|ward| Bound { binding: ward.binding, owner: id, beneficiary: ward.beneficiary });
    let all: Vec<Bound> = as_beneficiary.chain(as_owner).collect();
    let keys = all.iter().flat_map(|bound| {
        let people = [Key::Standing(bound.owner), Key::Standing(bound.beneficiary)];
        [Key::Binding(bound.binding), Key::Quota(bound.binding), Key::Wards(bound.owner), people[0], people[1]]
    });
    reading.get(&keys.collect::<Vec<Key>>()).await?;
    Ok(all)
}

/// Those that stand: what ran out has ended, and who asked for a release has got it, even if it takes effect tomorrow.
fn standing_of<'a>(reading: &Reading<'_>, bindings: &'a [Bound], today: Date) -> Result<Vec<&'a Bound>, Failure> {
    let mut standing = Vec::with_capacity(bindings.len());
    for bound in bindings {
        let binding =
            reading.binding(&Key::Binding(bound.binding))?.ok_or(Failure::Bug("a tie leads to no binding"))?;
        let stands = matches!(binding.state(today), BindingState::Active | BindingState::Pending);
        if stands && binding.released().is_none() {
            standing.push(bound);
        }
    }
    Ok(standing)
}

/// Ends these bindings.
fn release_all(
    reading: &Reading<'_>,
    bindings: &[&Bound],
    now: Moment,
    standings: &mut Standings<'_>,
    puts: &mut Vec<(Key, Entity)>,
) -> Result<Vec<BindingId>, Failure> {
    let mut wards: Vec<(MemberId, Wards)> = Vec::new();
    for bound in bindings {
        let key = Key::Binding(bound.binding);
        let mut ended = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a tie leads to no binding"))?;
        ended.life = Life::Released(Release { at: now, requested: false });
        puts.push((key, Entity::Binding(Arc::new(ended))));
        standings.of(bound.beneficiary)?.family.ties.retain(|tie| tie.binding != bound.binding);
        if wards.iter().all(|(owner, _)| *owner != bound.owner) {
            let known = reading.wards(&Key::Wards(bound.owner))?.cloned().unwrap_or_default();
            wards.push((bound.owner, known));
        }
        for (_, known) in wards.iter_mut().filter(|(owner, _)| *owner == bound.owner) {
            known.bindings.retain(|ward| ward.binding != bound.binding);
        }
    }
    puts.extend(wards.into_iter().map(|(owner, known)| (Key::Wards(owner), Entity::Wards(Arc::new(known)))));
    Ok(bindings.iter().map(|bound| bound.binding).collect())
}
