//! Reconciliation from outside: the command line, and a book of a million lines.

mod command;
mod million;

pub use command::{HOSPITAL, settle};
