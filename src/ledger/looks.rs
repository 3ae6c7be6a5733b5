//! Looks of several rounds whose answer has to be that of one moment.

use tokio::sync::RwLockWriteGuard;

use super::Ledger;
use super::failure::Failure;
use super::reading::Reading;

/// The looks that one question has taken.
pub(super) struct Looks<'l> {
    ledger: &'l Ledger,
    /// Nobody else changes anything in this process.
    alone: Option<RwLockWriteGuard<'l, ()>>,
    left: u32,
}

impl<'l> Looks<'l> {
    pub fn new(ledger: &'l Ledger) -> Self {
        Self { ledger, alone: None, left: ledger.limits.retries }
    }

    /// Whether the question has to look again: it met holds that have run out, which are ended now, or facts of two moments,
    /// such as an account before money was set aside and a quota after it. Then alone, so that in this process nothing can come
    /// between; other servers may, and too often is too often.
    pub async fn again<T>(&mut self, reading: &Reading<'_>, found: &Result<T, Failure>) -> Result<bool, Failure> {
        if let Err(Failure::RanOut(holds)) = found {
            self.alone = None;
            self.ledger.end_holds(holds).await?;
            return Ok(true);
        }
        if !reading.is_torn() {
            return Ok(false);
        }
        self.left = self.left.checked_sub(1).ok_or(Failure::Contention)?;
        if self.alone.is_none() {
            self.alone = Some(self.ledger.gate.write().await);
        }
        Ok(true)
    }
}
