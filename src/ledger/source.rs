//! Where time and names come in: the only place in the library that reads a clock or draws random numbers for the ledger.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::domain::time::Moment;

/// The server's clock.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Moment;

    /// Whether it was started at another instant than the present.
    fn is_shifted(&self) -> bool {
        false
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Moment {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_micros()).unwrap_or_default();
        Moment::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// A clock that was set to an instant when it was made, and runs from there.
pub struct ShiftedClock {
    start: Moment,
    since: Instant,
}

impl ShiftedClock {
    #[allow(clippy::disallowed_methods, reason = "a running clock needs a monotonic base")]
    pub fn starting_at(start: Moment) -> Self {
        Self { start, since: Instant::now() }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Moment {
        let elapsed = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX);
        Moment::from_micros(self.start.as_micros().saturating_add(elapsed))
    }

    fn is_shifted(&self) -> bool {
        true
    }
}

/// A clock that stands where a file says, so that a test of the real program can let it pass midnight, or sleep past an
/// instant while the program is down. Not in any released program.
#[cfg(feature = "test-clock")]
pub struct FileClock {
    path: std::path::PathBuf,
    /// Where it stood last: a file that is just being written does not stop it.
    last: Mutex<Moment>,
}

#[cfg(feature = "test-clock")]
impl FileClock {
    pub fn reading(path: std::path::PathBuf) -> Result<Self, String> {
        let last = Self::read(&path).ok_or_else(|| format!("no instant in {}", path.display()))?;
        Ok(Self { path, last: Mutex::new(last) })
    }

    fn read(path: &std::path::Path) -> Option<Moment> {
        let instant: jiff::Timestamp = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
        Some(Moment::from_micros(instant.as_microsecond()))
    }
}

#[cfg(feature = "test-clock")]
impl Clock for FileClock {
    fn now(&self) -> Moment {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = Self::read(&self.path).unwrap_or(*last);
        *last
    }

    fn is_shifted(&self) -> bool {
        true
    }
}

/// Makes ids and salts.
pub trait Ids: Send + Sync + 'static {
    /// A UUIDv7 of that instant.
    fn next(&self, now: Moment) -> u128;
    fn salt(&self) -> [u8; 16];
}

/// Ids from a generator seeded by the operating system, or from a given seed where a run has to be repeatable.
pub struct RandomIds(Mutex<StdRng>);

impl RandomIds {
    #[allow(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    pub fn from_system() -> Self {
        Self(Mutex::new(rand::make_rng()))
    }

    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A new data set's secret.
    pub fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.fill(&mut secret);
        secret
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes);
    }
}

impl Ids for RandomIds {
    fn next(&self, now: Moment) -> u128 {
        let mut random = [0; 10];
        self.fill(&mut random);
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128()
    }

    fn salt(&self) -> [u8; 16] {
        let mut salt = [0; 16];
        self.fill(&mut salt);
        salt
    }
}
