//! An outcome, when it may be told, and what may be told if it cannot.

use super::{Command, Done, Failure, Ledger};

/// An outcome that may not be told yet.
pub struct Begun<T> {
    pub result: Result<Done<T>, Failure>,
    pub rests_on: RestsOn,
}

/// What must be durable before an outcome is told.
#[derive(Clone, Copy, Debug)]
pub struct RestsOn {
    pub(super) position: u64,
    /// Something was committed: if it does not become durable, nobody knows what will be found.
    pub(super) committed: bool,
}

/// What an answer to a change is made of, looked up when the change is there.
pub trait OfMade {
    /// Whatever keeps an answer from being put together, nobody may be told that nothing was changed.
    fn of_made(self) -> Self;
}

impl<T> OfMade for Result<T, Failure> {
    fn of_made(self) -> Self {
        self.map_err(|failure| if let Failure::Bug(_) = failure { failure } else { Failure::OutcomeUnknown })
    }
}

impl RestsOn {
    /// Up to where the ledger must be durable.
    pub fn position(self) -> u64 {
        self.position
    }
}

impl Ledger {
    /// Waits until nothing up to a position waits for the disk any more, or never will.
    pub async fn behind(&self, position: u64) {
        // A disk that has failed is told by whoever asks for something.
        let _ = self.store.wait_durable(position).await;
    }

    /// Runs one change to a definite outcome. A refusal leaves only when what it was decided on is durable.
    pub async fn run<C: Command>(&self, command: &C) -> Result<Done<C::Outcome>, Failure> {
        let Begun { result, rests_on } = self.begin(command).await;
        self.durable(rests_on).await?;
        result
    }

    /// Waits until an outcome may be told.
    pub async fn durable(&self, RestsOn { position, committed }: RestsOn) -> Result<(), Failure> {
        match self.store.wait_durable(position).await {
            Ok(()) => Ok(()),
            Err(_) if committed => Err(Failure::OutcomeUnknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs one change as far as its outcome, which nobody may be told before what it rests on is durable. For answers that
    /// are put together while what they are made of is at hand.
    pub async fn begin<C: Command>(&self, command: &C) -> Begun<C::Outcome> {
        match self.decided(command).await {
            Ok(begun) => begun,
            Err(failure) => {
                let committed = failure == Failure::OutcomeUnknown;
                Begun { result: Err(failure), rests_on: RestsOn { position: 0, committed } }
            }
        }
    }
}
