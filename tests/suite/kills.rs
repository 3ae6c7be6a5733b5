//! `kill -9` under load, again and again on one data directory, and after each start an audit by somebody who knows every
//! answer that was given.
//!
//! A seed makes the plan of each round: people, credits, bindings, settlements (alone, or items of a batch or stream), refunds,
//! holds with their confirmations and releases, fences and reversals beside their originals, and repeats of earlier ids, over
//! several connections. The server is killed by whichever connection receives the n-th answer of the round, n from the seed
//! too: no clock decides. Afterwards every request of the round is sent again, answered or not, and a sample of the
//! rounds before; each has one effect and one answer, and the ledger holds nothing beside.
//!
//! `GONGJI_KILLS=200 cargo test --test suite kills::` kills 200 times instead of 20; `GONGJI_SEED=…` takes that seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use gongji::demo;
use gongji::domain::record::Event;
use gongji::domain::time::Moment;
use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;
use gongji::grpc::proto::binding_service_client::BindingServiceClient;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::grpc::proto::member_service_client::MemberServiceClient;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;
use gongji::ledger::source::{RandomIds, SystemClock};
use gongji::ledger::{Ledger, Limits};
use gongji::policy::{self, PolicyFiles};
use gongji::store::memory::MemoryStore;
use gongji::store::record::decode_record;
use gongji::store::{Change, CommitError, Committed, Key, Store, StoreFuture};

use crate::around::{Around, Wrapped};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::as_status;

use super::process::{Dice, Replay, Server, check_ledger, endpoint, from_env, id_number, run, today};

const CONNECTIONS: usize = 8;
const OWNERS: usize = 5;
const PATIENTS: usize = 7;
const INSTITUTIONS: [&str; 3] = ["H001", "H002", "P003"];

/// One change, as it is sent and sent again.
#[allow(clippy::large_enum_variant, reason = "a few hundred at a time")]
#[derive(Clone, Debug)]
pub enum Op {
    Member(proto::CreateMemberRequest),
    Credit(proto::CreditAccountRequest),
    Bind(proto::CreateBindingRequest),
    Release(proto::ReleaseBindingRequest),
    Settle(Box<proto::SettleRequest>),
    Refund(proto::RefundSettlementRequest),
    Hold(Box<proto::HoldSettlementRequest>),
    Confirm(proto::ConfirmSettlementRequest),
    ReleaseHold(proto::ReleaseHoldRequest),
    Resolve(proto::ResolveOutcomeRequest),
}

/// What was answered, without the two fields that tell a repeat.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a handful of answers")]
pub enum Answer {
    Member(Box<proto::CreateMemberResponse>),
    Credit(proto::CreditAccountResponse),
    Bind(Box<proto::CreateBindingResponse>),
    Release(Box<proto::ReleaseBindingResponse>),
    Settle(Box<proto::SettleResponse>),
    Refund(Box<proto::RefundSettlementResponse>),
    Hold(Box<proto::HoldSettlementResponse>),
    Confirm(Box<proto::ConfirmSettlementResponse>),
    ReleaseHold(Box<proto::ReleaseHoldResponse>),
    /// That fenced or reversed something.
    Resolve(Box<proto::ResolveOutcomeResponse>),
}

/// How one sending ended.
#[allow(clippy::large_enum_variant, reason = "a few at a time")]
#[derive(Clone, Debug)]
pub enum Outcome {
    Done {
        answer: Answer,
        replayed: bool,
    },
    /// A resolution that changed nothing: what it found.
    Found(proto::ResolvedOutcome),
    Refused(Status),
    /// The connection broke: it may have been done.
    Unknown,
}

impl Answer {
    pub fn position(&self) -> i64 {
        match self {
            Self::Member(answer) => answer.ledger_position,
            Self::Credit(answer) => answer.ledger_position,
            Self::Bind(answer) => answer.ledger_position,
            Self::Release(answer) => answer.ledger_position,
            Self::Settle(answer) => answer.ledger_position,
            Self::Refund(answer) => answer.ledger_position,
            Self::Hold(answer) => answer.ledger_position,
            Self::Confirm(answer) => answer.ledger_position,
            Self::ReleaseHold(answer) => answer.ledger_position,
            Self::Resolve(answer) => answer.ledger_position,
        }
    }
}

