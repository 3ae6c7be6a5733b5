//! The running server: one acceptor deals connections to single-threaded runtimes; health, reflection, limits, clean stop.

pub mod admission;
pub mod connection;
pub mod listeners;
pub mod metrics;
pub mod nightly;
pub mod readiness;
pub mod sweeper;
pub mod year_close;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::config::Config;
use crate::grpc::proto::account_service_server::AccountServiceServer;
use crate::grpc::proto::binding_service_server::BindingServiceServer;
use crate::grpc::proto::calculation_service_server::CalculationServiceServer;
use crate::grpc::proto::ledger_service_server::LedgerServiceServer;
use crate::grpc::proto::member_service_server::MemberServiceServer;
use crate::grpc::proto::reconciliation_service_server::ReconciliationServiceServer;
use crate::grpc::proto::region_service_server::RegionServiceServer;
use crate::grpc::proto::server_service_server::ServerServiceServer;
use crate::grpc::proto::settlement_service_server::SettlementServiceServer;
use crate::grpc::{Api, Service, proto};
use admission::{Admission, Gate};
pub use listeners::Listeners;

/// Why the server ended otherwise than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    #[error("{setting}: cannot listen on {address}: {error}")]
    Listen { setting: &'static str, address: SocketAddr, error: std::io::Error },
    #[error("cannot serve: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("cannot describe the services: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("a serving thread ended by itself")]
    ThreadEnded,
    #[error("the store could not be closed: {0}")]
    Store(#[from] crate::store::StoreError),
}

/// HTTP/2 flow-control windows: room for a page of settlements without waiting for acknowledgements.
pub const STREAM_WINDOW: u32 = 1 << 20;
pub const CONNECTION_WINDOW: u32 = 4 << 20;
/// Streams one connection may have open; calls beyond the server's own bound are refused, not queued.
const STREAMS_PER_CONNECTION: u32 = 1024;
/// How often a stop looks whether the last call has ended.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// How long a stop waits for those who watch to hear of it: one that does not read never will.
const WATCHES_END: Duration = Duration::from_millis(500);
/// How long connections have for their last words once every call has ended: longer only where streams have no end.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a thread that serves waits for work that it has handed to others.
const THREADS_END: Duration = Duration::from_millis(500);
/// How long a stop keeps answering health checks with NOT_SERVING before connections close.
const NOT_SERVING_FOR: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves, then drains, which takes `drain_ms` and a second at most, and closes the store.
pub async fn run(
    listeners: impl Into<Listeners>,
    config: &Config,
    api: Arc<Api>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::Serving).await;
    let routes = routes(api.clone(), config, health_service)?;
    let Listeners { calls, metrics } = listeners.into();
    let gate = Arc::new(Gate::new(config));
    let (stopping, ready) = (AtomicBool::new(false), AtomicBool::new(true));
    let is_serving = || ready.load(Ordering::Relaxed) && !stopping.load(Ordering::Relaxed);
    let not_serving = async {
        stopping.store(true, Ordering::Relaxed);
        set_health(&health, ServingStatus::NotServing).await;
        tokio::time::sleep(NOT_SERVING_FOR).await;
    };
    let serving = serve_through(calls, config, &routes, &gate, stop, not_serving);
    let measuring = async {
        match metrics {
            None => std::future::pending().await,
            Some(listener) => {
                let page = || metrics::page(&api, &gate, is_serving());
                metrics::listener::serve(listener, metrics::listener::Bounds::of(config), page).await
            }
        }
    };
    let nightly = async {
        match config.nightly_return_at() {
            None => std::future::pending().await,
            Some(at) => nightly::run(&api.ledger, at).await,
        }
    };
    let sweeping = async {
        match config.hold_sweep_ms {
            0 => std::future::pending().await,
            every => sweeper::run(&api.ledger, Duration::from_millis(every.into())).await,
        }
    };
    let tell = |is_ready| {
        ready.store(is_ready, Ordering::Relaxed);
        set_health(&health, if is_serving() { ServingStatus::Serving } else { ServingStatus::NotServing })
    };
    let every = Duration::from_millis(config.readiness_ms.into());
    let differs = Duration::from_millis(config.database_clock_ms.into());
    let outcome = tokio::select! {
        outcome = serving => outcome,
        never = readiness::run(&api.ledger, every, differs, tell) => match never {},
        never = nightly => match never {},
        never = sweeping => match never {},
        failed = measuring => failed.map_or_else(|error| Err(error.into()), |never| match never {}),
        never = year_close::run(&api.ledger, config.close_year_per_second) => match never {},
    };
    api.ledger.store().close().await?;
    tracing::info!("stopped");
    outcome
}

