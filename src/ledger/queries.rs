//! Reads: as of now, at least as fresh as asked, and never before what they rest on is durable.

use std::future::Future;
use std::sync::Arc;

use jiff::civil::Date;
use smol_str::SmolStr;

use super::failure::{Failure, Thing};
use super::looks::Looks;
use super::page::{LOOKED_AT_MAX, Page};
use super::reading::Reading;
use super::settle::Ask;
use super::settlements::{SettlementKey, SettlementView};
use super::{Ledger, list_of};
use crate::domain::account::Account;
use crate::domain::binding::{Binding, BindingState};
use crate::domain::card::Card;
use crate::domain::draw::{self, Draw};
use crate::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, SettlementId};
use crate::domain::member::{Member, MemberRef, Person};
use crate::domain::money::Money;
use crate::domain::policy::Policy;
use crate::domain::quota::Quota;
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::rule::{Rule, Subject, Trace};
use crate::domain::settlement::hold::Mark;
use crate::domain::settlement::{self, SettlementState};
use crate::domain::time::Moment;
use crate::domain::wording::Told;
use crate::store::{Key, ListKey, ListKind, StoreError, StoredRecord, record};

/// A member with who it is and where it was last changed.
#[derive(Clone, Debug)]
pub struct MemberView {
    pub member: Member,
    pub person: Option<Person>,
    pub card: Option<Card>,
    pub position: u64,
}

/// An account as of today.
#[derive(Clone, Debug)]
pub struct AccountView {
    pub account: Account,
    /// Where its owner was insured.
    pub region: RegionCode,
    pub usable: Money,
    /// Set aside as quotas.
    pub frozen: Money,
    /// What open holds hold of the account, and of quotas set aside from it.
    pub holds: Vec<Mark>,
    pub wallet_open: bool,
    pub policy: Arc<Policy>,
    pub trace: Trace,
}

/// A binding with where it was last changed.
#[derive(Clone, Debug)]
pub struct BindingView {
    pub binding: Binding,
    pub position: u64,
    /// What is left of its quota.
    pub quota: Money,
}

/// Which bindings: in any state or in one as of today, and in force on any day or on one.
#[derive(Clone, Copy, Debug)]
pub struct BindingFilter {
    pub state: Option<BindingState>,
    pub today: Date,
    pub on: Option<Date>,
}

/// A thing that lists lead to.
trait Listed: Sized + Send {
    type Filter: Sync;
    fn load(ledger: &Ledger, subject: u128) -> impl Future<Output = Result<Self, Failure>> + Send;
    fn matches(&self, filter: &Self::Filter) -> bool;
}

impl Listed for BindingView {
    type Filter = BindingFilter;

    async fn load(ledger: &Ledger, subject: u128) -> Result<Self, Failure> {
        ledger.binding(BindingId::from_u128(subject)).await
    }

    fn matches(&self, filter: &BindingFilter) -> bool {
        let in_force = |on: Date| {
            let released = self.binding.released().map(|(_, from)| from);
            self.binding.start <= on
                && self.binding.last_day.is_none_or(|last| last >= on)
                && released.is_none_or(|day| day > on)
        };
        filter.state.is_none_or(|state| self.binding.state(filter.today) == state) && filter.on.is_none_or(in_force)
    }
}

impl Listed for SettlementView {
    type Filter = Option<SettlementState>;

    async fn load(ledger: &Ledger, subject: u128) -> Result<Self, Failure> {
        ledger.settlement(&SettlementKey::Id(SettlementId::from_u128(subject))).await
    }

    fn matches(&self, state: &Option<SettlementState>) -> bool {
        state.is_none_or(|state| self.settlement.state() == state)
    }
}

/// Which settlements.
#[derive(Clone, Debug)]
pub enum SettlementsBy {
    Institution(InstitutionCode),
    Patient(MemberRef),
    Owner(MemberRef),
}

impl Ledger {
    /// Refuses a read that asks for more than there is; returns where the ledger stands.
    pub async fn fresh_enough(&self, min_position: u64) -> Result<u64, Failure> {
        let position = self.store().head().await?.position;
        if min_position > position {
            return Err(Failure::refused(Reason::PositionNotReached));
        }
        self.store().wait_durable(position).await?;
        Ok(position)
    }

    pub async fn member(&self, reference: &MemberRef) -> Result<MemberView, Failure> {
        let mut reading = Reading::new(self.store());
        let resolved = self.resolve(&mut reading, reference).await;
        self.store().wait_durable(reading.read_at()).await?;
        let id = resolved?;
        let (key, card) = (Key::Person(id), Key::Card(id));
        // In this order and anew: a change shows the standing before the person, whose version is the etag, so what is
        // told is never older than its etag.
        let mut reading = Reading::new(self.store());
        reading.get(&[key, card, Key::Standing(id)]).await?;
        self.store().wait_durable(reading.read_at()).await?;
        let member = reading.member(id)?.clone();
        // The card is shown with the person, and lies beside because it changes by itself.
        let position = reading.version(&key).max(reading.version(&card));
        let (person, card) = (reading.person(&key)?.cloned(), reading.card(&card)?.cloned());
        Ok(MemberView { member, person, card, position })
    }