/// By itself, or as an item of a batch or of a stream: one outcome, whichever way it goes, and may go another way again.
async fn settled(channel: Channel, request: proto::SettleRequest) -> Result<proto::SettleResponse, Status> {
    let mut client = SettlementServiceClient::new(channel);
    let way = SENT.fetch_add(1, Ordering::Relaxed) % 4;
    let result = match way {
        0 => {
            let batch = proto::BatchSettleRequest { items: vec![request] };
            client.batch_settle(batch).await?.into_inner().results.pop()
        }
        1 => {
            let item = proto::StreamSettleRequest { item: Some(request) };
            let mut answers = client.stream_settle(tokio_stream::once(item)).await?.into_inner();
            answers.message().await?.and_then(|answer| answer.result)
        }
        _ => return client.settle(request).await.map(tonic::Response::into_inner),
    };
    match result.and_then(|result| result.result) {
        Some(proto::settle_result::Result::Response(response)) => Ok(response),
        Some(proto::settle_result::Result::Error(error)) => Err(as_status(&error)),
        // The connection broke before the item was answered.
        None => Err(Status::unknown("no result")),
    }
}

/// Settlements sent.
static SENT: AtomicU64 = AtomicU64::new(0);

pub async fn send(channel: &Channel, op: Op) -> Outcome {
    let channel = channel.clone();
    let sent = match op {
        Op::Member(request) => MemberServiceClient::new(channel).create_member(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            (std::mem::take(&mut answer.replayed), Answer::Member(Box::new(answer)))
        }),
        Op::Credit(request) => AccountServiceClient::new(channel).credit_account(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            (std::mem::take(&mut answer.replayed), Answer::Credit(answer))
        }),
        Op::Bind(request) => BindingServiceClient::new(channel).create_binding(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Bind(Box::new(answer)))
        }),
        Op::Release(request) => BindingServiceClient::new(channel).release_binding(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Release(Box::new(answer)))
        }),
        Op::Settle(request) => settled(channel, *request).await.map(|mut answer| {
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Settle(Box::new(answer)))
        }),
        Op::Refund(request) => SettlementServiceClient::new(channel).refund_settlement(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Refund(Box::new(answer)))
        }),
        Op::Hold(request) => SettlementServiceClient::new(channel).hold_settlement(*request).await.map(|answer| {
            let mut answer = answer.into_inner();
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Hold(Box::new(answer)))
        }),
        Op::Confirm(request) => SettlementServiceClient::new(channel).confirm_settlement(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            answer.current_state = 0;
            (std::mem::take(&mut answer.replayed), Answer::Confirm(Box::new(answer)))
        }),
        Op::ReleaseHold(request) => SettlementServiceClient::new(channel).release_hold(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            (std::mem::take(&mut answer.replayed), Answer::ReleaseHold(Box::new(answer)))
        }),
        Op::Resolve(request) => SettlementServiceClient::new(channel).resolve_outcome(request).await.map(|answer| {
            let mut answer = answer.into_inner();
            (std::mem::take(&mut answer.replayed), Answer::Resolve(Box::new(answer)))
        }),
    };
    match sent {
        Ok((_, Answer::Resolve(answer))) if answer.ledger_position == 0 => Outcome::Found(answer.outcome()),
        Ok((replayed, answer)) => Outcome::Done { answer, replayed },
        Err(status) if status.get_details_error_info().is_some_and(|info| info.domain == "gongji") => {
            assert!(status.code() != Code::Internal, "a bug was told: {status:?}");
            Outcome::Refused(status)
        }
        Err(_) => Outcome::Unknown,
    }
}

pub fn person(number: usize, has_account: bool) -> Op {
    let scheme = if has_account { proto::Scheme::Employee } else { proto::Scheme::Resident };
    Op::Member(proto::CreateMemberRequest {
        request_id: format!("person-{number}"),
        name: format!("人{number}"),
        id_number: id_number(number),
        card_number: Some(format!("CARD-{number}")),
        personal_number: None,
        computer_number: None,
        card_state: 0,
        issuing_bank_code: String::new(),
        insurance: Some(proto::Insurance {
            scheme: scheme as i32,
            tier: if has_account { "1" } else { "" }.to_owned(),
            state: proto::InsuranceState::Normal as i32,
            region_code: "440300".to_owned(),
            has_account,
            start_date: "2015-01-01".to_owned(),
        }),
        view: 0,
    })
}

pub fn reference(number: usize) -> Option<proto::MemberRef> {
    Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::CardNumber(format!("CARD-{number}"))) })
}

pub fn credit(id: String, number: usize, amount_fen: i64) -> Op {
    Op::Credit(proto::CreditAccountRequest {
        request_id: id,
        member: reference(number),
        bucket: proto::Bucket::PriorYears as i32,
        amount_fen,
        kind: proto::CreditKind::Monthly as i32,
        note_ref: String::new(),
    })
}