/// What a stop takes beside the drain itself is what is promised.
const _: () = assert!(NOT_SERVING_FOR.as_millis() + LAST_WORDS.as_millis() + THREADS_END.as_millis() <= 1_000);

/// Serves any routes as this server serves its own, until `stop` resolves; awaits `not_serving` before connections close.
pub async fn serve_routes(
    listener: TcpListener,
    config: &Config,
    routes: &Routes,
    stop: impl Future<Output = ()>,
    not_serving: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    serve_through(listener, config, routes, &Arc::new(Gate::new(config)), stop, not_serving).await
}

async fn serve_through(
    listener: TcpListener,
    config: &Config,
    routes: &Routes,
    gate: &Arc<Gate>,
    stop: impl Future<Output = ()>,
    not_serving: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let (stop_serving, stopping) = watch::channel(false);
    let (ended, mut any_ended) = mpsc::channel::<()>(1);
    let mut threads = Vec::new();
    let mut doors = Vec::new();
    for number in 0..config.runtimes {
        let (door, connections) = mpsc::channel(64);
        let (routes, gate, stopping) = (routes.clone(), gate.clone(), stopping.clone());
        let worker = Worker { routes, gate, stopping, patience: Patience::of(config) };
        let ended = ended.clone();
        let serve = move || {
            let result = worker.serve(connections);
            // Tells the acceptor. Never waits: one word is enough, and at a stop nobody listens any more.
            let _ = ended.try_send(());
            result
        };
        threads.push(thread::Builder::new().name(format!("serve-{number}")).spawn(serve)?);
        doors.push(door);
    }
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let outcome = tokio::select! {
        () = stop => Ok(()),
        _ = any_ended.recv() => Err(ServerError::ThreadEnded),
        error = deal(&listener, &doors, gate) => Err(ServerError::Io(error)),
    };
    tracing::info!("stopping: no new connections, running calls finish");
    not_serving.await;
    drop(listener);
    drop(doors);
    gate.close();
    drain(gate, Duration::from_millis(config.drain_ms.into())).await;
    // Streams that nobody would end, such as health watches, end here.
    let _ = stop_serving.send(true);
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())))
        .await
        .map_err(|_| ServerError::ThreadEnded)?;
    outcome
}

/// Waits for running calls, but not for ever; at the same time for those who watch to hear of it.
async fn drain(gate: &Gate, longest: Duration) {
    let told = async {
        while gate.watching() > 0 {
            tokio::time::sleep(DRAIN_STEP).await;
        }
    };
    let drained = async {
        while gate.running() > 0 {
            tokio::time::sleep(DRAIN_STEP).await;
        }
    };
    let told = tokio::time::timeout(longest.min(WATCHES_END), told);
    let (_, drained) = tokio::join!(told, tokio::time::timeout(longest, drained));
    if drained.is_err() {
        tracing::warn!(running = gate.running(), "calls were still running at the end of the drain time");
    }
}

