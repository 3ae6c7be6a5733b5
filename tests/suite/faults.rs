//! The tests are tested: faults made on purpose, each breaking another law, each caught by the simulation under the name of
//! that law. Nothing in the server knows of them: they bend what passes between it and its store, clock, names and rules.
//!
//! `cargo test --test suite faults:: -- --nocapture` prints the table: fault, the law that caught it, seed and call.
//! `GONGJI_FAULT="a batch"` makes only those whose description has these words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gongji::domain::binding::Caps;
use gongji::domain::ids::SettlementId;
use gongji::domain::money::{Money, Rate};
use gongji::domain::policy::Floor;
use gongji::domain::posting::Party;
use gongji::domain::record::{Event, Record};
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, Component, OwnerOrder};
use gongji::store::chain::content_hash;
use gongji::store::entity::Standing;
use gongji::store::record::{decode_record, encode_record, policy_set_of};
use gongji::store::{Change, CommitError, Entity, Key, ListKind, StoreError};

use crate::simulation::bend::{Bend, Tamper};
use crate::simulation::op::What;
use crate::simulation::simulate_with;

struct Fault {
    what: &'static str,
    /// The law it breaks: that one has to catch it.
    law: &'static str,
    /// Laws that may meet it first in other runs, because it breaks them too.
    also: &'static [&'static str],
    tamper: Tamper,
}

/// A rule read otherwise shows in questions and refusals too, and in whatever is counted or moved by it.
const BY_ITS_EFFECTS: &[&str] = &[
    "a quote is what would be settled",
    "an answer is what was done",
    "a repeat is the original answer",
    "a refusal has its reason",
    "what is refused is not done",
    "money moves as decided",
    "each pays what the rules say",
    "what a limit has used is counted",
    "buckets are drawn in their order",
    "owners pay in the region's order",
    "the own account pays its part",
    "the use of a year is counted",
    "what was decided is stored",
];

/// A fault of what is written.
const fn written(what: &'static str, law: &'static str, change: fn(&mut Change)) -> Fault {
    Fault { what, law, also: &[], tamper: Tamper { over: Bend { change: Some(change), ..NO_BEND }, ..NONE } }
}

/// A fault of the record that is written.
const fn recorded(what: &'static str, law: &'static str, record: fn(&mut Record, &mut Change)) -> Fault {
    Fault { what, law, also: &[], tamper: Tamper { over: Bend { record: Some(record), ..NO_BEND }, ..NONE } }
}

/// A fault of what a server may do with a store.
const fn over(what: &'static str, law: &'static str, bend: Bend) -> Fault {
    Fault { what, law, also: &[], tamper: Tamper { over: bend, ..NONE } }
}

/// A fault of the store itself.
const fn under(what: &'static str, law: &'static str, bend: Bend) -> Fault {
    Fault { what, law, also: &[], tamper: Tamper { under: bend, ..NONE } }
}

/// A rule that the server reads otherwise than it is.
const fn ruled(what: &'static str, law: &'static str, rules: fn(&mut gongji::domain::policy::Rules)) -> Fault {
    Fault { what, law, also: BY_ITS_EFFECTS, tamper: Tamper { rules: Some(rules), ..NONE } }
}

const NO_BEND: Bend = Bend {
    change: None,
    record: None,
    facts: None,
    verdict: None,
    stored: None,
    rows: None,
    read: None,
    never_waits: false,
    commits_twice: false,
};
const NONE: Tamper =
    Tamper { over: NO_BEND, under: NO_BEND, clock: None, ids: None, rules: None, items: None, came: None, asked: None };

/// The standings that a change writes.
fn standings(change: &mut Change, bend: fn(&mut Standing)) {
    for (_, entity) in &mut change.puts {
        if let Entity::Standing(standing) = entity {
            bend(Arc::make_mut(standing));
        }
    }
}

fn fen(money: &mut Money, more: i64) {
    *money = Money::fen(money.as_fen() + more);
}

/// Moves when the holds of a standing run out, but for the one made just now.
fn later(standing: &mut Arc<Standing>, micros: i64, made: Option<SettlementId>) {
    if standing.holds.iter().any(|mark| Some(mark.settlement) != made) {
        let holds = &mut Arc::make_mut(standing).holds;
        for mark in holds.iter_mut().filter(|mark| Some(mark.settlement) != made) {
            mark.expires = Moment::from_micros(mark.expires.as_micros() + micros);
        }
    }
}

