//! The command: which stores, and what is seen of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::{CopyError, compare, copy};
use crate::backup::{COPYING, bar, beside, plain};
use crate::cli::Settings;
use crate::client::in_words;
use crate::config::Config;
use crate::ledger::page::hex;
use crate::ledger_tool;
use crate::migrate::{self, PARTITION_RECORDS};
use crate::store::embedded::{EmbeddedOptions, EmbeddedStore, OpenError};
use crate::store::kept::Portable;
use crate::store::postgres::{self, DatabaseUrl, PostgresError, PostgresOptions, PostgresStore};
use crate::store::{Head, Store};
use crate::terminal::say;

/// `gongji copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "A city grows out of its one process:\n  \
    export GONGJI_DATABASE_URL=postgres://gongji:password@db/city\n  \
    gongji copy --from embedded:/var/lib/gongji --to postgres --database-ca /etc/gongji/ca.pem\n\
    Stop the server first, and start none on the target before this has ended. Broken off, run the same line again.")]
pub struct Options {
    /// The data set: embedded:DIR; postgres, the database that --database-url, GONGJI_DATABASE_URL or --config names; or
    /// postgres://… of another one.
    #[arg(long, value_name = "STORE")]
    from: Place,
    /// Where it goes, named likewise: a folder that is absent or empty, or a database without a ledger.
    #[arg(long, value_name = "STORE")]
    to: Place,
    #[command(flatten)]
    settings: Settings,
}

/// A store as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Embedded(PathBuf),
    /// None: the one that the settings name. What stands on a command line can be read by everybody on the machine, a
    /// password too.
    Postgres(Option<DatabaseUrl>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Some(DatabaseUrl(text.to_owned()))));
        }
        if text == "postgres" {
            return Ok(Self::Postgres(None));
        }
        match text.split_once(':') {
            Some(("embedded", dir)) if !dir.is_empty() => Ok(Self::Embedded(dir.into())),
            Some(("postgres", url)) if !url.is_empty() => Ok(Self::Postgres(Some(DatabaseUrl(url.to_owned())))),
            Some(_) | None => Err("must be embedded:DIR, postgres or postgres://…".to_owned()),
        }
    }
}

/// A store and how to get to it.
enum Reached {
    Embedded(PathBuf),
    Postgres(PostgresOptions),
}

impl Place {
    /// Every bound of talking to a database is that of the settings, and so is who certifies it.
    fn reached(self, config: &Config) -> Result<Reached, String> {
        let options = config.postgres_options();
        match self {
            Self::Embedded(dir) => Ok(Reached::Embedded(dir)),
            Self::Postgres(Some(url)) => Ok(Reached::Postgres(PostgresOptions { url, ..options })),
            Self::Postgres(None) => {
                migrate::named(config)?;
                Ok(Reached::Postgres(options))
            }
        }
    }
}

impl Reached {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Embedded(one), Self::Embedded(other)) => one == other,
            (Self::Postgres(one), Self::Postgres(other)) => one.url == other.url,
            (Self::Embedded(_), Self::Postgres(_)) | (Self::Postgres(_), Self::Embedded(_)) => false,
        }
    }
}

/// `gongji copy`.
pub fn run(options: Options) -> Result<(), String> {
    let Options { from, to, settings } = options;
    let config = settings.read(false)?;
    let (from, to) = (from.reached(&config)?, to.reached(&config)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let head =
        runtime.map_err(|error| error.to_string())?.block_on(whole(&from, &to)).map_err(|error| error.to_string())?;
    say!("{} changes, digest {}; read again and compared, balances folded anew", head.position, hex(&head.link));
    Ok(())
}

async fn whole(from: &Reached, to: &Reached) -> Result<Head, CopyError> {
    if from.is(to) {
        return Err(CopyError::Other("--from and --to are the same place".to_owned()));
    }
    let source = match from {
        Reached::Embedded(dir) => open_source(dir)?,
        Reached::Postgres(options) => open_database(options)?,
    };
    let target = match to {
        Reached::Embedded(dir) => Target::beside(dir, source.secret())?,
        Reached::Postgres(options) => Target::database(options, source.secret()).await?,
    };
    let from = door(&*source)?;
    let head = shown("changes copied", async |told| copy(from, door(&*target.store)?, told).await).await?;
    shown("changes compared", async |told| compare(from, door(&*target.store)?, told).await).await?;
    balances(target.store.clone()).await?;
    target.done().await?;
    Ok(head)
}

fn door(store: &dyn Store) -> Result<&dyn Portable, CopyError> {
    store.portable().ok_or_else(|| CopyError::Other(format!("the {} store cannot hand on its data set", store.kind())))
}

/// Runs a part under a bar of its own.
async fn shown<T>(
    what: &'static str,
    part: impl AsyncFnOnce(&mut dyn FnMut(u64, u64)) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    let bar: ProgressBar = bar(what);
    let mut told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let outcome = part(&mut told).await;
    bar.finish_and_clear();
    outcome
}

fn open_source(dir: &Path) -> Result<Arc<dyn Store>, CopyError> {
    let told = |error: OpenError| CopyError::Other(error.to_string());
    let bar = bar("bytes of tables read");
    EmbeddedStore::check_files(dir, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })
    .map_err(told)?;
    bar.finish_and_clear();
    Ok(EmbeddedStore::open_existing(dir).map_err(told)?)
}

