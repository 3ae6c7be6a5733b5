//! The ledger's side of a comparison: what its records say of an institution's settlements on given days, up to one position.

mod book;
mod compare;
mod find;

use jiff::civil::Date;

pub use book::Book;
pub use compare::{Comparison, Found, Progress, Summary};

use super::Ledger;
use super::failure::Failure;
use super::page::Page;
use super::reading::Reading;
use super::settle::institution_scope;
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::reason::Reason;
use crate::domain::reconcile::{Figures, LineKind, OurLine, Stage, Totals};
use crate::domain::record::Event;
use crate::domain::settlement::hold::HoldState;
use crate::domain::settlement::{Refund, Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::store::{Key, ListKey, ListKind, ListRow, StoreError, record};

/// Rows of a list, or records, between which other calls get their turn.
const TURN: usize = 64;
/// Rows of a list read at a time.
const ROWS: usize = 512;

/// Whose lines of which days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Days {
    pub institution: InstitutionCode,
    pub start: Date,
    pub last: Date,
    pub cut_off: Option<Moment>,
}

/// Bounds of comparisons; each is a config field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileLimits {
    /// Most lines of either side.
    pub lines: u32,
    /// Most differences and bad lines.
    pub differences: u32,
}

/// Days as a range of positions: records are in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    after: u64,
    until: u64,
}

impl Ledger {
    /// Where changes of an institution's settlements stand after they were made.
    pub(crate) fn changes_of(&self, institution: &InstitutionCode) -> ListKey {
        ListKey { kind: ListKind::InstitutionChanges, of: self.keys.institution(institution) }
    }

    fn settlements_of(&self, institution: &InstitutionCode) -> ListKey {
        ListKey { kind: ListKind::InstitutionSettlements, of: self.keys.institution(institution) }
    }

    async fn range(&self, days: &Days, read_position: u64) -> Result<Range, Failure> {
        let next = days.last.tomorrow().map_err(|_| Failure::invalid("last_day", "is no day of this calendar"))?;
        let after = self.positions_before(days.start, read_position).await?;
        Ok(Range { after, until: self.positions_before(next, read_position).await? })
    }

    /// Rows of both lists in order of position; whether each is the settlement's own.
    async fn line_rows(
        &self,
        institution: &InstitutionCode,
        after: u64,
        until: u64,
        limit: usize,
    ) -> Result<Vec<(ListRow, bool)>, Failure> {
        let made = self.store().list(self.settlements_of(institution), after, until, limit).await?;
        let changed = self.store().list(self.changes_of(institution), after, until, limit).await?;
        let made = made.into_iter().map(|row| (row, true));
        let mut rows: Vec<(ListRow, bool)> = made.chain(changed.into_iter().map(|row| (row, false))).collect();
        // Of each list the first so many, so the first so many of both are among them.
        rows.sort_unstable_by_key(|(row, _)| row.position);
        rows.truncate(limit);
        Ok(rows)
    }

    /// The line that a record is; none where it moved no money. A hold that was confirmed is a settlement since then: its
    /// line is the record that confirmed it, as the institution books it when the bill is paid. A refund that was put back by
    /// `until` has ended; one that is put back later is none of this look's.
    async fn our_line(&self, position: u64, until: u64) -> Result<Option<OurLine>, Failure> {
        let stored = self.record_at(position).await?;
        let record = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
        let (kind, settlement, stage, figures) = if let Event::Settled(settled) = &record.event {
            (LineKind::Settlement, settled.id, Stage::Posted, Figures::settled(&settled.amounts))
        } else if let Event::Held { settled, .. } = &record.event {
            let found = self.settlement_fact(settled.id).await?;
            let stage = match found.state() {
                SettlementState::Held => Stage::Held,
                SettlementState::Released | SettlementState::Expired => Stage::Ended,
                SettlementState::Confirmed | SettlementState::PartiallyRefunded | SettlementState::Refunded => {
                    return Ok(None);
                }
            };
            (LineKind::Settlement, settled.id, stage, Figures::settled(&found.amounts))
        } else if let Event::HoldConfirmed { settlement, amounts, .. } = &record.event {
            (LineKind::Settlement, *settlement, Stage::Posted, Figures::settled(amounts))
        } else if let Event::Refunded { settlement, parts, returned, place } = &record.event {
            let found = self.settlement_fact(*settlement).await?;
            let figures = Figures::refunded(parts, returned, &found.contributions);
            let reversed = match found.refunds.get(usize::from(*place)) {
                Some(refund) => self.is_put_back(&found, refund, until).await?,
                None => false,
            };
            let stage = if reversed { Stage::Ended } else { Stage::Posted };
            (LineKind::Refund, *settlement, stage, figures)
        } else {
            return Ok(None);
        };
        Ok(Some(OurLine {
            kind,
            stage,
            settlement,
            position,
            at: stored.at,
            figures,
            request_id: String::new(),
            msgid: String::new(),
            medins_setl_id: String::new(),
        }))
    }

