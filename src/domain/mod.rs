//! The rules, pure: no I/O, no clock, no randomness, no wire or storage types. Read in this order.

pub mod money;
pub mod ids;
pub mod time;
pub mod vocabulary;
pub mod reason;
pub mod region;
pub mod policy;
