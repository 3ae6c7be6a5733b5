//! The policy set and the ledger: what the data were written under, what is other now, and which grades are not decided on.

use std::borrow::Borrow;
use std::sync::{Arc, PoisonError};

use jiff::civil::Date;

use super::failure::Failure;
use super::reading::Reading;
use super::{Ledger, page};
use crate::domain::ids::RegionCode;
use crate::domain::policy::{Param, Policy, SetPart};
use crate::domain::region::RegionBook;
use crate::domain::rule::Trace;
use crate::domain::vocabulary::Grade;
use crate::domain::wording::Told;
use crate::store::entity::{PolicySet, StoredCitation, StoredPolicy, StoredValue};
use crate::store::{Entity, Key, StoreError, record};

/// Grades a server was told to refuse, as bits by their stored codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusedGrades(u8);

impl RefusedGrades {
    /// Reads `demo,unverified`; the first word that is no grade otherwise.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut refused = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let grade = Grade::parse(&word.to_uppercase()).ok_or_else(|| word.to_owned())?;
            refused.0 |= 1 << grade.code();
        }
        Ok(refused)
    }

    pub fn contains(self, grade: Grade) -> bool {
        self.0 & (1 << grade.code()) != 0
    }

    pub fn list(self) -> impl Iterator<Item = Grade> {
        Grade::ALL.iter().copied().filter(move |grade| self.contains(*grade))
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What of refused grades a decision rests on, each once.
struct Named {
    refused: RefusedGrades,
    names: Vec<String>,
}

impl Named {
    fn value(&mut self, policy: &Policy, param: Param) {
        self.add(policy.region, param.name(), policy.value(param).grade);
    }

    fn opening(&mut self, regions: &RegionBook, region: RegionCode, on: Date) {
        if let Some(opening) = regions.open_on(region, on) {
            self.add(region, "cross_province", opening.citation.grade);
        }
    }

    fn add(&mut self, region: RegionCode, name: &str, grade: Grade) {
        let name = format!("{region}/{name} {}", grade.name());
        if self.refused.contains(grade) && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    fn done(self) -> Result<(), Failure> {
        if self.names.is_empty() { Ok(()) } else { Err(Failure::GradeRefused(self.names)) }
    }
}

impl Ledger {
    /// Refuses a decision that rests on values of a grade this server does not decide on, naming them. `on` is the day of
    /// the law: where money crosses provinces, it rests on both regions' having opened by then.
    pub fn check_grades(&self, trace: &Trace, policies: &[impl Borrow<Arc<Policy>>], on: Date) -> Result<(), Failure> {
        let refused = self.limits.refused_grades;
        if refused.is_empty() {
            return Ok(());
        }
        let mut named = Named { refused, names: Vec::new() };
        for step in &trace.steps {
            let Some(policy) = policies.get(usize::from(step.policy)).map(Borrow::borrow) else { continue };
            let sides = step.between().and_then(|(one, other)| Some((policies.get(one)?, policies.get(other)?)));
            let sides = sides.map(|(one, other)| [one.borrow().region, other.borrow().region]);
            let across = sides.filter(|[one, other]| one.province() != other.province());
            let params = step.params_across().filter(|_| across.is_some()).unwrap_or_else(|| step.params());
            params.iter().for_each(|param| named.value(policy, *param));
            across.iter().flatten().for_each(|region| named.opening(&self.book.regions, *region, on));
        }
        named.done()
    }

    /// A decision in the words in which it may be kept. After it was judged: what it rests on is read from the steps as they
    /// were made.
    pub fn tell(&self, trace: Trace) -> Told {
        self.store().wording().tell(trace)
    }

    /// As `check_grades`, for values that a change rests on without a trace.
    pub fn check_values(&self, policy: &Policy, params: &[Param]) -> Result<(), Failure> {
        let mut named = Named { refused: self.limits.refused_grades, names: Vec::new() };
        params.iter().for_each(|param| named.value(policy, *param));
        named.done()
    }

    /// What of the policies is other than when the data were last written; nothing where there are no data yet.
    pub async fn policy_differences(&self) -> Result<Vec<String>, Failure> {
        let head = self.store().head().await?.position;
        if head == 0 {
            return Ok(Vec::new());
        }
        let last = self.record_at(head).await?;
        let written = record::policy_set_of(&last.bytes).map_err(StoreError::from)?;
        if written == self.book.digest || written == [0; 32] {
            return Ok(Vec::new());
        }
        let key = Key::PolicySet(written);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        let Some(set) = reading.policy_set(&key)? else {
            return Ok(vec![format!("the policy set {} is not recorded", page::hex(&written))]);
        };
        Ok(differences(&set.parts, &self.book.parts))
    }

    /// The fact that says what this policy set is made of.
    pub(super) fn policy_set_put(&self) -> (Key, Entity) {
        let set = PolicySet { parts: self.book.parts.clone() };
        (Key::PolicySet(self.book.digest), Entity::PolicySet(Arc::new(set)))
    }
}

fn differences(then: &[SetPart], now: &[SetPart]) -> Vec<String> {
    let same_place = |a: &SetPart, b: &SetPart| a.name == b.name && a.start == b.start;
    let mut told = Vec::new();
    for part in now {
        match then.iter().find(|old| same_place(old, part)) {
            Some(old) if old.digest == part.digest => {}
            Some(_) => told.push(format!("{} from {} is changed", part.name, part.start)),
            None => told.push(format!("{} from {} is new", part.name, part.start)),
        }
    }
    let gone = then.iter().filter(|old| !now.iter().any(|part| same_place(old, part)));
    told.extend(gone.map(|old| format!("{} from {} is gone", old.name, old.start)));
    told.sort();
    told
}

impl Ledger {
    /// The facts to write so that these policies can be cited for ever: those this process has not committed yet. Noted as
    /// written by the commit alone: a decision that is refused or loses its race has written nothing.
    pub(crate) fn policy_puts<'p>(
        &self,
        policies: impl IntoIterator<Item = &'p Arc<Policy>>,
        puts: &mut Vec<(Key, Entity)>,
    ) {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        for policy in policies {
            let digest = policy.revision.digest;
            let key = Key::Policy(digest);
            if !stored.contains(&digest) && !puts.iter().any(|(put, _)| *put == key) {
                let revision = self.remember(policy);
                puts.push((key, Entity::Policy(revision)));
            }
        }
    }

    fn remember(&self, policy: &Policy) -> Arc<StoredPolicy> {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.entry(policy.revision.digest).or_insert_with(|| Arc::new(StoredPolicy::of(policy))).clone()
    }

    /// What a decision's policy said, for rendering: from this process's memory, or as stored on first use.
    pub async fn revisions(&self, digests: &[[u8; 32]]) -> Result<Vec<Arc<StoredPolicy>>, Failure> {
        let mut found = Vec::with_capacity(digests.len());
        for digest in digests {
            let known = self.revisions.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
            found.push(match known {
                Some(revision) => revision,
                None => self.load_revision(*digest).await?,
            });
        }
        Ok(found)
    }

    /// The same for policies at hand.
    pub fn revisions_of<'p>(&self, policies: impl IntoIterator<Item = &'p Arc<Policy>>) -> Vec<Arc<StoredPolicy>> {
        policies.into_iter().map(|policy| self.remember(policy)).collect()
    }

    async fn load_revision(&self, digest: [u8; 32]) -> Result<Arc<StoredPolicy>, Failure> {
        let key = Key::Policy(digest);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        let stored = reading.policy(&key)?.cloned().ok_or(Failure::Bug("a decision's policy revision is missing"))?;
        let stored = Arc::new(stored);
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, stored.clone());
        Ok(stored)
    }
}

