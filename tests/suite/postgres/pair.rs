//! A primary and its synchronous standby: what a failover needs, and no more.

use super::cluster::{Cluster, Durability, Node, PASSWORD, USER};
use super::printed;
use crate::process::{PATIENCE, wait_until};

/// Two servers of which one leads. Nothing is acknowledged that only one of them has.
pub struct Pair {
    pub cluster: Cluster,
    pub primary: Node,
    pub standby: Node,
}

impl Pair {
    pub fn new() -> Self {
        let mut cluster = Cluster::new();
        let primary = cluster.node("one", Durability::Fast, &[]);
        // Earlier than printed: the copy has the name too, as one has that is made anew later.
        as_printed(&primary, "ALTER SYSTEM SET synchronous_standby_names = 'two'", "two");
        let standby = cluster.standby(&primary, "two");
        await_sync(&primary, &standby);
        Self { cluster, primary, standby }
    }

    /// Both, for whoever wants the one that takes changes.
    pub fn url(&self, database: &str) -> String {
        let (one, two) = (self.primary.port.min(self.standby.port), self.primary.port.max(self.standby.port));
        format!(
            "postgres://{USER}:{PASSWORD}@127.0.0.1:{one},127.0.0.1:{two}/{database}?target_session_attrs=read-write"
        )
    }

    /// Makes the standby lead; the old primary must be dead. It waits for nobody until there is a standby again.
    pub fn fail_over(&mut self) {
        self.primary.wait_gone();
        self.standby.promote();
        as_printed(&self.standby, "ALTER SYSTEM SET synchronous_standby_names = ''", "");
        std::mem::swap(&mut self.primary, &mut self.standby);
    }

    /// Brings the dead one back as a copy of the one that leads.
    pub fn rebuild_standby(&mut self) {
        self.cluster.rebuild(&mut self.standby, &self.primary);
        await_sync(&self.primary, &self.standby);
    }
}

/// Carries out what the document for operators says, line by line; `two` stands for a name.
fn as_printed(node: &Node, first: &str, name: &str) {
    for line in printed(first).lines() {
        let statement = line.split("--").next().unwrap_or_default().trim();
        node.sql(&statement.replace("two", name));
    }
}

/// Makes commits wait for the standby, and waits until they do.
fn await_sync(primary: &Node, standby: &Node) {
    as_printed(primary, "ALTER SYSTEM SET synchronous_standby_names = 'two'", &standby.name);
    wait_until("a synchronous standby", PATIENCE, || {
        let state = primary.sql("SELECT sync_state FROM pg_stat_replication");
        (state == "sync").then_some(())
    });
}