/// A data set that is being made, and that nobody serves until it is whole.
struct Target {
    store: Arc<dyn Store>,
    made_in: MadeIn,
}

enum MadeIn {
    /// Where it is made and where it goes when it is whole.
    Beside(PathBuf, PathBuf),
    /// In its place, with a mark.
    Database(PostgresOptions),
}

impl Target {
    fn beside(dir: &Path, secret: [u8; 32]) -> Result<Self, CopyError> {
        let io = |error: io::Error| CopyError::Other(format!("{}: {error}", dir.display()));
        if dir.try_exists().map_err(io)? && fs::read_dir(dir).map_err(io)?.next().is_some() {
            return Err(CopyError::Other(format!("{} is not empty", dir.display())));
        }
        let made_in = beside(dir, COPYING).map_err(|error| CopyError::Other(error.to_string()))?;
        let store = EmbeddedStore::open(&EmbeddedOptions::new(&made_in, secret));
        let store = store.map_err(|error| CopyError::Other(error.to_string()))?;
        Ok(Self { store, made_in: MadeIn::Beside(made_in, plain(dir)) })
    }

    /// Makes a ledger in a database that holds none; one that was begun goes on.
    async fn database(options: &PostgresOptions, secret: [u8; 32]) -> Result<Self, CopyError> {
        let told = |error: PostgresError| CopyError::Other(error.to_string());
        postgres::up(options, secret, PARTITION_RECORDS).await.map_err(told)?;
        postgres::begin_copy(options, secret).await.map_err(told)?;
        let options = PostgresOptions { copying: true, ..options.clone() };
        Ok(Self { store: open_database(&options)?, made_in: MadeIn::Database(options) })
    }

    async fn done(self) -> Result<(), CopyError> {
        self.store.close().await.map_err(CopyError::Target)?;
        let (made_in, dir) = match self.made_in {
            MadeIn::Database(options) => {
                let told = |error: PostgresError| CopyError::Other(error.to_string());
                return postgres::end_copy(&options).await.map_err(told);
            }
            MadeIn::Beside(made_in, dir) => (made_in, dir),
        };
        let io = |error: io::Error| CopyError::Other(format!("{}: {error}", dir.display()));
        fs::rename(&made_in, &dir).map_err(io)?;
        let parent = fs::canonicalize(&dir).map_err(io)?;
        fs::File::open(parent.parent().unwrap_or(&parent)).and_then(|parent| parent.sync_all()).map_err(io)
    }
}

fn open_database(options: &PostgresOptions) -> Result<Arc<dyn Store>, CopyError> {
    Ok(PostgresStore::open(options.clone()).map_err(|error| CopyError::Other(error.to_string()))?)
}

/// Replays the copy as `gongji ledger verify` does.
async fn balances(store: Arc<dyn Store>) -> Result<(), CopyError> {
    let (ledger, _) = ledger_tool::ledger(store).map_err(CopyError::Other)?;
    let report = shown("records checked", async |told| {
        let failed = |failure| CopyError::Other(format!("the copy cannot be checked: {}", in_words(&failure)));
        ledger.check_telling(told).await.map_err(failed)
    })
    .await?;
    match report.problems.first() {
        None => Ok(()),
        Some(problem) => Err(CopyError::Balances(problem.clone())),
    }
}
