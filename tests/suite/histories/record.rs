//! Clients that ask at random and write down when they asked, when they heard, and what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::account_service_client::AccountServiceClient;
use proto::ledger_service_client::LedgerServiceClient;
use proto::settlement_service_client::SettlementServiceClient;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use super::calls::{Answer, Call, Id, Resolve, SONS};
use super::checker::Op;
use super::position::Seen;
use super::wire::{original_of, refusal, request_of, told_of, view_of};
use crate::process::Dice;
use crate::support::*;

pub const FAMILIES: usize = 3;

/// How many ask, how often, and whether some give up before they are answered.
#[derive(Clone, Copy)]
pub struct Size {
    pub clients: usize,
    pub calls: usize,
    pub gives_up: bool,
}

/// What the sons have at first.
pub const OPENING: [i64; SONS] = [9_000, 7_000];

/// What was asked and heard.
pub struct History {
    pub families: Vec<Vec<Op<Call, Answer>>>,
    /// Where the ledger stood before.
    pub head: i64,
    pub positions: Vec<Op<Seen, i64>>,
}

/// A family as its clients know it.
struct Known {
    number: usize,
    mother: String,
    sons: [String; SONS],
    bindings: [String; SONS],
    /// Changes that were asked for, to be repeated.
    asked: Mutex<Vec<Call>>,
    /// Settlements that somebody heard of.
    settled: Mutex<BTreeMap<Id, String>>,
    next: AtomicU64,
    ops: Mutex<Vec<Op<Call, Answer>>>,
}

/// What all clients share: the ticks, and the positions they were told.
#[derive(Default)]
struct Desk {
    ticks: AtomicU64,
    positions: Mutex<Vec<Op<Seen, i64>>>,
}

impl Desk {
    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn saw(&self, call: Seen, began: u64, ended: Option<(u64, i64)>) {
        self.positions.lock().expect("nobody panics with it").push(Op { call, began, ended });
    }
}

/// Sets up the families and lets their clients loose, on servers of one ledger: each call goes to one of them by chance, and
/// so does a repeat.
pub fn record(servers: &[TestServer], seed: u64, size: Size) -> History {
    let server = &servers[0];
    let families: Vec<Arc<Known>> = (0..FAMILIES).map(|number| Arc::new(family(server, number))).collect();
    let desk = Arc::new(Desk::default());
    let head = server.head();
    server.wait(async {
        let (tell, last) = watch::channel(None);
        let follower = tokio::spawn(follow(server.connect(), desk.clone(), head, last));
        let mut clients = JoinSet::new();
        for known in &families {
            for client in 0..size.clients {
                let (known, desk) = (known.clone(), desk.clone());
                let channels: Vec<Channel> = servers.iter().map(TestServer::connect).collect();
                let number = (known.number * size.clients + client) as u64;
                clients.spawn(async move {
                    let mut dice = Dice::new(seed.wrapping_mul(1_000).wrapping_add(number));
                    for _ in 0..size.calls {
                        let call = choose(&known, &mut dice);
                        let patience = (size.gives_up && dice.roll(8) == 0).then(|| 50 + dice.next() % 3_000);
                        let channel = dice.one_of(&channels);
                        if !ask(channel, &known, &desk, call.clone(), patience).await {
                            // Nobody heard: the same again, until somebody does.
                            ask(dice.one_of(&channels), &known, &desk, call, None).await;
                        }
                    }
                });
            }
        }
        while let Some(ended) = clients.join_next().await {
            ended.expect("no client panics");
        }
        let now = LedgerServiceClient::new(server.channel()).get_head(proto::GetHeadRequest::default()).await;
        let now = now.expect("a head").into_inner().head.expect("set").position;
        tell.send(Some(now)).expect("the follower listens");
        follower.await.expect("the follower ends with the last record");
    });
    let ops = |known: &Arc<Known>| known.ops.lock().expect("nobody panics with it").clone();
    let positions = desk.positions.lock().expect("nobody panics with it").clone();
    History { families: families.iter().map(ops).collect(), head, positions }
}

