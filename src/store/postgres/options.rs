//! Where the database is, and the bounds of talking to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::migrate::{MIGRATIONS, Migration};
use crate::store::StoreError;

/// How to reach a database. The text may hold a password, so it is never printed whole.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub String);

impl std::str::FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    /// Taken as it is; whether it is understood shows when it is used.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl DatabaseUrl {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for DatabaseUrl {
    /// With `***` for a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            // Words such as host=… password=…: only those that are known to be harmless.
            let harmless =
                |word: &&str| ["host=", "port=", "dbname=", "user="].iter().any(|name| word.starts_with(name));
            let words: Vec<&str> = self.0.split_whitespace().filter(harmless).collect();
            return f.write_str(&words.join(" "));
        };
        let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
        match rest.rsplit_once('@') {
            None => write!(f, "{scheme}://{rest}"),
            Some((who, place)) => match who.split_once(':') {
                None => write!(f, "{scheme}://{who}@{place}"),
                Some((user, _)) => write!(f, "{scheme}://{user}:***@{place}"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// See `config.rs` for what each bounds.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    pub url: DatabaseUrl,
    /// PEM file of those who may certify the server; empty: TLS is not used.
    pub ca: PathBuf,
    /// Connections that read; one more writes.
    pub connections: usize,
    pub connect: Duration,
    pub statement: Duration,
    pub lock: Duration,
    /// How long a transaction is tried again in all.
    pub commit: Duration,
    /// How long a call waits for a connection that was lost.
    pub wait: Duration,
    /// Changes in one commit, and looks in one statement.
    pub group: usize,
    pub retries: u32,
    pub poll: Duration,
    /// The schema this program knows; another one only to try how versions get along.
    pub migrations: &'static [Migration],
    /// To go on with a data set that is being copied here.
    pub copying: bool,
}

impl PostgresOptions {
    pub fn new(url: &str) -> Self {
        Self {
            url: DatabaseUrl(url.to_owned()),
            ca: PathBuf::new(),
            connections: 4,
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(10),
            lock: Duration::from_secs(3),
            commit: Duration::from_secs(5),
            wait: Duration::from_secs(3),
            group: 1_024,
            retries: 8,
            poll: Duration::from_millis(20),
            migrations: &MIGRATIONS,
            copying: false,
        }
    }
}

/// Why a database cannot be used. Says where it is, and neither password nor data.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("database_url: is not understood; it reads postgres://user@host:5432/database")]
    Url,
    #[error("database_ca: {path}: {what}", path = path.display())]
    Ca { path: PathBuf, what: String },
    #[error("database_ca: sslmode=require needs the file of who certifies the server")]
    NoCa,
    #[error("the database at {url} cannot be reached: {what}")]
    Unreachable { url: DatabaseUrl, what: String },
    #[error("the database at {url} holds no ledger; make one: gongji migrate up --database-url …")]
    NoDataSet { url: DatabaseUrl },
    #[error(
        "the database at {url} has schema {found}, this program needs {needed}; run: gongji migrate up --database-url …"
    )]
    Behind { url: DatabaseUrl, found: i32, needed: i32 },
    #[error("the database at {url} has schema {found}, which needs a newer program than this one (schema {known})")]
    Ahead { url: DatabaseUrl, found: i32, known: i32 },
    #[error(
        "migration {version} is for when no program of a schema before {serves} serves the database at {url} any more, and \
         {sessions} connections of such programs are there"
    )]
    OlderServe { url: DatabaseUrl, version: i32, serves: i32, sessions: i64 },
    #[error("migration {version} of the database at {url} is not the one this program knows")]
    Changed { url: DatabaseUrl, version: i32 },
    #[error(
        "a data set is being copied into the database at {url}, or that did not come to its end; give the same line again that \
         began it, or make the database anew"
    )]
    Copying { url: DatabaseUrl },
    #[error("the database at {url} refused: {words}", words = super::words::coded(code))]
    Refused { url: DatabaseUrl, code: String },
    #[error("the database at {url} does not answer as its schema says")]
    Unreadable { url: DatabaseUrl },
    #[error("a thread for the database cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://ann:secret@db:5432/city", "postgres://ann:***@db:5432/city"),
            ("postgres://ann:se@cret@db/city?password=secret", "postgres://ann:***@db/city"),
            ("postgres://ann@db/city", "postgres://ann@db/city"),
            ("postgres://db/city", "postgres://db/city"),
            ("host=db password=secret user=ann", "host=db user=ann"),
            ("password='two words' host=db", "host=db"),
        ] {
            let url = DatabaseUrl(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }
}
