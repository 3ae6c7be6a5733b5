//! The population: families of four, made as ledger records and committed in batches, so that a million people are there
//! in a minute and the ledger still checks.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::{Date, date};

use crate::domain::account::Account;
use crate::domain::binding::{Binding, Caps, Evidence, Life, Ward, Wards};
use crate::domain::identity::{IdNumber, check_character, mask_name};
use crate::domain::ids::{BindingId, MemberId, RegionCode};
use crate::domain::member::{Insurance, Member, Person};
use crate::domain::money::Money;
use crate::domain::posting::Party;
use crate::domain::record::{CreditKind, Event, Record};
use crate::domain::vocabulary::{Bucket, Channel, Grant, InsuranceState, Relation, Scheme};
use crate::ledger::fingerprint::Keys;
use crate::ledger::members::insured_in;
use crate::ledger::{Ledger, list_of};
use crate::store::entity::Standing;
use crate::store::{Change, Entity, Key, ListKey, ListKind, Store, chain, record};

/// A patient and three owners.
pub const FAMILY: u64 = 4;
/// A pool under the national policy: own money first, then relatives, the larger balance before the smaller.
pub const REGION: &str = "350200";
/// What each binding lets one settlement draw. The smallest bill leaves more than three of these to pay, so three pay.
const CAP: Money = Money::fen(3_000);
/// What an owner has: enough for more settlements than any run makes.
const OWNER_FEN: i64 = 6_000_000;
/// What every other patient has, gone with the first bill.
const OWN_FEN: i64 = 1_500;
const FAMILIES_PER_COMMIT: u64 = 32;

/// A small generator; runs repeat, and it costs the client next to nothing.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The card of the person with this number; patients are the multiples of [`FAMILY`].
pub fn card(person: u64) -> String {
    let mut text = String::with_capacity(16);
    text.push('B');
    push_digits(&mut text, person, 15);
    text
}

/// Adds a number with so many digits. The client makes two for every call, and the general formatter is not cheap.
pub fn push_digits(text: &mut String, number: u64, digits: u32) {
    text.extend((0..digits).rev().map(|place| char::from(b'0' + (number / 10_u64.pow(place) % 10) as u8)));
}

fn id_number(person: u64) -> Option<IdNumber> {
    let (year, rest) = (1930 + person / 900 % 70, person / (900 * 70));
    let (month, day) = (1 + rest % 12, 1 + rest / 12 % 28);
    let body = format!("350203{year:04}{month:02}{day:02}{:03}", 1 + person % 900);
    let check = check_character(body.as_bytes());
    IdNumber::parse(&format!("{body}{check}")).ok()
}

/// As if registered in another order than by families, so that a family's rows lie apart.
fn member_id(person: u64) -> MemberId {
    let at = person.wrapping_mul(2_654_435_761) % 0x1_0000_0000;
    let random = Random::new(person).next();
    let id = u128::from(0x0190_0000_0000 + at) << 80 | 0x7000_u128 << 64 | 0x8000_u128 << 48 | u128::from(random >> 16);
    MemberId::from_u128(id)
}

struct Loader<'a> {
    store: &'a dyn Store,
    keys: Keys,
    region: RegionCode,
    today: Date,
    policy: [u8; 32],
    filed: u64,
    changes: Vec<Change>,
}

/// Fills an empty store with `people` people. Says how many families there are.
pub async fn load(ledger: &Ledger, people: u64) -> Result<u64, String> {
    let families = people / FAMILY;
    if ledger.store().head().await.map_err(|error| error.to_string())?.position > 0 {
        return Ok(families);
    }
    let region = RegionCode::parse(REGION).ok_or("the bench's region is malformed")?;
    let today = ledger.now().civil_day();
    let policy = ledger.book.policy(region, today).ok_or("the bench's region has no policy")?;
    let mut loader = Loader {
        store: ledger.store(),
        keys: Keys::from_secret(ledger.store().secret()),
        region,
        today,
        policy: policy.revision.digest,
        filed: 0,
        changes: Vec::new(),
    };
    let bar = ProgressBar::new(people);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} people, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(format!("loading {}", ledger.store().kind()));
    for family in 0..families {
        loader.family(family).ok_or("a bench person cannot be made")?;
        if (family + 1) % FAMILIES_PER_COMMIT == 0 || family + 1 == families {
            let verdicts = loader.store.commit(std::mem::take(&mut loader.changes), ledger.now()).await;
            verdicts.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            bar.set_position((family + 1) * FAMILY);
        }
    }
    ledger
        .store()
        .wait_durable(ledger.store().head().await.map_err(|error| error.to_string())?.position)
        .await
        .map_err(|error| error.to_string())?;
    bar.finish_and_clear();
    Ok(families)
}

