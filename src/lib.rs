//! **gongji** (共济, mutual aid): family mutual aid of Chinese medical-insurance personal accounts.
//!
//! Read the modules in this order: the rules, the law as data, what is kept, how a change is made true, the wire.

pub mod domain;
pub mod policy;
pub mod metrics;
pub mod store;
pub mod ledger;
pub mod grpc;
pub mod config;
pub mod server;
pub mod demo;
pub mod telemetry;
pub mod terminal;
pub mod client;
pub mod rows;
pub mod calc;
pub mod import;
pub mod bench;
pub mod policy_tool;
pub mod ledger_tool;
pub mod backup;
pub mod copy;
pub mod reconcile;
pub mod settle_tool;
pub mod run;
pub mod migrate;
pub mod cli;
