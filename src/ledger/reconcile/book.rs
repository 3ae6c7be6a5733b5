//! Where the lines of the days stand, in memory: 29 bytes each. What they say stays in the store until it is compared.

use super::{Days, ROWS, Range, ReconcileLimits};
use crate::domain::ids::SettlementId;
use crate::domain::reason::Reason;
use crate::ledger::{Failure, Ledger};

/// What is known of a line so far.
const MADE: u8 = 1;
const TAKEN: u8 = 2;

/// The ledger's lines of the days, in order of position.
#[derive(Debug, Default)]
pub struct Book {
    positions: Vec<u64>,
    settlements: Vec<u128>,
    marks: Vec<u8>,
    /// Places by settlement, then position.
    by_settlement: Vec<u32>,
    /// Up to where the ledger is read.
    until: u64,
}

impl Book {
    pub(super) async fn read(
        ledger: &Ledger,
        days: &Days,
        range: Range,
        until: u64,
        limits: &ReconcileLimits,
    ) -> Result<Self, Failure> {
        let mut book = Self { until, ..Self::default() };
        let mut after = range.after;
        loop {
            let rows = ledger.line_rows(&days.institution, after, range.until, ROWS).await?;
            let Some((last, _)) = rows.last() else { break };
            after = last.position;
            if book.len() + rows.len() > limits.lines as usize {
                return Err(Failure::refused(Reason::ReconciliationTooLarge));
            }
            for (row, made) in rows {
                book.positions.push(row.position);
                book.settlements.push(row.subject);
                book.marks.push(if made { MADE } else { 0 });
            }
            tokio::task::yield_now().await;
        }
        // A million lines take a while to sort; other calls of this thread go on meanwhile.
        let sorted = tokio::task::spawn_blocking(move || {
            let mut places: Vec<u32> = (0..u32::try_from(book.len()).unwrap_or(u32::MAX)).collect();
            places.sort_unstable_by_key(|place| (book.settlements[*place as usize], *place));
            book.by_settlement = places;
            book
        });
        sorted.await.map_err(|_| Failure::Bug("sorting the lines of a book failed"))
    }

    pub fn until(&self) -> u64 {
        self.until
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    pub fn position(&self, place: usize) -> u64 {
        self.positions[place]
    }

    pub fn settlement(&self, place: usize) -> SettlementId {
        SettlementId::from_u128(self.settlements[place])
    }

    /// The line at a ledger position.
    pub fn at(&self, position: u64) -> Option<usize> {
        self.positions.binary_search(&position).ok()
    }

    /// The lines of a settlement, oldest first.
    fn of(&self, settlement: SettlementId) -> impl Iterator<Item = usize> {
        let wanted = settlement.as_u128();
        let from = self.by_settlement.partition_point(|place| self.settlements[*place as usize] < wanted);
        let found = self.by_settlement[from..].iter().map(|place| *place as usize);
        found.take_while(move |place| self.settlements[*place] == wanted)
    }

    /// Where a settlement was made, if on these days.
    pub fn made(&self, settlement: SettlementId) -> Option<usize> {
        self.of(settlement).find(|place| self.marks[*place] & MADE != 0)
    }

    pub fn is_taken(&self, place: usize) -> bool {
        self.marks[place] & TAKEN != 0
    }

    /// Notes that a line has no counterpart after all.
    pub fn give_back(&mut self, place: usize) {
        self.marks[place] &= !TAKEN;
    }

    /// Notes that a line has its counterpart; false when it had one.
    pub fn take(&mut self, place: usize) -> bool {
        let free = !self.is_taken(place);
        self.marks[place] |= TAKEN;
        free
    }
}
