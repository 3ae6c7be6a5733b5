//! Ends holds that have run out and that nobody asks about. Whoever asks ends them first, so this is for the ledger's own
//! sake: its records and balances follow the clock.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Ledger;
use crate::ledger::expire::Sweep;

/// Runs until it is dropped. What was open when a server stopped is found again at the next start.
pub async fn run(ledger: &Arc<Ledger>, every: Duration) -> Infallible {
    let mut sweep = Sweep::default();
    loop {
        match ledger.sweep(&mut sweep).await {
            // Others get their turn between two steps.
            Ok((_, true)) => tokio::task::yield_now().await,
            Ok((_, false)) => tokio::time::sleep(every).await,
            Err(failure) => {
                tracing::warn!(?failure, "holds that ran out could not be ended; it is tried again");
                tokio::time::sleep(every).await;
            }
        }
    }
}
