//! The integration suite: one binary, a list of modules.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected shall stop there; tests measure and draw seeds"
)]

mod around;
mod backup;
mod bench;
mod broken_off;
mod calculation;
#[cfg(feature = "test-clock")]
mod clock;
mod command_line;
mod copy;
mod damage;
mod embedded;
mod faults;
mod histories;
mod feed;
mod found;
mod full_disk;
mod import;
mod ledger_tool;
mod limits;
mod policies;
mod policy_damage;
mod policy_tool;
mod postgres;
mod postgres_store;
mod kills;
mod malformed;
mod metrics;
mod power_cut;
mod process;
mod readme;
mod real_disk;
mod reconcile;
mod rpc;
mod rows;
mod samples;
mod scenarios;
mod simulation;
mod settle_tool;
mod store;
mod support;
mod tidy;
mod two_clocks;
mod wording;
