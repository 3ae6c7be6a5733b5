//! The look of one attempt: what was loaded, and therefore expected. A rule cannot forget to expect a fact it saw.

use std::sync::Arc;

use crate::domain::account::Account;
use crate::domain::binding::{AidUse, Binding, Life, Release, Wards};
use crate::domain::card::Card;
use crate::domain::certification::Certification;
use crate::domain::ids::{MemberId, SettlementId};
use crate::domain::member::{Member, Person};
use crate::domain::paper::Slips;
use crate::domain::quota::Quota;
use crate::domain::settlement::Settlement;
use crate::domain::settlement::hold::Mark;
use crate::domain::time::Moment;
use crate::domain::wallet::{SentTransfer, Wallet, WalletDay};
use crate::domain::year_close::YearClose;
use crate::ledger::failure::{Failure, Thing};
use crate::store::encoded::Encoded;
use crate::store::entity::{Basis, Decided, JobDay, PolicySet, Request, Standing, StoredPolicy};
use crate::store::{Entity, Fact, Facts, Key, Store};

/// Facts gathered in one or more looks.
pub struct Reading<'a> {
    store: &'a dyn Store,
    began_at: Option<u64>,
    read_at: u64,
    facts: Vec<Fact>,
    /// What came with a look and nobody has asked for yet: it is not seen before.
    ahead: Vec<Fact>,
    /// Holds that have run out by then may not be among what is seen; none: they may.
    as_of: Option<Moment>,
    /// When the first of the holds that were seen runs out: what is decided is true until then and no longer.
    before: Option<Moment>,
    /// The earliest time that its record may have.
    from: Option<Moment>,
    /// At which position and when that was done which is told again.
    done: Option<(u64, Moment)>,
}

impl<'a> Reading<'a> {
    /// A look at what is stored, whatever the time. For what judges no money.
    pub fn new(store: &'a dyn Store) -> Self {
        let facts = Vec::with_capacity(8);
        Self {
            store,
            began_at: None,
            read_at: 0,
            facts,
            ahead: Vec::new(),
            as_of: None,
            before: None,
            from: None,
            done: None,
        }
    }

    /// A look as of now. Where it meets a hold that has run out it fails with [`Failure::RanOut`]: whoever looks has to
    /// end that hold first, so that no decision and no answer rests on money that is free again.
    pub fn as_of(store: &'a dyn Store, now: Moment) -> Self {
        Self { as_of: Some(now), ..Self::new(store) }
    }

    /// Fetches the named facts and what they lead to, where that spares round trips. None of them is seen by that: whoever
    /// needs one asks for it.
    pub async fn look_ahead(&mut self, keys: &[Key]) -> Result<(), Failure> {
        let found = self.store.load_ahead(keys).await?;
        self.note(&found);
        if self.ahead.is_empty() {
            self.ahead = found.facts;
        } else {
            self.ahead.extend(found.facts);
        }
        Ok(())
    }

    /// Whether a fact was seen, or fetched.
    pub fn is_at_hand(&self, key: &Key) -> bool {
        self.find(key).is_some() || self.ahead.iter().any(|fact| fact.key == *key)
    }

    /// Looks at the named facts; those already seen are not read again.
    pub async fn get(&mut self, keys: &[Key]) -> Result<(), Failure> {
        if let [key] = keys
            && let Some(place) = self.ahead.iter().position(|fact| fact.key == *key)
        {
            debug_assert!(self.find(key).is_none(), "what was seen is not ahead");
            let fact = self.ahead.swap_remove(place);
            return self.see([fact]);
        }
        let new = |place: usize| self.find(&keys[place]).is_none() && !keys[..place].contains(&keys[place]);
        if self.ahead.is_empty() && !keys.is_empty() && (0..keys.len()).all(new) {
            let found = self.store.load(keys).await?;
            self.note(&found);
            return self.see(found.facts);
        }
        let missing: Vec<Key> = (0..keys.len()).filter(|place| new(*place)).map(|place| keys[place]).collect();
        let (mut seen, mut unknown) = (Vec::with_capacity(missing.len()), Vec::new());
        for key in missing {
            match self.ahead.iter().position(|fact| fact.key == key) {
                Some(place) => seen.push(self.ahead.swap_remove(place)),
                None => unknown.push(key),
            }
        }
        if !unknown.is_empty() {
            let found = self.store.load(&unknown).await?;
            self.note(&found);
            seen.extend(found.facts);
        }
        self.see(seen)
    }

