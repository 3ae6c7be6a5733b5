//! Items of one call, carried out as there is room and told in their order.
//!
//! An item has two halves: it is carried out, which stores in this process do without waiting, and its outcome is told when
//! it may be. What need not wait is carried out where it is first asked, in a place that the next item takes again; only one
//! that has to wait gets memory of its own, or a task. Outcomes wait to be told in a row, and only the first of them asks.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::task::{JoinHandle, coop};
use tonic::Status;

use super::status::transport;

/// What carrying out an item counts for where a task has to let others have their turn: about what it asks of tokio.
const TURNS: usize = 3;

/// Room for one future after another.
type Place<F> = Pin<Box<Option<F>>>;

/// What came of carrying an item out.
type Outcome<R> = Result<R, Status>;

/// An item that had to wait, or one that came after it.
enum Behind<F, R> {
    Here(Place<F>),
    Apart(JoinHandle<Outcome<R>>),
    Done(Option<Outcome<R>>),
}

/// See the module.
pub struct InOrder<S, W, F, R, T, D>
where
    F: Future<Output = Outcome<R>>,
{
    /// None when there are no more.
    items: Option<S>,
    work: W,
    tell: T,
    /// Items under way at a time; one that is not told yet is under way.
    window: usize,
    /// Whether an item that waits becomes a task.
    apart: bool,
    place: Place<F>,
    behind: FuturesOrdered<Behind<F, R>>,
    /// Before those behind.
    done: VecDeque<Outcome<R>>,
    telling: Place<D>,
}

impl<S, W, F, R, T, D> InOrder<S, W, F, R, T, D>
where
    F: Future<Output = Outcome<R>>,
{
    /// `apart`: an item that has to wait goes on by itself, whether or not anybody asks for the next result. Whoever stood
    /// still halfway would keep what others wait for.
    pub fn new(items: S, work: W, tell: T, window: usize, apart: bool) -> Self {
        let (place, telling) = (Box::pin(None), Box::pin(None));
        let (behind, done) = (FuturesOrdered::new(), VecDeque::new());
        Self { items: Some(items), work, tell, window: window.max(1), apart, place, behind, done, telling }
    }

    fn under_way(&self) -> usize {
        self.behind.len() + self.done.len() + usize::from(self.telling.is_some())
    }
}

impl<S, W, F, R, T, D> InOrder<S, W, F, R, T, D>
where
    S: Stream + Unpin,
    W: FnMut(S::Item) -> F,
    F: Future<Output = Outcome<R>> + Send + 'static,
    R: Send + 'static,
{
    /// Carries out as many items as there is room for; pending when it is another task's turn.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.under_way() < self.window {
            let Some(items) = &mut self.items else { break };
            for _ in 0..TURNS {
                ready!(coop::poll_proceed(cx)).made_progress();
            }
            match items.poll_next_unpin(cx) {
                Poll::Ready(Some(item)) => {
                    self.place.set(Some((self.work)(item)));
                    self.carry_out(cx);
                }
                Poll::Ready(None) => self.items = None,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }

    /// Takes what has come to its end and is next.
    fn catch_up(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(outcome)) = self.behind.poll_next_unpin(cx) {
            self.done.push_back(outcome);
        }
    }

    fn carry_out(&mut self, cx: &mut Context<'_>) {
        let Some(work) = self.place.as_mut().as_pin_mut() else { return };
        // It has had its turn: one that stopped halfway for another's would keep what it holds.
        match pin!(coop::unconstrained(work)).poll(cx) {
            Poll::Ready(outcome) => {
                self.place.set(None);
                if self.behind.is_empty() {
                    self.done.push_back(outcome);
                } else {
                    self.behind.push_back(Behind::Done(Some(outcome)));
                }
            }
            Poll::Pending => {
                let waiting = std::mem::replace(&mut self.place, Box::pin(None));
                let behind = if self.apart {
                    Behind::Apart(tokio::spawn(Behind::<F, R>::Here(waiting)))
                } else {
                    Behind::Here(waiting)
                };
                self.behind.push_back(behind);
            }
        }
    }
}

impl<F: Future<Output = Outcome<R>>, R> Future for Behind<F, R> {
    type Output = Outcome<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<R>> {
        let gone = || Err(transport::shutting_down());
        match &mut *self {
            Self::Here(place) => place.as_mut().as_pin_mut().map_or_else(|| Poll::Ready(gone()), |work| work.poll(cx)),
            Self::Apart(task) => task.poll_unpin(cx).map(|ended| ended.unwrap_or_else(|_| gone())),
            Self::Done(outcome) => Poll::Ready(outcome.take().unwrap_or_else(gone)),
        }
    }
}

/// What is pinned lies in places of its own.
impl<F, R> Unpin for Behind<F, R> {}
impl<S, W, F, R, T, D> Unpin for InOrder<S, W, F, R, T, D> where F: Future<Output = Outcome<R>> {}

