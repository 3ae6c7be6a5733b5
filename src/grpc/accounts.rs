//! AccountService: personal accounts and how money enters and moves.

use tonic::{Request, Response, Status, Streaming};

use super::enums::Wire;
use super::explanation;
use super::fields::{Fields, all3};
use super::imports::{self, Imported};
use super::proto::account_service_server::AccountService;
use super::{Service, proto, timestamp, wire_position, year_close};
use crate::domain::account::Account;
use crate::domain::ids::MemberId;
use crate::domain::money::Money;
use crate::domain::record::{CreditKind, Event};
use crate::domain::settlement::hold::Mark;
use crate::domain::vocabulary::{Bucket, Mode};
use crate::domain::wallet::TransferState;
use crate::ledger::accounts::CreditAccount;
use crate::ledger::entries::EntryView;
use crate::ledger::queries::AccountView;
use crate::ledger::transfers::TransferFunds;
use crate::ledger::wallets::{ClaimTransfer, OpenWallet};
use crate::ledger::{Done, OfMade};

type Reply<T> = Result<Response<T>, Status>;
const DEFAULT_VIEW: proto::ExplanationView = proto::ExplanationView::Full;

#[tonic::async_trait]
impl AccountService for Service {
    async fn get_account(&self, request: Request<proto::GetAccountRequest>) -> Reply<proto::GetAccountResponse> {
        let proto::GetAccountRequest { member, explanation_view, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let member = fields.person("member", member);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let position = fields.position(min_ledger_position);
        let (member, view, position) = fields.done(all3(member, view, position))?;
        self.ledger.fresh_enough(position).await?;
        let found = self.ledger.account(&member).await?;
        Ok(Response::new(proto::GetAccountResponse { account: Some(self.account(&found, view)) }))
    }

    async fn credit_account(
        &self,
        request: Request<proto::CreditAccountRequest>,
    ) -> Reply<proto::CreditAccountResponse> {
        let done = self.credit_one(request.into_inner()).await?;
        let account = self.account_after(&done.outcome, &done).await?;
        Ok(Response::new(proto::CreditAccountResponse {
            account: Some(account),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    async fn import_credits(
        &self,
        request: Request<Streaming<proto::ImportCreditsRequest>>,
    ) -> Reply<proto::ImportCreditsResponse> {
        let Imported { results, stopped } = imports::credits(self, request).await;
        Ok(Response::new(proto::ImportCreditsResponse { results, stopped }))
    }

    async fn transfer_funds(
        &self,
        request: Request<proto::TransferFundsRequest>,
    ) -> Reply<proto::TransferFundsResponse> {
        let proto::TransferFundsRequest {
            request_id,
            owner,
            beneficiary,
            relation,
            relation_detail,
            amount_fen,
            commitment_ref,
            explanation_view,
            mode,
            from_wallet,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let owner = fields.person("owner", owner);
        let beneficiary = fields.person("beneficiary", beneficiary);
        let relation = fields.word("relation", relation);
        let relation_detail = fields.relation_detail(&relation_detail);
        if let Some((relation, detail)) = relation.zip(relation_detail.as_ref()) {
            fields.beside(self.ledger.check_detail(relation, detail));
        }
        let amount = fields.positive("amount_fen", amount_fen);
        let commitment = fields.code("commitment_ref", &commitment_ref);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let mode = read_mode(&mut fields, mode);
        let read = all3(request_id, owner, beneficiary)
            .zip(all3(relation, relation_detail, amount))
            .zip(all3(commitment, view, mode));
        let (((request_id, owner, beneficiary), (relation, relation_detail, amount)), (commitment, view, mode)) =
            fields.done(read)?;
        let command = TransferFunds {
            caller: self.caller(),
            request_id,
            owner,
            beneficiary,
            relation,
            relation_detail,
            amount,
            commitment,
            mode,
            from_wallet,
        };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        Ok(Response::new(proto::TransferFundsResponse {
            transfer_id: outcome.transfer.id.to_string(),
            mode: outcome.mode.to_wire(),
            amount_fen: outcome.transfer.amount.as_fen(),
            owner_account: Some(self.account_after(&outcome.owner, &done).await?),
            beneficiary_account: match &outcome.beneficiary {
                Some(account) => Some(self.account_after(account, &done).await?),
                None => None,
            },
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            state: (match outcome.state {
                TransferState::Pending => proto::TransferState::Pending,
                TransferState::Claimed => proto::TransferState::Done,
                TransferState::Returned => proto::TransferState::Returned,
            }) as i32,
            claim_before: outcome.claim_before.map(timestamp),
        }))
    }

    async fn claim_transfer(
        &self,
        request: Request<proto::ClaimTransferRequest>,
    ) -> Reply<proto::ClaimTransferResponse> {
        let proto::ClaimTransferRequest { request_id, transfer_id, beneficiary, explanation_view } =
            request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let transfer = fields.transfer_id("transfer_id", &transfer_id);
        let beneficiary = fields.person("beneficiary", beneficiary);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let read = all3(request_id, transfer, beneficiary).zip(view);
        let ((request_id, transfer, beneficiary), view) = fields.done(read)?;
        let command = ClaimTransfer { caller: self.caller(), request_id, transfer, beneficiary };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        Ok(Response::new(proto::ClaimTransferResponse {
            transfer_id: outcome.transfer.id.to_string(),
            amount_fen: outcome.transfer.amount.as_fen(),
            beneficiary_account: Some(self.account_after(&outcome.beneficiary, &done).await?),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    async fn open_wallet(&self, request: Request<proto::OpenWalletRequest>) -> Reply<proto::OpenWalletResponse> {
        let proto::OpenWalletRequest { request_id, member } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let member = fields.person("member", member);
        let (request_id, member) = fields.done(request_id.zip(member))?;
        let done = self.ledger.run(&OpenWallet { caller: self.caller(), request_id, member }).await?;
        let account = self.account_after(&done.outcome, &done).await?;
        Ok(Response::new(proto::OpenWalletResponse {
            account: Some(proto::Account { wallet_open: true, ..account }),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    async fn close_year(&self, request: Request<proto::CloseYearRequest>) -> Reply<proto::CloseYearResponse> {
        year_close::close(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_year_close(&self, request: Request<proto::GetYearCloseRequest>) -> Reply<proto::GetYearCloseResponse> {
        year_close::get(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_entries(&self, request: Request<proto::ListEntriesRequest>) -> Reply<proto::ListEntriesResponse> {
        let proto::ListEntriesRequest { member, page_size, page_token, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let member = fields.person("member", member);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let position = fields.position(min_ledger_position);
        let (member, size, position) = fields.done(all3(member, size, position))?;
        let head = self.ledger.fresh_enough(position).await?;
        let id = self.ledger.member(&member).await?.member.id;
        let page = self.ledger.page(&page_token, format!("entries {id}").as_bytes(), size, head)?;
        let (entries, next) = self.ledger.list_entries(id, &page).await?;
        Ok(Response::new(proto::ListEntriesResponse {
            entries: entries.iter().map(|view| entry(view, id)).collect(),
            next_page_token: next.map(|after| self.ledger.next_page(&page, after)).unwrap_or_default(),
        }))
    }
}

impl Service {
    /// One credit, in a call of its own or among many.
    pub(in crate::grpc) async fn credit_one(
        &self,
        request: proto::CreditAccountRequest,
    ) -> Result<Done<Account>, Status> {
        let proto::CreditAccountRequest { request_id, member, bucket, amount_fen, kind, note_ref } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let member = fields.person("member", member);
        let bucket = fields.word("bucket", bucket);
        if bucket == Some(Bucket::Wallet) {
            fields.bad("bucket", "must be a bucket of the personal account: money enters a wallet by transfer");
        }
        let kind = read_kind(&mut fields, kind);
        let amount = match kind {
            Some(CreditKind::Correction) if amount_fen < 0 => {
                fields.positive("amount_fen", amount_fen.checked_neg().unwrap_or(i64::MAX)).map(|amount| -amount)
            }
            _ => fields.positive("amount_fen", amount_fen),
        };
        let note = fields.optional_code("note_ref", &note_ref);
        let read = all3(request_id, member, bucket).zip(all3(kind, amount, note));
        let ((request_id, member, bucket), (kind, amount, note)) = fields.done(read)?;
        let command = CreditAccount { caller: self.caller(), request_id, member, bucket, amount, kind, note };
        Ok(self.ledger.run(&command).await?)
    }

    fn account(&self, view: &AccountView, explain: proto::ExplanationView) -> proto::Account {
        let digests = [view.policy.revision.digest];
        let policies = self.ledger.revisions_of(std::slice::from_ref(&view.policy));
        let basis = self.basis(&policies, &digests, None);
        let bucket = |bucket: &Bucket| {
            let (available, held) = (view.account.balance(*bucket), Mark::held(&view.holds, &view.account, *bucket));
            proto::BucketBalance {
                bucket: bucket.to_wire(),
                posted_fen: (available + held).as_fen(),
                held_fen: held.as_fen(),
                available_fen: available.as_fen(),
            }
        };
        proto::Account {
            member_id: view.account.member.to_string(),
            region_code: view.region.to_string(),
            buckets: Bucket::ALL.iter().map(bucket).collect(),
            quota_frozen_fen: view.frozen.as_fen(),
            year: i32::from(view.account.year),
            usable_by_relatives_fen: view.usable.as_fen(),
            explanation: explanation::render(&view.trace, &basis, explain),
            wallet_open: view.wallet_open,
            quota_held_fen: Mark::held_of_quotas(&view.holds).as_fen(),
        }
    }

    /// An account as a change left it.
    pub(in crate::grpc) async fn account_after<T: Sync>(
        &self,
        account: &Account,
        done: &Done<T>,
    ) -> Result<proto::Account, Status> {
        let region = self.ledger.region_at(account.member, done.position).await.of_made()?;
        let view = self.ledger.account_view(region, account, done.at.civil_day()).of_made()?;
        Ok(self.account(&view, proto::ExplanationView::None))
    }
}

/// How money shall move; left out, as the policy says.
fn read_mode(fields: &mut Fields, mode: i32) -> Option<Option<Mode>> {
    if mode == proto::Mode::Unspecified as i32 {
        return Some(None);
    }
    let known = Mode::from_wire(mode).filter(|mode| matches!(mode, Mode::TransferBeforehand | Mode::WalletTransfer));
    if known.is_none() {
        fields.bad("mode", "must be TRANSFER_BEFOREHAND or WALLET_TRANSFER, or left out");
    }
    known.map(Some)
}

fn read_kind(fields: &mut Fields, kind: i32) -> Option<CreditKind> {
    match proto::CreditKind::try_from(kind) {
        Ok(proto::CreditKind::Monthly) => Some(CreditKind::Monthly),
        Ok(proto::CreditKind::Correction) => Some(CreditKind::Correction),
        Ok(proto::CreditKind::Unspecified) | Err(_) => {
            fields.bad("kind", "is required and must be a known value");
            None
        }
    }
}

fn entry(view: &EntryView, member: MemberId) -> proto::Entry {
    let (kind, source_id) = entry_kind(view, member);
    proto::Entry {
        ledger_position: wire_position(view.position),
        time: Some(timestamp(view.at)),
        bucket: view.bucket.to_wire(),
        amount_fen: view.amount.as_fen(),
        balance_after_fen: view.after.as_fen(),
        kind: kind as i32,
        source_id,
    }
}

fn entry_kind(view: &EntryView, member: MemberId) -> (proto::EntryKind, String) {
    use proto::EntryKind as K;
    // Within any record, money that moves between two buckets of one account is the year turning.
    let turned = view.record.postings.iter().any(|posting| {
        let effects: Vec<(Bucket, Money, Money)> = posting.effects(member).collect();
        effects.len() == 2 && effects.contains(&(view.bucket, view.amount, view.after))
    });
    if turned {
        return (K::YearTurn, String::new());
    }
    match &view.record.event {
        Event::Credited { kind: CreditKind::Monthly, .. } => (K::Credit, String::new()),
        Event::Credited { kind: CreditKind::Correction, .. } => (K::Correction, String::new()),
        Event::Transferred { transfer, .. } => {
            let kind = if transfer.owner == member { K::TransferOut } else { K::TransferIn };
            (kind, transfer.id.to_string())
        }
        Event::Settled(settled) => (K::Settlement, settled.id.to_string()),
        Event::Refunded { settlement, .. } => (K::Refund, settlement.to_string()),
        Event::TransferSent { transfer, .. } => (K::TransferOut, transfer.id.to_string()),
        Event::TransferClaimed { transfer, .. } => (K::TransferIn, transfer.id.to_string()),
        Event::TransferReturned { transfer, .. } => (K::TransferReturn, transfer.id.to_string()),
        Event::QuotaSet { quota, .. } => {
            let kind = if view.amount.is_negative() { K::QuotaFreeze } else { K::QuotaReturn };
            (kind, quota.binding.to_string())
        }
        Event::BindingReleased { binding, .. } => (K::QuotaReturn, binding.to_string()),
        Event::InsuranceUpdated { .. } => (K::QuotaReturn, String::new()),
        Event::Held { settled, .. } => (K::Hold, settled.id.to_string()),
        Event::HoldConfirmed { settlement, .. } | Event::HoldEnded { settlement, .. } => {
            (K::HoldReturn, settlement.to_string())
        }
        Event::RefundReversed { settlement, .. } => (K::Settlement, settlement.to_string()),
        Event::YearClosed { end, .. } => (K::Interest, end.year.to_string()),
        Event::MemberCreated { .. }
        | Event::YearCloseStarted { .. }
        | Event::YearCloseAdvanced { .. }
        | Event::BindingCreated { .. }
        | Event::BindingVerified { .. }
        | Event::BindingsReordered { .. }
        | Event::WalletOpened { .. }
        | Event::CardActivated { .. }
        | Event::JobDone { .. }
        | Event::Fenced { .. }
        | Event::SettlementReversed { .. }
        | Event::CertificationRecorded { .. } => (K::Unspecified, String::new()),
    }
}