pub fn settle(id: String, institution: &str, patient: usize, day: &str, total_fen: i64, fund_fen: i64) -> Op {
    let deductible_fen = 0;
    Op::Settle(Box::new(proto::SettleRequest {
        request_id: id.clone(),
        institution_code: institution.to_owned(),
        patient: reference(patient),
        visit: Some(proto::Visit {
            institution_kind: proto::InstitutionKind::Level3 as i32,
            care_region_code: "440300".to_owned(),
            purpose: proto::Purpose::Outpatient as i32,
            visit_date: day.to_owned(),
            external_refs: Some(proto::ExternalRefs { msgid: id, ..Default::default() }),
        }),
        bill: Some(proto::Bill {
            total_fen,
            lines: Vec::new(),
            adjudicated: Some(proto::AdjudicatedBill {
                fund_fen,
                hospital_part_fen: 0,
                deductible_fen,
                first_self_pay_fen: 0,
                over_limit_fen: 0,
                full_self_pay_fen: 0,
                person_part_fen: total_fen - fund_fen,
            }),
        }),
        ..Default::default()
    }))
}

/// A hold of what would be settled; it does not run out while a test runs.
pub fn hold(settle: Op) -> Op {
    let Op::Settle(request) = settle else { panic!("a settlement") };
    Op::Hold(Box::new(crate::support::hold_of(&request, 86_400)))
}

/// Declares an original void if it had no effect.
pub fn resolve(id: String, institution: &str, original: &str, if_applied: proto::IfApplied) -> Op {
    Op::Resolve(proto::ResolveOutcomeRequest {
        request_id: id,
        institution_code: institution.to_owned(),
        original_request_id: original.to_owned(),
        on_missing: proto::OnMissing::Fence as i32,
        if_applied: if_applied as i32,
    })
}

impl Op {
    /// Institution and request id of what may be resolved.
    fn resolvable(&self) -> Option<(&str, &str)> {
        match self {
            Self::Settle(request) => Some((&request.institution_code, &request.request_id)),
            Self::Hold(request) => Some((&request.institution_code, &request.request_id)),
            _ => None,
        }
    }
}

/// The binding of a pair, with whatever evidence the channel asks for today.
pub async fn binding(channel: &Channel, id: String, owner: usize, beneficiary: usize) -> Op {
    let mut check = proto::CheckBindingRequest {
        owner: reference(owner),
        beneficiary: reference(beneficiary),
        relation: proto::Relation::Parent as i32,
        channel: proto::Channel::AgencyWindow as i32,
        ..Default::default()
    };
    let answer = BindingServiceClient::new(channel.clone()).check_binding(check.clone()).await;
    let missing = answer.expect("a binding can be asked about").into_inner().missing_evidence;
    let evidence = |kind| proto::Evidence { r#type: kind, reference: "paper".to_owned(), digest: String::new() };
    check.evidence = missing.into_iter().map(evidence).collect();
    Op::Bind(proto::CreateBindingRequest {
        request_id: id,
        owner: check.owner,
        beneficiary: check.beneficiary,
        relation: check.relation,
        channel: check.channel,
        evidence: check.evidence,
        ..Default::default()
    })
}

/// A request with everything that was ever answered to it: one answer, once without `replayed`.
struct Known {
    op: Op,
    answer: Option<Answer>,
    seen_first: bool,
    /// What a resolution said of its original, by a change or without one.
    found: Option<proto::ResolvedOutcome>,
}

/// What became of a settlement or hold after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Confirmed,
    Released,
    /// Nothing of it stands, whatever was refunded before.
    Reversed,
}

/// Who knows every answer.
#[derive(Default)]
pub struct Auditor {
    requests: Vec<Known>,
    /// The furthest position that was told.
    furthest: i64,
}

impl Auditor {
    fn plan(&mut self, op: Op) -> usize {
        self.requests.push(Known { op, answer: None, seen_first: false, found: None });
        self.requests.len() - 1
    }

    /// How many requests there are.
    pub fn known(&self) -> usize {
        self.requests.len()
    }

    pub fn op(&self, place: usize) -> &Op {
        &self.requests[place].op
    }

    /// Whether it was ever answered with an effect.
    pub fn answered(&self, place: usize) -> bool {
        self.requests[place].answer.is_some()
    }

    /// How many records there must be.
    pub fn effects(&self) -> u64 {
        self.requests.iter().filter(|known| known.answer.is_some()).count() as u64
    }

    pub fn hear(&mut self, place: usize, outcome: &Outcome) {
        let known = &mut self.requests[place];
        let found = match outcome {
            Outcome::Found(found) => Some(*found),
            Outcome::Done { answer: Answer::Resolve(answer), .. } => Some(answer.outcome()),
            Outcome::Done { .. } | Outcome::Refused(_) | Outcome::Unknown => None,
        };
        if let Some(found) = found {
            let before = known.found.replace(found);
            use proto::ResolvedOutcome as R;
            // What was only asked about may be reversed by somebody else; nothing else changes.
            let stays = before.is_none_or(|before| before == found || (before, found) == (R::Applied, R::Reversed));
            assert!(stays, "another outcome of the same resolution: {before:?}, {found:?}: {:?}", known.op);
        }
        let Outcome::Done { answer, replayed } = outcome else { return };
        self.furthest = self.furthest.max(answer.position());
        match &known.answer {
            None => known.answer = Some(answer.clone()),
            Some(first) => assert_eq!(answer, first, "another answer to the same request: {:?}", known.op),
        }
        assert!(*replayed || !known.seen_first, "one request had two effects: {:?}", known.op);
        known.seen_first |= !replayed;
    }

