//! Calculations: dated tables as functions, each pure and exact to the fen, each with its steps. Read in this order: numbers
//! and words, the tables and which of them hold, the steps; then one calculation a file.

pub mod number;
pub mod words;
pub mod tables;
pub mod keys;
pub mod checks;
pub mod law;
pub mod trace;
pub mod plan;
pub mod contribution;
pub mod chosen;
pub mod credit;
pub mod retirement;
pub mod pension;
pub mod unemployment;
pub mod benefits;
pub mod gap;
pub mod tier;
pub mod certification;
