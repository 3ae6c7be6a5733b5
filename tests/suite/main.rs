//! The integration suite: one binary, a list of modules.

mod embedded;
mod samples;
mod store;
