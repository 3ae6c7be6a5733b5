//! What became of changes, as counters.

use super::Ledger;
use crate::metrics::{Counter, Family, Page, Sharded};

/// Counted since this process began.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Changes made true.
    pub changes: Counter,
    /// Answered from what the same request id did before.
    pub repeats: Counter,
    /// Decided anew: somebody else was first.
    pub races_lost: Counter,
    /// Decided while nobody else in this process was.
    pub alone: Counter,
    /// Commits that gave no verdict.
    pub unknown: Counter,
}

const CHANGES: Family =
    Family::counter("gongji_changes_total", "Changes that this process made true, those of its own jobs too.");
const REPEATS: Family =
    Family::counter("gongji_repeats_total", "Changes that were asked for again and answered with their first outcome.");
const RACES_LOST: Family =
    Family::counter("gongji_races_lost_total", "Decisions made anew because a fact they saw had changed.");
const ALONE: Family =
    Family::counter("gongji_changes_alone_total", "Decisions made while no other was, after races were lost.");
const UNKNOWN: Family =
    Family::counter("gongji_commits_unknown_total", "Commits that gave no verdict; each was looked for again.");

impl Ledger {
    /// Writes down what was counted here and in the store. Asks nobody and waits for nothing.
    pub fn measure(&self, page: &mut Page) {
        type Read = fn(&Counted) -> &Counter;
        let families: [(&Family, Read); 5] = [
            (&CHANGES, |counted| &counted.changes),
            (&REPEATS, |counted| &counted.repeats),
            (&RACES_LOST, |counted| &counted.races_lost),
            (&ALONE, |counted| &counted.alone),
            (&UNKNOWN, |counted| &counted.unknown),
        ];
        for (family, read) in families {
            page.one(family, self.counted.sum(read));
        }
        self.store().measure(page);
    }

    pub(super) fn counted(&self) -> &Counted {
        self.counted.own()
    }
}

/// For every thread its own.
pub(super) type CountedApart = Sharded<Counted>;
