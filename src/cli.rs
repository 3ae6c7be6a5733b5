//! The command line: `gongji serve`, `config`, `migrate`, `calc`, `policy`, `ledger`, `backup`, `reconcile`, `settle`,
//! `import`, `bench`. Wiring only.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Given, StoreChoice};
use crate::domain::policy::PolicyBook;
use crate::domain::time::Moment;
use crate::grpc::{Api, server_info};
use crate::ledger::Ledger;
use crate::ledger::source::{Clock, RandomIds, ShiftedClock, SystemClock};
use crate::policy::{self, PolicyFiles};
use crate::store::Store;
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore};
use crate::store::memory::MemoryStore;
use crate::{
    backup, bench, calc, demo, import, ledger_tool, migrate, policy_tool, reconcile, run, server, settle_tool,
    telemetry,
};

/// Family mutual aid of Chinese medical-insurance personal accounts (职工医保个人账户家庭共济) over gRPC.
///
/// The service answers what the fund pays, what the patient's own account, which relatives' accounts may pay the rest under
/// the rules of the regions on that day, and what is left in cash; it settles, repeats its answer when asked again, and
/// refunds. Money is whole fen. Every answer explains itself.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 120,
    after_help = "Try it:\n  gongji serve --demo\n  grpcurl -plaintext 127.0.0.1:50051 list gongji.v1.SettlementService"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve over gRPC until SIGTERM or SIGINT.
    ///
    /// Settings come from flags, then GONGJI_… variables, then the --config file, then the defaults; `gongji config` prints
    /// what is in force. The embedded store serves one process at a time and syncs before every answer: kill it at any
    /// instant and nothing that was answered is lost.
    Serve {
        /// Loads a small synthetic family, and keeps everything in memory unless --data-dir or --store is given.
        #[arg(long, env = "GONGJI_DEMO")]
        demo: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Print the settings in force, as a file that --config can read.
    Config {
        /// As for serve.
        #[arg(long, env = "GONGJI_DEMO")]
        demo: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Calculate contributions, pensions, retirement and the like: one JSON object, or a file of millions of rows.
    Calc(calc::Options),
    /// Check, try, read and compare the policy files: the law that the server decides by.
    Policy(policy_tool::Options),
    /// Lay an institution's book beside the ledger: totals, details, or write the ledger's lines (对账).
    Reconcile(reconcile::Options),
    /// Import people or credits from a file of millions of rows, resumable (批量导入).
    Import(import::Options),
    /// Explain a settlement, or resolve a call whose answer was lost, on a running server.
    Settle(settle_tool::Options),
    /// Run a daily job by hand, on the data directory of a server that is not running.
    Run {
        #[command(subcommand)]
        job: run::Job,
    },
    /// Check, read and prove the ledger: offline in a data directory, or of a running server.
    Ledger(ledger_tool::Options),
    /// Make the tables of a database, bring them up to date, or say how far they are.
    Migrate(migrate::Options),
    /// Take a backup of a data directory, while its server runs or not.
    ///
    /// It holds every change that was durable when it began, the secret, and the format: all there is. A backup that is
    /// broken off is refused by restore; the server does not mind.
    Backup(backup::BackupOptions),
    /// Make a data directory of a backup; verified by the digest of its head.
    Restore(backup::RestoreOptions),
    /// Measure this machine: a bare echo, quotes and settlements on every store, in one run.
    Bench(bench::Options),
    /// What `bench` measures: one server in a process of its own.
    #[command(hide = true)]
    BenchServer(bench::server::Options),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// A TOML file of settings; `gongji config` prints one.
    #[arg(long, env = "GONGJI_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
}

impl Settings {
    pub(crate) fn read(self, demo: bool) -> Result<Config, String> {
        Config::read(self.given, self.config.as_deref(), demo).map_err(|error| error.to_string())
    }
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve { demo, settings } => settings.read(demo).and_then(|config| serve(&config, demo)),
        Command::Config { demo, settings } => settings.read(demo).map(|config| print!("{}", config.print())),
        Command::Calc(options) => calc::run(&options),
        Command::Policy(options) => policy_tool::run(&options),
        Command::Reconcile(options) => return reconcile::run(&options),
        Command::Import(options) => return import::run(&options),
        Command::Settle(options) => settle_tool::run(&options),
        Command::Run { job } => run::run(job),
        Command::Ledger(options) => ledger_tool::run(options),
        Command::Migrate(options) => migrate::run(options),
        Command::Backup(options) => backup::backup(&options),
        Command::Restore(options) => backup::restore(&options),
        Command::Bench(options) => bench::run(&options),
        Command::BenchServer(options) => bench::server::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("gongji: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: &Config, demo: bool) -> Result<(), String> {
    telemetry::start(&config.log, config.log_json)?;
    let clock = clock(config)?;
    let ids = Arc::new(RandomIds::from_system());
    let book = read_policies(config)?;
    let mut backups = None;
    let store: Arc<dyn Store> = match config.store {
        StoreChoice::Memory | StoreChoice::Postgres => open_store(config, &ids)?,
        StoreChoice::Embedded => {
            let store = open_embedded(config, &ids)?;
            let patience = Duration::from_millis(config.stream_idle_ms.into());
            match backup::socket::Backups::serve(store.clone(), patience) {
                Ok(serving) => backups = Some(serving),
                // A path too long for a socket, for one. The ledger is served all the same.
                Err(error) => tracing::warn!(%error, "no backups will be handed out while this server runs"),
            }
            store
        }
    };
    let ledger = Ledger::new(store, Arc::new(book), clock, ids, config.ledger_limits());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let policy_differences = ledger
            .policy_differences()
            .await
            .map_err(|failure| format!("the policy set of the data cannot be read: {failure:?}"))?;
        for difference in &policy_differences {
            tracing::warn!(%difference, "the data were last written under other policies");
        }
        let info = server_info::Info { started_at: ledger.now(), limits: config.told_limits(), policy_differences };
        let api = Api::new(Arc::new(ledger), config.wire_limits(), config.reveal_personal_data, info);
        if demo {
            demo::load(&api.ledger)
                .await
                .map_err(|failure| format!("the demonstration family cannot be loaded: {failure:?}"))?;
        }
        let listener =
            TcpListener::bind(config.listen).map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let head = api.ledger.store().head().await.map_err(|error| error.to_string())?;
        tracing::info!(%address, store = %config.store, demo, position = head.position, "serving");
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server::run(listener, config, Arc::new(api), stop).await.map_err(|error| error.to_string())
    })?;
    drop(backups);
    Ok(())
}

