//! Carries out the closes of regions' years: a few accounts at a time and no more in a second than the setting says, so that
//! settlements have the machine. What a stop or a kill broke off is taken up at the next start.

use std::convert::Infallible;
use std::time::Duration;

use crate::domain::ids::RegionCode;
use crate::ledger::{Failure, Ledger};

/// Steps in a second; the fewer accounts one takes, the sooner others have their turn.
const STEPS: u32 = 20;
/// Accounts of one step at most: they are under way together.
const STEP_MAX: u32 = 256;
/// How long it waits after trouble with the store.
const TICK: Duration = Duration::from_secs(20);

/// Runs until it is dropped. With 0 a second nothing is done here: `gongji run close-year` does it.
pub async fn run(ledger: &Ledger, per_second: u32) -> Infallible {
    if per_second == 0 {
        return std::future::pending().await;
    }
    loop {
        match all(ledger, per_second).await {
            Ok(()) => ledger.year_close_begun().await,
            // What was done is done; the rest is tried again.
            Err(failure) => {
                tracing::warn!(?failure, "the close of a year stopped; it is tried again");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

/// Every close that was begun, to its end.
async fn all(ledger: &Ledger, per_second: u32) -> Result<(), Failure> {
    for (region, year) in ledger.open_year_closes().await? {
        one(ledger, region, year, per_second).await?;
    }
    Ok(())
}

async fn one(ledger: &Ledger, region: RegionCode, year: i16, per_second: u32) -> Result<(), Failure> {
    let most = (per_second / STEPS).clamp(1, STEP_MAX);
    let pause = Duration::from_micros(1_000_000 * u64::from(most) / u64::from(per_second));
    loop {
        let close = ledger.year_close_step(region, year, most as usize).await?;
        if !close.is_open() {
            let (closed, refused, interest) = (close.tally.closed, close.tally.refused, close.tally.interest.as_fen());
            tracing::info!(%region, year, closed, refused, interest_fen = interest, "a year is closed");
            return Ok(());
        }
        tokio::time::sleep(pause).await;
    }
}