/// The settlement of a record, if it is one.
fn settled(record: &mut Record, bend: impl FnOnce(&mut gongji::domain::record::Settled)) {
    if let Event::Settled(settled) = &mut record.event {
        bend(settled);
    }
}

/// A refund of one contribution goes into the other bucket of the same account, and account and posting say so.
fn other_bucket(record: &mut Record, change: &mut Change) {
    if !matches!(record.event, Event::Refunded { .. }) {
        return;
    }
    let into = |posting: &&mut gongji::domain::posting::Posting| {
        matches!(posting.to, Party::Bucket(..)) && matches!(posting.from, Party::Institution(_))
    };
    let mut found: Vec<_> = record.postings.iter_mut().filter(into).collect();
    let [posting] = found.as_mut_slice() else { return };
    let (amount, Party::Bucket(member, bucket)) = (posting.amount, posting.to.clone()) else { return };
    let other = if bucket == Bucket::PriorYears { Bucket::CurrentYear } else { Bucket::PriorYears };
    for (key, entity) in &mut change.puts {
        if let (Key::Standing(id), Entity::Standing(standing)) = (key, entity)
            && *id == member
            && let Some(account) = &mut Arc::make_mut(standing).account
        {
            let field = |account: &mut gongji::domain::account::Account, bucket, more: i64| match bucket {
                Bucket::CurrentYear => fen(&mut account.current, more),
                Bucket::PriorYears => fen(&mut account.prior, more),
                Bucket::Wallet => fen(&mut account.wallet, more),
            };
            field(account, bucket, -amount.as_fen());
            field(account, other, amount.as_fen());
            posting.to = Party::Bucket(member, other);
            posting.to_after = Some(account.balance(other));
        }
    }
}

