//! One seed, one run: clients, the weather, crashes and the clock, each turn drawn from the dice; nothing else decides what
//! comes next. A run ends at the first law that is broken, or when all is done and the whole ledger was looked at.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gongji::domain::policy::PolicyBook;
use gongji::domain::time::Moment;
use gongji::grpc::server_info::Info;
use gongji::grpc::{Api, Service};
use gongji::ledger::source::{Clock, Ids};
use gongji::ledger::{Failure, Ledger, Limits};
use gongji::store::Store;
use gongji::store::embedded::{EmbeddedOptions, Fault, Faults};
use gongji::store::memory::MemoryStore;
use tempfile::TempDir;

use super::audit::Audit;
use super::bend::{Bent, BentClock, BentIds, Tamper};
use super::feed::{Feed, RUNTIME};
use super::model::Model;
use super::op::{Answer, Bought, Op, Quoted, Reply, What, send};
use super::plan::{Planner, next_turn};
use super::stage::{Broken, Checked, Flight, Stage, StageClock, StageIds, State, Weather, broken};
use super::store::{StageStore, at_once};
use super::wire_limits;
use super::world::World;
use crate::process::Dice;
use crate::store::{HeadNow, block_on, opened};

const SECRET: [u8; 32] = [9; 32];
/// Worlds are made once and shared by runs.
pub const WORLDS: u64 = 48;

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    pub calls: u64,
    pub changes: u64,
    pub crashes: u64,
    pub turns: u64,
    /// What had its effect, and how often.
    pub effects: BTreeMap<String, u64>,
    pub broken: Option<Broken>,
}

type Call = Pin<Box<dyn Future<Output = Result<Answer, Failure>>>>;

#[derive(Default)]
struct Client {
    call: Option<Call>,
    op: Option<Arc<Op>>,
    /// To be sent again: its outcome is not known.
    again: Option<Arc<Op>>,
    quote: Option<(Bought, Quoted)>,
}

pub struct Run {
    stage: Arc<Stage>,
    tamper: Tamper,
    book: Arc<PolicyBook>,
    limits: Limits,
    house: House,
    feed: Feed,
    inner: Arc<dyn Store>,
    service: Service,
    clients: Vec<Client>,
    /// Turns are drawn from these dice, what happens in a turn from the stage's.
    dice: Dice,
    sent: Vec<Arc<Op>>,
    numbers: u64,
    people: usize,
    crash_in: usize,
    ended: Ended,
}

/// What stands behind the stage.
pub enum House {
    Memory,
    /// The real store on a disk, whose flusher works when the run says so and at no other time, so that what is durable is
    /// the run's choice.
    Embedded {
        dir: TempDir,
        faults: Arc<Faults>,
    },
}

impl House {
    pub fn embedded() -> Self {
        Self::Embedded { dir: TempDir::new().expect("a folder"), faults: Arc::new(Faults::default()) }
    }

    fn open(&self) -> Arc<dyn Store> {
        let Self::Embedded { dir, faults } = self else {
            return Arc::new(MemoryStore::new(SECRET, u64::MAX));
        };
        let mut options = EmbeddedOptions::new(dir.path(), SECRET);
        // Little, so that the indexer has work and facts are read from the disk.
        (options.index_bytes, options.cached_facts) = (150_000, 64);
        options.faults = Some(faults.clone());
        faults.set(Fault::None);
        let store = opened(&options);
        faults.set(Fault::Paused);
        store
    }
}

fn weather(dice: &mut Dice) -> Weather {
    if dice.roll(8) == 0 {
        return Weather::default();
    }
    let mut some = |most: usize| if dice.roll(2) == 0 { 0 } else { dice.roll(most) };
    Weather { conflict: some(60), away: some(12), lost_answer: some(40), not_durable: some(20), delay: 1 + some(3) }
}

