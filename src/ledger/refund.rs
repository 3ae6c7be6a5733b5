//! `RefundSettlement`: a settlement mirrored in whole or part, under the stored decision.

use std::sync::Arc;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::payers::{payer_accounts, payer_quotas};
use super::reading::{Reading, Standings};
use super::settle::institution_scope;
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::binding::AidUse;
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::settlement::{self, Parts, Refund, RefundAsk, Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

#[derive(Clone, Debug)]
pub struct RefundSettlement {
    pub request_id: RequestId,
    pub institution: InstitutionCode,
    pub settlement: SettlementId,
    pub ask: RefundAsk,
}

/// The settlement after this refund, and what the refund returned.
#[derive(Clone, Debug)]
pub struct RefundOutcome {
    pub settlement: Settlement,
    pub refund: Refund,
    pub trace: Trace,
    pub current_state: SettlementState,
}

impl Command for RefundSettlement {
    type Outcome = RefundOutcome;
    const METHOD: u8 = 2;

    fn request(&self) -> (String, &RequestId) {
        (institution_scope(&self.institution), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        let parts = match self.ask {
            RefundAsk::Whole => None,
            RefundAsk::Parts(parts) => Some(parts),
        };
        fields.field("settlement_id", &self.settlement).field("whole", &parts.is_none()).field("parts", &parts);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<RefundOutcome>, Failure> {
        let key = Key::Settlement(self.settlement);
        reading.get(&[key]).await?;
        let stored = reading.settlement(&key)?.filter(|settlement| settlement.institution == self.institution);
        let stored = stored.ok_or(Failure::NotFound(Thing::Settlement))?.clone();
        let mut keys = vec![Key::Standing(stored.patient)];
        keys.extend(stored.contributions.iter().map(|contribution| Key::Standing(contribution.payer)));
        let relatives = stored.contributions.iter().filter(|contribution| !contribution.is_own());
        keys.extend(relatives.map(|contribution| Key::AidUse(contribution.payer, stored.patient)));
        keys.extend(stored.contributions.iter().filter_map(|contribution| contribution.binding.map(Key::Quota)));
        reading.get(&keys).await?;
        let was_counted = ledger.counted_aid(reading, &stored).await?;

        let mut trace = Trace::under(ledger.book.digest);
        let (parts, returned) = settlement::decide_refund(&stored, self.ask, &mut trace).map_err(Failure::refused)?;
        let today = now.civil_day();
        let mut postings = Vec::new();
        let touched: Vec<_> =
            returned.iter().map(|(place, _)| stored.contributions[usize::from(*place)].clone()).collect();
        let mut quotas = payer_quotas(reading, &touched, today, &mut postings);
        let mut accounts = payer_accounts(reading, touched.iter(), today, &mut postings)?;
        let year = stored.visit.date.year();
        let patient = reading.known(stored.patient)?;
        let mut family = patient.family.clone();
        let place =
            u16::try_from(stored.refunds.len()).map_err(|_| Failure::Bug("a settlement has too many refunds"))?;
        let refund =
            Refund { request_id: self.request_id.as_str().to_owned(), parts, returned: returned.clone(), at: now };
        let settled_on = stored.created_at.civil_day();
        let mut refunded = stored.clone();
        settlement::apply_refund(
            &mut refunded,
            refund.clone(),
            today,
            settled_on,
            &mut accounts,
            &mut quotas,
            Some(&mut family),
            &mut postings,
        )
        .map_err(Failure::refused)?;

        let mut standings = Standings::new(reading);
        let used = patient.year_use(year);
        let mut used_after = used;
        used_after.fund = used.fund.minus_or_zero(parts.fund);
        // A part of a bill has no deductible of its own: it is given back when the whole bill is.
        if refunded.state() == SettlementState::Refunded {
            used_after.deductible = used.deductible.minus_or_zero(stored.amounts.split.deductible);
        }
        if used_after != used {
            standings.of(stored.patient)?.set_year_use(year, used_after);
        }
        if family != patient.family {
            standings.of(stored.patient)?.family = family;
        }
        let mut counted: Vec<(Key, AidUse)> = Vec::new();
        for (place, amount) in &returned {
            let contribution = &stored.contributions[usize::from(*place)];
            let key = Key::AidUse(contribution.payer, stored.patient);
            if !was_counted[usize::from(*place)] {
                continue;
            }
            if let Some((_, aid)) = counted.iter_mut().find(|(known, _)| *known == key) {
                aid.returned(today, settled_on, *amount);
            } else if let Some(mut aid) = reading.aid_use(&key)?.copied() {
                aid.returned(today, settled_on, *amount);
                counted.push((key, aid));
            }
        }
        let lists = accounts.iter().map(|account| (list_of(ListKind::AccountEntries, account.member.as_u128()), 0));
        let mut lists: Vec<_> = lists.collect();
        lists.push((ledger.changes_of(&self.institution), self.settlement.as_u128()));
        for account in accounts {
            let member = account.member;
            standings.of(member)?.account = Some(account);
        }
        let mut puts: Vec<(Key, Entity)> = standings.into_puts().collect();
        puts.extend(counted.into_iter().map(|(key, aid)| (key, Entity::AidUse(aid))));
        puts.extend(quotas.into_iter().map(|quota| (Key::Quota(quota.binding), Entity::Quota(Arc::new(quota)))));
        let decided = Decided { trace: trace.clone(), policies: refunded.policies.clone() };
        puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))));
        puts.push((key, Entity::Settlement(Arc::new(refunded.clone()))));
        let record =
            Record { event: Event::Refunded { settlement: self.settlement, parts, returned, place }, postings };
        let current_state = refunded.state();
        Ok(Plan { record, puts, lists, outcome: RefundOutcome { settlement: refunded, refund, trace, current_state } })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<RefundOutcome, Failure> {
        let Event::Refunded { settlement, place, .. } = record.event else {
            return Err(Failure::Bug("a refund request made another record"));
        };
        let (key, decided) = (Key::Settlement(settlement), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        let stored = reading.settlement(&key)?.ok_or(Failure::Bug("a refunded settlement is missing"))?;
        let refund = stored.refunds.get(usize::from(place)).cloned().ok_or(Failure::Bug("a refund is missing"))?;
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        let settlement = stored.after_refunds(usize::from(place) + 1);
        Ok(RefundOutcome { settlement, refund, trace, current_state: stored.state() })
    }
}

impl Parts {
    /// Whether there is anything to return.
    pub fn is_empty(&self) -> bool {
        self.total().is_zero()
    }
}
