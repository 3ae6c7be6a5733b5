//! `gongji migrate`: the schema of a database, made and brought up to date by whoever administers it.

use std::sync::Arc;

use clap::Subcommand;
use tokio::runtime::Builder;

use crate::cli::Settings;
use crate::config::Config;
use crate::ledger::source::RandomIds;
use crate::store::Store;
use crate::store::postgres::{self, Applied, NEEDED, PostgresError, PostgresStore, SCHEMA, Until};
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
    /// Apply what is missing. Servers may go on serving meanwhile, those of the version before too as far as `status` says so.
    Up {
        /// Apply those up to this one only: while servers of the version before serve on, the last that lets them.
        #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i32).range(i64::from(NEEDED)..=i64::from(SCHEMA)))]
        to: Option<i32>,
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

fn block_on<T>(work: impl Future<Output = Result<T, PostgresError>>) -> Result<T, PostgresError> {
    Builder::new_current_thread().enable_all().build()?.block_on(work)
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
        Action::Up { to, partition_records, settings } => {
            let config = settings.read(false)?;
            named(&config)?;
            let (secret, until) = (RandomIds::from_system().secret(), Until::Version(to.unwrap_or(SCHEMA)));
            block_on(postgres::up_to(&config.postgres_options(), until, secret, partition_records))
        }
        Action::Status { settings } => {
            let config = settings.read(false)?;
            named(&config)?;
            block_on(postgres::status(&config.postgres_options()))
        }
    };
    let found = found.map_err(|error| error.to_string())?;
    let mut lets = 0;
    for Applied { version, name, serves, at } in found {
        say!("{version:>4}  {:<28}  {name}", at.as_deref().unwrap_or("not applied"));
        if at.is_none() && lets > 0 && serves > lets {
            say!("      for when no program of a schema before {serves} serves any more");
        }
        if at.is_some() {
            lets = lets.max(serves);
        }
    }
    Ok(())
}

/// Opens the store of the settings; brings its schema up to date first where they say so.
pub fn open(config: &Config, ids: &RandomIds) -> Result<Arc<dyn Store>, String> {
    if config.migrate {
        let (options, secret) = (config.postgres_options(), ids.secret());
        let found = block_on(postgres::up_to(&options, Until::Needed, secret, PARTITION_RECORDS));
        let found = found.map_err(|error| error.to_string())?;
        for Applied { version, name, serves, .. } in found.iter().filter(|migration| migration.at.is_none()) {
            tracing::warn!(
                "migration {version} ({name}) is left: when no program of a schema before {serves} serves any more, run: gongji migrate up"
            );
        }
    }
    let store: Arc<PostgresStore> =
        PostgresStore::open(config.postgres_options()).map_err(|error| error.to_string())?;
    Ok(store)
}
