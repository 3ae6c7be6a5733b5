//! 对账: two books of one institution side by side, line by line. Which line of theirs is which of ours is found elsewhere;
//! here is what a line is, whether two agree, and what is wrong with one that has no counterpart.

mod classify;
mod line;
mod pairs;
mod words;

pub use classify::{Absent, Kind, Missing, Repair, Verdict, absent_from_ours, absent_from_theirs, matched};
pub use line::{Cell, Claimed, Figures, LineKind, Names, OurLine, Stage, TheirLine, Totals, Window};
pub use pairs::pair_up;

#[cfg(test)]
mod tests;