    /// Masked names for an answer; people without a person record are left out.
    pub async fn masked_names(&self, ids: &[MemberId]) -> Result<Vec<(MemberId, SmolStr)>, Failure> {
        let keys: Vec<Key> = ids.iter().map(|id| Key::Standing(*id)).collect();
        let mut reading = Reading::new(self.store());
        reading.get(&keys).await?;
        let mut found = Vec::with_capacity(ids.len());
        for (id, key) in ids.iter().zip(&keys) {
            if let Some(standing) = reading.standing(key)? {
                found.push((*id, standing.masked_name.clone()));
            }
        }
        Ok(found)
    }

    pub async fn account(&self, reference: &MemberRef) -> Result<AccountView, Failure> {
        let mut looks = Looks::new(self);
        loop {
            let now = self.now();
            let mut reading = Reading::as_of(self.store(), now);
            let found = self.account_in(&mut reading, reference, now).await;
            if !looks.again(&reading, &found).await? {
                drop(looks);
                self.store().wait_durable(reading.read_at()).await?;
                return found;
            }
        }
    }

    async fn account_in(
        &self,
        reading: &mut Reading<'_>,
        reference: &MemberRef,
        now: Moment,
    ) -> Result<AccountView, Failure> {
        let id = self.resolve(reading, reference).await?;
        let (wallet, wards) = (Key::Wallet(id), Key::Wards(id));
        reading.get(&[Key::Standing(id), wallet, wards]).await?;
        let bindings = reading.wards(&wards)?.map(|wards| wards.bindings.iter().map(|ward| Key::Quota(ward.binding)));
        let quotas: Vec<Key> = bindings.map(Iterator::collect).unwrap_or_default();
        reading.get(&quotas).await?;
        let mut frozen = Money::ZERO;
        for key in &quotas {
            frozen += reading.quota(key)?.map(Quota::left).unwrap_or_default();
        }
        let wallet_open = reading.wallet(&wallet)?.is_some();
        let account = reading.account(id)?.ok_or(Failure::NotFound(Thing::Account))?;
        let view = self.account_view(reading.member(id)?.insurance.region, account, now.civil_day())?;
        let holds = reading.known(id)?.holds.clone();
        Ok(AccountView { frozen, wallet_open, holds, ..view })
    }

    /// The same for an account at hand on a day, such as the one that a credit left, which a repeat shows again.
    pub fn account_view(&self, region: RegionCode, account: &Account, today: Date) -> Result<AccountView, Failure> {
        let policy = self.book.policy(region, today).cloned().ok_or(Failure::NotFound(Thing::Region))?;
        let account = account.as_of(today);
        let mut trace = Trace::under(self.book.digest);
        let usable = draw::usable_by_relatives(&account, &policy, Subject::Own, 0, &mut trace);
        for step in &mut trace.steps {
            step.rule = Rule::UsableByRelatives;
        }
        let (frozen, holds, wallet_open) = (Money::ZERO, Vec::new(), false);
        Ok(AccountView { account, region, usable, frozen, holds, wallet_open, policy, trace })
    }

    /// Where a member was insured when a change was made, for answers that show an account as the change left it: a repeat
    /// knows nothing of later moves.
    pub async fn region_at(&self, member: MemberId, position: u64) -> Result<RegionCode, Failure> {
        let [found, _] = self.insured_at(member, position).await?;
        found.ok_or(Failure::Bug("a member was insured nowhere"))
    }

    pub async fn binding(&self, id: BindingId) -> Result<BindingView, Failure> {
        let (key, quota) = (Key::Binding(id), Key::Quota(id));
        let mut reading = Reading::new(self.store());
        reading.get(&[key, quota]).await?;
        self.store().wait_durable(reading.read_at()).await?;
        let binding = reading.binding(&key)?.cloned().ok_or(Failure::NotFound(Thing::Binding))?;
        let quota = reading.quota(&quota)?.map(Quota::left).unwrap_or_default();
        Ok(BindingView { binding, position: reading.version(&key), quota })
    }

