//! Work that a day leaves behind: wallet transfers that nobody took go back to their senders, once they can be taken no more.
//!
//! A day is many small changes, each under a request id made of the job and the transfer, so a run that was broken off is
//! simply run again: what is done is found done. How far the days are done stands in a fact of its own, so that a server
//! that was away picks up where it left.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::transfers::sent_on;
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::ids::{RequestId, TransferId};
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Job, Record};
use crate::domain::time::Moment;
use crate::domain::wallet::TransferState;
use crate::store::entity::JobDay;
use crate::store::{Entity, Key, ListKind};

/// The scope of the jobs' own request ids; no caller has it.
pub(super) const SCOPE: &str = "job";

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Transfers of the day.
    pub looked_at: u32,
    /// Of these: gone back in this run.
    pub returned: u32,
    pub amount: Money,
    /// Left where they are: the sender's account could not take them.
    pub refused: u32,
    /// Left where they are: they can still be taken.
    pub waiting: u32,
}

impl Ledger {
    /// Returns what nobody took of a day's wallet transfers. The day must be over. `progress` is told after each.
    pub async fn return_unclaimed(&self, on: Date, mut progress: impl FnMut(&Returned)) -> Result<Returned, Failure> {
        if on >= self.now().civil_day() {
            return Err(Failure::invalid("on", "is not over yet"));
        }
        const CHUNK: usize = 256;
        let mut report = Returned::default();
        let head = self.store().head().await?.position;
        let mut after = 0;
        loop {
            let rows = self.store().list(sent_on(on), after, head, CHUNK).await?;
            let Some(last) = rows.last() else { break };
            after = last.position;
            for row in rows {
                self.return_one(TransferId::from_u128(row.subject), &mut report).await?;
                progress(&report);
                tokio::task::yield_now().await;
            }
        }
        Ok(report)
    }

