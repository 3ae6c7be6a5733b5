//! The digest chain: every record's link covers the one before it, its position, its time and its content.

use sha2::{Digest, Sha256};

use crate::domain::time::Moment;

/// The name of the algorithm, hashed into every link.
pub const ALGORITHM: &str = "gongji-sha256-1";

/// Where the ledger stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// 0 before the first record; then gapless.
    pub position: u64,
    pub link: [u8; 32],
    pub at: Moment,
}

impl Head {
    pub const EMPTY: Self = Self { position: 0, link: [0; 32], at: Moment::from_micros(0) };

    /// The head after one more record. Time never runs backwards in the ledger.
    pub fn next(&self, content: &[u8; 32], now: Moment) -> Self {
        let position = self.position + 1;
        let at = now.max(self.at);
        let mut hash = Sha256::new();
        hash.update(ALGORITHM.as_bytes());
        hash.update(self.link);
        hash.update(position.to_be_bytes());
        hash.update(at.as_micros().to_be_bytes());
        hash.update(content);
        Self { position, link: hash.finalize().into(), at }
    }
}

/// The hash of a record's canonical bytes; computed outside any lock.
pub fn content_hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
