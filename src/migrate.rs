//! `gongji migrate`: the schema of a database, made and brought up to date by whoever administers it.

use std::sync::Arc;

use clap::Subcommand;
use tokio::runtime::Builder;

use crate::cli::Settings;
use crate::config::Config;
use crate::ledger::source::RandomIds;
use crate::store::Store;
use crate::store::postgres::{self, Applied, PostgresError, PostgresStore};
use crate::terminal::say;

/// Records in one partition of the ledger: some 10 GB with their postings.
pub(crate) const PARTITION_RECORDS: u64 = 10_000_000;

#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply what is missing. Servers may go on serving meanwhile.
    Up {
        /// Records in one partition of the ledger's tables; only when a data set is made.
        #[arg(long, value_name = "NUMBER", default_value_t = PARTITION_RECORDS, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
        partition_records: u64,
        #[command(flatten)]
        settings: Settings,
    },
    /// Say which migrations there are and when each was applied.
    Status {
        #[command(flatten)]
        settings: Settings,
    },
}

fn block_on<T>(work: impl Future<Output = Result<T, PostgresError>>) -> Result<T, String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(work).map_err(|error| error.to_string())
}

pub(crate) fn named(config: &Config) -> Result<(), String> {
    if config.database_url.is_empty() {
        return Err("database_url: name the database by --database-url, GONGJI_DATABASE_URL or --config".to_owned());
    }
    Ok(())
}

/// Runs `gongji migrate`.
pub fn run(options: Options) -> Result<(), String> {
    let found = match options.action {
        Action::Up { partition_records, settings } => {
            let config = settings.read(false)?;
            named(&config)?;
            up(&config, RandomIds::from_system().secret(), partition_records)?
        }
        Action::Status { settings } => {
            let config = settings.read(false)?;
            named(&config)?;
            block_on(postgres::status(&config.postgres_options()))?
        }
    };
    for Applied { version, name, at } in found {
        say!("{version:>4}  {:<28}  {name}", at.as_deref().unwrap_or("not applied"));
    }
    Ok(())
}

fn up(config: &Config, secret: [u8; 32], partition_records: u64) -> Result<Vec<Applied>, String> {
    block_on(postgres::up(&config.postgres_options(), secret, partition_records))
}

/// Opens the store of the settings; brings its schema up to date first where they say so.
pub fn open(config: &Config, ids: &RandomIds) -> Result<Arc<dyn Store>, String> {
    if config.migrate {
        up(config, ids.secret(), PARTITION_RECORDS)?;
    }
    let store: Arc<PostgresStore> =
        PostgresStore::open(config.postgres_options()).map_err(|error| error.to_string())?;
    Ok(store)
}