const FAULTS: &[Fault] = &[
    // What the ledger writes.
    recorded("a cash posting is dropped", "an institution receives the whole bill", |record, _| {
        record.postings.retain(|posting| posting.from != Party::Cash);
    }),
    recorded("a posting runs backwards", "money moves forward", |record, _| {
        if let Some(posting) = record.postings.first_mut() {
            posting.amount = -posting.amount;
        }
    }),
    recorded("a balance after is a fen off", "the balance after a posting is right", |record, _| {
        if let Some(after) = record.postings.last_mut().and_then(|posting| posting.to_after.as_mut()) {
            fen(after, 1);
        }
    }),
    recorded("an account pays what it has not", "no balance is below zero", |record, _| {
        let paid = record.postings.iter_mut().find(|posting| matches!(posting.from, Party::Bucket(..)));
        if let Some(posting) = paid.filter(|posting| matches!(posting.to, Party::Institution(_))) {
            fen(&mut posting.amount, 10_000_000);
        }
    }),
    recorded("only a part of the year's money turns", "the year turns once, with all there is", |record, _| {
        let turn = record.postings.iter_mut().find(|posting| match (&posting.from, &posting.to) {
            (Party::Bucket(one, Bucket::CurrentYear), Party::Bucket(two, Bucket::PriorYears)) => one == two,
            _ => false,
        });
        if let Some(posting) = turn.filter(|posting| posting.amount > Money::fen(1)) {
            fen(&mut posting.amount, -1);
        }
    }),
    recorded("cash is a fen too much", "total = fund + hospital + own + aid + cash", |record, _| {
        settled(record, |settled| fen(&mut settled.amounts.cash, 1));
    }),
    recorded("a contribution is forgotten", "contributions are what accounts paid", |record, _| {
        settled(record, |settled| {
            settled.contributions.pop();
        });
    }),
    recorded("over limit is told as full self-pay", "a bill is divided by the rules", |record, _| {
        settled(record, |settled| {
            fen(&mut settled.amounts.split.over_limit, 1);
            fen(&mut settled.amounts.split.full_self_pay, -1);
        });
    }),
    recorded("a contribution names another year", "money keeps its year", |record, _| {
        settled(record, |settled| settled.contributions.iter_mut().for_each(|paid| paid.year -= 1));
    }),
    recorded("a refund goes into the other bucket", "a refund goes back to its bucket and year", other_bucket),
    recorded("a refund of an account goes to the counter", "a refund goes back to who paid", |record, _| {
        if let Event::Refunded { .. } = record.event {
            for posting in &mut record.postings {
                if matches!(posting.to, Party::Bucket(..)) && matches!(posting.from, Party::Institution(_)) {
                    (posting.to, posting.to_after) = (Party::Cash, None);
                }
            }
        }
    }),
    recorded("the first drawn goes back first", "last drawn goes back first", |record, _| {
        if let Event::Refunded { returned, .. } = &mut record.event {
            returned.reverse();
        }
    }),
    recorded("a refund's own sum is a fen short", "an institution gives back what is refunded", |record, _| {
        if let Event::Refunded { parts, .. } = &mut record.event {
            fen(&mut parts.cash, -1);
        }
    }),
    Fault {
        also: &[
            "what was decided is stored",
            "last drawn goes back first",
            "an answer is what was done",
            "no call fails by itself",
        ],
        ..over(
            "who got back how much is forgotten",
            "a refund is at most what was paid",
            Bend {
                facts: Some(|_, facts, _| {
                    for fact in &mut facts.facts {
                        if let Some(Entity::Settlement(settlement)) = &mut fact.entity {
                            let settlement = Arc::make_mut(settlement);
                            settlement.contributions.iter_mut().for_each(|paid| paid.refunded = Money::ZERO);
                        }
                    }
                }),
                ..NO_BEND
            },
        )
    },
    // Holds, and what becomes of them.
    written("a hold is forgotten with its people", "a hold is marked with its people", |change| {
        standings(change, |standing| standing.holds.clear());
    }),
    recorded("a hold tells more than it holds", "a hold holds what accounts would pay", |record, _| {
        if let Event::Held { settled, .. } = &mut record.event {
            fen(&mut settled.amounts.own_account, 1);
            fen(&mut settled.amounts.cash, -1);
        }
    }),
    recorded("more is confirmed than was held", "what is taken and what goes back is what was held", |record, _| {
        if let Event::HoldConfirmed { contributions, .. } = &mut record.event
            && let Some(paid) = contributions.first_mut()
        {
            fen(&mut paid.amount, 1);
        }
    }),
    recorded("the last drawn is taken first", "a confirmation takes what was held, in order", |record, _| {
        if let Event::HoldConfirmed { contributions, .. } = &mut record.event {
            contributions.reverse();
        }
    }),
    recorded("what is left over stays in the hold", "nothing stays in a hold that has ended", |record, _| {
        if let Event::HoldConfirmed { .. } = record.event {
            record.postings.retain(|posting| {
                let from_hold = matches!(posting.from, Party::Hold(_));
                !from_hold || matches!(posting.to, Party::Institution(_))
            });
        }
    }),
    Fault {
        what: "a hold ends a second late",
        law: "a hold ends at its instant",
        also: &["a quote is what would be settled", "a refusal has its reason"],
        tamper: Tamper {
            over: Bend {
                facts: Some(|_, facts, _| {
                    for fact in &mut facts.facts {
                        if let Some(Entity::Standing(standing)) = &mut fact.entity {
                            later(standing, 1_000_000, None);
                        }
                    }
                }),
                change: Some(|change| {
                    // What is written is right; it is only read too late.
                    let made = change.puts.iter().find_map(|(key, entity)| match (key, entity) {
                        (Key::Settlement(id), Entity::Settlement(settlement)) => settlement.held_until().map(|_| *id),
                        _ => None,
                    });
                    for (_, entity) in &mut change.puts {
                        if let Entity::Standing(standing) = entity {
                            later(standing, -1_000_000, made);
                        }
                    }
                }),
                ..NO_BEND
            },
            ..NONE
        },
    },
    Fault {
        also: &["a quote is what would be settled"],
        ..over(
            "the sweep sees no hold",
            "a sweep leaves nothing behind",
            Bend {
                facts: Some(|what, facts, _| {
                    for fact in facts.facts.iter_mut().filter(|_| matches!(what, What::Sweep)) {
                        if let Some(Entity::Settlement(settlement)) = &mut fact.entity {
                            Arc::make_mut(settlement).hold = None;
                        }
                    }
                }),
                ..NO_BEND
            },
        )
    },
    // Lost answers.
    written("a fence is not written", "a fence stands where the original would", |change| {
        let void = |entity: &Entity| matches!(entity, Entity::Request(request) if request.fields.is_empty());
        change.puts.retain(|(_, entity)| !void(entity));
    }),
    over(
        "a resolution does not find the original",
        "what became of a call is told as it is",
        Bend {
            facts: Some(|what, facts, _| {
                if let What::Resolve { .. } = what {
                    let request = |fact: &&mut gongji::store::Fact| matches!(fact.key, Key::Request(_));
                    facts.facts.iter_mut().filter(request).for_each(|fact| (fact.version, fact.entity) = (0, None));
                }
            }),
            ..NO_BEND
        },
    ),
    recorded("a refund is put back a fen short", "a refund is put back as it was", |record, _| {
        if let Event::RefundReversed { parts, .. } = &mut record.event {
            fen(&mut parts.cash, -1);
        }
    }),
    // The close of a year.
    recorded("a closed year may be closed again", "a year's end is kept until its close", |record, change| {
        if let Event::YearClosed { end, .. } = record.event {
            for (_, entity) in &mut change.puts {
                if let Entity::Standing(standing) = entity
                    && let Some(account) = &mut Arc::make_mut(standing).account
                {
                    account.ended.insert(0, end);
                }
            }
        }
    }),
    over(
        "a region's list loses members",
        "a region's close passes over nobody",
        Bend {
            rows: Some(|what, rows| {
                if let What::CloseStep { .. } = what {
                    rows.retain(|row| row.position % 3 != 0);
                }
            }),
            ..NO_BEND
        },
    ),
    // The feed.
    // It waits for as many records as it read, so what it tells may not be durable either.
    Fault {
        also: &[
            "the feed is durable",
            "the feed goes on where it was",
            "a filter keeps nothing back that passes",
            "a filter lets nothing else through",
        ],
        ..over(
            "the feed leaves out a record",
            "the feed is the ledger",
            Bend {
                read: Some(|records| {
                    if records.len() > 2 {
                        records.remove(1);
                    }
                }),
                ..NO_BEND
            },
        )
    },
    // A filter as the server reads it is not the one that was asked for.
    Fault {
        what: "a filter is forgotten",
        law: "a filter lets nothing else through",
        also: &[],
        tamper: Tamper { asked: Some(|asked| asked.member_ids.clear()), ..NONE },
    },
    Fault {
        what: "a filter takes one region of two",
        law: "a filter keeps nothing back that passes",
        also: &[],
        tamper: Tamper { asked: Some(|asked| asked.region_codes.truncate(1)), ..NONE },
    },
    // Calls of many.
    Fault {
        what: "an item of a batch is dropped",
        law: "every item of a call is answered",
        also: &[],
        tamper: Tamper {
            items: Some(|items| {
                items.pop();
            }),
            ..NONE
        },
    },
    Fault {
        what: "two answers of a batch are swapped",
        law: "answers keep the order of their items",
        also: &[],
        tamper: Tamper { came: Some(|came| came.reverse()), ..NONE },
    },
    Fault {
        what: "an item is told what became of another",
        law: "an item's answer is its own",
        also: &[
            "an answer is what was done",
            "an answer names its own change",
            "a repeat is the original answer",
            "a quote is what would be settled",
            "a refusal has its reason",
            "not done is not done",
        ],
        tamper: Tamper {
            came: Some(|came| {
                let mut answers: Vec<_> = came.iter().map(|(_, came)| came.clone()).collect();
                answers.rotate_left(1);
                came.iter_mut().zip(answers).for_each(|((_, came), answer)| *came = answer);
            }),
            ..NONE
        },
    },
    written("a list loses a row", "a change stands in all its lists", |change| {
        change.lists.pop();
    }),
    written("the request is not recorded", "a request is kept with its work", |change| {
        change.puts.retain(|(key, _)| !matches!(key, Key::Request(_)));
    }),
    written("a fact that was read is not expected", "everything loaded is expected", |change| {
        change.expects.pop();
    }),
    written("half of a change is written", "a fact holds what its postings sum to", |change| {
        if change.lists.iter().any(|(list, _)| list.kind == ListKind::AccountEntries) {
            change.puts.retain(|(key, _)| !matches!(key, Key::Standing(_)));
        }
    }),
    written("a tie is lost", "what was decided is stored", |change| {
        standings(change, |standing| {
            standing.family.ties.pop();
        });
    }),
    written("the year's use is forgotten", "the use of a year is counted", |change| {
        standings(change, |standing| {
            standing.years.clear();
        });
    }),
    written("a cap is not counted", "what a cap has used is counted", |change| {
        standings(change, |standing| standing.family.ties.iter_mut().for_each(|tie| tie.used_on = None));
    }),
    Fault {
        also: &["what a cap has used is counted", "a quote is what would be settled", "the ledger checks itself"],
        ..written("a binding's caps are lost", "a binding keeps its caps", |change| {
            standings(change, |standing| standing.family.ties.iter_mut().for_each(|tie| tie.caps = Caps::default()));
        })
    },
    // How it is made true and told.
    over("a change is committed twice", "a request has one effect", Bend { commits_twice: true, ..NO_BEND }),
    over("an answer leaves before it is durable", "an answer is durable", Bend { never_waits: true, ..NO_BEND }),
    over(
        "done is told as not done",
        "not done is not done",
        Bend { verdict: Some(|verdict| *verdict = Err(CommitError::NotApplied(StoreError::Unavailable))), ..NO_BEND },
    ),
    over(
        "a quote reads stale facts",
        "a quote is what would be settled",
        Bend {
            facts: Some(|what, facts, seen| {
                for fact in facts.facts.iter_mut().filter(|fact| matches!(fact.key, Key::Standing(_))) {
                    // One who met a hold would wait for its end for ever.
                    let holds = |fact: &gongji::store::Fact| matches!(&fact.entity, Some(Entity::Standing(standing)) if !standing.holds.is_empty());
                    match seen.iter().find(|known| known.key == fact.key) {
                        Some(known) if holds(known) => {}
                        Some(known) if matches!(what, What::Quote(_)) => *fact = known.clone(),
                        Some(_) => {}
                        None if fact.entity.is_some() => seen.push(fact.clone()),
                        None => {}
                    }
                }
            }),
            ..NO_BEND
        },
    ),
    over(
        "a known fact is found absent",
        "a refusal has its reason",
        Bend {
            facts: Some(|what, facts, _| {
                if matches!(what, What::Credit { .. }) {
                    let standing = |fact: &&mut gongji::store::Fact| matches!(fact.key, Key::Standing(_));
                    facts.facts.iter_mut().filter(standing).for_each(|fact| (fact.version, fact.entity) = (0, None));
                }
            }),
            ..NO_BEND
        },
    ),
    // A call that was not told of its own commit reads it too, and so does the check at the end.
    Fault {
        also: &["an answer is what was done", "the ledger checks itself"],
        ..over(
            "a repeat reads another outcome",
            "a repeat is the original answer",
            Bend {
                stored: Some(|stored| {
                    let mut record = decode_record(&stored.bytes).expect("the server wrote it");
                    if let Event::Credited { after, .. } = &mut record.event {
                        fen(&mut after.prior, 1);
                        stored.bytes = encode_record(&record, &policy_set_of(&stored.bytes).expect("written"));
                    }
                }),
                ..NO_BEND
            },
        )
    },
    over(
        "a night's list is empty",
        "a night leaves nothing behind",
        Bend {
            rows: Some(|what, rows| {
                if let What::ReturnUnclaimed { .. } = what {
                    rows.clear();
                }
            }),
            ..NO_BEND
        },
    ),
    // What the store itself may do.
    under(
        "a position is left out",
        "positions are gapless",
        Bend {
            verdict: Some(|verdict| {
                if let Ok(done) = verdict {
                    done.position += 1;
                }
            }),
            ..NO_BEND
        },
    ),
    under(
        "a record is dated before the one ahead of it",
        "time never runs backwards",
        Bend {
            stored: Some(|stored| stored.at = Moment::from_micros(stored.at.as_micros() - 3_600_000_000)),
            ..NO_BEND
        },
    ),
    under(
        "a byte of a record changes",
        "a record is what its hash says",
        Bend {
            stored: Some(|stored| {
                if let Some(byte) = stored.bytes.last_mut() {
                    *byte ^= 1;
                }
            }),
            ..NO_BEND
        },
    ),
    under(
        "a link leads elsewhere",
        "each record is linked to the one before",
        Bend { stored: Some(|stored| stored.link = content_hash(&stored.link)), ..NO_BEND },
    ),
    // Clock and names.
    Fault {
        what: "the clock is a day behind",
        law: "a decision is of its moment",
        also: &[],
        tamper: Tamper { clock: Some(|now| Moment::from_micros(now.as_micros() - 86_400_000_000)), ..NONE },
    },
    Fault {
        what: "an id is given twice",
        law: "a name is given once",
        also: &[],
        tamper: Tamper { ids: Some(|id| id | 1), ..NONE },
    },
    // Rules read otherwise than they are.
    ruled("the floor is ignored", "an owner keeps the floor", |rules| rules.floor = Floor::Fixed(Money::ZERO)),
    ruled("a region's limits are ignored", "a region keeps its limits", |rules| {
        (rules.aid_per_settlement, rules.aid_per_day, rules.aid_per_year) = (None, None, None);
    }),
    ruled("the fund's cap is ignored", "the fund keeps its cap for a year", |rules| rules.fund_year_cap = None),
    ruled("the fund's ratio is another", "the fund pays its part", |rules| {
        rules.fund_shares.iter_mut().for_each(|row| row.rate = Rate::ZERO);
    }),
    ruled("a year's interest is another", "a year bears its interest", |rules| {
        if let Some(interest) = &mut rules.year_interest {
            interest.prior_rate = Rate::ZERO;
        }
    }),
    ruled("owners pay in another order", "owners pay in the region's order", |rules| {
        rules.owner_order = match rules.owner_order {
            OwnerOrder::FilingOrder => OwnerOrder::NewestFirst,
            OwnerOrder::BalanceDesc | OwnerOrder::UserOrder | OwnerOrder::NewestFirst => OwnerOrder::FilingOrder,
        };
    }),
    ruled("buckets are drawn in another order", "buckets are drawn in their order", |rules| {
        rules.own_buckets.reverse();
    }),
    ruled("the own account pays less", "the own account pays its part", |rules| {
        rules.own_components = vec![Component::OverLimit];
    }),
];

