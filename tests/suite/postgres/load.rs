//! Replicas over one database, clients that are never content with one of them, and rounds in the middle of which
//! something breaks. What was answered is kept by the auditor of the kills (`kills.rs`), which knows what must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use crate::feed::Consumer;
use crate::kills::{Auditor, Op, Outcome, audit, look_up, plan, send, settle_town};
use crate::process::{Dice, PATIENCE, Server, endpoint, gongji, run, today};

const CONNECTIONS: usize = 8;
/// Reasons after which the same request is sent again: everything else is an answer.
const AGAIN: [&str; 5] = ["OVERLOADED", "STORE_UNAVAILABLE", "OUTCOME_UNKNOWN", "SHUTTING_DOWN", "CONTENTION"];

/// Several processes that serve one database.
pub struct Replicas {
    words: Vec<String>,
    servers: Vec<Server>,
    /// Where they are to be found; a new one is found elsewhere.
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    /// What those that were killed had said.
    pub logs: String,
}

impl Replicas {
    /// So many over the database at this URL, each with these settings besides.
    pub fn start(count: usize, url: &str, more: &[&str]) -> Self {
        Self::serving(count, &[&["serve", "--store", "postgres", "--database-url", url], more].concat())
    }

    pub fn serving(count: usize, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let mut replicas = Self { words, servers: Vec::new(), addresses: Arc::default(), logs: String::new() };
        for _ in 0..count {
            let server = replicas.new_one();
            replicas.addresses.lock().expect("nobody panics with it").push(server.address);
            replicas.servers.push(server);
        }
        replicas
    }

