//! The facts of a case: patient, family, the accounts of everybody in it, and the policies of the visit's day.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::civil::Date;
use smol_str::SmolStr;

use super::failure::{Failure, Thing, Violation};
use super::reading::Reading;
use super::settle::Paper;
use super::{LOST_AMONG_OTHERS, Ledger};
use crate::domain::account::Account;
use crate::domain::bill::{Bill, Visit};
use crate::domain::binding::{AidUse, Caps, Family, Spends, Tie};
use crate::domain::draw::{Contribution, Owner, Patient};
use crate::domain::ids::{BindingId, MemberId, RegionCode};
use crate::domain::member::{Member, MemberRef};
use crate::domain::money::Money;
use crate::domain::paper::Slip;
use crate::domain::policy::Policy;
use crate::domain::quota::Quota;
use crate::domain::settlement::Case;
use crate::domain::time::Moment;
use crate::domain::vocabulary::Relation;
use crate::domain::year_use::{UseOf, YearUse};
use crate::store::Key;
use crate::store::entity::PayerFact;

/// The facts of a case, borrowed from a reading; the policies are the ledger's.
pub struct Loaded<'l, 'r> {
    pub patient: &'r Member,
    pub account: Option<Account>,
    pub used: &'r [(UseOf, YearUse)],
    pub family: &'r Family,
    /// Of the patient's region first, then of the owners' regions.
    pub policies: Vec<&'l Arc<Policy>>,
    owners: Vec<LoadedOwner<'r>>,
}

struct LoadedOwner<'r> {
    tie: Cow<'r, Tie>,
    paper: Option<u16>,
    slip: Option<&'r Slip>,
    member: &'r Member,
    account: Option<Account>,
    quota: Option<Quota>,
    masked_name: &'r SmolStr,
    policy_index: u8,
    aid: AidUse,
}

impl Loaded<'_, '_> {
    pub fn case<'a>(&'a self, ledger: &'a Ledger, visit: &'a Visit, bill: &'a Bill, today: Date) -> Case<'a> {
        let owners = self.owners.iter().map(|owner| Owner {
            tie: &owner.tie,
            paper: owner.paper,
            slip: owner.slip,
            member: owner.member,
            account: owner.account.as_ref(),
            quota: owner.quota.as_ref(),
            policy: self.policies[usize::from(owner.policy_index)],
            policy_index: owner.policy_index,
            aid: owner.aid,
        });
        Case {
            today,
            visit,
            bill,
            patient: Patient { member: self.patient, account: self.account.as_ref() },
            policy: self.policies[0],
            used: self.used,
            owners: owners.collect(),
            regions: &ledger.book.regions,
        }
    }

    /// What the patient drew already from each of these payers whose region limits it.
    pub(super) fn aid_of(&self, contributions: &[Contribution]) -> Vec<(MemberId, AidUse)> {
        let counted =
            |owner: &&LoadedOwner<'_>| contributions.iter().any(|paid| paid.counted && paid.payer == owner.member.id);
        self.owners.iter().filter(counted).map(|owner| (owner.member.id, owner.aid)).collect()
    }

    /// The masked names of everybody who might have to be named.
    pub(super) fn names(&self) -> Vec<(MemberId, SmolStr)> {
        self.owners.iter().map(|owner| (owner.member.id, owner.masked_name.clone())).collect()
    }

    pub(super) fn payer_facts(&self, today: Date) -> Vec<PayerFact> {
        let own = self.account.as_ref().map(|account| (account, None));
        let owners = self.owners.iter().filter_map(|owner| Some((owner.account.as_ref()?, owner.tie.cap_left(today))));
        let fact = |(account, cap_left): (&Account, Option<Money>)| PayerFact {
            member: account.member,
            current: account.current,
            prior: account.prior,
            cap_left,
        };
        own.into_iter().chain(owners).map(fact).collect()
    }
}

impl Ledger {
    /// Where a look for the member begins.
    pub(super) fn key_of(&self, reference: &MemberRef) -> Key {
        if let MemberRef::Id(id) = reference {
            return Key::Standing(*id);
        }
        Key::Reference(self.keys.reference(reference))
    }

    /// The member a reference leads to.
    pub async fn resolve(&self, reading: &mut Reading<'_>, reference: &MemberRef) -> Result<MemberId, Failure> {
        self.resolve_as(reading, reference, "").await
    }

    /// The same, of one of several people of a request: nobody there is told with the field.
    pub async fn resolve_as(
        &self,
        reading: &mut Reading<'_>,
        reference: &MemberRef,
        field: &str,
    ) -> Result<MemberId, Failure> {
        let not_found = || Failure::NobodyThere { named_by: reference.kind(), field: field.to_owned() };
        let key = self.key_of(reference);
        reading.get(&[key]).await?;
        let MemberRef::Id(id) = reference else {
            return reading.reference(&key)?.copied().ok_or_else(not_found);
        };
        reading.standing(&key)?.map(|_| *id).ok_or_else(not_found)
    }