/// A server but for its sockets.
fn service_over(
    stage: &Arc<Stage>,
    tamper: Tamper,
    inner: &Arc<dyn Store>,
    book: &Arc<PolicyBook>,
    limits: Limits,
) -> Service {
    let inner = Bent::over(inner.clone(), stage, tamper.under);
    let store: Arc<dyn Store> = Arc::new(StageStore { stage: stage.clone(), inner });
    let mut clock: Arc<dyn Clock> = Arc::new(StageClock(stage.clone()));
    let mut ids: Arc<dyn Ids> = Arc::new(StageIds(stage.clone()));
    let store = Bent::over(store, stage, tamper.over);
    if let Some(bend) = tamper.clock {
        clock = Arc::new(BentClock(clock, bend));
    }
    if let Some(bend) = tamper.ids {
        ids = Arc::new(BentIds(ids, bend));
    }
    let ledger = Arc::new(Ledger::new(store, book.clone(), clock, ids, limits));
    let mut wire = wire_limits();
    let mut state = stage.state();
    let mut few = |most| u32::try_from(state.dice.roll(most)).expect("few");
    // Few items together, now and then one by one, so that more wait than are under way.
    (wire.bulk.window, wire.bulk.running) = (1 + few(4), 1 + few(6));
    wire.watch.message_bytes = 1 + state.dice.roll(4_000);
    wire.watch.checkpoint = Duration::from_secs(86_400);
    let started_at = Moment::from_micros(state.micros);
    drop(state);
    let info = Info { started_at, limits: Vec::new(), policy_differences: Vec::new() };
    Service(Arc::new(Api::new(ledger, wire, false, info).without_tasks()))
}

fn may_come_again(failure: &Failure) -> bool {
    matches!(failure, Failure::OutcomeUnknown | Failure::StoreUnavailable | Failure::Contention)
}