    fn new_one(&self) -> Server {
        Server::start(gongji(&self.words.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    pub fn one(&self, dice: &mut Dice) -> &Server {
        &self.servers[dice.roll(self.servers.len())]
    }

    /// Waits until each of them says that it serves.
    pub fn await_ready(&self) {
        for server in &self.servers {
            run(server.healthy());
        }
    }

    pub fn all(&self) -> &[Server] {
        &self.servers
    }

    /// `kill -9` of one, and another in its place.
    pub fn kill(&mut self, place: usize) {
        let killed = self.servers.remove(place);
        self.logs.push_str(&killed.kill());
        let server = self.new_one();
        self.addresses.lock().expect("nobody panics with it")[place] = server.address;
        self.servers.insert(place, server);
    }

    /// Ends them in good order, and says whether any of them met a bug.
    pub fn stop(mut self) {
        for server in self.servers.drain(..) {
            let (status, _, log) = server.terminate();
            assert!(status.success(), "{log}");
            self.logs.push_str(&log);
        }
        assert!(!self.logs.contains("panicked") && !self.logs.contains("error_id"), "{}", self.logs);
    }
}

/// What happened in a round besides its outcomes.
#[derive(Default)]
pub struct Told {
    /// Sendings without a definite answer.
    pub unknown: usize,
    /// Sendings that the client gave up to ask another replica meanwhile.
    pub given_up: usize,
    /// The longest time in which nobody was answered.
    pub gap: Duration,
}

/// Clients, auditor and consumer over replicas.
pub struct Town {
    pub dice: Dice,
    pub auditor: Auditor,
    consumer: Consumer,
    rounds: usize,
    pub told: Told,
}

impl Town {
    /// People, money and bindings, by the first replica.
    pub fn new(replicas: &Replicas, dice: Dice) -> Self {
        let mut auditor = Auditor::default();
        run(settle_town(&mut auditor, &replicas.servers[0]));
        Self { dice, auditor, consumer: Consumer::default(), rounds: 0, told: Told::default() }
    }

    /// One round of requests, every one of them sent until it has its answer; `disturb` comes after some of the answers.
    /// Then everything is asked for again, of other replicas, and compared.
    pub fn round(&mut self, replicas: &mut Replicas, disturb: impl FnOnce(&mut Replicas, &mut Dice) + Send) {
        let first_new = self.auditor.known();
        let planner = replicas.one(&mut self.dice);
        let day = run(async { today(planner.channel().await).await });
        let work = run(plan(&mut self.auditor, planner, self.rounds, &mut self.dice, &day));
        let limit = 5 + self.dice.roll(work.len() / 2);
        let mut places: Vec<usize> = work.iter().map(|(place, _)| *place).collect();
        let (tell, told) = mpsc::channel();
        let (seed, mut disturber) = (self.dice.next(), Dice::new(self.dice.next()));
        let addresses = replicas.addresses.clone();
        let outcomes = std::thread::scope(|scope| {
            let replicas = &mut *replicas;
            scope.spawn(move || {
                // Nothing comes where a client has failed; the scope then tells of its panic.
                if told.recv().is_ok() {
                    disturb(replicas, &mut disturber);
                }
            });
            run(drive(addresses, work, seed, limit, tell, &mut self.told))
        });
        for (place, outcome) in &outcomes {
            self.auditor.hear(*place, outcome);
        }
        replicas.await_ready();
        places.extend((0..40).map(|_| self.dice.roll(first_new)));
        self.ask_again(replicas, places);
        self.follow(replicas);
        self.rounds += 1;
    }

    /// Requests without a pause while one replica after another is killed on a beat; `steady` is killed by nobody, and plans.
    /// How long it took from one kill to the next. Nothing is compared until `close`.
    pub fn on_a_beat(&mut self, replicas: &mut Replicas, steady: &Server, kills: u64, beat: Duration) -> Vec<Duration> {
        let addresses = replicas.addresses.clone();
        let mut killer = Dice::new(self.dice.next());
        let (load, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let replicas = &mut *replicas;
            let beats = scope.spawn(move || {
                let (mut due, mut last, mut beats) = (Instant::now(), Instant::now(), Vec::new());
                for _ in 0..kills {
                    due += beat;
                    let wait = due.saturating_duration_since(Instant::now());
                    if ended.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
                        // A client has failed; the scope then tells of its panic.
                        break;
                    }
                    beats.push(last.elapsed());
                    last = Instant::now();
                    replicas.kill(killer.roll(replicas.servers.len()));
                }
                beats
            });
            // Held as long as there is load.
            let _load = load;
            while !beats.is_finished() {
                let day = run(async { today(steady.channel().await).await });
                let work = run(plan(&mut self.auditor, steady, self.rounds, &mut self.dice, &day));
                self.rounds += 1;
                let (tell, _nobody) = mpsc::channel();
                let seed = self.dice.next();
                let outcomes = run(drive(addresses.clone(), work, seed, usize::MAX, tell, &mut self.told));
                outcomes.iter().for_each(|(place, outcome)| self.auditor.hear(*place, outcome));
            }
            beats.join().expect("no panic")
        })
    }

    /// Sends again what was sent, and compares the whole ledger with what was answered.
    pub fn ask_again(&mut self, replicas: &Replicas, mut places: Vec<usize>) {
        places.sort_unstable();
        places.dedup();
        run(look_up(&self.auditor, replicas.one(&mut self.dice), &places));
        let again = places.iter().map(|place| (*place, self.auditor.op(*place).clone())).collect();
        let (tell, _nobody) = mpsc::channel();
        let seed = self.dice.next();
        // As of now: what is done only this time may be heard of twice, from a sending that was given up and from the next.
        let known: BTreeSet<usize> = places.iter().copied().filter(|place| self.auditor.answered(*place)).collect();
        let outcomes = run(drive(replicas.addresses.clone(), again, seed, usize::MAX, tell, &mut Told::default()));
        for (place, outcome) in &outcomes {
            match outcome {
                Outcome::Done { replayed, .. } => {
                    assert!(*replayed || !known.contains(place), "an answered request was done again");
                }
                Outcome::Found(found) => {
                    assert!(!known.contains(place), "what an answered resolution did is {found:?} by another");
                }
                Outcome::Refused(status) => {
                    assert!(!known.contains(place), "an answered request is refused: {status:?}");
                }
                Outcome::Unknown => unreachable!("every request is sent until it is answered"),
            }
            self.auditor.hear(*place, outcome);
        }
        run(audit(&self.auditor, replicas.one(&mut self.dice)));
    }

    /// A consumer that goes on with another replica where it left the last one, and one at each that begins anew: all
    /// have heard the same.
    fn follow(&mut self, replicas: &Replicas) {
        let until = self.auditor.effects();
        run(self.consumer.read_until(replicas.one(&mut self.dice), until));
        assert_eq!(self.consumer.head.position, until, "and nothing beside");
    }

    /// Everything that was ever sent, and the feed of every replica from its beginning.
    pub fn close(&mut self, replicas: &Replicas) {
        self.ask_again(replicas, (0..self.auditor.known()).collect());
        self.follow(replicas);
        for server in replicas.all() {
            let mut fresh = Consumer::default();
            run(fresh.read_until(server, self.consumer.head.position));
            assert_eq!(fresh.head, self.consumer.head, "one ledger, whoever tells it");
        }
    }
}

/// Sends everything over several connections, each of which changes between the replicas, until it has an answer. A
/// client may give up and ask another replica while the first still works on it. After `limit` answers somebody is told.
async fn drive(
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    work: Vec<(usize, Op)>,
    seed: u64,
    limit: usize,
    tell: mpsc::Sender<()>,
    told: &mut Told,
) -> Vec<(usize, Outcome)> {
    let answers = Arc::new(AtomicUsize::new(0));
    let limit = limit.min(work.len());
    let mut hands: Vec<Vec<(usize, Op)>> = vec![Vec::new(); CONNECTIONS];
    for (turn, item) in work.into_iter().enumerate() {
        hands[turn % CONNECTIONS].push(item);
    }
    let times = Arc::new(Mutex::new(vec![Instant::now()]));
    let mut tasks = JoinSet::new();
    for (number, hand) in hands.into_iter().enumerate() {
        let (answers, addresses, tell, times) = (answers.clone(), addresses.clone(), tell.clone(), times.clone());
        tasks.spawn(async move {
            let dice = Dice::new(seed.wrapping_add(number as u64));
            let mut client =
                Client { addresses, channels: BTreeMap::new(), dice, told: Told::default(), late: JoinSet::new() };
            let mut outcomes = Vec::with_capacity(hand.len());
            for (place, op) in hand {
                outcomes.push((place, client.until_answered(place, op).await));
                times.lock().expect("nobody panics with it").push(Instant::now());
                if answers.fetch_add(1, Ordering::AcqRel) + 1 == limit {
                    // Where nobody listens nothing is disturbed.
                    let _ = tell.send(());
                }
            }
            // What was given up ends too, and had better have the same answer.
            while let Some(late) = client.late.join_next().await {
                let late = late.expect("no panic");
                outcomes
                    .extend(late.filter(|(_, outcome)| matches!(outcome, Outcome::Done { .. } | Outcome::Found(_))));
            }
            (outcomes, client.told)
        });
    }
    drop(tell);
    let mut outcomes = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (some, of_client) = done.expect("no panic");
        outcomes.extend(some);
        told.unknown += of_client.unknown;
        told.given_up += of_client.given_up;
    }
    let mut times = times.lock().expect("nobody panics with it").clone();
    times.sort_unstable();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    told.gap = told.gap.max(gap);
    outcomes
}