fn family(server: &TestServer, number: usize) -> Known {
    let first = u32::try_from(number).expect("small") * 10 + 1;
    let mother = server.member(first, "440300", 0);
    let son = |place: usize| server.member(first + 1 + place as u32, "440300", OPENING[place]);
    let sons = [son(0), son(1)];
    let bindings = [server.bind(&sons[0], &mother), server.bind(&sons[1], &mother)];
    Known {
        number,
        mother,
        sons,
        bindings,
        asked: Mutex::default(),
        settled: Mutex::default(),
        next: AtomicU64::new(0),
        ops: Mutex::default(),
    }
}

fn choose(known: &Known, dice: &mut Dice) -> Call {
    let asked = known.asked.lock().expect("nobody panics with it").clone();
    if !asked.is_empty() && dice.roll(6) == 0 {
        // Half of them perhaps under way.
        let lately = if dice.roll(2) == 0 { asked.len().saturating_sub(3) } else { 0 };
        return dice.one_of(&asked[lately..]).clone();
    }
    let fresh = || Id::try_from(known.next.fetch_add(1, Ordering::SeqCst)).expect("not so many");
    let (son, fen) = (dice.roll(SONS), dice.fen(6_000));
    let settled: Vec<Id> = known.settled.lock().expect("nobody panics with it").keys().copied().collect();
    let call = match dice.roll(20) {
        0..4 => Call::Settle { id: fresh(), fen },
        4..6 if !settled.is_empty() => {
            let accounts = (dice.roll(2) == 0).then_some(1 + fen / 4);
            Call::Refund { id: fresh(), of: *dice.one_of(&settled), accounts }
        }
        4..7 => Call::Credit { id: fresh(), son, fen },
        7..9 => return Call::Balance { son },
        9 => return Call::List,
        10 => return Call::Entries { son },
        12..14 => Call::Hold { id: fresh(), fen },
        14 if !settled.is_empty() => {
            let accounts = (dice.roll(2) == 0).then_some(fen / 4);
            Call::Confirm { id: fresh(), of: *dice.one_of(&settled), accounts }
        }
        15 if !settled.is_empty() => Call::Release { id: fresh(), of: *dice.one_of(&settled) },
        16..20 => {
            let id = fresh();
            let refunds =
                asked.iter().filter_map(|call| if let Call::Refund { id, .. } = call { Some(*id) } else { None });
            let of = match dice.roll(3) {
                // Of those that are under way, or will be.
                0 => (id + Id::try_from(dice.roll(7)).expect("small")).saturating_sub(4),
                1 => *dice.one_of(&refunds.chain([id + 1]).collect::<Vec<_>>()),
                _ => Id::try_from(dice.roll(id as usize + 1)).expect("not so many"),
            };
            let of = if of == id { id + 1 } else { of };
            Call::Resolve(Resolve { id, of, fence: dice.roll(2) == 0, reverse: dice.roll(2) == 0 })
        }
        _ => return Call::Outcome { of: dice.roll(known.next.load(Ordering::SeqCst) as usize + 2) as Id },
    };
    known.asked.lock().expect("nobody panics with it").push(call.clone());
    call
}

/// Asks and writes down what came; whether anything did. One that gives up after so many microseconds was perhaps heard.
async fn ask(channel: &Channel, known: &Known, desk: &Desk, call: Call, patience: Option<u64>) -> bool {
    let began = desk.tick();
    let asked = call_of(channel, known, &call);
    let outcome = match patience {
        None => Some(asked.await),
        Some(micros) => tokio::time::timeout(Duration::from_micros(micros), asked).await.ok(),
    };
    let changes = !matches!(call, Call::Balance { .. } | Call::List | Call::Entries { .. } | Call::Outcome { .. });
    let ended = outcome.map(|outcome| {
        let (answer, position) = outcome.unwrap_or_else(|status| (refusal(&status), None));
        (desk.tick(), answer, position)
    });
    match &ended {
        Some((ended, _, Some(position))) => desk.saw(Seen::Changed, began, Some((*ended, *position))),
        None if changes => desk.saw(Seen::Changed, began, None),
        Some((_, _, None)) | None => {}
    }
    if began.is_multiple_of(5) {
        let before = desk.tick();
        let head = LedgerServiceClient::new(channel.clone()).get_head(proto::GetHeadRequest::default()).await;
        let head = head.expect("a head").into_inner().head.expect("set").position;
        desk.saw(Seen::Head, before, Some((desk.tick(), head)));
    }
    let heard = ended.is_some();
    let op = Op { call, began, ended: ended.map(|(ended, answer, _)| (ended, answer)) };
    known.ops.lock().expect("nobody panics with it").push(op);
    heard
}

