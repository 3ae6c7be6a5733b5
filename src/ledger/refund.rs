//! `RefundSettlement`: a settlement mirrored in whole or part, under the stored decision; and a refund put back.

use std::sync::Arc;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::hold::of_institution;
use super::payers::{books_of, close_books, load_touched, recount_slips};
use super::reading::{Reading, Standings};
use super::settle::institution_scope;
use super::{Command, Fresh, Ledger, Plan};
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::settlement::books::Books;
use crate::domain::settlement::{self, Parts, Refund, RefundAsk, Reversal, Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::domain::wording::Told;
use crate::store::entity::Decided;
use crate::store::{Entity, Key};

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
    pub trace: Told,
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
        let stored = of_institution(reading, self.settlement, &self.institution).await?;
        plan(ledger, reading, stored, self.ask, &self.request_id, false, now, fresh).await
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
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        let settlement = stored.after_refunds(usize::from(place) + 1);
        let refund = settlement.refunds.last().cloned().ok_or(Failure::Bug("a refund is missing"))?;
        Ok(RefundOutcome { settlement, refund, trace, current_state: stored.state() })
    }
}

/// Refunds a settlement; `reverses`: while resolving a lost answer.
#[allow(clippy::too_many_arguments, reason = "the settlement, what is asked, and the names it gets")]
pub(super) async fn plan(
    ledger: &Ledger,
    reading: &mut Reading<'_>,
    stored: Settlement,
    ask: RefundAsk,
    request_id: &RequestId,
    reverses: bool,
    now: Moment,
    fresh: Fresh,
) -> Result<Plan<RefundOutcome>, Failure> {
    let mut trace = Trace::under(ledger.book.digest);
    let (parts, returned) = settlement::decide_refund(&stored, ask, &mut trace).map_err(Failure::refused)?;
    // What is left can always be returned, so no money is kept by the bound.
    let left = stored.paid().total() - stored.refunded().total();
    if stored.refunds.len() >= ledger.limits.refunds_per_settlement as usize && parts.total() != left {
        return Err(Failure::refused(Reason::RefundsPerSettlementExceeded));
    }
    load_touched(reading, &stored).await?;
    let places = returned.iter().map(|(place, _)| *place);
    let mut books = books_of(reading, &stored, places, now.civil_day())?;
    let place = u16::try_from(stored.refunds.len()).map_err(|_| Failure::Bug("a settlement has too many refunds"))?;
    let request_id = request_id.as_str().to_owned();
    let mut refunded = stored.clone();
    if reverses {
        refunded.reversed_by.clone_from(&request_id);
    }
    let refund = Refund { request_id, parts, returned: returned.clone(), at: now, reversal: None };
    settlement::apply_refund(&mut refunded, refund.clone(), &mut books).map_err(Failure::refused)?;
    let event = Event::Refunded { settlement: stored.id, parts, returned, place };
    write(ledger, reading, &stored, refunded, refund, event, books, trace, fresh)
}

/// Puts a refund back, while the money is there.
pub(super) async fn plan_reversal(
    ledger: &Ledger,
    reading: &mut Reading<'_>,
    stored: Settlement,
    place: u16,
    request_id: &RequestId,
    now: Moment,
    fresh: Fresh,
) -> Result<Plan<RefundOutcome>, Failure> {
    // Past the bound stands the one that returned all; if it could be put back, there would be no end.
    if stored.refunds.len() > ledger.limits.refunds_per_settlement as usize {
        return Err(Failure::refused(Reason::RefundsPerSettlementExceeded));
    }
    load_touched(reading, &stored).await?;
    let mut trace = Trace::under(ledger.book.digest);
    let known = &stored.refunds[usize::from(place)];
    let (parts, taken) = (known.parts, known.returned.clone());
    let mut books = books_of(reading, &stored, taken.iter().map(|(place, _)| *place), now.civil_day())?;
    let after = u16::try_from(stored.refunds.len()).map_err(|_| Failure::Bug("a settlement has too many refunds"))?;
    let reversal = Reversal { request_id: request_id.as_str().to_owned(), at: now, after };
    let mut paid_again = stored.clone();
    settlement::reverse_refund(&mut paid_again, place, reversal, &mut books, &mut trace).map_err(Failure::refused)?;
    let refund = paid_again.refunds[usize::from(place)].clone();
    let event = Event::RefundReversed { settlement: stored.id, place, parts, taken };
    write(ledger, reading, &stored, paid_again, refund, event, books, trace, fresh)
}

#[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
fn write(
    ledger: &Ledger,
    reading: &Reading<'_>,
    before: &Settlement,
    after: Settlement,
    refund: Refund,
    event: Event,
    books: Books,
    trace: Trace,
    fresh: Fresh,
) -> Result<Plan<RefundOutcome>, Failure> {
    let mut standings = Standings::new(reading);
    let used = standings.before(before.patient)?.year_use(before.use_of());
    let mut used_after = used;
    used_after.fund = (used.fund + before.refunded().fund - after.refunded().fund).max(Money::ZERO);
    // A part of a bill has no deductible of its own: it is given back when the whole bill is.
    let deductible = before.year_deductible;
    match (before.state() == SettlementState::Refunded, after.state() == SettlementState::Refunded) {
        (false, true) => used_after.deductible = used.deductible.minus_or_zero(deductible),
        (true, false) => used_after.deductible = used.deductible + deductible,
        (false, false) | (true, true) => {}
    }
    if used_after != used {
        standings.of(before.patient)?.set_year_use(before.use_of(), used_after);
    }
    let (mut puts, mut lists) = (Vec::new(), vec![(ledger.changes_of(&before.institution), before.id.as_u128())]);
    let postings = close_books(books, before.patient, &mut standings, &mut puts, &mut lists)?;
    puts.extend(standings.into_puts());
    let slips = recount_slips(reading, before, &after.contributions)?;
    puts.extend(slips.map(|slips| (Key::Slips(before.patient), Entity::Slips(Arc::new(slips)))));
    let trace = ledger.tell(trace);
    let decided = Decided { trace: trace.clone(), policies: before.policies.clone() };
    puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))));
    puts.push((Key::Settlement(before.id), Entity::Settlement(Arc::new(after.clone()))));
    let current_state = after.state();
    let outcome = RefundOutcome { settlement: after, refund, trace, current_state };
    Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
}

impl Parts {
    /// Whether there is anything to return.
    pub fn is_empty(&self) -> bool {
        self.total().is_zero()
    }
}