    /// Settlements and holds, as they were made.
    fn settlements(&self) -> impl Iterator<Item = &proto::Settlement> {
        self.requests.iter().filter_map(|known| match &known.answer {
            Some(Answer::Settle(answer)) => answer.settlement.as_ref(),
            Some(Answer::Hold(answer)) => answer.settlement.as_ref(),
            _ => None,
        })
    }

    /// What became of them, as far as was answered.
    fn ends(&self) -> BTreeMap<&str, End> {
        let mut ends = BTreeMap::new();
        for known in &self.requests {
            let (settlement, end) = match &known.answer {
                Some(Answer::Confirm(answer)) => (answer.settlement.as_ref(), End::Confirmed),
                Some(Answer::ReleaseHold(answer)) => (answer.settlement.as_ref(), End::Released),
                // One that fenced names none.
                Some(Answer::Resolve(answer)) => (answer.settlement.as_ref(), End::Reversed),
                _ => continue,
            };
            let Some(settlement) = settlement else { continue };
            let id = settlement.settlement_id.as_str();
            let end = match (ends.get(id), end) {
                (None, end) => end,
                (Some(End::Confirmed), End::Reversed) | (Some(End::Reversed), End::Confirmed) => End::Reversed,
                (Some(before), end) => panic!("{id} ended twice: {before:?}, {end:?}"),
            };
            ends.insert(id, end);
        }
        ends
    }

    /// Holds that nobody has resolved, as far as was answered.
    fn open_holds(&self) -> Vec<proto::Settlement> {
        let ends = self.ends();
        let held = self.requests.iter().filter_map(|known| match &known.answer {
            Some(Answer::Hold(answer)) => answer.settlement.clone(),
            _ => None,
        });
        held.filter(|settlement| !ends.contains_key(settlement.settlement_id.as_str())).collect()
    }

    /// What every account must have, posted and held, from the answers alone.
    fn balances(&self) -> BTreeMap<String, [i64; 2]> {
        let mut owners = BTreeMap::new();
        let mut balances: BTreeMap<String, [i64; 2]> = BTreeMap::new();
        for known in &self.requests {
            match &known.answer {
                Some(Answer::Bind(answer)) => {
                    let binding = answer.binding.clone().expect("a binding");
                    owners.insert(binding.binding_id, binding.owner_member_id);
                }
                Some(Answer::Credit(answer)) => {
                    let Op::Credit(request) = &known.op else { panic!("another kind of answer") };
                    let account = answer.account.clone().expect("an account");
                    balances.entry(account.member_id).or_default()[0] += request.amount_fen;
                }
                _ => {}
            }
        }
        let ends = self.ends();
        for known in &self.requests {
            let (settlement, returned, change) = match &known.answer {
                Some(Answer::Settle(answer)) => (answer.settlement.as_ref(), None, [-1, 0]),
                Some(Answer::Confirm(answer)) => (answer.settlement.as_ref(), None, [-1, 0]),
                Some(Answer::Hold(answer)) => (answer.settlement.as_ref(), None, [0, 1]),
                Some(Answer::Refund(answer)) => (answer.settlement.as_ref(), Some(&answer.returned), [1, 0]),
                _ => continue,
            };
            let settlement = settlement.expect("a settlement");
            let end = ends.get(settlement.settlement_id.as_str());
            let is_over = end.is_some() && change == [0, 1];
            if is_over || end == Some(&End::Reversed) {
                continue;
            }
            for contribution in returned.unwrap_or(&settlement.contributions) {
                let payer = owners.get(&contribution.binding_id).unwrap_or(&settlement.patient_member_id);
                let balance = balances.entry(payer.clone()).or_default();
                balance[0] += change[0] * contribution.amount_fen;
                balance[1] += change[1] * contribution.amount_fen;
            }
        }
        balances
    }

    /// Of a fence and its original one is in effect and never both, whoever was first. How many were told of a fence.
    fn fenced(&self) -> usize {
        let originals: BTreeMap<(&str, &str), bool> =
            self.requests.iter().filter_map(|known| Some((known.op.resolvable()?, known.answer.is_some()))).collect();
        let mut fenced = 0;
        for known in &self.requests {
            let (Op::Resolve(request), Some(found)) = (&known.op, known.found) else { continue };
            let key = (request.institution_code.as_str(), request.original_request_id.as_str());
            let is_void = found == proto::ResolvedOutcome::Fenced;
            assert_eq!(originals.get(&key), Some(&!is_void), "{key:?} was told to be {found:?}");
            fenced += usize::from(is_void);
        }
        fenced
    }
}