impl StoredPolicy {
    /// What of a policy is kept for ever.
    pub(crate) fn of(policy: &Policy) -> Self {
        let values = policy.values.iter().map(|value| StoredValue {
            param: value.param,
            text: value.text.clone(),
            start: value.start,
            end: value.end,
            region: value.region,
            grade: value.grade,
            note: value.note.clone(),
            citation: StoredCitation {
                id: value.citation.id.clone(),
                document: value.citation.document.clone(),
                article: value.citation.article.clone(),
                effective: value.citation.effective,
                url: value.citation.url.clone(),
                grade: value.citation.grade,
                note: value.citation.note.clone(),
            },
        });
        Self {
            region: policy.region,
            start: policy.revision.start,
            end: policy.revision.end,
            known_from: policy.revision.known_from,
            values: values.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_other_is_named() {
        let part = |name: &str, day: i8, digest| SetPart {
            name: name.to_owned(),
            start: jiff::civil::date(2024, 1, day),
            digest: [digest; 8],
        };
        let then = [part("a", 1, 1), part("a", 2, 2), part("b", 1, 3)];
        let now = [part("a", 1, 1), part("a", 2, 9), part("c", 1, 4)];
        let told = differences(&then, &now);
        assert_eq!(told, ["a from 2024-01-02 is changed", "b from 2024-01-01 is gone", "c from 2024-01-01 is new"]);
        assert!(differences(&now, &now).is_empty());
    }

    #[test]
    fn grades_are_read_from_words() {
        let refused = RefusedGrades::parse("demo, unverified").expect("two grades");
        assert_eq!(refused.list().collect::<Vec<_>>(), [Grade::Unverified, Grade::Demo]);
        assert_eq!(RefusedGrades::parse("demo,sure"), Err("sure".to_owned()));
        assert!(RefusedGrades::parse("").expect("none").is_empty());
    }
}