    /// A look at a case as of now, for a quote or for whoever asks who can pay: the instant, what was seen, the patient and
    /// the owners on paper.
    pub(super) async fn look_at_case(
        &self,
        patient: &MemberRef,
        papers: &[Paper],
        visit_day: Date,
    ) -> Result<(Moment, Reading<'_>, MemberId, Vec<MemberId>), Failure> {
        let (mut torn, mut alone) = (0, None);
        loop {
            let now = self.now();
            let mut reading = Reading::as_of(self.store(), now);
            let found = self.load_case(&mut reading, patient, papers, visit_day).await;
            let ran_out = matches!(found, Err(Failure::RanOut(_)));
            if reading.is_torn() && alone.is_none() && !ran_out {
                // Facts of two moments: once more, and in the end alone in this process.
                torn += 1;
                if torn > LOST_AMONG_OTHERS {
                    alone = Some(self.gate.write().await);
                }
                continue;
            }
            if ran_out {
                alone = None;
            }
            match found {
                Ok((patient, on_paper)) => return Ok((now, reading, patient, on_paper)),
                Err(Failure::RanOut(holds)) => self.end_holds(&holds).await?,
                Err(failure) => {
                    self.store().wait_durable(reading.read_at()).await?;
                    return Err(failure);
                }
            }
        }
    }

    /// Loads what a case needs: patient, then family, then the accounts of everybody in it.
    pub async fn load_case(
        &self,
        reading: &mut Reading<'_>,
        patient: &MemberRef,
        papers: &[Paper],
        visit_day: Date,
    ) -> Result<(MemberId, Vec<MemberId>), Failure> {
        let first = self.key_of(patient);
        if !reading.is_at_hand(&first) {
            reading.look_ahead(&[first]).await?;
        }
        let patient = self.resolve_as(reading, patient, "patient").await?;
        reading.get(&[Key::Standing(patient)]).await?;
        let mut on_paper = Vec::with_capacity(papers.len());
        for (place, paper) in papers.iter().enumerate() {
            let found = self.resolve_as(reading, &paper.owner, "").await.map_err(|failure| failure.of_paper(place))?;
            on_paper.push(found);
        }
        if !papers.is_empty() {
            let key = Key::Person(patient);
            reading.get(&[key, Key::Slips(patient)]).await?;
            let card = reading.person(&key)?.map(|person| person.card_number.as_str());
            let others = papers.iter().enumerate().filter(|(_, paper)| Some(paper.user_card.as_str()) != card);
            let violations = others.map(|(place, _)| Violation {
                field: format!("paper_authorisations[{place}].user_card"),
                description: "is not the patient's card".to_owned(),
            });
            let violations: Vec<Violation> = violations.collect();
            if !violations.is_empty() {
                return Err(Failure::Invalid(violations));
            }
        }
        let family = &reading.known(patient)?.family;
        let owners = family.ties.iter().map(|tie| tie.owner).chain(on_paper.iter().copied());
        let keys: Vec<Key> = owners.map(Key::Standing).collect();
        reading.get(&keys).await?;
        let mut counted = Vec::new();
        let mut known = None;
        for key in keys {
            let Key::Standing(owner) = key else { continue };
            let member = reading.member(owner)?;
            let region = member.insurance.region;
            // Most of a family are insured in one region.
            let counts = match known {
                Some((of, counts)) if of == region => counts,
                _ => self.policy_at(member, visit_day)?.rules.counts_aid(),
            };
            known = Some((region, counts));
            if counts {
                counted.push(Key::AidUse(owner, patient));
            }
        }
        reading.get(&counted).await?;
        let quotas = self.quota_keys(reading, patient)?;
        reading.get(&quotas).await?;
        Ok((patient, on_paper))
    }

    /// The quotas that may have been set for a patient: of owners in another province, and of those whose own region knows
    /// quotas. For most families there are none, and nothing more is loaded.
    fn quota_keys(&self, reading: &Reading<'_>, patient: MemberId) -> Result<Vec<Key>, Failure> {
        let patient = reading.known(patient)?;
        let to = patient.member.insurance.region;
        let mut keys = Vec::new();
        for tie in &patient.family.ties {
            let from = reading.member(tie.owner)?.insurance.region;
            if from.province() != to.province() || self.book.knows_quota(from) {
                keys.push(Key::Quota(tie.binding));
            }
        }
        Ok(keys)
    }

