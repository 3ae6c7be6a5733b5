//! `Watch`: records from a position on, in order, for as long as somebody listens. Between two steps nothing is held but
//! the place in the chain; what comes next is read from the store, and `wait_durable` of the next position is the hint
//! that there is something to read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::failure::Failure;
use super::subjects::{Subjects, subjects_of};
use super::{Ledger, list_of};
use crate::domain::ids::{InstitutionCode, MemberId, RegionCode};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::store::{Head, ListKind, StoreError, StoredRecord, record};

/// Records read at a time.
const CHUNK: usize = 64;
/// Records looked at without one that passes, after which the consumer hears how far it has come.
const LOOKED_AT_MAX: usize = 4_096;

/// Which records are wanted: those that pass every filter that is not empty.
pub struct Filter {
    /// Judges the kind, whose words are the wire's.
    pub event: Box<dyn Fn(&Event) -> bool + Send + Sync>,
    pub members: Vec<MemberId>,
    pub institutions: Vec<InstitutionCode>,
    pub regions: Vec<RegionCode>,
}

/// Bounds of one stream; each is a config field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Bytes of stored records after which a step ends.
    pub message_bytes: usize,
    /// Longest time without a step.
    pub checkpoint: Duration,
}

/// One message: what passed, and how far that is.
pub struct Step {
    pub records: Vec<(StoredRecord, Record)>,
    pub checkpoint: Head,
    pub caught_up: bool,
}

/// A consumer's place. See the module.
pub struct Watch {
    ledger: Arc<Ledger>,
    filter: Filter,
    limits: WatchLimits,
    /// Everything up to here has been looked at.
    at: Head,
    /// Whether the consumer has once heard that it is up to date.
    greeted: bool,
}

impl Watch {
    /// Begins at a position. `after` is the link of the record before it as the consumer knows it.
    pub async fn begin(
        ledger: Arc<Ledger>,
        from: u64,
        after: Option<[u8; 32]>,
        filter: Filter,
        limits: WatchLimits,
    ) -> Result<Self, Failure> {
        let last = from.saturating_sub(1);
        let at = if last == 0 {
            Head::EMPTY
        } else {
            ledger.fresh_enough(last).await?;
            let before = ledger.store().records(last, 1).await?.pop().filter(|found| found.position == last);
            match before {
                Some(found) => Head { position: last, link: found.link, at: found.at },
                None => return Err(ledger.missing(last).await),
            }
        };
        if after.is_some_and(|after| after != at.link) {
            return Err(Failure::refused(Reason::ChainDiffers));
        }
        Ok(Self { ledger, filter, limits, at, greeted: false })
    }

    /// The next message: at once while there is something to read, else when there is, or when it is time for a sign of
    /// life. Nothing leaves that is not durable.
    pub async fn step(&mut self) -> Result<Step, Failure> {
        let mut silence = std::pin::pin!(sleep(self.limits.checkpoint));
        let ledger = self.ledger.clone();
        let mut looked_at = 0;
        loop {
            let head = ledger.store().head().await?.position;
            let read = if self.at.position < head { self.read(head).await? } else { Vec::new() };
            if read.is_empty() && !self.greeted {
                return self.told(Vec::new()).await;
            }
            let durable = ledger.store().wait_durable(self.at.position + read.len().max(1) as u64);
            tokio::select! {
                durable = durable => durable?,
                () = &mut silence => return self.told(Vec::new()).await,
            }
            let (passed, seen) = self.judge(read).await?;
            looked_at += seen;
            if !passed.is_empty() || looked_at >= LOOKED_AT_MAX {
                return self.told(passed).await;
            }
            // Others on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }

    async fn told(&mut self, records: Vec<(StoredRecord, Record)>) -> Result<Step, Failure> {
        let caught_up = self.at.position >= self.ledger.store().head().await?.position;
        self.greeted |= caught_up;
        Ok(Step { records, checkpoint: self.at, caught_up })
    }

    /// The next records, durable or not yet; one at least.
    async fn read(&self, head: u64) -> Result<Vec<StoredRecord>, Failure> {
        let next = self.at.position + 1;
        let left = usize::try_from(head - self.at.position).unwrap_or(usize::MAX);
        let stored = self.ledger.store().records(next, left.min(CHUNK)).await?;
        match stored.first() {
            Some(first) if first.position == next => Ok(stored),
            Some(_) | None => Err(self.ledger.missing(next).await),
        }
    }

    /// Looks at records, or at as many as fill a message: those that pass, and how many were looked at.
    async fn judge(&mut self, stored: Vec<StoredRecord>) -> Result<(Vec<(StoredRecord, Record)>, usize), Failure> {
        let (mut passed, mut bytes, mut seen) = (Vec::new(), 0, 0);
        for stored in stored {
            let record = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
            let passes = self.passes(&stored, &record).await?;
            self.at = Head { position: stored.position, link: stored.link, at: stored.at };
            seen += 1;
            if passes {
                bytes += stored.bytes.len();
                passed.push((stored, record));
                if bytes >= self.limits.message_bytes {
                    break;
                }
            }
        }
        Ok((passed, seen))
    }

    async fn passes(&self, stored: &StoredRecord, record: &Record) -> Result<bool, Failure> {
        let Filter { event, members, institutions, regions } = &self.filter;
        if !event(&record.event) {
            return Ok(false);
        }
        if members.is_empty() && institutions.is_empty() && regions.is_empty() {
            return Ok(true);
        }
        let about = subjects_of(&self.ledger, record).await?;
        let any = |wanted: bool, found: bool| !wanted || found;
        Ok(any(!members.is_empty(), members.iter().any(|id| about.members.contains(id)))
            && any(!institutions.is_empty(), institutions.iter().any(|code| about.institutions.contains(code)))
            && (regions.is_empty() || self.in_region(stored.position, &about).await?))
    }

    /// Whether a record is of one of the wanted regions: by its money, or by where its members are insured then.
    async fn in_region(&self, position: u64, about: &Subjects) -> Result<bool, Failure> {
        let wanted = |region: RegionCode| self.filter.regions.contains(&region);
        if about.regions.iter().copied().any(wanted) {
            return Ok(true);
        }
        for member in &about.members {
            let insured = self.ledger.insured_at(*member, position).await?;
            if insured.into_iter().flatten().any(wanted) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Ledger {
    /// Where a member is insured after a record, and where until then if that record changed it.
    pub(super) async fn insured_at(&self, member: MemberId, position: u64) -> Result<[Option<RegionCode>; 2], Failure> {
        let key = list_of(ListKind::MemberRegions, member.as_u128());
        let (mut after, mut last, mut before) = (0, None, None);
        loop {
            let rows = self.store().list(key, after, position, CHUNK).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                after = row.position;
                let region = u32::try_from(row.subject).ok().and_then(RegionCode::from_u32);
                before = if row.position == position { last } else { None };
                last = region;
            }
        }
        Ok([last, before])
    }
}
