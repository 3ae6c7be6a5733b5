//! The entries of an account: every posting that changed it, oldest first.

use std::sync::Arc;

use super::failure::{Failure, Thing};
use super::page::{LOOKED_AT_MAX, Page};
use super::reading::Reading;
use super::{Ledger, list_of};
use crate::domain::ids::MemberId;
use crate::domain::money::Money;
use crate::domain::record::Record;
use crate::domain::time::Moment;
use crate::domain::vocabulary::Bucket;
use crate::store::{Key, ListKind, StoreError, record};

/// One posting's effect on one bucket.
#[derive(Clone, Debug)]
pub struct EntryView {
    pub position: u64,
    pub at: Moment,
    pub bucket: Bucket,
    pub amount: Money,
    pub after: Money,
    pub record: Arc<Record>,
}

impl Ledger {
    /// Entries in order. One record may make several, and a page may end between two of them: the place after which a page
    /// goes on is the record's position and how many of its entries were shown, in the low byte.
    pub async fn list_entries(&self, member: MemberId, page: &Page) -> Result<(Vec<EntryView>, Option<u64>), Failure> {
        let mut reading = Reading::new(self.store());
        reading.get(&[Key::Standing(member)]).await?;
        reading.account(member)?.ok_or(Failure::NotFound(Thing::Account))?;
        let key = list_of(ListKind::AccountEntries, member.as_u128());
        let (begun, shown) = (page.after >> 8, usize::try_from(page.after & 0xff).unwrap_or_default());
        let mut entries = Vec::with_capacity(page.limit);
        let (mut after, mut last, mut looked_at) = (begun.saturating_sub(1), page.after, 0);
        // A row need make no entry: what a quota paid moved nothing of the account's. So rows are read until there are none.
        loop {
            let rows = self.store().list(key, after, page.until, page.limit + 2).await?;
            if rows.is_empty() {
                return Ok((entries, None));
            }
            for row in rows {
                if looked_at == LOOKED_AT_MAX {
                    return Ok((entries, Some(last)));
                }
                looked_at += 1;
                after = row.position;
                let stored = self.record_at(row.position).await?;
                let record = Arc::new(record::decode_record(&stored.bytes).map_err(StoreError::from)?);
                let effects = record.postings.iter().flat_map(|posting| posting.effects(member));
                let skipped = if row.position == begun { shown } else { 0 };
                for (place, (bucket, amount, after)) in effects.enumerate().skip(skipped) {
                    if entries.len() == page.limit {
                        return Ok((entries, Some(last)));
                    }
                    last = row.position << 8 | (place as u64 + 1);
                    let record = record.clone();
                    entries.push(EntryView { position: row.position, at: stored.at, bucket, amount, after, record });
                }
                // All of this row is told.
                last = (row.position + 1) << 8;
            }
            // Others on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }
}
