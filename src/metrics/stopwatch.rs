//! How long something takes.

use std::time::Instant;

/// Measures how long something takes. The only clock below `server` beside the ledger's: nothing but a histogram hears of it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "a duration is measured, and nothing is decided by it")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Rounded, so that many short times sum up right.
    pub fn micros(self) -> u64 {
        u64::try_from((self.0.elapsed().as_nanos() + 500) / 1_000).unwrap_or(u64::MAX)
    }
}