    /// Who can pay for this person, and how much of this part of a bill. The ask's bill is the person's part.
    pub async fn payers(&self, ask: &Ask) -> Result<(Draw, Told, Vec<Arc<Policy>>, MemberId), Failure> {
        self.check_day("visit_date", ask.visit.date, self.now().civil_day())?;
        let (now, reading, patient, on_paper) = self.look_at_case(&ask.patient, &[], ask.visit.date).await?;
        let today = now.civil_day();
        self.check_day("visit_date", ask.visit.date, today)?;
        self.store().wait_durable(reading.read_at()).await?;
        let loaded = self.assemble(&reading, patient, &[], &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(self, &ask.visit, &ask.bill, today));
        self.check_grades(&decision.trace, &loaded.policies, ask.visit.date)?;
        let settlement::Decision { amounts, contributions, excluded, trace } = decision;
        let (own, mutual_aid, cash) = (amounts.own_account, amounts.mutual_aid, amounts.cash);
        Ok((
            Draw { own, mutual_aid, cash, contributions, excluded },
            self.tell(trace),
            loaded.policies.into_iter().cloned().collect(),
            patient,
        ))
    }

    /// Walks a list from a page's place, keeping what matches; the last position looked at, if more rows follow. Looks at
    /// so many rows and no more: a page may be short, or empty, and still have a next one.
    async fn walk<T: Listed>(
        &self,
        key: ListKey,
        page: &Page,
        filter: &T::Filter,
    ) -> Result<(Vec<T>, Option<u64>), Failure> {
        const CHUNK: usize = 64;
        let mut found = Vec::new();
        let mut after = page.after;
        let mut looked_at = 0;
        loop {
            let rows = self.store().list(key, after, page.until, CHUNK).await?;
            if rows.is_empty() {
                return Ok((found, None));
            }
            for row in rows {
                if found.len() == page.limit || looked_at == LOOKED_AT_MAX {
                    return Ok((found, Some(after)));
                }
                looked_at += 1;
                after = row.position;
                if row.subject == 0 {
                    continue;
                }
                let item = T::load(self, row.subject).await?;
                if item.matches(filter) {
                    found.push(item);
                }
            }
            // Others on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }

    pub async fn list_bindings(
        &self,
        owner: bool,
        member: MemberId,
        filter: BindingFilter,
        page: &Page,
    ) -> Result<(Vec<BindingView>, Option<u64>), Failure> {
        let kind = if owner { ListKind::OwnerBindings } else { ListKind::BeneficiaryBindings };
        self.walk(list_of(kind, member.as_u128()), page, &filter).await
    }

    pub async fn list_settlements(
        &self,
        by: &SettlementsBy,
        on: Option<Date>,
        state: Option<SettlementState>,
        page: &Page,
    ) -> Result<(Vec<SettlementView>, Option<u64>), Failure> {
        let mut reading = Reading::new(self.store());
        let key = match by {
            SettlementsBy::Institution(code) => {
                ListKey { kind: ListKind::InstitutionSettlements, of: self.keys.institution(code) }
            }
            SettlementsBy::Patient(patient) => {
                list_of(ListKind::PatientSettlements, self.resolve(&mut reading, patient).await?.as_u128())
            }
            SettlementsBy::Owner(owner) => {
                list_of(ListKind::AccountEntries, self.resolve(&mut reading, owner).await?.as_u128())
            }
        };
        let mut page = *page;
        if let Some(day) = on {
            // Records are in order of time, so a day is a range of positions.
            page.after = page.after.max(self.positions_before(day, page.until).await?);
            let next = day.tomorrow().map_err(|_| Failure::invalid("on", "is no day of this calendar"))?;
            page.until = self.positions_before(next, page.until).await?;
        }
        self.walk(key, &page, &state).await
    }

    /// How many records were committed before a civil day began.
    pub(crate) async fn positions_before(&self, day: Date, until: u64) -> Result<u64, Failure> {
        let (mut low, mut high) = (0, until);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let record = self.store().records(middle, 1).await?.pop().ok_or(Failure::Bug("a record is missing"))?;
            let is_before = record.at.civil_day() < day;
            // What is not kept any more lies before what is: of which days is told by nobody.
            if record.position != middle && !is_before {
                return Err(self.missing(middle).await);
            }
            if is_before { low = middle } else { high = middle - 1 }
        }
        Ok(low)
    }

    pub async fn list_records(&self, page: &Page) -> Result<(Vec<(StoredRecord, Record)>, Option<u64>), Failure> {
        let left = page.until.saturating_sub(page.after);
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(page.limit);
        let stored = self.store().records(page.after + 1, limit).await?;
        if stored.first().is_some_and(|first| first.position != page.after + 1) {
            return Err(self.missing(page.after + 1).await);
        }
        let mut records = Vec::with_capacity(stored.len());
        for stored in stored {
            let record = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
            records.push((stored, record));
        }
        let last = records.last().map(|(stored, _)| stored.position);
        Ok((records, last.filter(|last| *last < page.until)))
    }
}
