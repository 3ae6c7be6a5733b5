//! The rules, pure: no I/O, no clock, no randomness, no wire or storage types. Read in this order.

pub mod money;
pub mod ids;
pub mod time;
pub mod vocabulary;
pub mod reason;
pub mod region;
pub mod policy;
pub mod identity;
pub mod member;
pub mod posting;
pub mod account;
pub mod rule;
pub mod sharing;
pub mod binding;
pub mod paper;
pub mod bill;
pub mod split;
pub mod draw;
pub mod settlement;
pub mod quota;
pub mod transfer;
pub mod wallet;
pub mod card;
pub mod certification;
pub mod record;
pub mod calc;