    /// The line that a record is, or of a hold that it made or ended the settlement's.
    async fn line_behind(&self, position: u64, until: u64) -> Result<Option<OurLine>, Failure> {
        if let Some(line) = self.our_line(position, until).await? {
            return Ok(Some(line));
        }
        let stored = self.record_at(position).await?;
        let record = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
        if let Event::Held { settled, .. } = &record.event {
            self.settlement_line(settled.id, until).await
        } else if let Event::HoldEnded { settlement, .. } = &record.event {
            self.settlement_line(*settlement, until).await
        } else {
            Ok(None)
        }
    }

    /// The line of a settlement: what made it or, of a hold, what confirmed it.
    async fn settlement_line(&self, id: SettlementId, until: u64) -> Result<Option<OurLine>, Failure> {
        let hold = self.settlement_fact(id).await?.hold;
        let key = match hold.map(|hold| hold.state) {
            Some(HoldState::Confirmed { request, .. }) => Key::Request(request),
            // Written once, with the settlement.
            _ => Key::Basis(id),
        };
        let found = self.store().load(&[key]).await?;
        match found.facts.first().map(|fact| fact.version) {
            Some(position) if position > 0 => self.our_line(position, until).await,
            _ => Err(Failure::Bug("a settlement of the ledger has no record")),
        }
    }

    /// Whether a refund was put back up to a position.
    async fn is_put_back(&self, settlement: &Settlement, refund: &Refund, until: u64) -> Result<bool, Failure> {
        let Some(id) = refund.reversal.as_ref().and_then(|reversal| RequestId::parse(&reversal.request_id)) else {
            return Ok(false);
        };
        let key = Key::Request(self.keys.request(&institution_scope(&settlement.institution), &id));
        let found = self.store().load(&[key]).await?;
        Ok(found.facts.first().is_some_and(|fact| fact.version <= until))
    }

    async fn settlement_fact(&self, id: SettlementId) -> Result<Settlement, Failure> {
        let key = Key::Settlement(id);
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        reading.settlement(&key)?.cloned().ok_or(Failure::Bug("a settlement of the ledger is missing"))
    }

    /// The line with the names that only an answer needs.
    async fn named_line(&self, line: OurLine) -> Result<OurLine, Failure> {
        let settlement = self.settlement_fact(line.settlement).await?;
        let mut request_id = String::new();
        if line.kind == LineKind::Refund {
            let positions = self.refund_positions(&settlement).await?;
            let place = positions.iter().position(|position| *position == line.position);
            request_id = place.map(|place| settlement.refunds[place].request_id.clone()).unwrap_or_default();
        }
        let refs = settlement.visit.external;
        Ok(OurLine { request_id, msgid: refs.msgid, medins_setl_id: refs.medins_setl_id, ..line })
    }

    /// Counts and sums of the days, up to a position.
    pub async fn totals(&self, days: &Days, read_position: u64, limits: &ReconcileLimits) -> Result<Totals, Failure> {
        let range = self.range(days, read_position).await?;
        let mut totals = Totals::default();
        let (mut after, mut lines) = (range.after, 0);
        loop {
            let rows = self.line_rows(&days.institution, after, range.until, TURN).await?;
            let Some((last, _)) = rows.last() else { return Ok(totals) };
            after = last.position;
            lines += rows.len();
            if lines > limits.lines as usize {
                return Err(Failure::refused(Reason::ReconciliationTooLarge));
            }
            for (row, _) in rows {
                if let Some(line) = self.our_line(row.position, read_position).await? {
                    totals.add(&line);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// A page of lines, and where the next one begins.
    pub async fn list_lines(&self, days: &Days, page: &Page) -> Result<(Vec<OurLine>, Option<u64>), Failure> {
        let range = self.range(days, page.until).await?;
        let mut after = page.after.max(range.after);
        let mut lines = Vec::with_capacity(page.limit);
        loop {
            let rows = self.line_rows(&days.institution, after, range.until, page.limit + 1).await?;
            if rows.is_empty() {
                return Ok((lines, None));
            }
            for (place, (row, _)) in rows.into_iter().enumerate() {
                if lines.len() == page.limit {
                    return Ok((lines, Some(after)));
                }
                after = row.position;
                let line = self.our_line(row.position, page.until).await?;
                if let Some(line) = line.filter(|line| line.stage == Stage::Posted) {
                    lines.push(self.named_line(line).await?);
                }
                if place % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}
