//! `HoldSettlement`, `ConfirmSettlement`, `ReleaseHold`: account money set aside, then taken or let go. What nobody resolves
//! in time ends in `expire`.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::payers::{books_of, close_books, load_touched, recount_slips};
use super::reading::{Reading, Standings};
use super::settle::{Settle, SettleOutcome, institution_scope};
use super::settling::settled_outcome;
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::money::Money;
use crate::domain::posting::Posting;
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::settlement::hold::{self, HoldEnd, HoldState};
use crate::domain::settlement::{Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::domain::wording::Told;
use crate::domain::year_use::YearUse;
use crate::store::entity::{Decided, Standing};
use crate::store::{Entity, Key, ListKey, ListKind};

/// `HoldSettlement`.
#[derive(Clone, Debug)]
pub struct HoldSettlement {
    pub settle: Settle,
    /// In seconds.
    pub hold_for: u32,
}

impl Command for HoldSettlement {
    type Outcome = SettleOutcome;
    const METHOD: u8 = 3;

    fn request(&self) -> (String, &RequestId) {
        self.settle.request()
    }

    fn begins_with(&self, ledger: &Ledger) -> Option<Key> {
        self.settle.begins_with(ledger)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        self.settle.fields(fields);
        fields.field("hold_for", &self.hold_for);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<SettleOutcome>, Failure> {
        let expires = now.plus_seconds(self.hold_for);
        self.settle.settling(Some(expires)).decide(ledger, reading, now, fresh).await
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<SettleOutcome, Failure> {
        let Event::Held { settled, .. } = record.event else {
            return Err(Failure::Bug("a hold request made another record"));
        };
        settled_outcome(reading, *settled).await
    }
}

/// `ConfirmSettlement`.
#[derive(Clone, Debug)]
pub struct ConfirmSettlement {
    pub request_id: RequestId,
    pub institution: InstitutionCode,
    pub settlement: SettlementId,
    /// None: everything held.
    pub accounts: Option<Money>,
}

/// A hold resolved, and how much of it went back.
#[derive(Clone, Debug)]
pub struct ResolvedHold {
    pub settlement: Settlement,
    pub returned: Money,
    pub trace: Told,
    pub current_state: SettlementState,
}

impl Command for ConfirmSettlement {
    type Outcome = ResolvedHold;
    const METHOD: u8 = 4;

    fn request(&self) -> (String, &RequestId) {
        (institution_scope(&self.institution), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("settlement_id", &self.settlement).field("accounts_fen", &self.accounts);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<ResolvedHold>, Failure> {
        let held = of_institution(reading, self.settlement, &self.institution).await?;
        held.refuse_unless_held().map_err(Failure::refused)?;
        load_touched(reading, &held).await?;
        let mut trace = Trace::under(ledger.book.digest);
        let (amounts, taken) = hold::decide_confirm(&held, self.accounts, &mut trace).map_err(Failure::refused)?;
        let kept =
            |place: &u16| taken.get(usize::from(*place)).is_some_and(|paid| paid.amount == amount_at(&held, *place));
        let places = places_of(&held).filter(|place| !kept(place));
        let mut books = books_of(reading, &held, places, now.civil_day())?;
        let mut settlement = held.clone();
        let state = HoldState::Confirmed { at: now, request: fresh.request };
        let returned = hold::apply_confirm(&mut settlement, amounts, taken, state, &mut books);
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: held.policies.clone() };
        let mut puts = vec![(Key::Decided(fresh.request), Entity::Decided(Arc::new(decided)))];
        let mut lists = vec![(ledger.changes_of(&held.institution), held.id.as_u128())];
        let mut standings = Standings::new(reading);
        let mut postings = close_books(books, held.patient, &mut standings, &mut puts, &mut lists)?;
        unmark(&held, now.civil_day(), &mut standings, &mut postings, &mut lists)?;
        puts.extend(standings.into_puts());
        // Whoever was held and pays nothing has not used the slip.
        let slips = recount_slips(reading, &held, &settlement.contributions)?;
        puts.extend(slips.map(|slips| (Key::Slips(held.patient), Entity::Slips(Arc::new(slips)))));
        puts.push((Key::Settlement(held.id), Entity::Settlement(Arc::new(settlement.clone()))));
        let event = Event::HoldConfirmed {
            settlement: held.id,
            amounts,
            contributions: settlement.contributions.clone(),
            returned: returned.clone(),
        };
        let returned = returned.iter().map(|(_, amount)| *amount).sum();
        let outcome = ResolvedHold { current_state: settlement.state(), settlement, returned, trace };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<ResolvedHold, Failure> {
        let Event::HoldConfirmed { settlement, amounts, contributions, returned } = record.event else {
            return Err(Failure::Bug("a confirmation made another record"));
        };
        let (key, decided) = (Key::Settlement(settlement), Key::Decided(request));
        reading.get(&[key, decided]).await?;
        let stored = reading.settlement(&key)?.ok_or(Failure::Bug("a confirmed hold is missing"))?;
        let trace = reading.decided(&decided)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        let settlement = Settlement { hold: stored.hold.clone(), ..stored.as_decided(amounts, contributions) };
        let returned = returned.iter().map(|(_, amount)| *amount).sum();
        Ok(ResolvedHold { settlement, returned, trace, current_state: stored.state() })
    }
}

fn amount_at(settlement: &Settlement, place: u16) -> Money {
    settlement.contributions[usize::from(place)].amount
}

fn places_of(settlement: &Settlement) -> impl Iterator<Item = u16> + use<> {
    0..u16::try_from(settlement.contributions.len()).unwrap_or(u16::MAX)
}

/// `ReleaseHold`.
#[derive(Clone, Debug)]
pub struct ReleaseHold {
    pub request_id: RequestId,
    pub institution: InstitutionCode,
    pub settlement: SettlementId,
}

impl Command for ReleaseHold {
    type Outcome = ResolvedHold;
    const METHOD: u8 = 5;

    fn request(&self) -> (String, &RequestId) {
        (institution_scope(&self.institution), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("settlement_id", &self.settlement);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<ResolvedHold>, Failure> {
        let held = of_institution(reading, self.settlement, &self.institution).await?;
        end(ledger, reading, held, HoldEnd::Released, now, "").await
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<ResolvedHold, Failure> {
        let Event::HoldEnded { settlement, returned, .. } = record.event else {
            return Err(Failure::Bug("a release made another record"));
        };
        let key = Key::Settlement(settlement);
        reading.get(&[key]).await?;
        let settlement = reading.settlement(&key)?.cloned().ok_or(Failure::Bug("a released hold is missing"))?;
        let returned = returned.iter().map(|(_, amount)| *amount).sum();
        let current_state = settlement.state();
        Ok(ResolvedHold { settlement, returned, trace: Told::default(), current_state })
    }
}

/// A settlement that this institution made.
pub(super) async fn of_institution(
    reading: &mut Reading<'_>,
    id: SettlementId,
    institution: &InstitutionCode,
) -> Result<Settlement, Failure> {
    let key = Key::Settlement(id);
    reading.get(&[key]).await?;
    let stored = reading.settlement(&key)?.filter(|settlement| settlement.institution == *institution);
    stored.cloned().ok_or(Failure::NotFound(Thing::Settlement))
}

/// Ends a hold with nothing paid: all money, and all that was counted at once, is as if it had never been.
pub(super) async fn end(
    ledger: &Ledger,
    reading: &mut Reading<'_>,
    held: Settlement,
    how: HoldEnd,
    now: Moment,
    reversed_by: &str,
) -> Result<Plan<ResolvedHold>, Failure> {
    held.refuse_unless_held().map_err(Failure::refused)?;
    load_touched(reading, &held).await?;
    let state = match how {
        HoldEnd::Released => HoldState::Released { at: now },
        HoldEnd::Expired => HoldState::Expired { at: now },
    };
    let mut books = books_of(reading, &held, places_of(&held), now.civil_day())?;
    let mut settlement = Settlement { reversed_by: reversed_by.to_owned(), ..held.clone() };
    let returned = hold::apply_end(&mut settlement, state, &mut books);
    let mut puts = Vec::new();
    let mut lists = vec![(ledger.changes_of(&held.institution), held.id.as_u128())];
    let mut standings = Standings::new(reading);
    let patient = standings.of(held.patient)?;
    let used = patient.year_use(held.use_of());
    let after = YearUse {
        deductible: used.deductible.minus_or_zero(held.year_deductible),
        fund: used.fund.minus_or_zero(held.amounts.split.fund),
    };
    patient.set_year_use(held.use_of(), after);
    let mut postings = close_books(books, held.patient, &mut standings, &mut puts, &mut lists)?;
    unmark(&held, now.civil_day(), &mut standings, &mut postings, &mut lists)?;
    puts.extend(standings.into_puts());
    let slips = recount_slips(reading, &held, &[])?;
    puts.extend(slips.map(|slips| (Key::Slips(held.patient), Entity::Slips(Arc::new(slips)))));
    puts.push((Key::Settlement(held.id), Entity::Settlement(Arc::new(settlement.clone()))));
    let event = Event::HoldEnded { settlement: held.id, how, returned: returned.clone() };
    let returned = returned.iter().map(|(_, amount)| *amount).sum();
    let outcome = ResolvedHold { current_state: settlement.state(), settlement, returned, trace: Told::default() };
    Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
}

/// Takes the hold's marks from its people. Whose money it held, that person's account turns first: what was held when a year
/// ended was in it.
fn unmark(
    held: &Settlement,
    today: Date,
    standings: &mut Standings<'_>,
    postings: &mut Vec<Posting>,
    lists: &mut Vec<(ListKey, u128)>,
) -> Result<(), Failure> {
    for member in held.marked() {
        let Standing { account, holds, .. } = standings.of(member)?;
        let pays = holds.iter().any(|mark| mark.settlement == held.id && !mark.parts.is_empty());
        if let Some(account) = account.as_mut().filter(|account| pays && account.year < today.year()) {
            account.turn_year(today, holds, postings);
            let entries = list_of(ListKind::AccountEntries, member.as_u128());
            if lists.iter().all(|(known, _)| *known != entries) {
                lists.push((entries, 0));
            }
        }
        holds.retain(|mark| mark.settlement != held.id);
    }
    Ok(())
}
