//! What the embedded store tells of itself.

use super::{Shared, lock};
use crate::metrics::{Family, Page};
use crate::store::measured::positions;

const QUEUED: Family = Family::gauge("gongji_store_queued_bytes", "Bytes of changes that wait for the disk.");
const QUEUED_MAX: Family =
    Family::gauge("gongji_store_queued_bytes_max", "Bytes past which changes wait for room (queue_bytes).");
const UNINDEXED: Family = Family::gauge("gongji_store_unindexed_bytes", "Bytes of changes that wait for the index.");
const UNINDEXED_MAX: Family = Family::gauge(
    "gongji_store_unindexed_bytes_max",
    "Bytes past which changes wait for the index (twice index_bytes).",
);
const FAILED: Family =
    Family::gauge("gongji_store_failed", "1: the disk has failed, and nothing is answered until a new start.");

impl Shared {
    pub fn measure(&self, page: &mut Page) {
        let (head, queued, unindexed) = {
            let pipeline = lock(&self.pipeline);
            (pipeline.head().position, pipeline.queued_bytes(), pipeline.unindexed_bytes())
        };
        positions(page, head, self.progress.durable());
        self.groups.measure(page);
        page.one(&QUEUED, queued as u64);
        page.one(&QUEUED_MAX, self.queue_bytes as u64);
        page.one(&UNINDEXED, unindexed as u64);
        page.one(&UNINDEXED_MAX, self.index_bytes as u64 * super::UNINDEXED_MAX as u64);
        page.one(&FAILED, u64::from(self.progress.check().is_err()));
    }
}
