//! The server of ordinary tests, one for the whole process, and databases in it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use super::cluster::{Cluster, Durability, Node, sql};
use crate::process::{ended, gongji};

/// Started when the first test asks.
pub struct PostgresServer {
    /// Where databases are made: with the right to make them.
    url: String,
    /// Kept for its life: what a static holds is never dropped, and the keeper sees to its end.
    _own: Option<(Mutex<Cluster>, Node)>,
}

impl PostgresServer {
    /// The server that `DATABASE_URL` names, or our own without syncs.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self { url, _own: None },
            Ok(_) | Err(_) => Self::own(Durability::Fast),
        })
    }

    /// A server of our own that writes through to the disk, as in production.
    pub fn synced() -> &'static Self {
        static SYNCED: OnceLock<PostgresServer> = OnceLock::new();
        SYNCED.get_or_init(|| Self::own(Durability::Synced))
    }

    fn own(durability: Durability) -> Self {
        let mut cluster = Cluster::new();
        let node = cluster.node("shared", durability, &[]);
        Self { url: node.url("postgres"), _own: Some((Mutex::new(cluster), node)) }
    }

    /// A new and empty database, dropped with what is returned.
    pub fn fresh_database(&self) -> Database {
        self.copy_of("template0")
    }

    /// A new database with our tables in it.
    pub fn migrated(&self) -> Database {
        let database = self.fresh_database();
        migrate(database.url());
        database
    }

    /// A new database with what another holds, to which nobody may be connected.
    pub fn copy_of(&self, template: &str) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Several test processes may share a server.
        let name = format!("gongji_test_{}_{:08x}_{number}", std::process::id(), rand::random::<u32>());
        sql(&self.url, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { server: self.url.clone(), url: with_database(&self.url, &name), name }
    }
}

/// Brings a database to the schema of this program, with partitions so small that tests meet their ends.
pub fn migrate(url: &str) {
    let output = ended(gongji(&["migrate", "up", "--partition-records", "200", "--database-url", url]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A database, dropped at the end, whoever is still connected.
pub struct Database {
    server: String,
    url: String,
    name: String,
}

impl Database {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn sql(&self, statement: &str) -> String {
        sql(&self.url, statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = super::cluster::try_sql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        if let (Err(error), false) = (dropped, std::thread::panicking()) {
            panic!("{} cannot be dropped: {error}", self.name);
        }
    }
}

/// The same server's other database.
pub fn with_database(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("DATABASE_URL is a URL: postgres://user@host/database");
    let (place, options) = rest.split_once('?').map_or((rest, None), |(place, options)| (place, Some(options)));
    let server = place.split('/').next().unwrap_or_default();
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{scheme}://{server}/{name}{options}")
}