/// Sends everything over several connections; after `limit` answers calls `at_limit` once. Stops a connection when it
/// breaks.
async fn drive(
    address: std::net::SocketAddr,
    work: Vec<(usize, Op)>,
    limit: usize,
    at_limit: impl Fn() + Send + Sync + 'static,
) -> Vec<(usize, Outcome)> {
    let answers = Arc::new(AtomicUsize::new(0));
    let at_limit = Arc::new(at_limit);
    let mut hands: Vec<Vec<(usize, Op)>> = vec![Vec::new(); CONNECTIONS];
    for (turn, item) in work.into_iter().enumerate() {
        hands[turn % CONNECTIONS].push(item);
    }
    let mut tasks = JoinSet::new();
    for hand in hands {
        let (answers, at_limit) = (answers.clone(), at_limit.clone());
        tasks.spawn(async move {
            let mut outcomes = Vec::with_capacity(hand.len());
            let Ok(channel) = endpoint(address).connect().await else { return outcomes };
            for (place, op) in hand {
                let outcome = send(&channel, op).await;
                let broken = matches!(outcome, Outcome::Unknown);
                outcomes.push((place, outcome));
                if broken {
                    break;
                }
                if answers.fetch_add(1, Ordering::AcqRel) + 1 == limit {
                    at_limit();
                }
            }
            outcomes
        });
    }
    let mut outcomes = Vec::new();
    while let Some(done) = tasks.join_next().await {
        outcomes.extend(done.expect("no panic"));
    }
    outcomes
}

/// Everything that does not move money first: a small town of families that share their owners.
pub async fn settle_town(auditor: &mut Auditor, server: &Server) {
    let channel = server.channel().await;
    let mut ops: Vec<Op> = (0..OWNERS + PATIENTS).map(|number| person(number, number < OWNERS)).collect();
    ops.extend((0..OWNERS).map(|number| credit(format!("first-{number}"), number, 5_000_000)));
    for op in ops {
        let place = auditor.plan(op.clone());
        let outcome = send(&channel, op).await;
        assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}");
        auditor.hear(place, &outcome);
    }
    for patient in 0..PATIENTS {
        for owner in [patient % OWNERS, (patient + 1) % OWNERS] {
            let op = binding(&channel, format!("first-{owner}-{patient}"), owner, OWNERS + patient).await;
            let place = auditor.plan(op.clone());
            let outcome = send(&channel, op).await;
            assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}");
            auditor.hear(place, &outcome);
        }
    }
}

