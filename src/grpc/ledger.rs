//! LedgerService: proof, and the feed.

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::fields::{Fields, all3};
use super::proto::ledger_service_server::LedgerService;
use super::status::transport;
use super::{Service, proto, timestamp, watch, wire_position};
use crate::domain::money::Money;
use crate::domain::record::{Event, Record};
use crate::domain::settlement::hold::HoldEnd;
use crate::ledger::Failure;
use crate::ledger::check::Report;
use crate::ledger::page::hex;
use crate::store::{Head, StoredRecord, chain};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LedgerService for Service {
    async fn get_head(&self, request: Request<proto::GetHeadRequest>) -> Reply<proto::GetHeadResponse> {
        let proto::GetHeadRequest { min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let position = fields.position(min_ledger_position);
        let position = fields.done(position)?;
        self.ledger.fresh_enough(position).await?;
        let found = self.ledger.store().head().await?;
        self.ledger.store().wait_durable(found.position).await?;
        Ok(Response::new(proto::GetHeadResponse { head: Some(head(&found)) }))
    }

    async fn list_records(&self, request: Request<proto::ListRecordsRequest>) -> Reply<proto::ListRecordsResponse> {
        let proto::ListRecordsRequest { from_position, page_size, page_token, min_ledger_position } =
            request.into_inner();
        let mut fields = Fields::new();
        let from = u64::try_from(from_position).ok();
        if from.is_none() {
            fields.bad("from_position", "must be 0 or more");
        }
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let position = fields.position(min_ledger_position);
        let (from, size, position) = fields.done(all3(from, size, position))?;
        let found = self.ledger.fresh_enough(position).await?;
        let mut page = self.ledger.page(&page_token, format!("records {from}").as_bytes(), size, found)?;
        page.after = page.after.max(from.saturating_sub(1));
        let (records, next) = self.ledger.list_records(&page).await?;
        Ok(Response::new(proto::ListRecordsResponse {
            records: records.iter().map(|(stored, content)| record(stored, content)).collect(),
            next_page_token: next.map(|after| self.ledger.next_page(&page, after)).unwrap_or_default(),
        }))
    }

    async fn check_ledger(&self, _: Request<proto::CheckLedgerRequest>) -> Reply<proto::CheckLedgerResponse> {
        let report = self.check_aside().await?;
        Ok(Response::new(proto::CheckLedgerResponse {
            head: Some(head(&report.head)),
            records_checked: wire_position(report.records),
            postings_checked: wire_position(report.postings),
            accounts_checked: wire_position(report.accounts),
            ok: report.is_ok(),
            problems: report.problems,
            bindings_checked: wire_position(report.bindings),
        }))
    }

    type WatchStream = watch::Feed;

    async fn watch(&self, request: Request<proto::WatchRequest>) -> Reply<watch::Feed> {
        watch::stream(self, request.into_inner()).await.map(Response::new)
    }
}

impl Service {
    /// Checks the ledger on a thread that serves nobody: it keeps a processor busy for minutes, and for seconds without a pause
    /// where it sorts what millions of accounts have. Ends early when the caller is gone.
    async fn check_aside(&self) -> Result<Report, Status> {
        let place = self.checks.clone().try_acquire_owned().map_err(|_| transport::overloaded())?;
        let (_caller, gone) = oneshot::channel::<()>();
        let (ledger, runtime) = (self.ledger.clone(), Handle::current());
        let check = move || {
            let _place = place;
            runtime.block_on(async {
                tokio::select! {
                    report = ledger.check() => Some(report),
                    _ = gone => None,
                }
            })
        };
        match tokio::task::spawn_blocking(check).await {
            Ok(Some(report)) => Ok(report?),
            Ok(None) | Err(_) => Err(Failure::Bug("a check of the ledger came to no end").into()),
        }
    }
}

fn head(head: &Head) -> proto::Head {
    proto::Head {
        position: wire_position(head.position),
        digest: hex(&head.link),
        committed_at: (head.position > 0).then(|| timestamp(head.at)),
        algorithm: chain::ALGORITHM.to_owned(),
    }
}

/// The wire's word for what a record says.
pub(super) fn kind(event: &Event) -> proto::RecordKind {
    use proto::RecordKind as K;
    match event {
        Event::MemberCreated { .. } => K::MemberCreated,
        Event::InsuranceUpdated { .. } => K::InsuranceUpdated,
        Event::Credited { .. } => K::AccountCredited,
        Event::Transferred { .. } => K::FundsTransferred,
        Event::BindingCreated { .. } => K::BindingCreated,
        Event::BindingReleased { .. } => K::BindingReleased,
        Event::Settled(_) => K::Settled,
        Event::CertificationRecorded { .. } => K::CertificationRecorded,
        Event::Refunded { .. } => K::Refunded,
        Event::BindingVerified { .. } => K::BindingVerified,
        Event::BindingsReordered { .. } => K::BindingsReordered,
        Event::QuotaSet { .. } => K::QuotaSet,
        Event::WalletOpened { .. } => K::WalletOpened,
        Event::TransferSent { .. } => K::TransferSent,
        Event::TransferClaimed { .. } => K::TransferClaimed,
        Event::TransferReturned { .. } => K::TransferReturned,
        Event::CardActivated { .. } => K::CardActivated,
        Event::JobDone { .. } => K::JobDone,
        Event::Held { .. } => K::SettlementHeld,
        Event::HoldConfirmed { .. } => K::HoldConfirmed,
        Event::HoldEnded { how: HoldEnd::Released, .. } => K::HoldReleased,
        Event::HoldEnded { how: HoldEnd::Expired, .. } => K::HoldExpired,
        Event::Fenced { .. } => K::RequestFenced,
        Event::RefundReversed { .. } => K::RefundReversed,
        Event::SettlementReversed { .. } => K::SettlementReversed,
        Event::YearClosed { .. } => K::YearClosed,
        Event::YearCloseStarted { .. } => K::YearCloseStarted,
        Event::YearCloseAdvanced { .. } => K::YearCloseAdvanced,
    }
}

fn subject_id(event: &Event) -> String {
    match event {
        Event::MemberCreated { member } => member.id.to_string(),
        Event::InsuranceUpdated { member, .. } => member.id.to_string(),
        Event::Credited { after, .. } => after.member.to_string(),
        Event::Transferred { transfer, .. } => transfer.id.to_string(),
        Event::BindingCreated { binding, .. } => binding.id.to_string(),
        Event::BindingReleased { binding, .. } => binding.to_string(),
        Event::Settled(settled) => settled.id.to_string(),
        Event::CertificationRecorded { certification } => certification.id.to_string(),
        Event::Refunded { settlement, .. } => settlement.to_string(),
        Event::BindingVerified { binding, .. } => binding.to_string(),
        Event::BindingsReordered { beneficiary, .. } => beneficiary.to_string(),
        Event::QuotaSet { quota, .. } => quota.binding.to_string(),
        Event::WalletOpened { after } => after.member.to_string(),
        Event::TransferSent { transfer, .. } => transfer.id.to_string(),
        Event::TransferClaimed { transfer, .. } => transfer.id.to_string(),
        Event::TransferReturned { transfer, .. } => transfer.id.to_string(),
        Event::CardActivated { member, .. } => member.id.to_string(),
        Event::JobDone { job, day, .. } => format!("{} {day}", job.name()),
        Event::Held { settled, .. } => settled.id.to_string(),
        Event::HoldConfirmed { settlement, .. }
        | Event::HoldEnded { settlement, .. }
        | Event::RefundReversed { settlement, .. }
        | Event::SettlementReversed { settlement } => settlement.to_string(),
        Event::Fenced { request } => hex(request),
        Event::YearClosed { after, .. } => after.member.to_string(),
        Event::YearCloseStarted { close } | Event::YearCloseAdvanced { close } => {
            format!("{} {}", close.region, close.year)
        }
    }
}

pub(super) fn record(stored: &StoredRecord, content: &Record) -> proto::Record {
    let postings = content.postings.iter().map(|posting| proto::Posting {
        from: posting.from.to_string(),
        to: posting.to.to_string(),
        amount_fen: posting.amount.as_fen(),
        from_balance_after_fen: posting.from_after.map(Money::as_fen),
        to_balance_after_fen: posting.to_after.map(Money::as_fen),
    });
    proto::Record {
        position: wire_position(stored.position),
        committed_at: Some(timestamp(stored.at)),
        kind: kind(&content.event) as i32,
        content_hash: hex(&stored.content_hash),
        link: hex(&stored.link),
        postings: postings.collect(),
        subject_id: subject_id(&content.event),
    }
}
