//! Members: who is insured where, and what ends when that changes.

use jiff::civil::Date;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::Reading;
use super::{Caller, Command, Fresh, Ledger, Plan, list_of, quotas};
use crate::domain::account::Account;
use crate::domain::binding::{Life, Release};
use crate::domain::card::Card;
use crate::domain::ids::{BindingId, MemberId, RequestId};
use crate::domain::member::{Insurance, Member, MemberRef, Person};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::time::Moment;
use crate::domain::vocabulary::{InsuranceState, Scheme};
use crate::store::{Entity, Key, ListKind};

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
}

impl Ledger {
    /// What is wrong with insurance data in themselves.
    pub fn check_insurance(&self, insurance: &Insurance, today: Date) -> Result<(), Failure> {
        let region = self.book.regions.get(insurance.region).ok_or(Failure::NotFound(Thing::Region))?;
        if !region.level.is_pool() {
            return Err(Failure::invalid("insurance.region_code", "is not the code of a pooling region"));
        }
        if !region.is_valid_on(insurance.start) {
            return Err(Failure::NotFound(Thing::Region));
        }
        if insurance.start > today {
            return Err(Failure::invalid("insurance.start_date", "lies in the future"));
        }
        if insurance.scheme == Scheme::Resident && insurance.has_account {
            return Err(Failure::invalid(
                "insurance.has_account",
                "must be false: resident insurance has no personal account",
            ));
        }
        Ok(())
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
        ledger.check_insurance(&insurance, today)?;
        if self.person.id_number.birth_date() > today {
            return Err(Failure::invalid("id_number", "has a birth date in the future"));
        }
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
        if member.insurance.has_account {
            puts.push((Key::Account(id), Entity::Account(Account::opened(id, today))));
        }
        puts.push((Key::Member(id), Entity::Member(member.clone())));
        puts.push((Key::Person(id), Entity::Person(Box::new(person.clone()))));
        let card = Card { member: id, active: self.card_active, issuing_bank: self.issuing_bank.clone() };
        // A card that is active and of which nothing more is known needs no record.
        let card = (!card.active || !card.issuing_bank.is_empty()).then_some(card);
        if let Some(card) = &card {
            puts.push((Key::Card(id), Entity::Card(Box::new(card.clone()))));
        }
        let record = Record { event: Event::MemberCreated { member: member.clone() }, postings: Vec::new() };
        let outcome = MemberOutcome { member, person: Some(person), card, released: Vec::new() };
        Ok(Plan { record, puts, lists: Vec::new(), outcome })
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
        outcome(reading, member, Vec::new()).await
    }
}