    async fn return_one(&self, transfer: TransferId, report: &mut Returned) -> Result<(), Failure> {
        report.looked_at += 1;
        let key = Key::Transfer(transfer);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        let sent = reading.transfer(&key)?.ok_or(Failure::Bug("a list leads to no transfer"))?;
        let (state, amount) = (sent.state, sent.transfer.amount);
        if state != TransferState::Pending {
            return Ok(());
        }
        if self.now() < sent.claim_before {
            report.waiting += 1;
            return Ok(());
        }
        let request_id = format!("{}:{transfer}", Job::ReturnUnclaimed.name());
        let request_id = RequestId::parse(&request_id).ok_or(Failure::Bug("a job's request id is none"))?;
        match self.run(&ReturnTransfer { request_id, transfer }).await {
            // Another run of the same night was faster: it tells of it.
            Ok(done) if done.replayed => Ok(()),
            Ok(_) => {
                report.returned += 1;
                report.amount += amount;
                Ok(())
            }
            // Taken at the last moment.
            Err(Failure::Refused(reasons)) if reasons == [Reason::TransferAlreadyClaimed] => Ok(()),
            Err(Failure::Refused(_)) => {
                report.refused += 1;
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// The first day a job has not done: after the last one noted, or that of the ledger's first record.
    pub async fn job_day(&self, job: Job) -> Result<Option<Date>, Failure> {
        let key = Key::JobDay(job);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        if let Some(day) = reading.job_day(&key)? {
            return Ok(day.done.tomorrow().ok());
        }
        Ok(self.store().records(1, 1).await?.first().map(|record| record.at.civil_day()))
    }

    pub(super) async fn finish_day(&self, job: Job, day: Date, items: u32) -> Result<(), Failure> {
        let request_id = format!("{}:{day}", job.name());
        let request_id = RequestId::parse(&request_id).ok_or(Failure::Bug("a job's request id is none"))?;
        self.run(&FinishDay { request_id, job, day, items }).await.map(|_| ())
    }

    /// Does every day from `from` to `until`, notes those that had work, and returns the day to begin with next time: the first
    /// of which something can still be taken.
    pub async fn catch_up(&self, from: Date, until: Date) -> Result<Date, Failure> {
        let mut day = from;
        while day <= until {
            let report = self.return_unclaimed(day, |_| {}).await?;
            if report.waiting > 0 {
                break;
            }
            if report.looked_at > 0 {
                self.finish_day(Job::ReturnUnclaimed, day, report.returned).await?;
                let (returned, refused) = (report.returned, report.refused);
                tracing::info!(%day, returned, refused, "wallet transfers that nobody took went back");
            }
            day = day.tomorrow().map_err(|_| Failure::Bug("the calendar ends"))?;
        }
        Ok(day)
    }
}

/// One transfer goes back.
#[derive(Clone, Debug)]
struct ReturnTransfer {
    request_id: RequestId,
    transfer: TransferId,
}

impl Command for ReturnTransfer {
    type Outcome = ();
    const METHOD: u8 = 24;

    fn request(&self) -> (String, &RequestId) {
        (SCOPE.to_owned(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("transfer_id", &self.transfer);
    }

    async fn decide(&self, _: &Ledger, reading: &mut Reading<'_>, now: Moment, _: Fresh) -> Result<Plan<()>, Failure> {
        let key = Key::Transfer(self.transfer);
        reading.get(&[key]).await?;
        let mut sent = reading.transfer(&key)?.cloned().ok_or(Failure::NotFound(Thing::Transfer))?;
        match sent.state {
            // Until then it is the receiver's to take: that was promised when it was sent.
            TransferState::Pending if now < sent.claim_before => {
                return Err(Failure::invalid("on", "has transfers that can still be taken"));
            }
            TransferState::Pending => {}
            TransferState::Claimed => return Err(Failure::refused(Reason::TransferAlreadyClaimed)),
            TransferState::Returned => return Err(Failure::refused(Reason::TransferReturned)),
        }
        let owner = sent.transfer.owner;
        reading.get(&[Key::Standing(owner)]).await?;
        let mut account = reading.account(owner)?.cloned().ok_or(Failure::Bug("a sender has no account"))?;
        let mut postings = Vec::new();
        account.turn_year(now.civil_day(), reading.marks(owner)?, &mut postings);
        sent.give_back(&mut account, &mut postings).map_err(Failure::refused)?;
        let event = Event::TransferReturned { transfer: sent.transfer.clone(), owner_after: account.clone() };
        let mut standings = Standings::new(reading);
        standings.of(owner)?.account = Some(account);
        let mut puts = vec![(key, Entity::Transfer(Arc::new(sent)))];
        puts.extend(standings.into_puts());
        let lists = vec![(list_of(ListKind::AccountEntries, owner.as_u128()), 0)];
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome: () })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, _: Record, _: [u8; 16]) -> Result<(), Failure> {
        Ok(())
    }
}

/// A day is done.
#[derive(Clone, Debug)]
struct FinishDay {
    request_id: RequestId,
    job: Job,
    day: Date,
    items: u32,
}

impl Command for FinishDay {
    type Outcome = ();
    const METHOD: u8 = 40;

    fn request(&self) -> (String, &RequestId) {
        (SCOPE.to_owned(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("job", &self.job).field("day", &self.day);
    }

    async fn decide(&self, _: &Ledger, reading: &mut Reading<'_>, _: Moment, _: Fresh) -> Result<Plan<()>, Failure> {
        let key = Key::JobDay(self.job);
        reading.get(&[key]).await?;
        let done = reading.job_day(&key)?.map_or(self.day, |known| known.done.max(self.day));
        let event = Event::JobDone { job: self.job, day: self.day, items: self.items };
        let puts = vec![(key, Entity::JobDay(JobDay { job: self.job, done }))];
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists: Vec::new(), outcome: () })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, _: Record, _: [u8; 16]) -> Result<(), Failure> {
        Ok(())
    }
}