impl Loader<'_> {
    fn family(&mut self, family: u64) -> Option<()> {
        let first = family * FAMILY;
        let mut patient = None;
        for person in first..first + FAMILY {
            let mut standing = self.member(person)?;
            let fen = match person - first {
                0 if family.is_multiple_of(2) => 0,
                0 => OWN_FEN,
                _ => OWNER_FEN + i64::try_from(Random::new(person).below(600_000)).ok()?,
            };
            if fen > 0 {
                self.credit(person, Money::fen(fen), &mut standing);
            }
            patient.get_or_insert(standing);
        }
        let mut patient = patient?;
        for (owner, relation) in (first + 1..).zip([Relation::Spouse, Relation::Parent, Relation::Child]) {
            self.binding(owner, first, relation, &mut patient);
        }
        Some(())
    }

    fn change(&mut self, record: &Record, puts: Vec<(Key, Entity)>, lists: Vec<(ListKey, u128)>) {
        let bytes = record::encode_record(record, &[0; 32]);
        self.changes.push(Change {
            began_at: 0,
            expects: Vec::new(),
            puts,
            content_hash: chain::content_hash(&bytes),
            record: bytes,
            lists,
            before: None,
        });
        self.filed += 1;
    }

    fn member(&mut self, person: u64) -> Option<Standing> {
        let id = member_id(person);
        let insurance = Insurance {
            scheme: Scheme::Employee,
            tier: String::new(),
            state: InsuranceState::Normal,
            region: self.region,
            has_account: true,
            start: date(2020, 1, 1),
        };
        let who = Person {
            member: id,
            name: ["张建国", "李秀英", "王磊", "陈丽华"][usize::try_from(person % 4).ok()?].to_owned(),
            id_number: id_number(person)?,
            card_number: card(person),
            personal_number: String::new(),
            computer_number: String::new(),
        };
        let member = Member { id, sex: who.id_number.sex(), insurance };
        let mut puts: Vec<(Key, Entity)> = who
            .references()
            .iter()
            .map(|reference| (Key::Reference(self.keys.reference(reference)), Entity::Reference(id)))
            .collect();
        let mut standing = Standing::new(member.clone(), mask_name(&who.name).into());
        standing.account = Some(Account::opened(id, self.today));
        puts.push((Key::Standing(id), Entity::Standing(Arc::new(standing.clone()))));
        puts.push((Key::Person(id), Entity::Person(Arc::new(who))));
        let lists = vec![insured_in(&member)];
        self.change(&Record { event: Event::MemberCreated { member }, postings: Vec::new() }, puts, lists);
        Some(standing)
    }

    fn credit(&mut self, person: u64, amount: Money, standing: &mut Standing) {
        let id = member_id(person);
        let mut after = Account::opened(id, self.today);
        let mut postings = Vec::new();
        let (bucket, source) = (Bucket::PriorYears, Party::Credits(self.region));
        // An amount far below what a bucket may hold.
        let _ = after.receive(bucket, amount, source, &mut postings);
        let event = Event::Credited {
            after: after.clone(),
            bucket,
            amount,
            kind: CreditKind::Monthly,
            note: "bench".to_owned(),
        };
        standing.account = Some(after);
        let puts = vec![(Key::Standing(id), Entity::Standing(Arc::new(standing.clone())))];
        self.change(&Record { event, postings }, puts, vec![(list_of(ListKind::AccountEntries, id.as_u128()), 0)]);
    }

    fn binding(&mut self, owner: u64, beneficiary: u64, relation: Relation, patient: &mut Standing) {
        let (owner_id, beneficiary_id) = (member_id(owner), member_id(beneficiary));
        let raw = member_id(owner + (1 << 40)).as_u128();
        let evidence = ["OWNER_ID", "BENEFICIARY_ID", "COMMITMENT"];
        let evidence = evidence.map(|kind| Evidence {
            kind: kind.to_owned(),
            reference: "bench".to_owned(),
            digest: String::new(),
        });
        let binding = Binding {
            id: BindingId::from_u128(raw),
            owner: owner_id,
            beneficiary: beneficiary_id,
            owner_region: self.region,
            beneficiary_region: self.region,
            relation,
            relation_detail: String::new(),
            channel: Channel::AgencyWindow,
            evidence: evidence.to_vec(),
            grants: vec![Grant::ViewStatement, Grant::Spend],
            start: date(2024, 1, 1),
            last_day: None,
            caps: Caps { per_settlement: Some(CAP), per_day: None, per_year: None },
            priority: 0,
            life: Life::InForce,
        };
        patient.family.ties.push(binding.tie(self.filed + 1));
        let ward = Ward { binding: binding.id, beneficiary: beneficiary_id, last_day: None };
        let puts = vec![
            (Key::Binding(binding.id), Entity::Binding(Arc::new(binding.clone()))),
            (Key::Standing(beneficiary_id), Entity::Standing(Arc::new(patient.clone()))),
            (Key::Wards(owner_id), Entity::Wards(Arc::new(Wards { bindings: vec![ward] }))),
        ];
        let mut recorded = binding;
        recorded.evidence.iter_mut().for_each(|evidence| evidence.reference.clear());
        let event = Event::BindingCreated { binding: recorded, policies: vec![self.policy, self.policy] };
        let lists = vec![
            (list_of(ListKind::OwnerBindings, owner_id.as_u128()), raw),
            (list_of(ListKind::BeneficiaryBindings, beneficiary_id.as_u128()), raw),
        ];
        self.change(&Record { event, postings: Vec::new() }, puts, lists);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!((card(0), card(1_234)), (format!("B{:015}", 0), format!("B{:015}", 1_234)));
    }

    #[test]
    fn everybody_is_somebody_else() {
        let people = (0..200_000).step_by(7);
        let numbers: HashSet<String> =
            people.clone().map(|person| id_number(person).expect("valid").reveal().to_owned()).collect();
        let ids: HashSet<MemberId> = people.clone().map(member_id).collect();
        assert_eq!((numbers.len(), ids.len()), (people.clone().count(), people.count()));
    }
}