    fn note(&mut self, found: &Facts) {
        self.began_at = Some(self.began_at.map_or(found.began_at, |began| began.min(found.began_at)));
        self.read_at = self.read_at.max(found.read_at);
    }

    fn see(&mut self, facts: impl IntoIterator<Item = Fact>) -> Result<(), Failure> {
        let mut ran_out = Vec::new();
        for fact in facts {
            if let Some(now) = self.as_of {
                for (hold, expires) in open_holds(&fact) {
                    if expires > now {
                        self.expect_before(expires);
                    } else if !ran_out.contains(&hold) {
                        ran_out.push(hold);
                    }
                }
            }
            self.facts.push(fact);
        }
        if ran_out.is_empty() { Ok(()) } else { Err(Failure::RanOut(ran_out)) }
    }

    /// What is decided on this look must be true before `end`, or be decided anew.
    pub fn expect_before(&mut self, end: Moment) {
        self.before = Some(self.before.map_or(end, |before| before.min(end)));
    }

    /// When at the latest what was decided as of `now` is true: within its civil day at any rate. Counters by day and year,
    /// and the turn of accounts, are of the day of the record; after midnight it is decided anew.
    pub fn before(&self, now: Moment) -> Moment {
        self.before.map_or(now.day_end(), |before| before.min(now.day_end()))
    }

    /// What is decided on this look happens at `from` or later: its record has no earlier time.
    pub fn happens_from(&mut self, from: Moment) {
        self.from = Some(self.from.map_or(from, |known| known.max(from)));
    }

    /// From here on what was done there and then is told again.
    pub fn tells_again(&mut self, position: u64, at: Moment) {
        self.done = Some((position, at));
    }

    /// A binding as it stood when that was done which is told again: not released yet, if that came later.
    pub fn as_then(&self, binding: &Binding) -> Binding {
        let mut then = binding.clone();
        let changed = |position: u64| self.version(&Key::Binding(binding.id)) > position;
        let later = |release: Release| self.done.is_some_and(|(position, at)| changed(position) && release.at >= at);
        if then.released().is_some_and(|(release, _)| later(release)) {
            then.life = Life::InForce;
        }
        then
    }

    /// The time of the change that is made of it.
    pub fn time(&self, now: Moment) -> Moment {
        self.from.map_or(now, |from| now.max(from))
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
        // Not made before it is wanted: a decision asks dozens of times.
        match self.find(key) {
            Some(fact) => Ok(fact.entity.as_ref()),
            None => Err(Failure::Bug("a fact was used that was not loaded")),
        }
    }
}

/// The holds that a fact tells of, with when they run out.
fn open_holds(fact: &Fact) -> impl Iterator<Item = (SettlementId, Moment)> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "nothing else tells of holds")]
    let (marks, settlement) = match &fact.entity {
        Some(Entity::Standing(standing)) => (&standing.holds[..], None),
        Some(Entity::Settlement(settlement)) => (&[][..], Some(settlement)),
        _ => (&[][..], None),
    };
    let held = settlement.and_then(|settlement| Some((settlement.id, settlement.held_until()?)));
    marks.iter().map(|mark| (mark.settlement, mark.expires)).chain(held)
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
    year_close YearClose YearClose;
}

impl Reading<'_> {
    /// The standing of a person who must be there.
    pub fn known(&self, id: MemberId) -> Result<&Standing, Failure> {
        self.standing(&Key::Standing(id))?.ok_or(Failure::NotFound(Thing::Member))
    }

    pub fn member(&self, id: MemberId) -> Result<&Member, Failure> {
        Ok(&self.known(id)?.member)
    }

    /// The open holds that a person carries a mark of.
    pub fn marks(&self, id: MemberId) -> Result<&[Mark], Failure> {
        Ok(self.standing(&Key::Standing(id))?.map_or(&[], |standing| &standing.holds))
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

    /// The standing of a member as it was found.
    pub fn before(&self, id: MemberId) -> Result<&'r Standing, Failure> {
        self.reading.known(id)
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