/// The requests of one round.
pub async fn plan(
    auditor: &mut Auditor,
    server: &Server,
    round: usize,
    dice: &mut Dice,
    day: &str,
) -> Vec<(usize, Op)> {
    let channel = server.channel().await;
    let settled: Vec<(String, String)> = auditor
        .settlements()
        .map(|settlement| (settlement.institution_code.clone(), settlement.settlement_id.clone()))
        .collect();
    let open = auditor.open_holds();
    let newcomer = 1000 + round;
    let mut work = Vec::new();
    for number in 0..40 + dice.roll(40) {
        let id = format!("r{round}-{number}");
        let op = match dice.roll(20) {
            0 => credit(id, dice.roll(OWNERS), dice.fen(100_000)),
            1 if !settled.is_empty() => {
                let (institution_code, settlement_id) = dice.one_of(&settled).clone();
                let parts = proto::RefundParts { accounts_fen: dice.fen(50), ..Default::default() };
                let what = match dice.roll(2) {
                    0 => proto::refund_settlement_request::What::Whole(true),
                    _ => proto::refund_settlement_request::What::Parts(parts),
                };
                let (request_id, what) = (id, Some(what));
                let explanation_view = 0;
                Op::Refund(proto::RefundSettlementRequest {
                    request_id,
                    institution_code,
                    settlement_id,
                    what,
                    explanation_view,
                })
            }
            2 | 3 if number > 0 => {
                // A repeat, of this round or of long ago.
                let place = auditor.requests.len() - 1 - dice.roll(auditor.requests.len().min(300));
                work.push((place, auditor.requests[place].op.clone()));
                continue;
            }
            4 => person(10_000 + round * 100 + number, dice.roll(2) == 0),
            5 => binding(&channel, id, dice.roll(OWNERS), OWNERS + dice.roll(PATIENTS)).await,
            kind @ 6..=8 if !open.is_empty() => {
                // Two may choose one hold: then one of them comes too late.
                let held = dice.one_of(&open);
                let (request_id, institution_code) = (id, held.institution_code.clone());
                let settlement_id = held.settlement_id.clone();
                if kind == 6 {
                    Op::ReleaseHold(proto::ReleaseHoldRequest { request_id, institution_code, settlement_id })
                } else {
                    let all: i64 = held.contributions.iter().map(|part| part.amount_fen).sum();
                    let accounts_fen = (dice.roll(2) == 0).then_some(all / 2);
                    let explanation_view = 0;
                    Op::Confirm(proto::ConfirmSettlementRequest {
                        request_id,
                        institution_code,
                        settlement_id,
                        accounts_fen,
                        explanation_view,
                    })
                }
            }
            kind => {
                let total = dice.fen(20_000);
                let fund = if dice.roll(2) == 0 { 0 } else { total / 3 };
                let institution = dice.one_of(&INSTITUTIONS);
                let op = settle(id.clone(), institution, OWNERS + dice.roll(PATIENTS), day, total, fund);
                let op = if dice.roll(3) == 0 { hold(op) } else { op };
                if kind < 11 {
                    // Doubt about what is under way, or has not left yet: next to it, so on another connection.
                    let if_applied = *dice.one_of(&[proto::IfApplied::Keep, proto::IfApplied::Reverse]);
                    let doubt = resolve(format!("{id}-doubt"), institution, &id, if_applied);
                    let mut pair = [op, doubt];
                    pair.rotate_left(dice.roll(2));
                    let [first, second] = pair;
                    work.push((auditor.plan(first.clone()), first));
                    second
                } else {
                    op
                }
            }
        };
        work.push((auditor.plan(op.clone()), op));
    }
    // Somebody new each round, bound and released again: written in one round, read in the next.
    let op = person(newcomer, false);
    work.insert(0, (auditor.plan(op.clone()), op));
    if round > 0 {
        let pair = proto::BindingPair { owner: reference(0), beneficiary: reference(newcomer - 1) };
        let (by, channel) = (proto::BindingParty::Owner, proto::Channel::AgencyWindow);
        let release = Op::Release(proto::ReleaseBindingRequest {
            explanation_view: 0,
            evidence: crate::support::release_evidence(),
            request_id: format!("release-{round}"),
            requested_by: by as i32,
            channel: channel as i32,
            target: Some(proto::release_binding_request::Target::Pair(pair)),
        });
        work.push((auditor.plan(release.clone()), release));
    }
    work
}

/// Compares the ledger with what the auditor knows. Every request must have its outcome by now.
pub async fn audit(auditor: &Auditor, server: &Server) {
    let channel = server.channel().await;
    let mut client = SettlementServiceClient::new(channel.clone());
    // Settlements: exactly those that were told, by institution, page by page.
    let mut listed = Vec::new();
    for institution in INSTITUTIONS {
        let mut page_token = String::new();
        loop {
            let request = proto::ListSettlementsRequest {
                by: Some(proto::list_settlements_request::By::InstitutionCode(institution.to_owned())),
                page_size: 200,
                page_token,
                ..Default::default()
            };
            let page = client.list_settlements(request).await.expect("settlements can be listed").into_inner();
            listed.extend(page.settlements);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
    }
    let told: BTreeSet<&str> = auditor.settlements().map(|settlement| settlement.settlement_id.as_str()).collect();
    let found: BTreeSet<&str> = listed.iter().map(|settlement| settlement.settlement_id.as_str()).collect();
    assert_eq!(found, told, "settlements listed and settlements answered differ");
    assert_eq!(listed.len(), told.len(), "a settlement is listed twice");
    // In the state that the answers led to.
    let (ends, open) = (auditor.ends(), auditor.open_holds());
    let open: BTreeSet<&str> = open.iter().map(|settlement| settlement.settlement_id.as_str()).collect();
    for settlement in &listed {
        use proto::SettlementState::{Confirmed, Held, PartiallyRefunded, Refunded, Released};
        let expected: &[_] = match ends.get(settlement.settlement_id.as_str()) {
            Some(End::Released) => &[Released],
            Some(End::Reversed) => &[Released, Refunded],
            None if open.contains(settlement.settlement_id.as_str()) => &[Held],
            Some(End::Confirmed) | None => &[Confirmed, PartiallyRefunded, Refunded],
        };
        let state = settlement.state();
        assert!(expected.contains(&state), "{} is {state:?}, not one of {expected:?}", settlement.settlement_id);
    }
    auditor.fenced();
    // Money: what the answers add up to is what the accounts hold and what their entries sum to.
    let mut accounts = AccountServiceClient::new(channel.clone());
    for (member, [posted, held]) in auditor.balances() {
        let member = Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::MemberId(member)) });
        let request = proto::GetAccountRequest { member: member.clone(), ..Default::default() };
        let account = accounts.get_account(request).await.expect("an account").into_inner().account;
        let buckets = account.expect("an account").buckets;
        let found_posted: i64 = buckets.iter().map(|bucket| bucket.posted_fen).sum();
        let found_held: i64 = buckets.iter().map(|bucket| bucket.held_fen).sum();
        let (mut entries, mut page_token) = (0, String::new());
        loop {
            let request =
                proto::ListEntriesRequest { member: member.clone(), page_size: 500, page_token, ..Default::default() };
            let page = accounts.list_entries(request).await.expect("entries").into_inner();
            entries += page.entries.iter().map(|entry| entry.amount_fen).sum::<i64>();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        // What is held has left the account's buckets, and is its owner's still.
        let found = (found_posted, found_held, entries);
        assert_eq!(found, (posted, held, posted - held), "an account's balance and entries, and what was answered");
    }
    // Records: one for each request that had an effect, and no other.
    let effects: BTreeSet<i64> =
        auditor.requests.iter().filter_map(|known| known.answer.as_ref().map(Answer::position)).collect();
    let answered = auditor.requests.iter().filter(|known| known.answer.is_some()).count();
    let report = check_ledger(channel).await;
    assert_eq!(effects.len(), answered, "two requests took one position");
    assert_eq!(report.records_checked, answered as i64, "the ledger holds other records than those answered");
}