/// The answer, and the position of a change made now.
async fn call_of(channel: &Channel, known: &Known, call: &Call) -> Result<(Answer, Option<i64>), Status> {
    let mut settlements = SettlementServiceClient::new(channel.clone());
    let mut accounts = AccountServiceClient::new(channel.clone());
    let name = |id: &Id| format!("f{}-{id}", known.number);
    let fresh = |position: i64, replayed: bool| (!replayed).then_some(position);
    Ok(match call {
        Call::Settle { id, fen } => {
            let done = settlements.settle(known.bill(*id, &name(id), *fen)).await?.into_inner();
            let settled = done.settlement.expect("set");
            let drawn = known.by_son(&settled.contributions);
            known.settled.lock().expect("nobody panics with it").insert(*id, settled.settlement_id);
            let cash = settled.amounts.expect("set").cash_fen;
            (Answer::Settled { drawn, cash, replayed: done.replayed }, fresh(done.ledger_position, done.replayed))
        }
        Call::Hold { id, fen } => {
            let request = hold_of(&known.bill(*id, &name(id), *fen), 3_600);
            let done = settlements.hold_settlement(request).await?.into_inner();
            let held = done.settlement.expect("set");
            let drawn = known.by_son(&held.contributions);
            known.settled.lock().expect("nobody panics with it").insert(*id, held.settlement_id);
            let cash = held.amounts.expect("set").cash_fen;
            (Answer::Settled { drawn, cash, replayed: done.replayed }, fresh(done.ledger_position, done.replayed))
        }
        Call::Confirm { id, of, accounts } => {
            let settlement = known.settled.lock().expect("nobody panics with it")[of].clone();
            let request =
                proto::ConfirmSettlementRequest { accounts_fen: *accounts, ..confirm(&name(id), &settlement) };
            let done = settlements.confirm_settlement(request).await?.into_inner();
            let settled = done.settlement.expect("set");
            let (taken, cash) = (known.by_son(&settled.contributions), settled.amounts.expect("set").cash_fen);
            let answer = Answer::Confirmed { taken, cash, back: done.returned_fen, replayed: done.replayed };
            (answer, fresh(done.ledger_position, done.replayed))
        }
        Call::Release { id, of } => {
            let settlement = known.settled.lock().expect("nobody panics with it")[of].clone();
            let done = settlements.release_hold(release_of(&name(id), &settlement)).await?.into_inner();
            let answer = Answer::Released { back: done.returned_fen, replayed: done.replayed };
            (answer, fresh(done.ledger_position, done.replayed))
        }
        Call::Refund { id, of, accounts } => {
            let settlement = known.settled.lock().expect("nobody panics with it")[of].clone();
            let request = match accounts {
                None => refund_whole(&name(id), &settlement),
                Some(fen) => {
                    let parts = proto::RefundParts { accounts_fen: *fen, ..Default::default() };
                    refund_parts(&name(id), &settlement, parts)
                }
            };
            let done = settlements.refund_settlement(request).await?.into_inner();
            let (returned, cash) = (known.by_son(&done.returned), done.refunded.expect("set").cash_fen);
            (Answer::Refunded { returned, cash, replayed: done.replayed }, fresh(done.ledger_position, done.replayed))
        }
        Call::Resolve(ask) => {
            let done = settlements.resolve_outcome(request_of(ask, name)).await?.into_inner();
            let (told, original) = (told_of(done.outcome()), original_of(done.original_method()));
            let settlement = done.settlement.map(|settled| {
                let number = known.number_of(&settled);
                let view = view_of(&settled);
                // Whoever lost the answer goes on with it.
                known.settled.lock().expect("nobody panics with it").insert(number, settled.settlement_id);
                (number, view)
            });
            let changed = done.ledger_position != 0;
            let position = (changed && !done.replayed).then_some(done.ledger_position);
            (Answer::Resolved { told, original, settlement, changed, replayed: done.replayed }, position)
        }
        Call::Credit { id, son, fen } => {
            let done = accounts.credit_account(credit(&name(id), &known.sons[*son], *fen)).await?.into_inner();
            let after = posted(&done.account.expect("set"), proto::Bucket::PriorYears);
            (Answer::Credited { after, replayed: done.replayed }, fresh(done.ledger_position, done.replayed))
        }
        Call::Balance { son } => {
            let request = proto::GetAccountRequest { member: by_id(&known.sons[*son]), ..Default::default() };
            let account = accounts.get_account(request).await?.into_inner().account.expect("set");
            (Answer::Balance(posted(&account, proto::Bucket::PriorYears)), None)
        }
        Call::Outcome { of } => {
            let key = proto::RequestKey { institution_code: HOSPITAL.to_owned(), request_id: name(of) };
            let key = Some(proto::get_settlement_request::Key::Request(key));
            let request = proto::GetSettlementRequest { key, ..Default::default() };
            let settled = settlements.get_settlement(request).await?.into_inner().settlement.expect("set");
            (Answer::Outcome(view_of(&settled)), None)
        }
        Call::List => {
            let by = Some(proto::list_settlements_request::By::Patient(by_id(&known.mother).expect("set")));
            let request = proto::ListSettlementsRequest { by, page_size: 500, ..Default::default() };
            let listed = settlements.list_settlements(request).await?.into_inner().settlements;
            (Answer::List(listed.iter().map(|settled| known.number_of(settled)).collect()), None)
        }
        Call::Entries { son } => {
            let request =
                proto::ListEntriesRequest { member: by_id(&known.sons[*son]), page_size: 500, ..Default::default() };
            let entries = accounts.list_entries(request).await?.into_inner().entries;
            (Answer::Entries(entries.iter().map(|entry| entry.amount_fen).collect()), None)
        }
    })
}

