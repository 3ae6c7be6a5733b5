//! The integration suite: one binary, a list of modules.

mod bench;
mod embedded;
mod samples;
mod store;
