//! The integration suite: one binary, a list of modules.

mod embedded;
mod process;
mod readme;
mod samples;
mod store;
