//! What the PostgreSQL store tells of itself.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::PostgresStore;
use crate::metrics::{Counter, Family, Numbers, Page, Seen, Stopwatch, Times, Unit};
use crate::store::measured::{Groups, positions};

const LOOK_GROUP: Family =
    Family::histogram("gongji_database_look_group_jobs", "Looks and other readings that one round shared.");
const LOOK: Family = Family::histogram(
    "gongji_database_look_duration_seconds",
    "Time of one round of readings that the database answered.",
);
const WAITING: Family = Family::gauge("gongji_database_looks_waiting", "Readings that wait for a connection.");
const RETRIES: Family = Family::counter(
    "gongji_database_retries_total",
    "Transactions tried again, because another one was in the way or the connection was lost.",
);
const IN_DOUBT: Family = Family::gauge(
    "gongji_database_in_doubt",
    "1: it is not certain that the standby has what was committed last, and nothing newer is told.",
);
const COMMITTING: Family = Family::gauge(
    "gongji_database_commit_waiting_seconds",
    "Whole seconds for which a COMMIT has been waited for by now; 0 where none is under way.",
);
const OPEN: Family = Family::gauge("gongji_database_connections", "Connections to the database.");
const MADE: Family = Family::counter("gongji_database_connections_made_total", "Connections made since the start.");
const LOST: Family = Family::counter(
    "gongji_database_connections_lost_total",
    "Connections that ended otherwise than by our closing them.",
);
const REFUSED: Family =
    Family::counter("gongji_database_connect_failures_total", "Attempts to connect that came to nothing.");

/// Rounds of readings.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    jobs: Numbers,
    took: Times,
}

impl Rounds {
    pub fn saw(&self, jobs: usize, micros: u64) {
        self.jobs.saw(jobs as u64);
        self.took.saw(micros);
    }
}

/// What became of connections. One that is made has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub made: Counter,
    pub ended: Counter,
    pub lost: Counter,
    pub refused: Counter,
}

/// The COMMIT that is under way, if one is: only one is at a time.
#[derive(Debug, Default)]
pub(super) struct Committing(Mutex<Option<Stopwatch>>);

impl Committing {
    pub fn set(&self, since: Option<Stopwatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn seconds(&self) -> u64 {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(0, |since| since.micros() / 1_000_000)
    }
}

/// What is counted beside `Counters`.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub rounds: Rounds,
    pub groups: Groups,
    pub connections: Connections,
    pub committing: Committing,
    /// Retries after a lost connection.
    pub lost: Counter,
}

impl PostgresStore {
    pub(super) fn write_measures(&self, page: &mut Page) {
        let Measured { rounds, groups, connections, committing, lost } = &*self.measured;
        let known = self.progress.durable();
        positions(page, known, known);
        groups.measure(page);
        page.family(&LOOK_GROUP).seen(&[], Unit::Number, &Seen::of(&rounds.jobs, []));
        page.family(&LOOK).seen(&[], Unit::Micros, &Seen::of(&rounds.took, []));
        page.one(&WAITING, self.jobs.waiting() as u64);
        // Read first, so that it is never more than all.
        let lost = lost.get();
        let retries = self.counters.retries.load(Ordering::Relaxed);
        let causes = [("in_the_way", retries.saturating_sub(lost)), ("connection", lost)];
        page.family(&RETRIES);
        for (cause, count) in causes {
            page.row(&[("cause", cause)], count);
        }
        page.one(&IN_DOUBT, u64::from(self.progress.in_doubt()));
        page.one(&COMMITTING, committing.seconds());
        let ended = connections.ended.get();
        page.one(&OPEN, connections.made.get().saturating_sub(ended));
        page.one(&MADE, connections.made.get());
        page.one(&LOST, connections.lost.get());
        page.one(&REFUSED, connections.refused.get());
    }
}
