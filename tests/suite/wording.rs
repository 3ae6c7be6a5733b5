//! Explanations in the words that all who serve a data set can read: a store that may keep the first ones only, and looks at
//! everything that it is given.

use std::sync::Arc;

use gongji::domain::money::Money;
use gongji::domain::rule::{Input, Rule, Step, Subject, Trace};
use gongji::domain::time::Moment;
use gongji::domain::wording::Wording;
use gongji::store::entity::Decided;
use gongji::store::memory::MemoryStore;
use gongji::store::record::{decode_entity, encode_entity};
use gongji::store::{Change, CommitError, Committed, Entity, Store, StoreFuture};

use crate::around::{Around, Wrapped};
use crate::support::Setup;

/// So many rules and names of amounts the programs of schema 1 know. What was stored holds their codes, so they never move.
const RULES: u8 = 70;
const INPUTS: u8 = 38;

/// The steps of stored bytes that programs of schema 1 cannot read.
pub fn newer_steps(bytes: &[u8]) -> Vec<Step> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "nothing else has a trace")]
    let steps = match decode_entity(bytes).expect("it reads what it wrote") {
        Entity::Decided(decided) => decided.trace.steps.clone(),
        Entity::Basis(basis) => basis.trace.steps.clone(),
        _ => Vec::new(),
    };
    let newer = |step: &Step| {
        let inputs = step.inputs.iter().any(|(input, _)| input.code() >= INPUTS);
        step.rule.code() >= RULES || step.subject == Subject::Pair || inputs
    };
    steps.into_iter().filter(newer).collect()
}

/// A memory store that programs of schema 1 read as well.
struct Shared(MemoryStore);

impl Around for Shared {
    fn inner(&self) -> &dyn Store {
        &self.0
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        for (key, entity) in changes.iter().flat_map(|change| &change.puts) {
            let newer = newer_steps(&encode_entity(entity));
            assert!(newer.is_empty(), "{key:?} is told in words that not all can read: {newer:?}");
        }
        self.0.commit(changes, now)
    }

    fn wording(&self) -> Wording {
        Wording::First
    }
}

/// A server over it.
pub fn shared() -> Setup {
    Setup::over(Arc::new(Wrapped(Shared(MemoryStore::new([7; 32], 1_000_000)))))
}

/// A command that stored a newer word would be seen by the stories, which run on this store too.
#[test]
fn newer_words_are_seen_in_stored_bytes() {
    let stored = |rule, subject, inputs: &[(Input, Money)]| {
        let mut trace = Trace::new();
        trace.amount(rule, subject, 0, inputs, Money::fen(1));
        trace.amount(Rule::Cash, Subject::Bill, 0, &[(Input::InterestPrior, Money::fen(1))], Money::fen(1));
        let told = |wording: Wording| {
            let decided = Decided { trace: wording.tell(trace.clone()), policies: Vec::new() };
            newer_steps(&encode_entity(&Entity::Decided(Arc::new(decided)))).len()
        };
        [told(Wording::Full), told(Wording::First)]
    };
    for rule in Rule::ALL {
        let newer = usize::from(rule.code() >= RULES);
        assert_eq!(stored(*rule, Subject::Own, &[]), [newer, 0], "{rule:?}");
        assert_eq!(stored(*rule, Subject::Pair, &[]), [1, 0], "{rule:?}");
    }
    for input in Input::ALL {
        let newer = usize::from(input.code() >= INPUTS);
        for rule in [Rule::OwnerDraw, Rule::AidLimit, Rule::Excluded] {
            assert_eq!(stored(rule, Subject::Own, &[(*input, Money::fen(1))]), [newer, 0], "{rule:?} {input:?}");
        }
    }
}
