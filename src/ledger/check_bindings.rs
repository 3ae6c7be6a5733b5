//! What `CheckLedger` knows of bindings: each is made again from its records, and compared with the fact, with its place in
//! the beneficiary's family and with its place among the owner's wards.

use std::collections::HashMap;

use jiff::civil::Date;

use super::Ledger;
use super::check::Report;
use super::failure::Failure;
use super::reading::Reading;
use crate::domain::binding::{Binding, Family, Life, Release, Spends, Tie, Wards};
use crate::domain::ids::{BindingId, MemberId};
use crate::domain::record::Event;
use crate::domain::time::Moment;
use crate::store::Key;

/// A binding as its records make it.
struct Made {
    beneficiary: MemberId,
    /// As it stands in the family; of one that was released from tomorrow on, its last day is the fact's.
    tie: Tie,
    missing: Vec<String>,
    /// What may be drawn through it once no step is missing.
    granted: Spends,
    ended: Option<Ended>,
    /// How it stands in family and wards.
    stands: Stands,
}

/// How it ended before its last day.
#[derive(Clone, Copy)]
struct Ended {
    at: Moment,
    requested: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Yes,
    No,
    /// The fact is wrong, and is told; or it has changed after the check began.
    Unknown,
}

/// All of them, by id and by the people they stand with.
#[derive(Default)]
pub(super) struct Bindings {
    made: HashMap<BindingId, Made>,
    of_beneficiary: HashMap<MemberId, Vec<BindingId>>,
    of_owner: HashMap<MemberId, Vec<BindingId>>,
}

impl Bindings {
    pub fn len(&self) -> u64 {
        self.made.len() as u64
    }

    /// Takes in a record. False: it is about a binding that no record made.
    pub fn take(&mut self, event: &Event, at: Moment) -> bool {
        if let Event::BindingCreated { binding, .. } = event {
            return self.create(binding);
        }
        if let Event::BindingVerified { binding, missing, .. } = event {
            return self.change(*binding, |made| {
                made.missing.clone_from(missing);
                if missing.is_empty() {
                    made.tie.spends = made.granted;
                }
            });
        }
        if let Event::BindingsReordered { order, .. } = event {
            let mut places = (1_u32..).zip(order);
            return places.all(|(place, id)| self.change(*id, |made| made.tie.priority = place));
        }
        if let Event::BindingReleased { binding, .. } = event {
            return self.change(*binding, |made| made.ended = Some(Ended { at, requested: true }));
        }
        if let Event::InsuranceUpdated { released, .. } = event {
            let end = |made: &mut Made| made.ended = Some(Ended { at, requested: false });
            return released.iter().all(|id| self.change(*id, end));
        }
        true
    }

    fn create(&mut self, binding: &Binding) -> bool {
        let made = Made {
            beneficiary: binding.beneficiary,
            tie: binding.tie(0),
            missing: binding.missing().to_vec(),
            granted: binding.granted(),
            ended: None,
            stands: Stands::Yes,
        };
        self.of_beneficiary.entry(binding.beneficiary).or_default().push(binding.id);
        self.of_owner.entry(binding.owner).or_default().push(binding.id);
        self.made.insert(binding.id, made).is_none()
    }

    fn change(&mut self, id: BindingId, change: impl FnOnce(&mut Made)) -> bool {
        self.made.get_mut(&id).map(change).is_some()
    }

