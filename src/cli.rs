//! The command line: `gongji serve`, `config`, `migrate`, `calc`, `policy`, `ledger`, `backup`, `copy`, `reconcile`, `settle`,
//! `import`, `bench`. Wiring only.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::in_words;
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
use crate::terminal::{put, remark};
use crate::{
    backup, bench, calc, copy, demo, import, ledger_tool, migrate, policy_tool, reconcile, run, server, settle_tool,
    telemetry, terminal,
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
    /// Move a whole data set from one store to another, while no server runs on either.
    ///
    /// Positions, times and digests come out as they are. Broken off, the same line goes on where it was; at the end the copy
    /// is read again, compared change by change, and its balances are folded anew.
    Copy(copy::Options),
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
    let matches = with_defaults(Cli::command()).get_matches();
    if names_two_places(&matches) {
        let what = "the argument '--data-dir <DIR>' cannot be used with '--connect <URL>'";
        with_defaults(Cli::command()).error(ErrorKind::ArgumentConflict, what).exit();
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if !matches!(cli.command, Command::Serve { .. } | Command::BenchServer(_)) {
        misspelt().for_each(|name| remark!("gongji: no setting is named by the variable {name}"));
    }
    let result = match cli.command {
        Command::Serve { demo, settings } => settings.read(demo).and_then(|config| serve(&config, demo)),
        Command::Config { demo, settings } => settings.read(demo).map(|config| put!("{}", config.print())),
        Command::Calc(options) => calc::run(&options),
        Command::Policy(options) => policy_tool::run(&options),
        Command::Reconcile(options) => return terminal::end(reconcile::run(&options)),
        Command::Import(options) => return terminal::end(import::run(&options)),
        Command::Settle(options) => settle_tool::run(&options),
        Command::Run { job } => run::run(job),
        Command::Ledger(options) => ledger_tool::run(options),
        Command::Migrate(options) => migrate::run(options),
        Command::Backup(options) => backup::backup(&options),
        Command::Restore(options) => backup::restore(&options),
        Command::Copy(options) => copy::run(options),
        Command::Bench(options) => bench::run(&options),
        Command::BenchServer(options) => bench::server::run(options),
    };
    terminal::end(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            remark!("gongji: {text}");
            ExitCode::FAILURE
        }
    })
}

/// Whether a folder and a server are both named on the command line. Not `conflicts_with`: for that a folder that the environment
/// names for all tools would be one named here.
fn names_two_places(matches: &ArgMatches) -> bool {
    let named = |id| {
        let is_known = matches.try_contains_id(id).is_ok();
        is_known && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let below = matches.subcommand().is_some_and(|(_, below)| names_two_places(below));
    below || (named("data_dir") && named("connect"))
}

/// The command line as its help tells it: each setting with its default.
fn with_defaults(mut command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, with_defaults);
    }
    let defaults = Config::defaults();
    // In place: `mut_arg` would put each behind those that it leaves alone, and the help follows that order.
    command.mut_args(|argument| {
        let default = defaults.iter().find(|(name, default)| argument.get_id() == name && default != "\"\"");
        let Some((_, default)) = default.filter(|_| argument.get_default_values().is_empty()) else { return argument };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        argument.help(format!("{help} [default: {}]", default.trim_matches('"')))
    })
}

/// Variables that look like settings and are none: a misspelt one would be passed over in silence.
fn unknown_variables(given: impl Iterator<Item = String>) -> Vec<String> {
    let others = ["GONGJI_DEMO", "GONGJI_CONFIG", "GONGJI_CONNECT", "GONGJI_BENCH_DATABASE_URL"];
    let known = |name: &String| Config::VARIABLES.contains(&name.as_str()) || others.contains(&name.as_str());
    given.filter(|name| name.starts_with("GONGJI_") && !known(name)).collect()
}

fn misspelt() -> impl Iterator<Item = String> {
    unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())).into_iter()
}

fn serve(config: &Config, demo: bool) -> Result<(), String> {
    telemetry::start(&config.log, config.log_json)?;
    for name in misspelt() {
        tracing::warn!(name, "no setting is named by this variable");
    }
    if config.store != StoreChoice::Postgres && !config.database_url.is_empty() {
        tracing::warn!(store = %config.store, "database_url is given and not used: the store is another");
    }
    let clock = clock(config)?;
    let ids = Arc::new(RandomIds::from_system());
    let book = read_policies(config)?;
    // An address that cannot be had is told before a data set is made. Nobody is let in yet: bound again once all is there.
    drop(server::Listeners::bind(config).map_err(|error| error.to_string())?);
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
            .map_err(|failure| format!("the policy set of the data cannot be read: {}", in_words(&failure)))?;
        for difference in &policy_differences {
            tracing::warn!(%difference, "the data were last written under other policies");
        }
        let info = server_info::Info { started_at: ledger.now(), limits: config.told_limits(), policy_differences };
        let api = Api::new(Arc::new(ledger), config.wire_limits(), config.reveal_personal_data, info);
        if demo {
            demo::load(&api.ledger)
                .await
                .map_err(|failure| format!("the demonstration family cannot be loaded: {}", in_words(&failure)))?;
        }
        let listeners = server::Listeners::bind(config).map_err(|error| error.to_string())?;
        let address = listeners.calls.local_addr().map_err(|error| error.to_string())?;
        if let Some(metrics) = &listeners.metrics {
            let address = metrics.local_addr().map_err(|error| error.to_string())?;
            tracing::info!(%address, "metrics");
        }
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
        server::run(listeners, config, Arc::new(api), stop).await.map_err(|error| error.to_string())
    })?;
    drop(backups);
    Ok(())
}

/// The policies of the directory that the settings name, or those built in.
pub(crate) fn read_policies(config: &Config) -> Result<PolicyBook, String> {
    let files = if config.policies.as_os_str().is_empty() {
        PolicyFiles::embedded()
    } else {
        let told = |error| format!("policies: {}: {error}", config.policies.display());
        PolicyFiles::from_dir(&config.policies).map_err(told)?
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
    let instant: jiff::Timestamp = config.clock.parse().map_err(|_| {
        format!("clock: {} is no instant with an offset, such as 2026-06-01T09:00:00+08:00", config.clock)
    })?;
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
    if !EmbeddedStore::is_there(&config.data_dir) {
        if let Some(begun) = backup::unfinished(&config.data_dir) {
            return Err(format!(
                "{} is not there yet: {} was begun and did not come to its end; give the same line again that began it, \
                 or remove that folder",
                config.data_dir.display(),
                begun.display()
            ));
        }
        tracing::info!(data_dir = %config.data_dir.display(), "a new data set is made");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_tells_every_default_and_a_misspelt_variable_is_noticed() {
        let mut command = with_defaults(Cli::command());
        let help = command.find_subcommand_mut("serve").expect("there is serve").render_long_help().to_string();
        for told in ["[default: 127.0.0.1:50051]", "[default: 4096]", "[default: embedded]", "PostgreSQL:", "Stores:"] {
            assert!(help.contains(told), "{told} is not in the help of serve");
        }
        let given = ["GONGJI_LISTEN", "GONGJI_LISTNE", "GONGJI_DEMO", "PATH"].map(str::to_owned);
        assert_eq!(unknown_variables(given.into_iter()), ["GONGJI_LISTNE"]);
    }
}
