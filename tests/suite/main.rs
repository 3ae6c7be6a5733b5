//! The integration suite: one binary, a list of modules.

mod embedded;
mod readme;
mod samples;
mod store;
