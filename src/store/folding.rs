//! How the memory store's tables hash, and which of their shards a key lies in.

use std::hash::{BuildHasher, Hash, Hasher};

/// Tables and lists are sharded so that none grows by millions at once and stops everybody.
pub const SHARDS: usize = 256;
/// Among which the upper half of a hash chooses.
const PLACES: usize = 4_096;

/// The shard of each place. The last shard has nearly twice the places of the first: shards of one size would all have to
/// grow in the same moment, each time their number of facts has doubled, and so stop everybody together.
pub struct Shards(Box<[u8]>);

impl Shards {
    pub fn new() -> Self {
        let weight = |shard: usize| SHARDS + shard;
        let all: usize = (0..SHARDS).map(weight).sum();
        let mut places = Vec::with_capacity(PLACES);
        let mut weights = 0;
        for shard in 0..SHARDS {
            weights += weight(shard);
            places.resize(weights * PLACES / all, shard as u8);
        }
        Self(places.into())
    }

    /// By bits of the hash that a table of a shard does not look at: it takes the lowest ones and the highest.
    pub fn of(&self, hasher: &Folding, key: &impl Hash) -> usize {
        self.at(hasher.hash_one(key))
    }

    /// The same of a hash at hand.
    pub fn at(&self, hash: u64) -> usize {
        let place = usize::try_from(hash >> 40).unwrap_or_default() % PLACES;
        self.0[place].into()
    }
}

/// Folds words by multiplication. Keys are server-made random ids or keyed hashes, so nobody can aim at a shard; the seed
/// is the data set's own all the same.
#[derive(Clone)]
pub struct Folding(u64);

impl Folding {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn of_words(&self, words: [u64; 3]) -> u64 {
        let mut folder = self.build_hasher();
        words.into_iter().for_each(|word| folder.fold(word));
        folder.finish()
    }
}

impl BuildHasher for Folding {
    type Hasher = Folder;
    fn build_hasher(&self) -> Folder {
        Folder(self.0)
    }
}

pub struct Folder(u64);

impl Folder {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Folder {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u128(&mut self, word: u128) {
        self.fold(word as u64);
        self.fold((word >> 64) as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_of_all_sizes_between_one_and_two() {
        let Shards(shards) = Shards::new();
        let mut sizes = [0_usize; SHARDS];
        shards.iter().for_each(|shard| sizes[usize::from(*shard)] += 1);
        assert_eq!((shards.len(), sizes.iter().sum()), (PLACES, PLACES));
        let (least, most) = (sizes[..16].iter().sum::<usize>(), sizes[SHARDS - 16..].iter().sum::<usize>());
        assert!(sizes.iter().all(|size| *size > 8) && least * 3 < most * 2, "{least} and {most}");
    }
}
