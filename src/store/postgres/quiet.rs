//! Says of a database that is away that it is, now and then: every connection finds out again and again.

use std::sync::{Mutex, PoisonError};

use super::options::PostgresError;
use crate::metrics::Stopwatch;

/// The same is said again after so long.
const AGAIN_MICROS: u64 = 10_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<(Stopwatch, String)>>);

impl Quiet {
    /// Whether something is to be said: it is something else, or was said long ago.
    fn is_due(&self, text: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.as_ref().is_none_or(|(since, said)| said != text || since.micros() > AGAIN_MICROS);
        if is_due {
            *last = Some((Stopwatch::start(), text.to_owned()));
        }
        is_due
    }

    /// There is no connection, and why.
    pub fn lost(&self, error: &PostgresError) {
        let error = error.to_string();
        if self.is_due(&error) {
            tracing::warn!(error, "the connection to the database is lost");
        }
    }

    /// There is one again: what comes next is news.
    pub fn found(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_until_something_else_is() {
        let quiet = Quiet::default();
        let said = ["away", "away", "refused", "away", "away"].map(|text| quiet.is_due(text));
        assert_eq!(said, [true, false, true, true, false]);
        quiet.found();
        assert!(quiet.is_due("away"));
    }
}
