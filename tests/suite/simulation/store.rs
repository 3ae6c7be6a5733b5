//! The store of a run: another store behind it, and before it the weather. It lets a call wait, come too late, fail, or be
//! done without saying so; it forgets what was not durable; and it shows every change that was taken to the auditor.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gongji::domain::time::Moment;
use gongji::store::{
    Change, CommitError, Committed, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture, StoredRecord,
};

use super::stage::Stage;
use crate::store::block_on;

pub struct StageStore {
    pub stage: Arc<Stage>,
    pub inner: Arc<dyn Store>,
}

/// Waits for so many turns.
pub struct Turns(pub usize);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        // Where several are under way together, only those are polled again that were woken.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The output of a future that needs nobody else of this thread.
pub fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => block_on(future),
    }
}

impl StageStore {
    fn delay(&self) -> Turns {
        let mut state = self.stage.state();
        let most = state.weather.delay;
        Turns(state.dice.roll(most + 1))
    }

    fn happens(&self, in_thousand: usize) -> bool {
        self.stage.state().dice.roll(1000) < in_thousand
    }

    fn commit_one(&self, change: Change, now: Moment) -> Result<Committed, CommitError> {
        let weather = self.stage.state().weather;
        if self.happens(weather.conflict) {
            if let Some(flight) = self.stage.state().flight_of(&change) {
                flight.conflicts += 1;
            }
            return Err(CommitError::Conflict);
        }
        if self.happens(weather.away) {
            if let Some(flight) = self.stage.state().flight_of(&change) {
                flight.away = true;
            }
            return Err(CommitError::NotApplied(StoreError::Unavailable));
        }
        let verdict = at_once(self.inner.commit(vec![change.clone()], now)).pop().expect("one verdict a change");
        match &verdict {
            Ok(done) => {
                let record = at_once(self.inner.records(done.position, 1)).expect("it is open").pop();
                let mut state = self.stage.state();
                state.took(self.inner.as_ref(), &self.stage.keys, change.clone(), now, *done, record);
            }
            Err(_) => {
                if let Some(flight) = self.stage.state().flight_of(&change) {
                    flight.conflicts += 1;
                }
            }
        }
        if let Ok(done) = verdict
            && self.happens(weather.lost_answer)
        {
            if let Some(flight) = self.stage.state().flight_of(&change) {
                flight.unknown = true;
            }
            return Err(CommitError::Unknown(Some(done)));
        }
        verdict
    }
}

impl Store for StageStore {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn secret(&self) -> [u8; 32] {
        self.inner.secret()
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        Box::pin(async move {
            // The first look of a change follows its time at once.
            if !matches!(keys, [Key::Request(_), ..]) {
                self.delay().await;
            }
            let away = self.stage.state().weather.away;
            let fails = self.happens(away);
            self.stage.state().looks(keys, fails);
            if fails {
                return Err(StoreError::Unavailable);
            }
            at_once(self.inner.load(keys))
        })
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        Box::pin(async move {
            self.delay().await;
            let verdicts = changes.into_iter().map(|change| self.commit_one(change, now)).collect();
            self.delay().await;
            verdicts
        })
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let weather = self.stage.state().weather;
            if self.happens(weather.not_durable) {
                if let Some(flight) = self.stage.state().flight() {
                    (flight.away, flight.unknown) = (true, true);
                }
                return Err(StoreError::Unavailable);
            }
            while self.stage.state().durable < position {
                Turns(1).await;
            }
            Ok(())
        })
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        self.inner.head()
    }
    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        self.inner.clock()
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.inner.records(from, limit)
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        self.inner.list(key, after, until, limit)
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}
