//! The load: a few threads and connections, so and so many calls in flight; or calls at a fixed rate, timed from when they
//! were due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use tokio::sync::Semaphore;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::echo::EchoReply;
use super::lanes::{Lane, Meter, Shared, lock};
use super::many;
use super::process::{self, Process};
use super::requests::{Requests, View};
use super::wire::{Checked, Kind, Light, MANY, QuotePart, SettlePart};

const WARM_UP: Duration = Duration::from_millis(300);
/// How long a cell waits for its first answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Calls that an open loop has outstanding at most; more wait in the client, on the clock, below the server's own bound.
const OUTSTANDING: usize = 3_000;

/// One measured cell.
#[derive(Clone, Debug)]
pub struct Cell {
    pub calls: u64,
    pub failed: u64,
    pub aided: u64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Of the server's process, per call.
    pub server_cpu_us: f64,
    pub client_cpu_us: f64,
    /// The first failure's words.
    pub failure: Option<String>,
}

/// Connections to one server, dealt to as many threads.
pub struct Client {
    lanes: Vec<Lane>,
    connections: usize,
    pid: u32,
    families: u64,
    view: View,
}

impl Client {
    pub async fn connect(
        address: SocketAddr,
        connections: usize,
        threads: usize,
        server: &Process,
        families: u64,
        view: View,
    ) -> Result<Self, String> {
        let lanes = (0..threads.clamp(1, connections)).map(|_| Lane::start());
        let mut lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        // In turn, as the server deals them to its threads.
        for number in 0..connections {
            let place = number % lanes.len();
            lanes[place].connect(address).await?;
        }
        Ok(Self { lanes, connections, pid: server.pid(), families, view })
    }

    /// What the calls of each thread share.
    fn shared(&self, budget: u64) -> Result<Vec<Arc<Shared>>, String> {
        let (run, today, lanes) = (process::nonce(), process::today(), self.lanes.len() as u64);
        let of_lane = |lane: u64| {
            let budget = if budget == u64::MAX { budget } else { budget / lanes + u64::from(lane < budget % lanes) };
            Shared::new(Requests::new(self.families, run, lane, &today, self.view), budget)
        };
        (0..lanes).map(of_lane).collect()
    }

    /// The thread and the connection of a call.
    fn place(&self, number: usize) -> (usize, &Lane, Channel) {
        let connection = number % self.connections;
        let lane = connection % self.lanes.len();
        (lane, &self.lanes[lane], self.lanes[lane].channels[connection / self.lanes.len()].clone())
    }

    /// Keeps `in_flight` calls running for `time`.
    pub async fn closed(&self, kind: Kind, in_flight: usize, time: Duration) -> Result<Cell, String> {
        let shared = self.shared(u64::MAX)?;
        let tasks = self.spawn(kind, in_flight, &shared);
        tokio::time::sleep(WARM_UP).await;
        let window = Window::open(&shared, self.pid)?;
        tokio::time::sleep(time).await;
        // On a machine that is busy with other things the first answer may take longer.
        let patience = Instant::now() + PATIENCE;
        while shared.iter().all(|shared| lock(&shared.meter).calls == 0) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let cell = window.close(&shared);
        shared.iter().for_each(|shared| shared.stop.store(true, Ordering::Relaxed));
        for task in tasks {
            task.await.map_err(|error| error.to_string())?;
        }
        cell
    }

    /// Makes `calls` calls, `in_flight` at a time.
    pub async fn number(&self, kind: Kind, in_flight: usize, calls: u64) -> Result<Cell, String> {
        let shared = self.shared(calls)?;
        let window = Window::open(&shared, self.pid)?;
        for task in self.spawn(kind, in_flight, &shared) {
            task.await.map_err(|error| error.to_string())?;
        }
        window.close(&shared)
    }

    fn spawn(&self, kind: Kind, in_flight: usize, shared: &[Arc<Shared>]) -> Vec<tokio::task::JoinHandle<()>> {
        if kind.is_many() {
            return self.spawn_many(kind, in_flight, shared);
        }
        let one = |number: usize| {
            let (place, lane, channel) = self.place(number);
            let (mut grpc, shared) = (Grpc::new(channel), shared[place].clone());
            lane.handle.spawn(async move {
                while !shared.stop.load(Ordering::Relaxed) {
                    let left = shared.budget.load(Ordering::Relaxed);
                    if left == 0 {
                        break;
                    }
                    if left != u64::MAX {
                        shared.budget.store(left - 1, Ordering::Relaxed);
                    }
                    let bytes = lock(&shared.requests).next(kind);
                    let began = Instant::now();
                    let outcome = call(&mut grpc, kind, bytes).await;
                    shared.note(began, outcome);
                }
            })
        };
        (0..in_flight).map(one).collect()
    }

    fn spawn_many(&self, kind: Kind, in_flight: usize, shared: &[Arc<Shared>]) -> Vec<tokio::task::JoinHandle<()>> {
        let one = |number: usize| {
            let (place, lane, channel) = self.place(number);
            let (grpc, shared) = (Grpc::new(channel), shared[place].clone());
            lane.handle.spawn(async move {
                let streams = kind == Kind::StreamEmbedded;
                let ended =
                    if streams { many::stream(grpc, &shared).await } else { many::batches(grpc, &shared).await };
                if let Err(status) = ended {
                    shared.note(Instant::now(), Err(status));
                }
            })
        };
        (0..in_flight.div_ceil(MANY)).map(one).collect()
    }

