//! What more than one store tells of itself.

use crate::metrics::{Family, Numbers, Page, Seen, Times, Unit};

const POSITION: Family =
    Family::gauge("gongji_ledger_position", "Last position of the ledger that this process knows of.");
const DURABLE: Family =
    Family::gauge("gongji_ledger_durable_position", "Position up to which everything survives any crash.");
const GROUP: Family =
    Family::histogram("gongji_commit_group_changes", "Changes that were made durable together, by one sync or COMMIT.");
const COMMIT: Family = Family::histogram(
    "gongji_commit_duration_seconds",
    "Time in which one group of changes was made durable: written and synced, or a transaction with its COMMIT.",
);

/// Where the ledger stands.
pub(super) fn positions(page: &mut Page, known: u64, durable: u64) {
    page.one(&POSITION, known);
    page.one(&DURABLE, durable);
}

/// Groups of changes that were made durable.
#[derive(Debug, Default)]
pub(super) struct Groups {
    changes: Numbers,
    took: Times,
}

impl Groups {
    pub fn saw(&self, changes: usize, micros: u64) {
        self.changes.saw(changes as u64);
        self.took.saw(micros);
    }

    pub fn measure(&self, page: &mut Page) {
        page.family(&GROUP).seen(&[], Unit::Number, &Seen::of(&self.changes, []));
        page.family(&COMMIT).seen(&[], Unit::Micros, &Seen::of(&self.took, []));
    }
}