async fn outcome(
    reading: &mut Reading<'_>,
    member: Member,
    released: Vec<BindingId>,
) -> Result<MemberOutcome, Failure> {
    let (key, card) = (Key::Person(member.id), Key::Card(member.id));
    reading.get(&[key, card]).await?;
    let (person, card) = (reading.person(&key)?.cloned(), reading.card(&card)?.cloned());
    Ok(MemberOutcome { member, person, card, released })
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
        _: Fresh,
    ) -> Result<Plan<MemberOutcome>, Failure> {
        let today = now.civil_day();
        let insurance = from_today(&self.insurance, today);
        ledger.check_insurance(&insurance, today)?;
        let id = ledger.resolve(reading, &self.member).await?;
        let key = Key::Member(id);
        let others = [Key::Account(id), Key::Family(id), Key::Wards(id), Key::Person(id), Key::Card(id)];
        reading.get(&[key]).await?;
        reading.get(&others).await?;
        let before = reading.member(&key)?.ok_or(Failure::NotFound(Thing::Member))?.clone();
        if self.etag.as_ref().is_some_and(|etag| *etag != reading.version(&key).to_string()) {
            return Err(Failure::EtagMismatch);
        }
        if before.insurance == insurance {
            return Err(Failure::refused(Reason::InsuranceUnchanged));
        }
        let member = Member { insurance, ..before.clone() };
        let mut puts = Vec::new();
        if member.insurance.has_account && reading.account(&Key::Account(id))?.is_none() {
            puts.push((Key::Account(id), Entity::Account(Account::opened(id, today))));
        }
        let policy = ledger.policy_of(&before, today)?;
        let ended = member.insurance.state == InsuranceState::Ended && before.insurance.state != InsuranceState::Ended;
        let moved = member.insurance.region != before.insurance.region;
        let mut postings = Vec::new();
        let released = if policy.rules.release_on_end_or_move && (ended || moved) {
            release_all(reading, id, now, &mut puts).await?
        } else {
            Vec::new()
        };
        // What was set aside for a binding that ends goes back.
        let owners = quotas::end_all(reading, &released, today, &mut puts, &mut postings).await?;
        let lists = owners.iter().map(|owner| (list_of(ListKind::AccountEntries, owner.as_u128()), 0)).collect();
        let released: Vec<BindingId> = released.into_iter().map(|(binding, _)| binding).collect();
        puts.push((key, Entity::Member(member.clone())));
        let person = reading.person(&Key::Person(id))?.cloned();
        let card = reading.card(&Key::Card(id))?.cloned();
        let event = Event::InsuranceUpdated { member: member.clone(), released: released.clone() };
        let record = Record { event, postings };
        Ok(Plan { record, puts, lists, outcome: MemberOutcome { member, person, card, released } })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<MemberOutcome, Failure> {
        let Event::InsuranceUpdated { member, released } = record.event else {
            return Err(Failure::Bug("an update request made another record"));
        };
        outcome(reading, member, released).await
    }
}

/// Ends every binding a member has, as owner and as beneficiary.
async fn release_all(
    reading: &mut Reading<'_>,
    id: MemberId,
    now: Moment,
    puts: &mut Vec<(Key, Entity)>,
) -> Result<Vec<(BindingId, MemberId)>, Failure> {
    let family = reading.family(&Key::Family(id))?.cloned().unwrap_or_default();
    let wards = reading.wards(&Key::Wards(id))?.cloned().unwrap_or_default();
    let as_beneficiary = family.ties.iter().map(|tie| (tie.binding, Key::Wards(tie.owner)));
    let as_owner = wards.bindings.iter().map(|ward| (ward.binding, Key::Family(ward.beneficiary)));
    let all: Vec<(BindingId, Key)> = as_beneficiary.chain(as_owner).collect();
    let keys: Vec<Key> = all.iter().flat_map(|(binding, other)| [Key::Binding(*binding), *other]).collect();
    reading.get(&keys).await?;

    let mut others: Vec<(Key, Entity)> = Vec::new();
    let mut released = Vec::with_capacity(all.len());
    for (binding, other) in all {
        let key = Key::Binding(binding);
        let mut ended = reading.binding(&key)?.cloned().ok_or(Failure::Bug("a tie leads to no binding"))?;
        let owner = ended.owner;
        ended.life = Life::Released(Release { at: now, requested: false });
        puts.push((key, Entity::Binding(Box::new(ended))));
        if others.iter().all(|(known, _)| *known != other) {
            let entity = if let Key::Wards(_) = other {
                Entity::Wards(reading.wards(&other)?.cloned().unwrap_or_default())
            } else {
                Entity::Family(reading.family(&other)?.cloned().unwrap_or_default())
            };
            others.push((other, entity));
        }
        for (_, entity) in others.iter_mut().filter(|(known, _)| *known == other) {
            if let Entity::Wards(wards) = entity {
                wards.bindings.retain(|ward| ward.binding != binding);
            } else if let Entity::Family(family) = entity {
                family.ties.retain(|tie| tie.binding != binding);
            }
        }
        released.push((binding, owner));
    }
    if !released.is_empty() {
        puts.push((Key::Family(id), Entity::Family(Default::default())));
        puts.push((Key::Wards(id), Entity::Wards(Default::default())));
    }
    puts.append(&mut others);
    Ok(released)
}
