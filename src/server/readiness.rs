//! Whether this server may be sent calls: its store answers, and its clock is near the store's own, which others write by.

use std::convert::Infallible;
use std::time::Duration;

use crate::domain::time::Moment;
use crate::ledger::Ledger;

/// Asks for ever, and tells whenever the answer has changed.
pub async fn run<F: Future<Output = ()>>(
    ledger: &Ledger,
    every: Duration,
    differs: Duration,
    mut tell: impl FnMut(bool) -> F,
) -> Infallible {
    let mut ready = true;
    loop {
        let found = judge(ledger, differs).await;
        if found.is_ok() != ready {
            ready = !ready;
            match &found {
                Ok(()) => tracing::info!("ready again"),
                Err(why) => tracing::warn!(why, "not ready: health checks say NOT_SERVING"),
            }
            tell(ready).await;
        }
        tokio::time::sleep(every).await;
    }
}

async fn judge(ledger: &Ledger, differs: Duration) -> Result<(), &'static str> {
    let before = ledger.now();
    let theirs = ledger.store().clock().await.map_err(|_| "the store does not answer")?;
    let after = ledger.now();
    match theirs {
        // A clock that was set for a trial is not compared with a real one.
        Some(theirs) if !ledger.clock_is_shifted() && !near(before, theirs, after, differs) => {
            Err("the clock differs from the database's")
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether their clock, read between the two instants of ours, may be as near as that.
fn near(before: Moment, theirs: Moment, after: Moment, differs: Duration) -> bool {
    let differs = i64::try_from(differs.as_micros()).unwrap_or(i64::MAX);
    let earliest = before.as_micros().saturating_sub(differs);
    let latest = after.as_micros().saturating_add(differs);
    (earliest..=latest).contains(&theirs.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_so_much_and_no_more() {
        let at = |micros| Moment::from_micros(micros);
        let near = |theirs| near(at(10_000), at(theirs), at(10_400), Duration::from_millis(1));
        for (theirs, expected) in [(8_999, false), (9_000, true), (10_200, true), (11_400, true), (11_401, false)] {
            assert_eq!(near(theirs), expected, "{theirs}");
        }
    }
}