impl<S, W, F, R, T, D> Stream for InOrder<S, W, F, R, T, D>
where
    S: Stream + Unpin,
    W: FnMut(S::Item) -> F,
    F: Future<Output = Outcome<R>> + Send + 'static,
    R: Send + 'static,
    T: FnMut(Outcome<R>) -> D,
    D: Future,
{
    type Item = D::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<D::Output>> {
        let this = &mut *self;
        // What waits may hold what others wait for: it goes on before anything is begun.
        this.catch_up(cx);
        let begun = this.begin(cx);
        this.catch_up(cx);
        if this.telling.is_none()
            && let Some(outcome) = this.done.pop_front()
        {
            this.telling.set(Some((this.tell)(outcome)));
        }
        if let Some(telling) = this.telling.as_mut().as_pin_mut() {
            let told = ready!(telling.poll(cx));
            this.telling.set(None);
            return Poll::Ready(Some(told));
        }
        if this.items.is_none() && this.behind.is_empty() {
            return Poll::Ready(None);
        }
        ready!(begun);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;
    use tokio::sync::Semaphore;

    use super::*;

    /// How many were begun, and what those wait for that wait.
    #[derive(Clone)]
    struct Work {
        begun: Arc<AtomicUsize>,
        ended: Arc<AtomicUsize>,
        go: Arc<Semaphore>,
        turns: Arc<Semaphore>,
    }

    impl Work {
        fn new() -> Self {
            Self {
                begun: Arc::default(),
                ended: Arc::default(),
                go: Arc::new(Semaphore::new(0)),
                turns: Arc::new(Semaphore::new(9_999)),
            }
        }

        /// Every `waits`th item has to wait.
        async fn item(self, item: usize, waits: usize) -> Result<usize, Status> {
            self.begun.fetch_add(1, Ordering::Relaxed);
            // Asks tokio, as a real item does.
            let _turn = self.turns.acquire().await.expect("open");
            if item % waits == waits - 1 {
                self.go.acquire().await.expect("open").forget();
            }
            self.ended.fetch_add(1, Ordering::Relaxed);
            Ok(item)
        }

        fn counts(&self) -> (usize, usize) {
            (self.begun.load(Ordering::Relaxed), self.ended.load(Ordering::Relaxed))
        }
    }

    /// Asks once.
    async fn poll<S: Stream + Unpin>(told: &mut S) -> Poll<Option<S::Item>> {
        future::poll_fn(|cx| Poll::Ready(told.poll_next_unpin(cx))).await
    }

    fn run<F: Future>(test: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
    }

    fn results(
        work: &Work,
        (items, waits, window, apart): (usize, usize, usize, bool),
    ) -> impl Stream<Item = Result<usize, Status>> + Unpin + use<> {
        let work = work.clone();
        let items = stream::iter(0..items);
        InOrder::new(items, move |item| work.clone().item(item, waits), future::ready, window, apart)
    }

    #[test]
    fn all_are_told_in_order_whoever_waits() {
        for window in [0, 1, 3, 40, 1_000] {
            for waits in [1, 2, 7, usize::MAX] {
                for apart in [false, true] {
                    let row = (300, waits, window, apart);
                    let told: Vec<usize> = run(async {
                        let work = Work::new();
                        let told = results(&work, row).map(|told| told.expect("told"));
                        let release = async {
                            // One after another, so that others wait meanwhile.
                            for _ in 0..300 / waits {
                                tokio::task::yield_now().await;
                                work.go.add_permits(1);
                            }
                        };
                        tokio::join!(told.collect(), release).0
                    });
                    assert_eq!(told, (0..300).collect::<Vec<_>>(), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn no_more_are_under_way_than_the_window_has_room_for() {
        run(async {
            let work = Work::new();
            // The third waits, and those after it are not told before it.
            let mut told = results(&work, (9, 3, 4, false));
            assert!(matches!(poll(&mut told).await, Poll::Ready(Some(Ok(0)))));
            assert_eq!(work.counts(), (4, 3));
            assert!(matches!(poll(&mut told).await, Poll::Ready(Some(Ok(1)))));
            assert!(poll(&mut told).await.is_pending());
            assert_eq!(work.counts(), (6, 4), "the sixth waits too");
            work.go.add_permits(1);
            assert!(matches!(poll(&mut told).await, Poll::Ready(Some(Ok(2)))));
        });
    }

    #[test]
    fn what_waits_apart_goes_on_when_nobody_asks() {
        for (apart, ended) in [(true, 2), (false, 1)] {
            run(async {
                let work = Work::new();
                let mut told = results(&work, (2, 2, 2, apart));
                assert!(matches!(poll(&mut told).await, Poll::Ready(Some(Ok(0)))));
                work.go.add_permits(1);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(work.counts(), (2, ended), "apart: {apart}");
                assert!(matches!(told.next().await, Some(Ok(1))));
            });
        }
    }

    #[test]
    fn others_have_their_turn_among_items_that_never_wait() {
        run(async {
            let work = Work::new();
            let many = tokio::spawn(results(&work, (100_000, usize::MAX, 50, false)).count());
            tokio::task::yield_now().await;
            let (begun, ended) = work.counts();
            assert_eq!(begun, ended, "none stands halfway");
            assert!((1..1_000).contains(&begun), "{begun} were carried out before anybody else came to its turn");
            assert_eq!(many.await.expect("counted"), 100_000);
        });
    }
}