/// Accepts for ever, dealing connections round-robin. Returns only on an error that will not pass.
async fn deal(
    listener: &tokio::net::TcpListener,
    doors: &[mpsc::Sender<std::net::TcpStream>],
    gate: &Gate,
) -> std::io::Error {
    let slots = gate.slots();
    let mut turn = 0;
    loop {
        let Ok(slot) = slots.acquire().await else {
            return std::io::Error::other("the connection slots are closed");
        };
        slot.forget();
        gate.keep_slot(true);
        let accepted = listener.accept().await;
        gate.keep_slot(false);
        let accepted = match accepted {
            Ok((stream, _)) => stream.into_std(),
            // A connection that broke before it was accepted, or no descriptors for the moment: neither ends a server.
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                slots.add_permits(1);
                tokio::time::sleep(DRAIN_STEP).await;
                continue;
            }
        };
        let door = &doors[turn % doors.len()];
        turn += 1;
        match accepted {
            Ok(stream) => {
                if door.send(stream).await.is_err() {
                    return std::io::Error::other("a serving thread is gone");
                }
            }
            Err(_) => slots.add_permits(1),
        }
    }
}

/// One thread that serves.
struct Worker {
    routes: Routes,
    gate: Arc<Gate>,
    stopping: watch::Receiver<bool>,
    patience: Patience,
}

/// How long a client may be silent: at first, between two questions whether it is there, and until it answers one.
#[derive(Clone, Copy)]
struct Patience {
    hello: Duration,
    keepalive: Duration,
    answer: Duration,
}

impl Patience {
    fn of(config: &Config) -> Self {
        let milliseconds = |number: u32| Duration::from_millis(number.into());
        Self {
            hello: milliseconds(config.hello_ms),
            keepalive: milliseconds(config.keepalive_ms),
            answer: milliseconds(config.keepalive_answer_ms),
        }
    }
}

impl Worker {
    fn serve(self, connections: mpsc::Receiver<std::net::TcpStream>) -> Result<(), ServerError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let slots = self.gate.slots().clone();
            let Patience { hello, keepalive, answer } = self.patience;
            let incoming = ReceiverStream::new(connections).map(move |stream| {
                let connection = connection::Connection::new(stream, slots.clone());
                connection.map(|connection| connection.greeted_within(hello))
            });
            let gate = self.gate;
            let mut stopping = self.stopping;
            let mut ended = stopping.clone();
            let serving = tonic::transport::Server::builder()
                .tcp_nodelay(true)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_concurrent_streams(STREAMS_PER_CONNECTION)
                .http2_keepalive_interval(Some(keepalive))
                .http2_keepalive_timeout(Some(answer))
                .layer(tower::layer::layer_fn(move |inner| Admission::new(inner, gate.clone())))
                .add_routes(self.routes)
                .serve_with_incoming_shutdown(incoming, async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                });
            tokio::select! {
                served = serving => served.map_err(ServerError::from),
                // The calls are done by now: what is left are streams without an end.
                _ = async { let _ = ended.wait_for(|stop| *stop).await; tokio::time::sleep(LAST_WORDS).await } => Ok(()),
            }
        });
        runtime.shutdown_timeout(THREADS_END);
        result
    }
}

fn routes(
    api: Arc<Api>,
    config: &Config,
    health: tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>,
) -> Result<Routes, ServerError> {
    let largest = config.message_bytes as usize;
    let service = Service(api);
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::new(RegionServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(MemberServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(AccountServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(BindingServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(SettlementServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(CalculationServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(ReconciliationServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(LedgerServiceServer::new(service.clone()).max_decoding_message_size(largest))
        .add_service(ServerServiceServer::new(service).max_decoding_message_size(largest))
        .add_service(health)
        .add_service(descriptors().build_v1()?)
        .add_service(descriptors().build_v1alpha()?)
        .prepare())
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    let names = [
        "",
        <ReconciliationServiceServer<Service> as NamedService>::NAME,
        <RegionServiceServer<Service> as NamedService>::NAME,
        <MemberServiceServer<Service> as NamedService>::NAME,
        <AccountServiceServer<Service> as NamedService>::NAME,
        <BindingServiceServer<Service> as NamedService>::NAME,
        <SettlementServiceServer<Service> as NamedService>::NAME,
        <CalculationServiceServer<Service> as NamedService>::NAME,
        <LedgerServiceServer<Service> as NamedService>::NAME,
        <ServerServiceServer<Service> as NamedService>::NAME,
    ];
    for name in names {
        health.set_service_status(name, status).await;
    }
}