impl Known {
    /// A bill of the mother's that carries its number.
    fn bill(&self, id: Id, name: &str, fen: i64) -> proto::SettleRequest {
        let refs = proto::ExternalRefs { msgid: id.to_string(), ..Default::default() };
        let visit = Some(proto::Visit { external_refs: Some(refs), ..visit() });
        proto::SettleRequest { visit, ..settle(name, &self.mother, fen) }
    }

    fn by_son(&self, contributions: &[proto::Contribution]) -> [i64; SONS] {
        let of = |binding: &String| {
            let paid = contributions.iter().filter(|paid| paid.binding_id == *binding);
            paid.map(|paid| paid.amount_fen).sum::<i64>()
        };
        [of(&self.bindings[0]), of(&self.bindings[1])]
    }

    /// A settlement's number, which it carries as its message id.
    fn number_of(&self, settled: &proto::Settlement) -> Id {
        let refs = settled.visit.as_ref().and_then(|visit| visit.external_refs.as_ref()).expect("references");
        refs.msgid.parse().expect("a number")
    }
}

/// Follows the ledger: each record once, in order, none before it was committed. Ends with the last one, once that is told.
async fn follow(channel: Channel, desk: Arc<Desk>, mut head: i64, mut last: watch::Receiver<Option<i64>>) {
    let request = proto::WatchRequest { from_position: head + 1, ..Default::default() };
    let feed = LedgerServiceClient::new(channel).watch(request).await;
    let mut feed = feed.expect("the ledger can be followed").into_inner();
    let mut began = desk.tick();
    loop {
        let message = tokio::select! {
            message = feed.message() => message.expect("it goes on").expect("a watch has no end of its own"),
            Ok(()) = last.changed() => {
                if last.borrow().is_some_and(|last| last <= head) { return } else { continue }
            }
        };
        for record in &message.records {
            assert_eq!(record.position, head + 1, "each once, in order");
            head = record.position;
        }
        assert_eq!(message.checkpoint.expect("always set").position, head);
        let ended = desk.tick();
        desk.saw(Seen::Followed, began, Some((ended, head)));
        began = ended;
        if last.borrow().is_some_and(|last| last <= head) {
            return;
        }
    }
}
