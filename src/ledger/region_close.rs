//! `CloseYear` of a region, as many small changes.
//!
//! A region's close is a fact that says how far it has come, and a step takes the next members of the region's list: one
//! change per account under a request id made of region, year and member, then one that moves the fact on. A close that was
//! broken off, by a kill or a stop, goes on with the members behind the last step: who is done is found done. How many members
//! a step takes is each server's own choice, so a step's id says from where to where it goes, and what it counts does not rest
//! on the steps of others.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::close_year::{CloseAccount, last_day};
use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::members::members_of;
use super::reading::Reading;
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::ids::{MemberId, RegionCode, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::time::Moment;
use crate::domain::year_close::{Tally, YearClose};
use crate::store::{Entity, Key, ListKey, ListKind, ListRow};

/// The scope of a region's own request ids; no caller has it.
const SCOPE: &str = "job";

/// The closes that were begun.
fn begun() -> ListKey {
    list_of(ListKind::YearCloses, 0)
}

fn subject(region: RegionCode, year: i16) -> u128 {
    u128::from(region.as_u32()) << 16 | u128::from(year.cast_unsigned())
}

fn of_subject(subject: u128) -> Option<(RegionCode, i16)> {
    let region = RegionCode::parse(&format!("{:06}", subject >> 16))?;
    Some((region, (subject & 0xffff) as i16))
}

fn job_id(text: &str) -> Result<RequestId, Failure> {
    RequestId::parse(text).ok_or(Failure::Bug("a job's request id is none"))
}

impl Ledger {
    /// Begins the close of a region's year for a caller, and tells whoever carries closes out.
    pub async fn begin_year_close(&self, command: &BeginYearClose) -> Result<super::Done<YearClose>, Failure> {
        let done = self.run(command).await?;
        self.year_closes.notify_one();
        Ok(done)
    }

    /// The same by hand: goes on with one that was begun.
    pub async fn year_close_by_hand(&self, region: RegionCode, year: i16) -> Result<YearClose, Failure> {
        let (known, _) = self.find_year_close(region, year).await?;
        let round = match known {
            Some(close) if close.is_open() => return Ok(close),
            known => known.map_or(1, |close| close.round + 1),
        };
        let request_id = job_id(&format!("close-year:{region}:{year}:{round}"))?;
        let command = BeginYearClose { scope: SCOPE.to_owned(), request_id, region, year };
        self.run(&command).await.map(|done| done.outcome)
    }

    /// Returns when a close was begun since the last time.
    pub async fn year_close_begun(&self) {
        self.year_closes.notified().await;
    }

    /// How far the close of a region's year has come.
    pub async fn year_close(&self, region: RegionCode, year: i16) -> Result<YearClose, Failure> {
        let (found, read_at) = self.find_year_close(region, year).await?;
        self.store().wait_durable(read_at).await?;
        found.ok_or(Failure::NotFound(Thing::YearClose))
    }

    async fn find_year_close(&self, region: RegionCode, year: i16) -> Result<(Option<YearClose>, u64), Failure> {
        let key = Key::YearClose(region, year);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        Ok((reading.year_close(&key)?.cloned(), reading.read_at()))
    }

    /// Those that were begun and are not done: what a server takes up when it starts.
    pub async fn open_year_closes(&self) -> Result<Vec<(RegionCode, i16)>, Failure> {
        const CHUNK: usize = 256;
        let head = self.store().head().await?.position;
        let mut open = Vec::new();
        let mut after = 0;
        loop {
            let rows = self.store().list(begun(), after, head, CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(open) };
            after = last.position;
            for row in rows {
                let (region, year) = of_subject(row.subject).ok_or(Failure::Bug("a close is of no region"))?;
                let (close, _) = self.find_year_close(region, year).await?;
                if close.is_some_and(|close| close.is_open()) && !open.contains(&(region, year)) {
                    open.push((region, year));
                }
            }
        }
    }

    /// Takes the next members of the region, at most so many, closes their accounts together, and notes it.
    pub async fn year_close_step(&self, region: RegionCode, year: i16, most: usize) -> Result<YearClose, Failure> {
        let key = Key::YearClose(region, year);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        let stands = reading.year_close(&key)?.cloned().ok_or(Failure::NotFound(Thing::YearClose))?;
        let noted = reading.version(&key);
        if !stands.is_open() {
            return Ok(stands);
        }
        let rows = self.store().list(members_of(region), stands.after, stands.until, most.max(1)).await?;
        let mut close = stands.clone();
        match rows.last() {
            Some(last) => close.after = last.position,
            None => (close.after, close.ended) = (close.until, Some(self.now())),
        }
        // Who went away and came back stands in the list twice.
        let mut seen = HashSet::new();
        let rows: Vec<ListRow> = rows.into_iter().filter(|row| seen.insert(row.subject)).collect();
        let one = |row| self.close_member(&stands, row, noted);
        let mut came = stream::iter(rows).map(one).buffered(most.max(1));
        while let Some(came) = came.next().await {
            match came? {
                Came::Closed(interest) => {
                    close.tally.closed += 1;
                    close.tally.interest += interest;
                }
                Came::Without => close.tally.without += 1,
                Came::Refused => close.tally.refused += 1,
            }
        }
        let bounds = format!("{}:{}-{}", stands.round, stands.after, close.after);
        let request_id = job_id(&format!("close-year:{region}:{year}:{bounds}"))?;
        let step = AdvanceYearClose { request_id, from: stands.after, close };
        match self.run(&step).await {
            // Somebody else has gone on: from there.
            Err(Failure::Contention) => self.year_close(region, year).await,
            done => done.map(|done| done.outcome),
        }
    }

    /// The member of a row of the region's list; `noted` is where the close was noted last.
    async fn close_member(&self, close: &YearClose, row: ListRow, noted: u64) -> Result<Came, Failure> {
        let (region, year, member) = (close.region, close.year, MemberId::from_u128(row.subject));
        let command = CloseAccount {
            scope: SCOPE.to_owned(),
            request_id: job_id(&format!("close-year:{region}:{year}:{member}"))?,
            member: MemberRef::Id(member),
            year,
            only_in: Some(region),
        };
        match self.run(&command).await {
            // Not an earlier step, which would have counted it.
            Ok(done) if done.position > noted => Ok(Came::Closed(done.outcome.interest)),
            // In this round, by a step that was broken off and went further than its successor: counted by nobody so far,
            // unless the member has stood in the list before.
            Ok(done) if done.position > close.until && !self.was_insured_in(member, region, row.position).await? => {
                Ok(Came::Closed(done.outcome.interest))
            }
            Ok(_) => Ok(Came::Without),
            Err(Failure::Refused(reasons)) if reasons == [Reason::YearNothingToClose] => Ok(Came::Without),
            Err(Failure::NotFound(Thing::Account)) => Ok(Came::Without),
            Err(Failure::Refused(_) | Failure::GradeRefused(_)) => Ok(Came::Refused),
            Err(failure) => Err(failure),
        }
    }
}

impl Ledger {
    /// Whether a member was insured in a region at some time before a position.
    async fn was_insured_in(&self, member: MemberId, region: RegionCode, before: u64) -> Result<bool, Failure> {
        const CHUNK: usize = 64;
        let key = list_of(ListKind::MemberRegions, member.as_u128());
        let mut after = 0;
        loop {
            let rows = self.store().list(key, after, before.saturating_sub(1), CHUNK).await?;
            if rows.iter().any(|row| row.subject == u128::from(region.as_u32())) {
                return Ok(true);
            }
            let Some(last) = rows.last() else { return Ok(false) };
            after = last.position;
        }
    }
}

/// What became of one account.
enum Came {
    Closed(Money),
    Without,
    Refused,
}

/// A region's year: begins its close.
#[derive(Clone, Debug)]
pub struct BeginYearClose {
    pub scope: String,
    pub request_id: RequestId,
    pub region: RegionCode,
    pub year: i16,
}

impl Command for BeginYearClose {
    type Outcome = YearClose;
    const METHOD: u8 = 26;

    fn request(&self) -> (String, &RequestId) {
        (self.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("region_code", &self.region).field("year", &self.year);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<YearClose>, Failure> {
        let on = last_day(self.year, now.civil_day())?;
        let unknown = || Failure::NoRegion { thing: Thing::Region, field: "region_code" };
        let region = ledger.book.regions.get(self.region).ok_or_else(unknown)?;
        if !region.level.is_pool() {
            return Err(Failure::invalid("region_code", "is not the code of a pooling region"));
        }
        ledger.book.policy(self.region, on).ok_or_else(unknown)?;
        let key = Key::YearClose(self.region, self.year);
        reading.get(&[key]).await?;
        let before = reading.year_close(&key)?;
        if before.is_some_and(YearClose::is_open) {
            return Err(Failure::refused(Reason::YearCloseRunning));
        }
        let close = YearClose {
            region: self.region,
            year: self.year,
            round: before.map_or(1, |close| close.round + 1),
            started: now,
            ended: None,
            after: 0,
            until: ledger.store().head().await?.position,
            tally: Tally::default(),
        };
        let event = Event::YearCloseStarted { close: close.clone() };
        let puts = vec![(key, Entity::YearClose(Arc::new(close.clone())))];
        let lists = vec![(begun(), subject(self.region, self.year))];
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists, outcome: close })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, record: Record, _: [u8; 16]) -> Result<YearClose, Failure> {
        let Event::YearCloseStarted { close } = record.event else {
            return Err(Failure::Bug("a request to close a region's year made another record"));
        };
        Ok(close)
    }
}

/// A step is done.
#[derive(Clone, Debug)]
struct AdvanceYearClose {
    request_id: RequestId,
    /// Where the step began.
    from: u64,
    close: YearClose,
}

impl Command for AdvanceYearClose {
    type Outcome = YearClose;
    const METHOD: u8 = 27;

    fn request(&self) -> (String, &RequestId) {
        (SCOPE.to_owned(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("from", &self.from).field("close", &self.close.after);
    }

    async fn decide(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        _: Moment,
        _: Fresh,
    ) -> Result<Plan<YearClose>, Failure> {
        let close = &self.close;
        let key = Key::YearClose(close.region, close.year);
        reading.get(&[key]).await?;
        let stands = reading.year_close(&key)?.ok_or(Failure::NotFound(Thing::YearClose))?;
        if (stands.round, stands.after, stands.is_open()) != (close.round, self.from, true) {
            // Somebody else has gone on: what this step did is theirs to count.
            return Err(Failure::Contention);
        }
        let event = Event::YearCloseAdvanced { close: close.clone() };
        let puts = vec![(key, Entity::YearClose(Arc::new(close.clone())))];
        Ok(Plan { record: Record { event, postings: Vec::new() }, puts, lists: Vec::new(), outcome: close.clone() })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, record: Record, _: [u8; 16]) -> Result<YearClose, Failure> {
        let Event::YearCloseAdvanced { close } = record.event else {
            return Err(Failure::Bug("a step of a year's close made another record"));
        };
        Ok(close)
    }
}
