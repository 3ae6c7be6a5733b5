//! What a server does by itself once a day: wallet transfers that nobody took go back. A server that was away does the
//! days it missed when it is there again.

use std::convert::Infallible;
use std::time::Duration;

use jiff::civil::{Date, Time};

use crate::domain::record::Job;
use crate::domain::time::Moment;
use crate::ledger::{Failure, Ledger};

/// How often it looks whether a day has come due: the clock is asked, not trusted to run evenly.
const TICK: Duration = Duration::from_secs(20);

/// The last day whose transfers are due at an instant, when they go back at `at` of the next day.
pub fn due(now: Moment, at: Time) -> Option<Date> {
    let yesterday = now.civil_day().yesterday().ok()?;
    if now.civil_time() >= at { Some(yesterday) } else { yesterday.yesterday().ok() }
}

/// Does what is due, and returns the day to begin with next time; none while the ledger is empty.
pub async fn catch_up(ledger: &Ledger, next: Option<Date>, at: Time) -> Result<Option<Date>, Failure> {
    let Some(until) = due(ledger.now(), at) else { return Ok(next) };
    let from = match next {
        Some(day) => Some(day),
        None => ledger.job_day(Job::ReturnUnclaimed).await?,
    };
    match from {
        Some(from) if from <= until => ledger.catch_up(from, until).await.map(Some),
        known => Ok(known),
    }
}

/// Runs until it is dropped.
pub async fn run(ledger: &Ledger, at: Time) -> Infallible {
    let mut next = None;
    loop {
        match catch_up(ledger, next, at).await {
            Ok(day) => next = day,
            // What was done is done; the rest is tried again at the next look.
            Err(failure) => tracing::warn!(?failure, "the nightly return of transfers stopped; it is tried again"),
        }
        tokio::time::sleep(TICK).await;
    }
}
