//! The integration suite: one binary, a list of modules.

mod embedded;
mod kills;
mod power_cut;
mod process;
mod readme;
mod samples;
mod store;