impl Run {
    pub fn new(
        seed: u64,
        world: &Arc<World>,
        book: Arc<PolicyBook>,
        limits: Limits,
        tamper: Tamper,
        house: House,
    ) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x51a1);
        let weather = weather(&mut dice);
        let day =
            jiff::civil::date(2026, 12, 1).checked_add(jiff::Span::new().days(dice.roll(31) as i64)).expect("a day");
        let micros = Moment::of_civil(day, jiff::civil::time(9, 0, 0, 0)).as_micros();
        let clients = 1 + dice.roll(5);
        let state = State {
            world: world.clone(),
            dice: Dice::new(dice.next()),
            weather,
            micros,
            ids: u128::from(seed) << 64,
            on_turn: None,
            flights: vec![None; clients],
            model: Model::default(),
            audit: Audit::default(),
            taken: Vec::new(),
            durable: 0,
            broken: None,
            answers: 0,
            effects: BTreeMap::new(),
        };
        let stage = Arc::new(Stage::new(state, SECRET));
        let inner = house.open();
        let service = service_over(&stage, tamper, &inner, &book, limits);
        let clients = (0..clients).map(|_| Client::default()).collect();
        let people = 4 + dice.roll(6);
        let crash_in = [0, 1_500, 4_000][dice.roll(3)];
        let (sent, numbers, ended, feed) = (Vec::new(), 0, Ended::default(), Feed::default());
        Self {
            stage,
            tamper,
            book,
            limits,
            house,
            feed,
            inner,
            service,
            clients,
            dice,
            sent,
            numbers,
            people,
            crash_in,
            ended,
        }
    }

    /// Runs so many calls, and what they leave open.
    pub fn run(mut self, calls: u64) -> Ended {
        let outcome = self.until_done(calls);
        self.stage.state().note(outcome);
        let mut state = self.stage.state();
        self.ended.calls = state.answers;
        self.ended.effects = std::mem::take(&mut state.effects);
        self.ended.broken = state.broken.take();
        drop(state);
        self.ended
    }

    fn until_done(&mut self, calls: u64) -> Checked {
        let most = calls * 4_000;
        while self.stage.state().answers < calls {
            self.turn(true)?;
            self.ends(most)?;
        }
        self.stage.state().weather = Weather { delay: 1, ..Weather::default() };
        self.crash_in = 0;
        while self.clients.iter().any(|client| client.call.is_some() || client.again.is_some()) {
            self.turn(false)?;
            self.ends(most)?;
        }
        self.flush();
        self.feed.hear_all(&self.stage, &self.service, &self.tamper, &mut self.dice)?;
        self.look_at_all()
    }

    fn ends(&self, most: u64) -> Checked {
        if self.ended.turns < most {
            return Ok(());
        }
        let state = self.stage.state();
        let waiting: Vec<_> = self.clients.iter().map(|client| (client.op.clone(), client.again.clone())).collect();
        broken(
            "every call ends",
            format!(
                "{most} turns, {} answers, durable {}; {waiting:#?} {:#?}",
                state.answers, state.durable, state.flights
            ),
        )
    }

    fn broken(&self) -> Checked {
        self.stage.state().broken.clone().map_or(Ok(()), Err)
    }

    fn turn(&mut self, more: bool) -> Checked {
        self.ended.turns += 1;
        if self.dice.roll(6) == 0 {
            self.flush();
        }
        if self.dice.roll(60) == 0 {
            let seconds = [1, 30, 700, 5_000][self.dice.roll(4)];
            self.stage.state().micros += seconds * 1_000_000;
        }
        if self.dice.roll(700) == 0 {
            let mut state = self.stage.state();
            state.micros = next_turn(&mut self.dice, state.micros);
        }
        if self.crash_in > 0 && self.dice.roll(self.crash_in) == 0 {
            return self.crash();
        }
        if self.dice.roll(25) == 0 {
            return self.feed.turn(&self.stage, &self.service, &self.tamper, &mut self.dice);
        }
        let place = self.dice.roll(self.clients.len());
        if self.clients[place].call.is_none() {
            return if more || self.clients[place].again.is_some() { self.start(place) } else { Ok(()) };
        }
        if self.dice.roll(900) == 0 {
            self.give_up(place);
            return Ok(());
        }
        self.poll(place)
    }

    fn start(&mut self, place: usize) -> Checked {
        let op = match self.clients[place].again.take() {
            Some(op) => op,
            None => self.next(place),
        };
        self.stage.state().flights[place] = Some(Flight::new(op.clone(), &self.stage.keys));
        self.clients[place].op = Some(op.clone());
        let call = send(self.service.clone(), self.stage.clone(), self.tamper, op);
        self.clients[place].call = Some(Box::pin(call));
        Ok(())
    }

    fn next(&mut self, place: usize) -> Arc<Op> {
        // Sent before: the same again, or the same id for something else.
        if !self.sent.is_empty() && self.dice.roll(12) == 0 {
            let earlier = self.sent[self.dice.roll(self.sent.len())].clone();
            if self.dice.roll(5) > 0 || earlier.is_question() {
                return earlier;
            }
            let other = self.dice.one_of(&self.sent).clone();
            if other.scope() == earlier.scope() && !other.is_question() {
                return Arc::new(Op { id: earlier.id.clone(), what: other.what.clone() });
            }
        }
        self.numbers += 1;
        let id = format!("r{:06}", self.numbers);
        let quote = self.clients[place].quote.take();
        let state = self.stage.state();
        let today = Moment::from_micros(state.micros).civil_day();
        let (model, world) = (&state.model, &state.world);
        let mut op = Planner { dice: &mut self.dice, model, world, today, people: self.people, sent: &self.sent };
        let op = Arc::new(op.next(id, quote));
        drop(state);
        if let What::Many(_, items) = &op.what {
            self.sent.extend(items.iter().cloned());
        }
        self.sent.push(op.clone());
        op
    }

    fn poll(&mut self, place: usize) -> Checked {
        self.stage.state().on_turn = Some(place);
        let _timers = RUNTIME.enter();
        let call = self.clients[place].call.as_mut().expect("it is on its way");
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
        self.stage.state().on_turn = None;
        let Ok(polled) = polled else { return broken("no call fails by itself", "a call panicked") };
        self.broken()?;
        let Poll::Ready(outcome) = polled else { return Ok(()) };
        self.clients[place].call = None;
        let op = self.clients[place].op.take().expect("it was sent");
        self.stage.state().answered(place, &outcome)?;
        match outcome {
            Ok(Answer { reply: Reply::Quoted(told), quoted: Some((token, expires)), .. }) => {
                if let (What::Quote(bought), 0..2) = (&op.what, self.dice.roll(3)) {
                    self.clients[place].quote = Some((bought.clone(), Quoted { token, expires, told }));
                }
            }
            // The whole call again, what was done of it too.
            Ok(Answer { reply: Reply::Many(came), .. })
                if came.iter().any(|(_, came)| came.as_ref().is_err_and(may_come_again)) && self.dice.roll(10) > 0 =>
            {
                self.clients[place].again = Some(op);
            }
            Err(failure) if may_come_again(&failure) && self.dice.roll(10) > 0 => self.clients[place].again = Some(op),
            _ => {}
        }
        Ok(())
    }

    /// The client hangs up, and asks again.
    fn give_up(&mut self, place: usize) {
        self.stage.state().on_turn = Some(place);
        self.clients[place].call = None;
        let mut state = self.stage.state();
        state.on_turn = None;
        state.flights[place] = None;
        state.answers += 1;
        self.clients[place].again = self.clients[place].op.take();
    }

    fn flush(&mut self) {
        let mut state = self.stage.state();
        let head = state.audit.head.position;
        if let House::Embedded { faults, .. } = &self.house
            && state.durable < head
        {
            faults.set(Fault::None);
            let durable = block_on(self.inner.wait_durable(head));
            faults.set(Fault::Paused);
            state.note(durable.map_err(|error| Broken { law: "no call fails by itself", what: format!("{error:?}") }));
        }
        state.durable = head;
    }

    /// The process dies between two syncs, or in one: how much of what was not durable is there afterwards?
    fn die(&mut self) -> Result<u64, Broken> {
        let durable = self.stage.state().durable;
        let House::Embedded { faults, .. } = &self.house else { return Ok(durable) };
        // In one: the bytes may be there.
        faults.set(if self.dice.roll(2) == 0 { Fault::WriteFails } else { Fault::SyncFails });
        self.service = service_over(
            &self.stage,
            self.tamper,
            &(Arc::new(MemoryStore::new(SECRET, 1)) as Arc<dyn Store>),
            &self.book,
            self.limits,
        );
        // It may say that the disk fails: that is what is wanted.
        let _ = block_on(self.inner.close());
        self.inner = self.house.open();
        let found = self.inner.head_now().position;
        if found < durable {
            return broken("what was answered survives", format!("{found} of {durable}"));
        }
        Ok(found)
    }

    /// The process dies: calls end without an answer, and what was not durable is gone.
    fn crash(&mut self) -> Checked {
        self.ended.crashes += 1;
        for client in &mut self.clients {
            client.call = None;
            client.again = client.op.take().or(client.again.take());
        }
        self.feed.crash();
        let found = self.die()?;
        let mut state = self.stage.state();
        state.flights.iter_mut().for_each(|flight| *flight = None);
        let kept = usize::try_from(found).expect("few");
        let taken: Vec<_> = state.taken.drain(..).take(kept).collect();
        (state.model, state.audit) = (Model::default(), Audit::default());
        // What is durable is done again before the auditor's eyes.
        let again_in: Arc<dyn Store> = Arc::new(MemoryStore::new(SECRET, u64::MAX));
        for again in taken {
            let verdict =
                at_once(again_in.commit(vec![again.change.clone()], again.now)).pop().expect("one verdict a change");
            let Ok(done) = verdict else { return broken("what was durable is there again", format!("{verdict:?}")) };
            let record = at_once(again_in.records(done.position, 1)).expect("it is open").pop();
            state.look(again_in.as_ref(), &self.stage.keys, again, done, record)?;
        }
        if state.audit.head.position != found {
            return broken("what was durable is there again", format!("{:?} of {found}", state.audit.head));
        }
        state.durable = found;
        if let House::Memory = self.house {
            self.inner = again_in;
        } else {
            let now = Moment::from_micros(state.micros);
            state.audit.whole(self.inner.as_ref(), &state.model, now)?;
        }
        drop(state);
        self.service = service_over(&self.stage, self.tamper, &self.inner, &self.book, self.limits);
        Ok(())
    }

    fn look_at_all(&mut self) -> Checked {
        self.broken()?;
        let state = self.stage.state();
        let now = Moment::from_micros(state.micros);
        state.audit.whole(self.inner.as_ref(), &state.model, now)?;
        drop(state);
        // Nobody wakes a call here, so nothing may wait.
        self.stage.state().weather = Weather::default();
        self.ended.changes = self.stage.state().audit.head.position;
        let report = at_once(self.service.ledger.check())
            .map_err(|failure| Broken { law: "the ledger checks itself", what: format!("{failure:?}") })?;
        if report.is_ok() { Ok(()) } else { broken("the ledger checks itself", format!("{:?}", report.problems)) }
    }
}
