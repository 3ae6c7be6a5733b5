//! PostgreSQL under the tests: servers of our own, started when the first test asks and gone with the test process, and what
//! several replicas over one database promise while everything around them breaks.
//!
//! `PostgresServer::shared()` is the server of ordinary tests, `fresh_database()` an empty database in it. `DATABASE_URL` names
//! another server to use in its place; databases are made and dropped there. Tests that stop, kill and promote servers
//! always start their own (`Cluster`, `Pair`).

#![allow(dead_code, unused_imports, reason = "verbs that every test of servers may use")]

mod archive;
mod clocks;
mod cluster;
mod failover;
mod full_disk;
mod helper;
mod load;
mod locks;
mod lost_commits;
mod outages;
mod pair;
mod previous;
mod proxy;
mod recovery;
mod replicas;
mod roles;
mod server;
mod tls;
mod upgrade;
mod wire;

/// The block of SQL in the document for operators that begins with these words.
pub fn printed(first: &str) -> &'static str {
    let text = include_str!("../../../docs/deployment.md");
    let mut blocks = text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default().trim());
    blocks.find(|block| block.starts_with(first)).expect("the document has it")
}

pub use cluster::{Cluster, Durability, Node, try_sql};
pub use pair::Pair;
pub use server::{Database, PostgresServer};
