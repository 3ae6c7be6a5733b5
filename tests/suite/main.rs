//! The integration suite: one binary, a list of modules.

mod embedded;
mod rpc;
mod samples;
mod scenarios;
mod store;
mod support;
