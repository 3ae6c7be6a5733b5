//! The look of one attempt: what was loaded, and therefore expected. A rule cannot forget to expect a fact it saw.

use std::sync::Arc;

use crate::domain::account::Account;
use crate::domain::binding::{AidUse, Binding, Wards};
use crate::domain::card::Card;
use crate::domain::certification::Certification;
use crate::domain::ids::MemberId;
use crate::domain::member::{Member, Person};
use crate::domain::paper::Slips;
use crate::domain::quota::Quota;
use crate::domain::settlement::Settlement;
use crate::domain::wallet::{SentTransfer, Wallet, WalletDay};
use crate::ledger::failure::{Failure, Thing};
use crate::store::encoded::Encoded;
use crate::store::entity::{Basis, Decided, JobDay, PolicySet, Request, Standing, StoredPolicy};
use crate::store::{Entity, Fact, Key, Store};

/// Facts gathered in one or more looks.
pub struct Reading<'a> {
    store: &'a dyn Store,
    began_at: Option<u64>,
    read_at: u64,
    facts: Vec<Fact>,
}

impl<'a> Reading<'a> {
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, began_at: None, read_at: 0, facts: Vec::with_capacity(8) }
    }

    /// Looks at the named facts; those already seen are not read again.
    pub async fn get(&mut self, keys: &[Key]) -> Result<(), Failure> {
        if keys.is_empty() {
            return Ok(());
        }
        let new = |place: usize| self.find(&keys[place]).is_none() && !keys[..place].contains(&keys[place]);
        let found = if (0..keys.len()).all(new) {
            self.store.load(keys).await?
        } else {
            let missing: Vec<Key> = (0..keys.len()).filter(|place| new(*place)).map(|place| keys[place]).collect();
            if missing.is_empty() {
                return Ok(());
            }
            self.store.load(&missing).await?
        };
        self.began_at = Some(self.began_at.map_or(found.began_at, |began| began.min(found.began_at)));
        self.read_at = self.read_at.max(found.read_at);
        self.facts.extend(found.facts);
        Ok(())
    }

    pub fn began_at(&self) -> u64 {
        self.began_at.unwrap_or_default()
    }

    /// Whether a fact changed after the look began, so that what was read in several rounds may belong to no one moment: a
    /// settlement between two rounds, or this request's own effect by another sending of it. Decide anew then.
    pub fn is_torn(&self) -> bool {
        let began_at = self.began_at();
        self.facts.iter().any(|fact| fact.version > began_at)
    }

    /// A reply resting on this look may leave when this position is durable.
    pub fn read_at(&self) -> u64 {
        self.read_at
    }

    /// Everything loaded is expected, absent facts too.
    pub fn expectations(&self) -> Vec<(Key, u64)> {
        self.facts.iter().map(|fact| (fact.key, fact.version)).collect()
    }

    fn find(&self, key: &Key) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.key == *key)
    }

    /// The ledger position of the fact's last change; 0 when absent.
    pub fn version(&self, key: &Key) -> u64 {
        self.find(key).map_or(0, |fact| fact.version)
    }

    fn entity(&self, key: &Key) -> Result<Option<&Entity>, Failure> {
        let fact = self.find(key).ok_or(Failure::Bug("a fact was used that was not loaded"))?;
        Ok(fact.entity.as_ref())
    }
}

macro_rules! typed {
    ($($name:ident $variant:ident $of:ty;)*) => {
        impl Reading<'_> {
            $(
                /// The fact under a key that was loaded, if there is one.
                pub fn $name(&self, key: &Key) -> Result<Option<&$of>, Failure> {
                    match self.entity(key)? {
                        None => Ok(None),
                        Some(Entity::$variant(found)) => Ok(Some(found)),
                        #[allow(clippy::wildcard_enum_match_arm, reason = "every other kind is the same damage")]
                        Some(_) => Err(Failure::Bug("a key leads to a fact of another kind")),
                    }
                }
            )*
        }
    };
}

typed! {
    request Request Request;
    reference Reference MemberId;
    person Person Person;
    standing Standing Standing;
    wards Wards Wards;
    binding Binding Binding;
    aid_use AidUse AidUse;
    policy_set PolicySet PolicySet;
    settlement Settlement Settlement;
    basis Basis Encoded<Basis>;
    policy Policy StoredPolicy;
    decided Decided Decided;
    card Card Card;
    wallet Wallet Wallet;
    wallet_day WalletDay WalletDay;
    transfer Transfer SentTransfer;
    quota Quota Quota;
    slips Slips Slips;
    job_day JobDay JobDay;
    certification Certification Certification;
}

impl Reading<'_> {
    /// The standing of a person who must be there.
    pub fn known(&self, id: MemberId) -> Result<&Standing, Failure> {
        self.standing(&Key::Standing(id))?.ok_or(Failure::NotFound(Thing::Member))
    }

    pub fn member(&self, id: MemberId) -> Result<&Member, Failure> {
        Ok(&self.known(id)?.member)
    }

    /// None where there is no account, or nobody.
    pub fn account(&self, id: MemberId) -> Result<Option<&Account>, Failure> {
        Ok(self.standing(&Key::Standing(id))?.and_then(|standing| standing.account.as_ref()))
    }
}

/// The standings that a change will write: each copied from the reading once, when it is first changed.
pub struct Standings<'r> {
    reading: &'r Reading<'r>,
    changed: Vec<Standing>,
}

impl<'r> Standings<'r> {
    pub fn new(reading: &'r Reading<'r>) -> Self {
        Self { reading, changed: Vec::with_capacity(4) }
    }

    /// The standing of a member, to be changed.
    pub fn of(&mut self, id: MemberId) -> Result<&mut Standing, Failure> {
        let place = match self.changed.iter().position(|standing| standing.member.id == id) {
            Some(place) => place,
            None => {
                self.changed.push(self.reading.known(id)?.clone());
                self.changed.len() - 1
            }
        };
        Ok(&mut self.changed[place])
    }

    /// What is to be written.
    pub fn into_puts(self) -> impl Iterator<Item = (Key, Entity)> {
        let put = |standing: Standing| (Key::Standing(standing.member.id), Entity::Standing(Arc::new(standing)));
        self.changed.into_iter().map(put)
    }
}