struct Client {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    channels: BTreeMap<SocketAddr, Channel>,
    dice: Dice,
    told: Told,
    /// What it did not wait for.
    late: JoinSet<Option<(usize, Outcome)>>,
}

impl Client {
    /// A replica by chance.
    fn channel(&mut self) -> Channel {
        let addresses = self.addresses.lock().expect("nobody panics with it").clone();
        let address = *self.dice.one_of(&addresses);
        self.channels.entry(address).or_insert_with(|| endpoint(address).connect_lazy()).clone()
    }

    async fn until_answered(&mut self, place: usize, op: Op) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        // Nobody asks again at once where everything is down.
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            let channel = self.channel();
            let outcome = match self.dice.roll(8) {
                chance @ 0..2 => self.with_little_patience(place, &op, channel, chance == 0).await,
                _ => Some(send(&channel, op.clone()).await),
            };
            match outcome {
                Some(outcome) if is_definite(&outcome) => return outcome,
                Some(outcome) => {
                    self.told.unknown += 1;
                    assert!(Instant::now() < deadline, "no answer within {PATIENCE:?}: {op:?}: {outcome:?}");
                    tick.tick().await;
                }
                None => self.told.given_up += 1,
            }
        }
    }

    /// Asks and perhaps goes away before the answer: without a word, or with the call left running.
    async fn with_little_patience(
        &mut self,
        place: usize,
        op: &Op,
        channel: Channel,
        calls_off: bool,
    ) -> Option<Outcome> {
        let patience = Duration::from_micros(50 + self.dice.next() % 20_000);
        let op = op.clone();
        if calls_off {
            return tokio::time::timeout(patience, send(&channel, op)).await.ok();
        }
        let (tell, told) = tokio::sync::oneshot::channel();
        self.late.spawn(async move {
            let outcome = send(&channel, op).await;
            // Some: nobody waited for it.
            tell.send(outcome).err().map(|outcome| (place, outcome))
        });
        tokio::time::timeout(patience, told).await.ok().map(|told| told.expect("it ends with an outcome"))
    }
}

/// Whether a request need not be sent again.
pub fn is_definite(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done { .. } | Outcome::Found(_) => true,
        Outcome::Unknown => false,
        Outcome::Refused(status) => {
            let reason = status.get_details_error_info().expect("of ours").reason;
            !AGAIN.contains(&reason.as_str())
        }
    }
}