/// The policies of the directory that the settings name, or those built in.
pub(crate) fn read_policies(config: &Config) -> Result<PolicyBook, String> {
    let files = if config.policies.as_os_str().is_empty() {
        PolicyFiles::embedded()
    } else {
        PolicyFiles::from_dir(&config.policies).map_err(|error| error.to_string())?
    };
    policy::load(&files).map_err(|error| error.to_string())
}

pub(crate) fn clock(config: &Config) -> Result<Arc<dyn Clock>, String> {
    #[cfg(feature = "test-clock")]
    if let Some(path) = std::env::var_os("GONGJI_TEST_CLOCK") {
        tracing::warn!("this program takes its time from a file: it is for tests");
        return Ok(Arc::new(crate::ledger::source::FileClock::reading(path.into())?));
    }
    if config.clock.is_empty() {
        return Ok(Arc::new(SystemClock));
    }
    let instant: jiff::Timestamp = config.clock.parse().map_err(|error| format!("clock: {error}"))?;
    Ok(Arc::new(ShiftedClock::starting_at(Moment::from_micros(instant.as_microsecond()))))
}

pub(crate) fn open_store(config: &Config, ids: &RandomIds) -> Result<Arc<dyn Store>, String> {
    match config.store {
        StoreChoice::Memory => Ok(Arc::new(MemoryStore::new(ids.secret(), config.memory_records))),
        StoreChoice::Embedded => Ok(open_embedded(config, ids)?),
        StoreChoice::Postgres => migrate::open(config, ids),
    }
}

fn open_embedded(config: &Config, ids: &RandomIds) -> Result<Arc<EmbeddedStore>, String> {
    let options = EmbeddedOptions {
        cache_bytes: config.cache_bytes,
        cached_facts: config.cached_facts as usize,
        recent_keys: config.recent_keys as usize,
        queue_bytes: config.queue_bytes as usize,
        index_bytes: config.index_bytes as usize,
        ..EmbeddedOptions::new(&config.data_dir, ids.secret())
    };
    EmbeddedStore::open(&options).map_err(|error| error.to_string())
}