    /// Puts the loaded facts together, with the policies of the visit's day.
    pub fn assemble<'l, 'r>(
        &'l self,
        reading: &'r Reading<'_>,
        patient: MemberId,
        papers: &[Paper],
        on_paper: &[MemberId],
        visit_day: Date,
        today: Date,
    ) -> Result<Loaded<'l, 'r>, Failure> {
        let standing = reading.known(patient)?;
        let (member, family) = (&standing.member, &standing.family);
        let account = standing.account.as_ref().map(|account| account.as_of(today));
        let used = standing.used_in(visit_day.year(), member.insurance.region);
        let mut policies = vec![self.policy_at(member, visit_day)?];
        let mut owners = Vec::with_capacity(family.ties.len() + papers.len());
        // Nobody pays twice: a binding that can pay goes before paper, paper before one that cannot, and the first paper
        // before the next.
        let can_pay = |tie: &Tie| tie.can_pay(today);
        let bound = |owner: &MemberId| family.ties.iter().any(|tie| tie.owner == *owner && can_pay(tie));
        let kept = family.ties.iter().filter(|tie| can_pay(tie) || !on_paper.contains(&tie.owner));
        let ties = kept.map(|tie| (Cow::Borrowed(tie), None));
        let named = papers.iter().zip(on_paper).enumerate();
        let once = named.filter(|(place, (_, owner))| !bound(owner) && !on_paper[..*place].contains(owner));
        let on_paper = once.map(|(place, (paper, owner))| {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            (Cow::Owned(paper_tie(*owner, paper.relation, place, today)), Some(place))
        });
        for (tie, paper) in ties.chain(on_paper) {
            let standing = reading.standing(&Key::Standing(tie.owner))?;
            let standing = standing.ok_or(Failure::Bug("a tie leads to no member"))?;
            let member = &standing.member;
            // One region has one policy on one day.
            let index = match policies.iter().position(|known| known.region == member.insurance.region) {
                Some(index) => index,
                None => {
                    policies.push(self.policy_at(member, visit_day)?);
                    policies.len() - 1
                }
            };
            let account = standing.account.as_ref().map(|account| account.as_of(today));
            let counts = policies[index].rules.counts_aid();
            let aid = if counts { reading.aid_use(&Key::AidUse(tie.owner, patient))?.copied() } else { None };
            let quota = if paper.is_none() { live_quota(reading, tie.binding, today) } else { None };
            let slip = match paper {
                Some(_) => reading.slips(&Key::Slips(patient))?.and_then(|slips| slips.of(tie.owner)),
                None => None,
            };
            owners.push(LoadedOwner {
                tie,
                paper,
                slip,
                member,
                account,
                quota,
                masked_name: &standing.masked_name,
                policy_index: u8::try_from(index).unwrap_or(u8::MAX),
                aid: aid.unwrap_or_default(),
            });
        }
        Ok(Loaded { patient: member, account, used, family, policies, owners })
    }

    pub(crate) fn policy_of(&self, member: &Member, on: Date) -> Result<Arc<Policy>, Failure> {
        self.policy_at(member, on).cloned()
    }

    /// Not counted: every count of users is a place that all threads write to.
    fn policy_at(&self, member: &Member, on: Date) -> Result<&Arc<Policy>, Failure> {
        self.book.policy(member.insurance.region, on).ok_or(Failure::NotFound(Thing::Region))
    }

    /// Refuses a place of care that is nowhere. Any division of a province will do, a district as well as a pool: the place
    /// says no more than local or away, and a bill is not refused for a code that the list of pools does not have.
    pub fn check_care_region(&self, visit: &Visit) -> Result<(), Failure> {
        self.check_care_code(visit.care_region)
    }

    pub fn check_care_code(&self, code: RegionCode) -> Result<(), Failure> {
        match self.book.regions.get(code.province()) {
            Some(_) => Ok(()),
            None => Err(Failure::invalid("visit.care_region_code", "lies in no province")),
        }
    }

    /// Refuses future days and days too long past.
    pub fn check_day(&self, field: &str, day: Date, today: Date) -> Result<(), Failure> {
        if day == today {
            return Ok(());
        }
        if day > today {
            return Err(Failure::invalid(field, "lies in the future"));
        }
        let age = today.since(day).map(|span| span.get_days()).unwrap_or(i32::MAX);
        if age > i32::try_from(self.limits.max_backdate_days).unwrap_or(i32::MAX) {
            let most = self.limits.max_backdate_days;
            return Err(Failure::invalid(field, &format!("is more than {most} days ago (max_backdate_days)")));
        }
        Ok(())
    }
}

/// A quota in force, as of a day; what was not loaded was not set.
fn live_quota(reading: &Reading<'_>, binding: BindingId, today: Date) -> Option<Quota> {
    let found = reading.quota(&Key::Quota(binding)).ok().flatten()?;
    found.is_live().then(|| found.as_of(today))
}

/// Ties on paper come after filed ones, in the order given.
fn paper_tie(owner: MemberId, relation: Relation, place: u16, today: Date) -> Tie {
    Tie {
        binding: BindingId::from_u128(u128::from(place)),
        owner,
        relation,
        spends: Spends::Yes,
        start: today,
        last_day: None,
        caps: Caps::default(),
        used_on: None,
        used_day: Money::ZERO,
        used_year: Money::ZERO,
        priority: 0,
        filed: u64::MAX - u64::from(u16::MAX) + u64::from(place),
    }
}
