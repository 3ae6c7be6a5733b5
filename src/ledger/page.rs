//! Page tokens: the last position, the upper bound and a digest of the filter, sealed. Later creations do not appear in a
//! listing that began before them.

use crate::ledger::Ledger;
use crate::ledger::failure::Failure;

/// Rows that one page looks at; a page may be short, or empty, and still have a next one.
pub const LOOKED_AT_MAX: usize = 4_096;

/// Where a listing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub after: u64,
    pub until: u64,
    pub limit: usize,
    filter: u64,
}

impl Ledger {
    /// Reads a page request. An empty token begins a listing that ends at `head`.
    pub fn page(&self, token: &str, filter: &[u8], limit: usize, head: u64) -> Result<Page, Failure> {
        let filter = u64::from_be_bytes(first8(self.keys.seal(filter)));
        if token.is_empty() {
            return Ok(Page { after: 0, until: head, limit, filter });
        }
        match self.open_token(token) {
            Some([after, until, of]) if of == filter => Ok(Page { after, until, limit, filter }),
            Some(_) | None => Err(Failure::PageTokenInvalid),
        }
    }

    /// Where the token stands, and of which listing; none: it was not made here.
    fn open_token(&self, token: &str) -> Option<[u64; 3]> {
        let bytes = unhex::<40>(token)?;
        let (body, seal) = bytes.split_at(24);
        let word = |place: usize| u64::from_be_bytes(first8(body[place..].iter().copied()));
        (self.keys.seal(body) == seal).then(|| [word(0), word(8), word(16)])
    }

    /// What can be said of a token before the listing is known, to be told with all bad fields.
    pub fn check_page_token(&self, token: &str) -> Result<(), Failure> {
        match token.is_empty() || self.open_token(token).is_some() {
            true => Ok(()),
            false => Err(Failure::invalid("page_token", "is not one of this listing")),
        }
    }

    /// The token of the next page.
    pub fn next_page(&self, page: &Page, after: u64) -> String {
        let mut bytes = Vec::with_capacity(40);
        for word in [after, page.until, page.filter] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        let seal = self.keys.seal(&bytes);
        bytes.extend_from_slice(&seal);
        hex(&bytes)
    }
}

fn first8(bytes: impl IntoIterator<Item = u8>) -> [u8; 8] {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    word
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Reads exactly `N` bytes of lower-case hexadecimal.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = value(digits[place * 2])? << 4 | value(digits[place * 2 + 1])?;
    }
    Some(bytes)
}
