//! The measured side: the echo, or the whole server on one store with everybody loaded, in a process of its own.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;

use tonic::service::Routes;

use super::{data, echo};
use crate::config::{Config, Given};
use crate::grpc::{Api, server_info};
use crate::ledger::Ledger;
use crate::ledger::source::{RandomIds, SystemClock};
use crate::policy::{self, PolicyFiles};
use crate::{cli, server, telemetry};

/// `gongji bench-server`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Serves the echo instead of the ledger.
    #[arg(long)]
    echo: bool,
    /// People to load into an empty store.
    #[arg(long, default_value_t = 0)]
    people: u64,
    #[command(flatten)]
    given: Given,
}

/// Serves until its input ends. Says its address when it is ready.
pub fn run(options: Options) -> Result<(), String> {
    let mut config = Config::read(options.given, None, false).map_err(|error| error.to_string())?;
    config.listen.set_port(0);
    // A check of the whole ledger takes longer than any call should, and a run settles more than a demonstration holds.
    config.call_time_ms = 3_600_000;
    config.memory_records = u64::MAX;
    telemetry::start("warn", false)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(serve(&config, options.echo, options.people))
}

async fn serve(config: &Config, echo: bool, people: u64) -> Result<(), String> {
    let (ended, stop) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    let stop = async {
        let _ = stop.await;
    };
    let listener = TcpListener::bind(config.listen).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if echo {
        println!("{address}");
        let routes = Routes::new(echo::Echo).prepare();
        let served = server::serve_routes(listener, config, &routes, stop, async {}).await;
        return served.map_err(|error| error.to_string());
    }
    let api = api(config, people).await?;
    println!("{address}");
    server::run(listener, config, api, stop).await.map_err(|error| error.to_string())
}

/// Everything that serves, on a store with everybody loaded.
pub(super) async fn api(config: &Config, people: u64) -> Result<Arc<Api>, String> {
    let ids = Arc::new(RandomIds::from_system());
    let book = policy::load(&PolicyFiles::embedded()).map_err(|error| error.to_string())?;
    let store = cli::open_store(config, &ids)?;
    let ledger = Ledger::new(store, Arc::new(book), Arc::new(SystemClock), ids, config.ledger_limits());
    data::load(&ledger, people).await?;
    let info =
        server_info::Info { started_at: ledger.now(), limits: config.told_limits(), policy_differences: Vec::new() };
    Ok(Arc::new(Api::new(Arc::new(ledger), config.wire_limits(), false, info)))
}
