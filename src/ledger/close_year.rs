//! `CloseYear` (年度结转) of one account.

use std::sync::Arc;

use jiff::civil::{Date, date};

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::{Account, YearEnd};
use crate::domain::ids::{RegionCode, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::rule::Trace;
use crate::domain::time::Moment;
use crate::domain::wording::Told;
use crate::domain::year_close;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

/// The last day of a year that is over.
pub(super) fn last_day(year: i16, today: Date) -> Result<Date, Failure> {
    if year >= today.year() {
        return Err(Failure::refused(Reason::YearNotOver));
    }
    Ok(date(year, 12, 31))
}

/// One account's year.
#[derive(Clone, Debug)]
pub struct CloseAccount {
    pub scope: String,
    pub request_id: RequestId,
    pub member: MemberRef,
    pub year: i16,
    /// Only while the member is insured there.
    pub only_in: Option<RegionCode>,
}

/// An account whose year is closed.
#[derive(Clone, Debug)]
pub struct ClosedAccount {
    pub account: Account,
    pub end: YearEnd,
    pub interest: Money,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

impl Command for CloseAccount {
    type Outcome = ClosedAccount;
    const METHOD: u8 = 25;

    fn request(&self) -> (String, &RequestId) {
        (self.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.person("member", &self.member).field("year", &self.year);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<ClosedAccount>, Failure> {
        let today = now.civil_day();
        let on = last_day(self.year, today)?;
        let id = ledger.resolve(reading, &self.member).await?;
        let wards = Key::Wards(id);
        reading.get(&[Key::Standing(id), wards]).await?;
        let bindings = reading.wards(&wards)?.map_or(&[][..], |wards| &wards.bindings);
        let keys: Vec<Key> = bindings.iter().map(|ward| Key::Quota(ward.binding)).collect();
        reading.get(&keys).await?;
        let member = reading.member(id)?;
        if self.only_in.is_some_and(|region| region != member.insurance.region) {
            return Err(Failure::refused(Reason::YearNothingToClose));
        }
        let mut account = reading.account(id)?.cloned().ok_or(Failure::NotFound(Thing::Account))?;
        let policies = [ledger.policy_of(member, on)?];
        let mut postings = Vec::new();
        account.turn_year(today, reading.marks(id)?, &mut postings);
        let mut quotas = Vec::new();
        for key in &keys {
            quotas.extend(reading.quota(key)?.cloned());
        }
        quotas.iter_mut().for_each(|quota| quota.turn_year(today, &mut postings));
        let mut trace = Trace::under(ledger.book.digest);
        let closed = year_close::close(&mut account, &mut quotas, self.year, &policies[0], &mut trace, &mut postings);
        let (end, interest) = closed.map_err(Failure::refused)?;
        ledger.check_grades(&trace, &policies, on)?;

        let digests = vec![policies[0].revision.digest];
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: digests.clone() };
        let mut standings = Standings::new(reading);
        standings.of(id)?.account = Some(account.clone());
        let mut puts: Vec<(Key, Entity)> = standings.into_puts().collect();
        puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))));
        for quota in quotas {
            let key = Key::Quota(quota.binding);
            if reading.quota(&key)? != Some(&quota) {
                puts.push((key, Entity::Quota(Arc::new(quota))));
            }
        }
        ledger.policy_puts(&policies, &mut puts);
        let event = Event::YearClosed { after: account.clone(), end, interest, policies: digests.clone() };
        let lists = vec![(list_of(ListKind::AccountEntries, id.as_u128()), 0)];
        let outcome = ClosedAccount { account, end, interest, trace, policies: digests };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<ClosedAccount, Failure> {
        let Event::YearClosed { after, end, interest, policies } = record.event else {
            return Err(Failure::Bug("a request to close a year made another record"));
        };
        let key = Key::Decided(request);
        reading.get(&[key]).await?;
        let trace = reading.decided(&key)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        Ok(ClosedAccount { account: after, end, interest, trace, policies })
    }
}
