//! Settlements and holds as they stand now.

use super::Ledger;
use super::failure::{Failure, Thing};
use super::reading::Reading;
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::record::{Event, Record};
use crate::domain::settlement::Settlement;
use crate::domain::settlement::hold::HoldState;
use crate::domain::wording::Told;
use crate::store::encoded::Encoded;
use crate::store::entity::Basis;
use crate::store::{Key, ListKey, ListKind, StoreError, record};

/// A settlement with what it was decided on.
#[derive(Clone, Debug)]
pub struct SettlementView {
    pub settlement: Settlement,
    pub basis: Option<Encoded<Basis>>,
    pub position: u64,
}

/// How a settlement is named.
#[derive(Clone, Debug)]
pub enum SettlementKey {
    Id(SettlementId),
    Request(InstitutionCode, RequestId),
    /// The institution, the field's name and the reference; the newest where there are several.
    External(InstitutionCode, &'static str, String),
}

/// The settlement or hold that a request was about.
fn settlement_of(event: &Event) -> Option<SettlementId> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "no other request is about a settlement")]
    match event {
        Event::Settled(settled) | Event::Held { settled, .. } => Some(settled.id),
        Event::Refunded { settlement, .. }
        | Event::HoldConfirmed { settlement, .. }
        | Event::HoldEnded { settlement, .. }
        | Event::RefundReversed { settlement, .. }
        | Event::SettlementReversed { settlement } => Some(*settlement),
        _ => None,
    }
}

impl Ledger {
    pub async fn settlement(&self, key: &SettlementKey) -> Result<SettlementView, Failure> {
        let not_found = Failure::NotFound(Thing::Settlement);
        let id = match key {
            SettlementKey::Id(id) => *id,
            SettlementKey::Request(institution, request) => {
                let key = Key::Request(self.keys.request(&super::settle::institution_scope(institution), request));
                let mut reading = Reading::new(self.store());
                reading.get(&[key]).await?;
                let position = reading.request(&key)?.map(|_| reading.version(&key));
                let record = self.record(position.ok_or_else(|| not_found.clone())?).await?;
                settlement_of(&record.event).ok_or(not_found.clone())?
            }
            SettlementKey::External(institution, kind, text) => {
                let key =
                    ListKey { kind: ListKind::ExternalReference, of: self.keys.external(institution, kind, text) };
                let head = self.store().head().await?.position;
                let mut newest = None;
                let mut after = 0;
                loop {
                    let rows = self.store().list(key, after, head, 512).await?;
                    let Some(last) = rows.last() else { break };
                    after = last.position;
                    newest = Some(last.subject);
                    tokio::task::yield_now().await;
                }
                SettlementId::from_u128(newest.ok_or_else(|| not_found.clone())?)
            }
        };
        let (key, basis) = (Key::Settlement(id), Key::Basis(id));
        let reading = loop {
            let mut reading = Reading::as_of(self.store(), self.now());
            match reading.get(&[key, basis]).await {
                Err(Failure::RanOut(holds)) => self.end_holds(&holds).await?,
                found => break found.map(|()| reading)?,
            }
        };
        self.store().wait_durable(reading.read_at()).await?;
        let settlement = reading.settlement(&key)?.cloned().ok_or(not_found)?;
        Ok(SettlementView { settlement, basis: reading.basis(&basis)?.cloned(), position: reading.version(&key) })
    }

    /// How a confirmation took less than was held; empty where it took all, or nothing was held.
    pub async fn confirmation(&self, settlement: &Settlement) -> Result<Told, Failure> {
        let state = settlement.hold.as_ref().map(|hold| hold.state);
        let Some(HoldState::Confirmed { request, .. }) = state else { return Ok(Told::default()) };
        let key = Key::Decided(request);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        Ok(reading.decided(&key)?.map(|decided| decided.trace.clone()).unwrap_or_default())
    }

    /// Where each refund of a settlement stands: where its request had its effect.
    pub async fn refund_positions(&self, settlement: &Settlement) -> Result<Vec<u64>, Failure> {
        let scope = super::settle::institution_scope(&settlement.institution);
        let ids = settlement.refunds.iter().filter_map(|refund| RequestId::parse(&refund.request_id));
        let keys: Vec<Key> = ids.map(|id| Key::Request(self.keys.request(&scope, &id))).collect();
        let mut reading = Reading::new(self.store());
        reading.get(&keys).await?;
        Ok(keys.iter().map(|key| reading.version(key)).collect())
    }

    async fn record(&self, position: u64) -> Result<Record, Failure> {
        let stored = self.record_at(position).await?;
        Ok(record::decode_record(&stored.bytes).map_err(StoreError::from)?)
    }
}
