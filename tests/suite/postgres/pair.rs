//! A primary and its synchronous standby: what a failover needs, and no more.

use super::cluster::{Cluster, Durability, Node, PASSWORD, USER};
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
        let mut primary = cluster.node("one", Durability::Fast, &[]);
        let standby = cluster.standby(&primary, "two");
        await_sync(&mut primary, &standby);
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
        std::mem::swap(&mut self.primary, &mut self.standby);
    }

    /// Brings the dead one back as a copy of the one that leads.
    pub fn rebuild_standby(&mut self) {
        self.cluster.rebuild(&mut self.standby, &self.primary);
        await_sync(&mut self.primary, &self.standby);
    }
}

/// Makes commits wait for the standby, and waits until they do.
fn await_sync(primary: &mut Node, standby: &Node) {
    primary.set(&[("synchronous_standby_names", &standby.name)]);
    primary.reload();
    wait_until("a synchronous standby", PATIENCE, || {
        let state = primary.sql("SELECT sync_state FROM pg_stat_replication");
        (state == "sync").then_some(())
    });
}