    /// Starts `rate` calls a second, whether or not the earlier ones are answered.
    pub async fn open(&self, kind: Kind, rate: f64, time: Duration) -> Result<Cell, String> {
        let shared = self.shared(u64::MAX)?;
        let places = Arc::new(Semaphore::new(OUTSTANDING));
        let mut tasks = Vec::new();
        let began = Instant::now();
        let mut window = None;
        let mut sent = 0_u64;
        loop {
            let elapsed = began.elapsed();
            if window.is_none() && elapsed >= WARM_UP {
                window = Some(Window::open(&shared, self.pid)?);
            }
            if elapsed >= WARM_UP + time {
                break;
            }
            while (sent as f64) < elapsed.as_secs_f64() * rate {
                let due = began + Duration::from_secs_f64(sent as f64 / rate);
                let (place, lane, channel) = self.place(usize::try_from(sent).unwrap_or_default());
                sent += 1;
                let (mut grpc, shared, places) = (Grpc::new(channel), shared[place].clone(), places.clone());
                let bytes = lock(&shared.requests).next(kind);
                tasks.push(lane.handle.spawn(async move {
                    let _place = places.acquire().await;
                    let outcome = call(&mut grpc, kind, bytes).await;
                    shared.note(due, outcome);
                }));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for task in tasks {
            task.await.map_err(|error| error.to_string())?;
        }
        window.ok_or("the open loop never began")?.close(&shared)
    }

    /// One call.
    pub async fn once(&self, kind: Kind) -> Result<bool, String> {
        let bytes = lock(&self.shared(1)?[0].requests).next(kind);
        call(&mut Grpc::new(self.place(0).2), kind, bytes).await.map_err(|status| status.to_string())
    }

    /// Replays the whole ledger on the server: records read, and whether all is well.
    pub async fn check_ledger(&self) -> Result<(i64, bool), String> {
        use crate::grpc::proto::ledger_service_client::LedgerServiceClient;
        let mut client = LedgerServiceClient::new(self.place(0).2);
        let reply = client.check_ledger(crate::grpc::proto::CheckLedgerRequest {}).await;
        let reply = reply.map_err(|status| status.to_string())?.into_inner();
        reply.problems.iter().for_each(|problem| eprintln!("{problem}"));
        Ok((reply.records_checked, reply.ok))
    }
}

async fn call(grpc: &mut Grpc<Channel>, kind: Kind, bytes: bytes::Bytes) -> Result<bool, Status> {
    match kind {
        Kind::Echo | Kind::EchoSized => call_as::<EchoReply>(grpc, kind, bytes).await,
        Kind::Quote => call_as::<QuotePart>(grpc, kind, bytes).await,
        Kind::SettleMemory | Kind::SettleEmbedded | Kind::SettlePostgres => {
            call_as::<SettlePart>(grpc, kind, bytes).await
        }
        Kind::BatchEmbedded | Kind::StreamEmbedded | Kind::BatchPostgres => {
            Err(Status::internal("not a call of one settlement"))
        }
    }
}

async fn call_as<R: Checked>(grpc: &mut Grpc<Channel>, kind: Kind, bytes: bytes::Bytes) -> Result<bool, Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(kind.path());
    let reply = grpc.unary(Request::new(bytes), path, Light::<R>::default()).await?.into_inner();
    reply.aided().ok_or_else(|| Status::data_loss("the reply is not what it should be"))
}

/// What is counted between two instants.
struct Window {
    began: Instant,
    server: f64,
    client: f64,
    pid: u32,
}

impl Window {
    fn open(shared: &[Arc<Shared>], pid: u32) -> Result<Self, String> {
        let (server, client) = (process::cpu_seconds(pid)?, process::cpu_seconds(std::process::id())?);
        shared.iter().for_each(|shared| lock(&shared.meter).recording = true);
        Ok(Self { began: Instant::now(), server, client, pid })
    }

    fn close(self, shared: &[Arc<Shared>]) -> Result<Cell, String> {
        shared.iter().for_each(|shared| lock(&shared.meter).recording = false);
        let elapsed = self.began.elapsed().as_secs_f64();
        let server = process::cpu_seconds(self.pid)? - self.server;
        let client = process::cpu_seconds(std::process::id())? - self.client;
        let mut meter = Meter::new()?;
        shared.iter().try_for_each(|shared| meter.add(&lock(&shared.meter)))?;
        let calls = meter.calls.max(1) as f64;
        let at = |quantile| meter.times.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Cell {
            calls: meter.calls,
            failed: meter.failed,
            aided: meter.aided,
            per_second: meter.calls as f64 / elapsed,
            p50_us: at(0.5),
            p99_us: at(0.99),
            server_cpu_us: server * 1e6 / calls,
            client_cpu_us: client * 1e6 / calls,
            failure: meter.failure,
        })
    }
}