    /// The facts in which bindings stand.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let families = self.of_beneficiary.keys().map(|member| Key::Standing(*member));
        families.chain(self.of_owner.keys().map(|member| Key::Wards(*member)))
    }

    /// Whether a family has the ties of its member's bindings, all of them and no other. What ran out may still stand.
    pub fn is_family(&self, member: MemberId, family: &Family, today: Date) -> bool {
        let right = |tie: &Tie| {
            let made = self.made.get(&tie.binding).filter(|made| made.beneficiary == member);
            made.is_some_and(|made| made.stands == Stands::Unknown || made.is_tied_by(tie))
        };
        let ids: Vec<BindingId> = family.ties.iter().map(|tie| tie.binding).collect();
        family.ties.iter().all(right) && self.are_those(&self.of_beneficiary, member, ids, today)
    }

    /// The same of an owner's wards.
    pub fn are_wards(&self, owner: MemberId, wards: &Wards, today: Date) -> bool {
        let right = |ward: &crate::domain::binding::Ward| {
            let made = self.made.get(&ward.binding).filter(|made| made.tie.owner == owner);
            made.is_some_and(|made| {
                let same = (ward.beneficiary, ward.last_day) == (made.beneficiary, made.tie.last_day);
                made.stands == Stands::Unknown || (made.stands == Stands::Yes && same)
            })
        };
        let ids: Vec<BindingId> = wards.bindings.iter().map(|ward| ward.binding).collect();
        wards.bindings.iter().all(right) && self.are_those(&self.of_owner, owner, ids, today)
    }

    /// Whether each is there once, and none is missing that has to be there.
    fn are_those(
        &self,
        of: &HashMap<MemberId, Vec<BindingId>>,
        member: MemberId,
        mut there: Vec<BindingId>,
        today: Date,
    ) -> bool {
        let found = there.len();
        there.sort_unstable();
        there.dedup();
        let has_to_be = |id: &&BindingId| {
            let made = self.made.get(id).filter(|made| made.stands == Stands::Yes);
            made.is_some_and(|made| made.tie.last_day.is_none_or(|last| last >= today))
        };
        let expected = of.get(&member).map(Vec::as_slice).unwrap_or_default();
        found == there.len() && expected.iter().filter(has_to_be).all(|id| there.binary_search(id).is_ok())
    }
}

impl Made {
    fn is_tied_by(&self, tie: &Tie) -> bool {
        self.stands == Stands::Yes && plain(tie) == plain(&self.tie)
    }

    /// Whether the fact is what the records make of it; notes how it stands with its people.
    fn is(&mut self, fact: &Binding) -> bool {
        let released = |release: &Release| {
            self.ended.is_some_and(|ended| release.requested == ended.requested && release.at <= ended.at)
        };
        let life = match &fact.life {
            Life::InForce => self.ended.is_none() && self.missing.is_empty(),
            Life::Pending { missing } => self.ended.is_none() && !missing.is_empty() && *missing == self.missing,
            Life::Released(release) => released(release),
            Life::ReleasedFrom { release, from } => {
                released(release) && release.requested && *from > release.at.civil_day() && self.missing.is_empty()
            }
        };
        // What waits for its steps and is released is told by its life alone.
        let spends = if self.ended.is_some() { self.tie.spends } else { fact.tie(0).spends };
        let same = plain(&Tie { spends, ..fact.tie(0) }) == plain(&self.tie) && fact.beneficiary == self.beneficiary;
        match &fact.life {
            Life::InForce | Life::Pending { .. } => {}
            Life::Released(_) => self.stands = Stands::No,
            Life::ReleasedFrom { release, .. } => {
                let last = release.at.civil_day();
                self.tie.last_day = Some(self.tie.last_day.map_or(last, |known| known.min(last)));
            }
        }
        life && same
    }
}

/// A tie without what it counts and when it was filed.
fn plain(tie: &Tie) -> Tie {
    let zero = crate::domain::money::Money::ZERO;
    Tie { used_on: None, used_day: zero, used_year: zero, filed: 0, ..tie.clone() }
}

impl Ledger {
    /// Compares each binding's fact with what its records make of it.
    pub(super) async fn compare_bindings(&self, bindings: &mut Bindings, report: &mut Report) -> Result<(), Failure> {
        let ids: Vec<BindingId> = bindings.made.keys().copied().collect();
        for chunk in ids.chunks(Report::CHUNK) {
            let keys: Vec<Key> = chunk.iter().map(|id| Key::Binding(*id)).collect();
            let mut reading = Reading::new(self.store());
            reading.get(&keys).await?;
            for (id, key) in chunk.iter().zip(&keys) {
                let Some(made) = bindings.made.get_mut(id) else { continue };
                let version = reading.version(key);
                if version > report.head.position {
                    made.stands = Stands::Unknown;
                } else if !reading.binding(key)?.is_some_and(|fact| made.is(fact)) {
                    made.stands = Stands::Unknown;
                    report.problem(version, "a binding is not what its records make of it");
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