/// An answered settlement is found by its id and by its request, with its amounts and who paid.
pub async fn look_up(auditor: &Auditor, server: &Server, places: &[usize]) {
    let mut client = SettlementServiceClient::new(server.channel().await);
    for place in places {
        let known = &auditor.requests[*place];
        let Some((institution, request_id)) = known.op.resolvable() else { continue };
        let (settlement, explanation) = match &known.answer {
            Some(Answer::Settle(answer)) => (answer.settlement.clone(), Some(&answer.explanation)),
            // What a confirmation took less became cash: its own answer has the amounts.
            Some(Answer::Hold(answer)) => (answer.settlement.clone(), None),
            _ => continue,
        };
        let settlement = settlement.expect("a settlement");
        let by_request =
            proto::RequestKey { institution_code: institution.to_owned(), request_id: request_id.to_owned() };
        use proto::get_settlement_request::Key;
        for key in [Key::SettlementId(settlement.settlement_id.clone()), Key::Request(by_request)] {
            let request = proto::GetSettlementRequest { key: Some(key), ..Default::default() };
            let found = client.get_settlement(request).await;
            let found = found.unwrap_or_else(|status| panic!("an answered settlement cannot be read: {status:?}"));
            let proto::GetSettlementResponse { settlement: found, explanation: now } = found.into_inner();
            let found = found.expect("a settlement");
            assert_eq!(found.settlement_id, settlement.settlement_id);
            let Some(explanation) = explanation else { continue };
            assert_eq!(found.amounts, settlement.amounts);
            let drawn = |settlement: &proto::Settlement| -> Vec<(String, i32, i64)> {
                let parts = settlement.contributions.iter();
                parts.map(|part| (part.binding_id.clone(), part.bucket, part.amount_fen)).collect()
            };
            assert_eq!(drawn(&found), drawn(&settlement));
            assert_eq!(now, *explanation, "the explanation is another than at the time");
        }
    }
}

#[test]
fn nothing_answered_is_lost_and_nothing_is_done_twice() {
    let dir = TempDir::new().expect("a directory");
    kill_again_and_again(20, &|| Server::on(dir.path(), &["--index-bytes", "100000"]));
}

