//! Quote tokens: what was quoted, for which content, until when; sealed, so nothing is kept on the server.

use super::Ledger;
use super::failure::{Failure, QuoteDifference};
use super::fingerprint::Keys;
use super::page::{hex, unhex};
use crate::domain::draw::Contribution;
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::settlement::Decision;
use crate::domain::time::Moment;
use crate::store::codec::Stored;

/// The content of a quote's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    pub expires: Moment,
    content: [u8; 16],
    decision: [u8; 16],
    pub fund: Money,
    pub own_account: Money,
    pub mutual_aid: Money,
    pub cash: Money,
}

impl Ledger {
    /// What can be said of a token before its content is read, to be told with all bad fields. A repeat is answered whatever
    /// token it carries.
    pub fn check_quote_token(&self, token: &str) -> Result<(), Failure> {
        match token.is_empty() || Quoted::open(token, &self.keys).is_ok() {
            true => Ok(()),
            false => Err(Failure::invalid("quote_token", "is not one of this content")),
        }
    }
}

impl Quoted {
    pub fn of(decision: &Decision, content: [u8; 16], expires: Moment, keys: &Keys) -> Self {
        let amounts = &decision.amounts;
        Self {
            expires,
            content,
            decision: digest(decision, keys),
            fund: amounts.split.fund,
            own_account: amounts.own_account,
            mutual_aid: amounts.mutual_aid,
            cash: amounts.cash,
        }
    }

    /// The token's text.
    pub fn seal(&self, keys: &Keys) -> String {
        let mut bytes = Vec::with_capacity(88);
        bytes.extend_from_slice(&self.content);
        bytes.extend_from_slice(&self.decision);
        bytes.extend_from_slice(&self.expires.as_micros().to_be_bytes());
        for amount in [self.fund, self.own_account, self.mutual_aid, self.cash] {
            bytes.extend_from_slice(&amount.as_fen().to_be_bytes());
        }
        let seal = keys.seal(&bytes);
        bytes.extend_from_slice(&seal);
        hex(&bytes)
    }

    /// Reads a token of this data set.
    pub fn open(text: &str, keys: &Keys) -> Result<Self, Failure> {
        let bytes = unhex::<88>(text).ok_or(Failure::QuoteTokenInvalid)?;
        let (body, seal) = bytes.split_at(72);
        if keys.seal(body) != seal {
            return Err(Failure::QuoteTokenInvalid);
        }
        let half = |place: usize| {
            let mut digest = [0; 16];
            digest.copy_from_slice(&body[place..place + 16]);
            digest
        };
        let word = |place: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&body[place..place + 8]);
            i64::from_be_bytes(word)
        };
        Ok(Self {
            content: half(0),
            decision: half(16),
            expires: Moment::from_micros(word(32)),
            fund: Money::fen(word(40)),
            own_account: Money::fen(word(48)),
            mutual_aid: Money::fen(word(56)),
            cash: Money::fen(word(64)),
        })
    }

    /// Whether the decision of now is the quoted one.
    pub fn check(&self, decision: &Decision, content: [u8; 16], now: Moment, keys: &Keys) -> Result<(), Failure> {
        if self.content != content {
            return Err(Failure::QuoteTokenInvalid);
        }
        if now >= self.expires {
            return Err(Failure::refused(Reason::QuoteExpired));
        }
        if self.decision != digest(decision, keys) {
            let difference = QuoteDifference { quoted: self.clone(), now: decision.amounts };
            return Err(Failure::QuoteStale(Box::new(difference)));
        }
        Ok(())
    }
}

/// Who pays what: amounts and contributions; not the words that explain them, nor whether it is counted or was set aside.
fn digest(decision: &Decision, keys: &Keys) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(256);
    decision.amounts.put(&mut bytes);
    for paid in &decision.contributions {
        Contribution { counted: false, from_quota: false, ..paid.clone() }.put(&mut bytes);
    }
    keys.seal(&bytes)
}
