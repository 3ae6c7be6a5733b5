//! Counting what an operator watches. Whoever counts adds to numbers that no other busy thread writes to, and waits for
//! nobody; whoever reads sums them up. Nothing is decided by what was counted.

mod page;
mod stopwatch;

use std::array;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub use page::{Family, Page, Unit};
pub use stopwatch::Stopwatch;

/// More than the threads that usually count; two that share a place are only a little slower.
const SHARDS: usize = 16;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of a thing for each thread, apart in memory, so that threads do not wait for each other's cache lines.
#[derive(Debug)]
pub struct Sharded<T>([Apart<T>; SHARDS]);

/// Two cache lines, since they are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T> Sharded<T> {
    pub fn new(mut make: impl FnMut() -> T) -> Self {
        Self(array::from_fn(|_| Apart(make())))
    }

    /// This thread's own.
    pub fn own(&self) -> &T {
        &self.0[own_shard()].0
    }

    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }

    /// Of all threads together.
    pub fn sum(&self, read: impl Fn(&T) -> &Counter) -> u64 {
        self.all().map(|one| read(one).get()).sum()
    }
}

/// Every thread has one, given out in turn.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

/// Bounds of times, in microseconds: from a quote in memory to the longest call.
pub const TIMES: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000,
];

/// Bounds of how many go together.
pub const NUMBERS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/// How often something was at most so much.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    up_to: [Counter; N],
    above: Counter,
    sum: Counter,
}

pub type Times = Histogram<16>;
pub type Numbers = Histogram<11>;

impl Default for Times {
    fn default() -> Self {
        Self::new(&TIMES)
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::new(&NUMBERS)
    }
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            up_to: array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum: Counter::default(),
        }
    }

    pub fn saw(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.up_to.get(place).unwrap_or(&self.above).one();
        self.sum.add(value);
    }
}

/// What histograms of the same bounds hold together.
#[derive(Clone, Debug)]
pub struct Seen<const N: usize> {
    pub bounds: &'static [u64; N],
    pub up_to: [u64; N],
    pub above: u64,
    pub sum: u64,
}

impl<const N: usize> Seen<N> {
    /// Of one and others like it.
    pub fn of<'a>(first: &'a Histogram<N>, others: impl IntoIterator<Item = &'a Histogram<N>>) -> Self {
        let mut seen = Self { bounds: first.bounds, up_to: [0; N], above: 0, sum: 0 };
        for one in std::iter::once(first).chain(others) {
            for (sum, counter) in seen.up_to.iter_mut().zip(&one.up_to) {
                *sum += counter.get();
            }
            seen.above += one.above.get();
            seen.sum += one.sum.get();
        }
        seen
    }

    pub fn count(&self) -> u64 {
        self.up_to.iter().sum::<u64>() + self.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_where_it_is_at_most_the_bound() {
        let numbers = Numbers::default();
        for value in [0, 1, 2, 3, 1_024, 1_025, 5_000] {
            numbers.saw(value);
        }
        let seen = Seen::of(&numbers, []);
        assert_eq!(seen.up_to, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((seen.above, seen.sum, seen.count()), (2, 7_055, 7));
        assert_eq!(Seen::of(&numbers, [&numbers]).count(), 14, "two are added up");
    }

    #[test]
    fn what_threads_count_is_summed_and_lies_apart() {
        let counters: Sharded<Counter> = Sharded::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| counters.own().add(3));
            }
        });
        assert_eq!(counters.sum(|counter| counter), 6 * SHARDS as u64);
        assert!(counters.all().all(|counter| counter.get() > 0), "every thread has the next place");
        assert!(size_of::<Apart<Counter>>() >= 128);
    }

    #[test]
    fn bounds_rise() {
        assert!(TIMES.is_sorted_by(|a, b| a < b) && NUMBERS.is_sorted_by(|a, b| a < b));
    }
}
