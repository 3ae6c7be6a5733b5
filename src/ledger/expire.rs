//! Holds that run out. Whoever meets one ends it first (`Ledger::end_holds`), so nothing is wrong before the sweep comes;
//! the sweep ends those that nobody meets.
//!
//! Each end is a change of its own under a request id made of the hold, so it happens once, whoever comes and however often.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;

use futures_util::{StreamExt, stream};
use jiff::civil::{Date, Time};

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::hold::{ResolvedHold, end};
use super::jobs::SCOPE;
use super::reading::Reading;
use super::settling::holds_of;
use super::{Command, Fresh, Ledger, Plan};
use crate::domain::ids::{RequestId, SettlementId};
use crate::domain::reason::Reason;
use crate::domain::record::{Job, Record};
use crate::domain::settlement::hold::HoldEnd;
use crate::domain::time::Moment;
use crate::store::Key;

/// A hold that has run out ends.
#[derive(Clone, Debug)]
struct EndHold {
    request_id: RequestId,
    settlement: SettlementId,
}

impl Command for EndHold {
    type Outcome = ();
    const METHOD: u8 = 7;
    const SEES_RAN_OUT: bool = true;

    fn request(&self) -> (String, &RequestId) {
        (SCOPE.to_owned(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("settlement_id", &self.settlement);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<()>, Failure> {
        let key = Key::Settlement(self.settlement);
        reading.get(&[key]).await?;
        let held = reading.settlement(&key)?.cloned().ok_or(Failure::NotFound(Thing::Settlement))?;
        if held.held_until().is_some_and(|expires| expires > now) {
            return Err(Failure::refused(Reason::HoldOpen));
        }
        let Plan { record, puts, lists, outcome } = end(ledger, reading, held, HoldEnd::Expired, now, "").await?;
        let ResolvedHold { .. } = outcome;
        Ok(Plan { record, puts, lists, outcome: () })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, _: Record, _: [u8; 16]) -> Result<(), Failure> {
        Ok(())
    }
}

impl Ledger {
    /// Ends holds that have run out. One that somebody resolved meanwhile is as good as ended.
    pub(super) fn end_holds<'a>(
        &'a self,
        holds: &'a [SettlementId],
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        // Boxed: ending a hold is itself a change, and a change may meet holds that have to be ended.
        Box::pin(async move {
            for hold in holds {
                self.end_hold(*hold).await?;
            }
            Ok(())
        })
    }

    /// Whether this call ended it.
    async fn end_hold(&self, settlement: SettlementId) -> Result<bool, Failure> {
        let request_id = format!("{}:{settlement}", Job::EndHolds.name());
        let request_id = RequestId::parse(&request_id).ok_or(Failure::Bug("a job's request id is none"))?;
        match self.run(&EndHold { request_id, settlement }).await {
            Ok(done) => Ok(!done.replayed),
            Err(Failure::Refused(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// Where the sweep stands. Made anew at every start: what it has to find again stands in lists by the day on which holds
/// run out.
#[derive(Debug, Default)]
pub struct Sweep {
    /// The day whose list is read, and how far.
    at: Option<(Date, u64)>,
    /// Open holds of that day, the first to run out on top. 32 bytes for each.
    open: BinaryHeap<Reverse<(Moment, SettlementId)>>,
    /// Whether the day had any.
    found: u32,
}

impl Sweep {
    /// Rows read and holds ended in one step, after which others get their turn.
    pub const STEP: usize = 512;
    /// Holds that are ended at once, so that they share a sync of the disk.
    const TOGETHER: usize = 64;
    /// Seconds after midnight at which a day's list is taken to be whole where no record says so: what is being recorded
    /// just then is recorded by then. A hold that came later still would be ended by whoever meets it.
    const GRACE: u32 = 5;
}

impl Ledger {
    /// One step of the sweep: reads on in the day's list, and ends what has run out. Returns how many it ended, and whether
    /// there is more to do at once.
    pub async fn sweep(&self, sweep: &mut Sweep) -> Result<(usize, bool), Failure> {
        let head = self.store().head().await?;
        let now = self.now_of_ledger().await?;
        let (day, after) = match sweep.at {
            Some(place) => place,
            None => match self.job_day(Job::EndHolds).await? {
                Some(day) => (day, 0),
                // The ledger is empty.
                None => return Ok((0, false)),
            },
        };
        let begins = Moment::of_civil(day, Time::midnight());
        let rows = match begins <= now {
            true => self.store().list(holds_of(begins), after, head.position, Sweep::STEP).await?,
            false => Vec::new(),
        };
        let read_on = rows.len() == Sweep::STEP;
        let after = rows.last().map_or(after, |row| row.position);
        let mut reading = Reading::new(self.store());
        let keys: Vec<Key> = rows.iter().map(|row| Key::Settlement(SettlementId::from_u128(row.subject))).collect();
        reading.get(&keys).await?;
        for key in &keys {
            let held = reading.settlement(key)?.ok_or(Failure::Bug("a list leads to no settlement"))?;
            sweep.open.extend(held.held_until().map(|expires| Reverse((expires, held.id))));
            sweep.found = sweep.found.saturating_add(1);
        }
        sweep.at = Some((day, after));
        let ended = self.end_due(sweep, now).await?;
        let due = sweep.open.peek().is_some_and(|Reverse((expires, _))| *expires <= now);
        if read_on || due {
            return Ok((ended, true));
        }
        // A hold is never recorded at or after the instant at which it runs out, so once a record is of a later day, the
        // day's list is whole.
        let tomorrow = day.tomorrow().map_err(|_| Failure::Bug("the calendar ends"))?;
        let midnight = Moment::of_civil(tomorrow, Time::midnight());
        let over = head.at >= midnight || now >= midnight.plus_seconds(Sweep::GRACE);
        if over && sweep.open.is_empty() {
            if sweep.found > 0 {
                self.finish_day(Job::EndHolds, day, sweep.found).await?;
            }
            (sweep.at, sweep.found) = (Some((tomorrow, 0)), 0);
        }
        Ok((ended, over))
    }

    async fn end_due(&self, sweep: &mut Sweep, now: Moment) -> Result<usize, Failure> {
        let mut ended = 0;
        for _ in 0..Sweep::STEP / Sweep::TOGETHER {
            let mut due = Vec::new();
            while due.len() < Sweep::TOGETHER
                && let Some(Reverse((expires, hold))) = sweep.open.peek().copied()
                && expires <= now
            {
                sweep.open.pop();
                due.push((expires, hold));
            }
            let one = async |(expires, hold)| (expires, hold, self.end_hold(hold).await);
            let mut together = stream::iter(due).map(one).buffer_unordered(Sweep::TOGETHER);
            let mut failed = None;
            while let Some((expires, hold, outcome)) = together.next().await {
                match outcome {
                    Ok(first) => ended += usize::from(first),
                    Err(failure) => {
                        sweep.open.push(Reverse((expires, hold)));
                        failed = Some(failure);
                    }
                }
            }
            if let Some(failure) = failed {
                return Err(failure);
            }
        }
        Ok(ended)
    }
}