/// Starts a server, kills it in the middle of a round, and so on, `usually` so many times.
pub fn kill_again_and_again(usually: u64, start: &dyn Fn() -> Server) {
    let kills = from_env("GONGJI_KILLS", usually);
    let seed = from_env("GONGJI_SEED", 0x6011_9e71);
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_KILLS={kills} cargo test --test suite kills:: -- --nocapture"));
    let mut dice = Dice::new(seed);
    let mut auditor = Auditor::default();
    let (mut unknown, mut redone) = (0, 0);
    let mut server = start();
    run(settle_town(&mut auditor, &server));
    for round in 0..usize::try_from(kills).expect("not so many") {
        let day = run(async { today(server.channel().await).await });
        let first_new = auditor.requests.len();
        let work = run(plan(&mut auditor, &server, round, &mut dice, &day));
        let limit = 5 + dice.roll(work.len() - 10);
        let sent: Vec<(usize, Op)> = work;
        let outcomes = run(drive(server.address, sent.clone(), limit, server.killer()));
        assert!(outcomes.len() >= limit, "round {round}: the kill never came");
        let log = server.kill();
        assert!(!log.contains("panicked") && !log.contains("error_id"), "round {round}:\n{log}");
        for (place, outcome) in &outcomes {
            auditor.hear(*place, outcome);
        }
        let open: BTreeSet<usize> = outcomes
            .iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Unknown))
            .map(|(place, _)| *place)
            .collect();
        unknown += open.len();

        server = start();
        let head = run(async {
            let mut client = LedgerServiceClient::new(server.channel().await);
            client.get_head(proto::GetHeadRequest::default()).await.expect("a head").into_inner().head
        });
        let head = head.expect("a head").position;
        assert!(head >= auditor.furthest, "round {round}: answered up to {}, found {head}", auditor.furthest);
        // All of this round, and a sample of those before; the last round, all there is.
        let last = round + 1 == usize::try_from(kills).expect("not so many");
        let mut places: Vec<usize> = sent.iter().map(|(place, _)| *place).collect();
        places.extend((0..60).map(|_| dice.roll(first_new)));
        if last {
            places.extend(0..auditor.requests.len());
        }
        places.sort_unstable();
        places.dedup();
        run(look_up(&auditor, &server, &places));
        let again: Vec<(usize, Op)> =
            places.iter().map(|place| (*place, auditor.requests[*place].op.clone())).collect();
        let outcomes = run(drive(server.address, again, usize::MAX, || {}));
        assert_eq!(outcomes.len(), places.len(), "round {round}: a connection broke:\n{}", server.log());
        for (place, outcome) in &outcomes {
            let had_answer = auditor.requests[*place].answer.is_some();
            match outcome {
                Outcome::Done { replayed, .. } => {
                    assert!(*replayed || !had_answer, "round {round}: an answered request was done again");
                    redone += usize::from(*replayed && open.contains(place));
                }
                Outcome::Found(found) => {
                    assert!(!had_answer, "round {round}: what an answered resolution did is {found:?} by another");
                }
                Outcome::Refused(status) => {
                    assert!(!had_answer, "round {round}: an answered request is refused: {status:?}");
                }
                Outcome::Unknown => panic!("round {round}: no answer:\n{}", server.log()),
            }
            auditor.hear(*place, outcome);
        }
        run(audit(&auditor, &server));
    }
    let answered = auditor.requests.iter().filter(|known| known.answer.is_some()).count();
    let told = auditor.settlements().count();
    let (ends, fenced) = (auditor.ends(), auditor.fenced());
    let many = |end: End| ends.values().filter(|found| **found == end).count();
    println!(
        "{kills} kills, seed {seed}: {} requests, {answered} with effect, {told} settlements and holds, {} confirmed, {} \
         released, {} reversed, {fenced} resolutions told of a fence; {unknown} without an answer at a kill, {redone} of \
         them had been done",
        auditor.requests.len(),
        many(End::Confirmed),
        many(End::Released),
        many(End::Reversed),
    );
    assert!(unknown > 0, "no kill met a running request");
    let each = [End::Confirmed, End::Released, End::Reversed].map(many);
    let met = fenced > 0 && each.iter().all(|many| *many > 0);
    assert!(met || kills < 5, "not each kind of end was met: {each:?}, {fenced}");
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
}

/// A store that loses the first race of a change that writes a policy.
struct LosesOnce {
    inner: MemoryStore,
    lost: AtomicBool,
}

impl Around for LosesOnce {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        let writes_policy =
            changes.iter().flat_map(|change| &change.puts).any(|(key, _)| matches!(key, Key::Policy(_)));
        if writes_policy && !self.lost.swap(true, Ordering::AcqRel) {
            return Box::pin(std::future::ready(changes.iter().map(|_| Err(CommitError::Conflict)).collect()));
        }
        self.inner.commit(changes, now)
    }
}

/// The policy a decision rests on is kept with it, also when the first attempt lost its race: a later process must be able
/// to explain what this one decided.
#[test]
fn a_lost_race_loses_no_policy() {
    let store = Arc::new(Wrapped(LosesOnce { inner: MemoryStore::new([3; 32], 10_000), lost: AtomicBool::new(false) }));
    let ledger = || {
        let book = Arc::new(policy::load(&PolicyFiles::embedded()).expect("the policies are good"));
        let limits = Limits {
            retries: 8,
            max_backdate_days: 1_096,
            bindings_per_member: 32,
            quote_seconds: 300,
            hold_seconds: 86_400,
            holds_per_member: 32,
            refunds_per_settlement: 100,
            refused_grades: Default::default(),
        };
        Ledger::new(store.clone(), book, Arc::new(SystemClock), Arc::new(RandomIds::from_system()), limits)
    };
    run(async {
        demo::load(&ledger()).await.expect("the family is loaded");
        assert!(store.lost.load(Ordering::Acquire), "no race was lost");
        let mut explained = 0;
        for stored in store.records(1, 1_000).await.expect("records") {
            let record = decode_record(&stored.bytes).expect("a record");
            if let Event::BindingCreated { policies, .. } = record.event {
                ledger().revisions(&policies).await.expect("a process that starts afresh finds the policies");
                explained += 1;
            }
        }
        assert!(explained > 0, "no binding was made");
    });
}
