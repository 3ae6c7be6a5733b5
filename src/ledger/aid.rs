//! Which payments of a settlement were counted towards a region's limits, so that a refund frees what was counted and no more.

use super::Ledger;
use super::failure::Failure;
use super::reading::Reading;
use crate::domain::draw::Contribution;
use crate::domain::policy::Param;
use crate::domain::rule::{Rule, Subject};
use crate::domain::settlement::Settlement;
use crate::store::Key;

impl Ledger {
    /// By the settlement's own decision: a limit of today, or of another settlement's day, says nothing about money that was
    /// drawn under a law without one. Its basis is loaded; the looks at what each pair has used are done already.
    pub(super) async fn counted_aid(
        &self,
        reading: &mut Reading<'_>,
        settlement: &Settlement,
    ) -> Result<Vec<bool>, Failure> {
        let mut counted = vec![false; settlement.contributions.len()];
        let mut known = false;
        for paid in settlement.contributions.iter().filter(|paid| !paid.is_own()) {
            known |= reading.aid_use(&Key::AidUse(paid.payer, settlement.patient))?.is_some();
        }
        if !known {
            return Ok(counted);
        }
        let key = Key::Basis(settlement.id);
        reading.get(&[key]).await?;
        let basis = reading.basis(&key)?.ok_or(Failure::Bug("a settlement has no basis"))?;
        let policies = self.revisions(&settlement.policies).await?;
        let of = |paid: &Contribution| match paid.binding {
            Some(binding) => Some(Subject::Binding(binding)),
            None => {
                let place = basis.papers.iter().position(|paper| paper.owner == paid.payer)?;
                Some(Subject::Paper(u16::try_from(place).ok()?))
            }
        };
        for (counted, paid) in counted.iter_mut().zip(&settlement.contributions).filter(|(_, paid)| !paid.is_own()) {
            let subject = of(paid);
            let mut steps = basis.trace.steps.iter();
            let limited = steps.find(|step| step.rule == Rule::AidLimit && Some(step.subject) == subject);
            let policy = limited.and_then(|step| policies.get(usize::from(step.policy)));
            *counted = policy.is_some_and(|policy| {
                let mut over_time = [Param::AidPerDay, Param::AidPerYear].into_iter();
                over_time.any(|param| policy.value(param).is_some_and(|value| value.text != "none"))
            });
        }
        Ok(counted)
    }
}
