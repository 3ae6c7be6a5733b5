//! LedgerService: proof.

use tonic::{Request, Response, Status};

use super::fields::{Fields, all3};
use super::proto::ledger_service_server::LedgerService;
use super::{Service, proto, timestamp, wire_position};
use crate::domain::money::Money;
use crate::domain::record::{Event, Record};
use crate::domain::settlement::hold::HoldEnd;
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
        let found = self.ledger.store().head();
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
        let report = self.ledger.check().await?;
        Ok(Response::new(proto::CheckLedgerResponse {
            head: Some(head(&report.head)),
            records_checked: wire_position(report.records),
            postings_checked: wire_position(report.postings),
            accounts_checked: wire_position(report.accounts),
            ok: report.is_ok(),
            problems: report.problems,
        }))
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

fn record(stored: &StoredRecord, content: &Record) -> proto::Record {
    use proto::RecordKind as K;
    let (kind, subject_id) = match &content.event {
        Event::MemberCreated { member } => (K::MemberCreated, member.id.to_string()),
        Event::InsuranceUpdated { member, .. } => (K::InsuranceUpdated, member.id.to_string()),
        Event::Credited { after, .. } => (K::AccountCredited, after.member.to_string()),
        Event::Transferred { transfer, .. } => (K::FundsTransferred, transfer.id.to_string()),
        Event::BindingCreated { binding, .. } => (K::BindingCreated, binding.id.to_string()),
        Event::BindingReleased { binding, .. } => (K::BindingReleased, binding.to_string()),
        Event::Settled(settled) => (K::Settled, settled.id.to_string()),
        Event::CertificationRecorded { certification } => (K::CertificationRecorded, certification.id.to_string()),
        Event::Refunded { settlement, .. } => (K::Refunded, settlement.to_string()),
        Event::BindingVerified { binding, .. } => (K::BindingVerified, binding.to_string()),
        Event::BindingsReordered { beneficiary, .. } => (K::BindingsReordered, beneficiary.to_string()),
        Event::QuotaSet { quota, .. } => (K::QuotaSet, quota.binding.to_string()),
        Event::WalletOpened { after } => (K::WalletOpened, after.member.to_string()),
        Event::TransferSent { transfer, .. } => (K::TransferSent, transfer.id.to_string()),
        Event::TransferClaimed { transfer, .. } => (K::TransferClaimed, transfer.id.to_string()),
        Event::TransferReturned { transfer, .. } => (K::TransferReturned, transfer.id.to_string()),
        Event::CardActivated { member, .. } => (K::CardActivated, member.id.to_string()),
        Event::Held { settled, .. } => (K::SettlementHeld, settled.id.to_string()),
        Event::HoldConfirmed { settlement, .. } => (K::HoldConfirmed, settlement.to_string()),
        Event::HoldEnded { settlement, how: HoldEnd::Released, .. } => (K::HoldReleased, settlement.to_string()),
        Event::HoldEnded { settlement, how: HoldEnd::Expired, .. } => (K::HoldExpired, settlement.to_string()),
        Event::Fenced { request } => (K::RequestFenced, hex(request)),
        Event::RefundReversed { settlement, .. } => (K::RefundReversed, settlement.to_string()),
        Event::JobDone { job, day, .. } => (K::JobDone, format!("{} {day}", job.name())),
    };
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
        kind: kind as i32,
        content_hash: hex(&stored.content_hash),
        link: hex(&stored.link),
        postings: postings.collect(),
        subject_id,
    }
}