/// A fault that is not met in so many seeds is one that the simulation misses.
const SEEDS: u64 = 400;
/// Where those were met last that few runs meet: looked at first.
const RARE: &[(&str, u64)] = &[("who got back how much is forgotten", 73), ("owners pay in another order", 278)];

#[test]
fn every_fault_is_caught_by_the_law_it_breaks() {
    assert!(FAULTS.len() >= 25, "as many as were promised");
    let laws: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.law).collect();
    assert_eq!(laws.len(), FAULTS.len(), "each breaks another law");
    let mut wrong = Vec::new();
    let only = std::env::var("GONGJI_FAULT").unwrap_or_default();
    for fault in FAULTS.iter().filter(|fault| fault.what.contains(&only)) {
        let mut caught = None;
        let mut others: BTreeMap<&str, u32> = BTreeMap::new();
        let met = RARE.iter().find(|(what, _)| *what == fault.what).map(|(_, seed)| *seed);
        for seed in met.into_iter().chain(1..=SEEDS) {
            let ended = simulate_with(seed, 510, fault.tamper);
            let Some(broken) = ended.broken else { continue };
            if broken.law == fault.law {
                caught = Some((seed, ended.calls));
                break;
            }
            *others.entry(broken.law).or_default() += 1;
            if !fault.also.contains(&broken.law) {
                wrong.push(format!("{}: seed {seed}: \"{}\": {}", fault.what, broken.law, broken.what));
                break;
            }
        }
        match caught {
            Some((seed, call)) => println!("{:<46} -> {:<44} (seed {seed}, call {call})", fault.what, fault.law),
            None => wrong.push(format!("{} is not caught by \"{}\", but by {others:?}", fault.what, fault.law)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
