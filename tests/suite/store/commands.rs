//! The ledger's own commands over several stores at once: one clock, the same names drawn, so that every answer, and every
//! byte of every record, must be the same.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gongji::config::{Config, Given};
use gongji::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Visit};
use gongji::domain::binding::{Caps, Evidence};
use gongji::domain::identity::IdNumber;
use gongji::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, RequestId, SettlementId};
use gongji::domain::member::{Insurance, MemberRef, Person};
use gongji::domain::money::Money;
use gongji::domain::record::{CreditKind, ReleasedBy};
use gongji::domain::settlement::{Parts, RefundAsk};
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, Channel, InstitutionKind, InsuranceState, Purpose, Relation, Scheme};
use gongji::ledger::accounts::CreditAccount;
use gongji::ledger::bindings::{CreateBinding, FilingAsk};
use gongji::ledger::members::CreateMember;
use gongji::ledger::refund::RefundSettlement;
use gongji::ledger::release::{ReleaseBinding, ReleaseTarget};
use gongji::ledger::settle::{Ask, Settle};
use gongji::ledger::source::{Clock, RandomIds};
use gongji::ledger::{Caller, Command, Done, Failure, Ledger};

use super::harness::*;
use crate::process::{Dice, id_number};
use crate::support::book;

const SHENZHEN: &str = "440300";
const HOSPITAL: &str = "H001";
const FILED_WITH: [&str; 5] = ["OWNER_ID", "OWNER_CARD", "BENEFICIARY_ID", "USER_CARD_NUMBER", "COMMITMENT"];
const RELEASED_WITH: [&str; 5] =
    ["APPLICANT_ID", "OWNER_CARD", "USER_CARD_NUMBER", "REAL_NAME_LOGIN", "E_CARD_PASSWORD"];

/// A clock that a session sets.
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst))
    }
}

type Outcome<C> = Result<Done<<C as Command>::Outcome>, Failure>;

/// One of the commands, to be sent again as it was.
#[derive(Clone)]
enum Asked {
    Create(CreateMember),
    Credit(CreditAccount),
    Bind(CreateBinding),
    Settle(Settle),
    Refund(RefundSettlement),
    Release(ReleaseBinding),
}

/// What later commands may name.
#[derive(Default)]
struct Known {
    members: Vec<MemberId>,
    bindings: Vec<BindingId>,
    settlements: Vec<SettlementId>,
}

pub struct Commands {
    ledgers: Vec<(&'static str, Ledger)>,
    clock: Arc<AtomicI64>,
    known: Known,
    sent: Vec<Asked>,
    number: u64,
    seed: u64,
}

impl Commands {
    pub fn new(seed: u64, stores: &[(&'static str, Harness)], micros: i64) -> Self {
        let (clock, known) = (Arc::new(AtomicI64::new(micros)), Known::default());
        let mut commands = Self { ledgers: Vec::new(), clock, known, sent: Vec::new(), number: 0, seed };
        commands.over(stores);
        commands
    }

    /// Over these stores from now on, which hold what those before held.
    pub fn over(&mut self, stores: &[(&'static str, Harness)]) {
        self.seed += 1;
        let limits = Config::read(Given::default(), None, true).expect("the defaults are good").ledger_limits();
        let ledger = |harness: &Harness| {
            let (clock, ids) = (SetClock(self.clock.clone()), RandomIds::from_seed(self.seed));
            Ledger::new(harness.store().clone(), book(), Arc::new(clock), Arc::new(ids), limits)
        };
        self.ledgers = stores.iter().map(|(name, harness)| (*name, ledger(harness))).collect();
    }

    /// Sends one command to every ledger, which must all answer alike; whether it made a change.
    pub fn one(&mut self, dice: &mut Dice, micros: i64) -> bool {
        self.clock.store(micros, Ordering::SeqCst);
        let again = !self.sent.is_empty() && dice.roll(8) == 0;
        let asked = if again { dice.one_of(&self.sent).clone() } else { self.next(dice) };
        self.sent.push(asked.clone());
        match asked {
            Asked::Create(it) => {
                let done = self.all(&it);
                done.map(|done| self.known.members.push(done.outcome.member.id)).is_some()
            }
            Asked::Credit(it) => self.all(&it).is_some(),
            Asked::Bind(it) => self.all(&it).map(|done| self.known.bindings.push(done.outcome.binding.id)).is_some(),
            Asked::Settle(it) => {
                self.all(&it).map(|done| self.known.settlements.push(done.outcome.settlement.id)).is_some()
            }
            Asked::Refund(it) => self.all(&it).is_some(),
            Asked::Release(it) => self.all(&it).is_some(),
        }
    }

    /// What came of a change; none if it was refused or had been made before.
    fn all<C: Command>(&self, command: &C) -> Option<Done<C::Outcome>>
    where
        C::Outcome: Debug,
    {
        let outcomes = self.ledgers.iter().map(|(name, ledger)| (name, block_on(ledger.run(command))));
        let mut outcomes: Vec<(_, Outcome<C>)> = outcomes.collect();
        let shown: Vec<String> = outcomes.iter().map(|(_, outcome)| format!("{outcome:?}")).collect();
        for ((name, _), other) in outcomes.iter().zip(&shown) {
            assert_eq!(&shown[0], other, "command {}: {} and {name} differ", self.number, outcomes[0].0);
        }
        outcomes.swap_remove(0).1.ok().filter(|done| !done.replayed)
    }

    fn next(&mut self, dice: &mut Dice) -> Asked {
        self.number += 1;
        let caller = Caller { scope: "caller".to_owned(), may_reveal: false };
        let request_id = RequestId::parse(&format!("r-{}", self.number)).expect("an id");
        let Known { members, bindings, settlements } = &self.known;
        let evidence = |kinds: &[&str]| -> Vec<Evidence> {
            let one = |kind: &&str| Evidence { kind: (*kind).into(), reference: "ref".into(), digest: String::new() };
            kinds.iter().map(one).collect()
        };
        let people = members.len();
        let kind = if people < 4 { 0 } else { dice.roll(100) };
        let who = |dice: &mut Dice| MemberRef::Id(members[dice.roll(people)]);
        match kind {
            0..6 => {
                // Now and then somebody who is there already.
                let number = 1 + dice.roll(people + 2);
                let person = Person {
                    member: MemberId::from_u128(0),
                    name: format!("张{number}"),
                    id_number: IdNumber::parse(&id_number(number)).expect("an id number"),
                    card_number: format!("C{number:04}"),
                    personal_number: String::new(),
                    computer_number: String::new(),
                };
                let insurance = Insurance {
                    scheme: Scheme::Employee,
                    tier: "1".to_owned(),
                    state: InsuranceState::Normal,
                    region: RegionCode::parse(SHENZHEN).expect("a code"),
                    has_account: true,
                    start: jiff::civil::date(2008, 1, 1),
                };
                let issuing_bank = String::new();
                Asked::Create(CreateMember { caller, request_id, person, insurance, card_active: true, issuing_bank })
            }
            6..30 => {
                let bucket = *dice.one_of(&[Bucket::CurrentYear, Bucket::PriorYears]);
                let (correction, fen) = (dice.roll(6) == 0, dice.fen(90_000));
                let (kind, amount) = match correction {
                    true => (CreditKind::Correction, Money::fen(-fen / 9 - 1)),
                    false => (CreditKind::Monthly, Money::fen(fen)),
                };
                let member = who(dice);
                Asked::Credit(CreditAccount { caller, request_id, member, bucket, amount, kind, note: String::new() })
            }
            30..42 => {
                let ask = FilingAsk {
                    owner: who(dice),
                    beneficiary: who(dice),
                    relation: *dice.one_of(&[Relation::Parent, Relation::Spouse, Relation::Child]),
                    relation_detail: String::new(),
                    channel: Channel::AgencyWindow,
                    grants: Vec::new(),
                    evidence: evidence(if dice.roll(8) == 0 { &FILED_WITH[..2] } else { &FILED_WITH }),
                    start: None,
                    last_day: None,
                    caps: Caps::default(),
                    priority: 0,
                };
                Asked::Bind(CreateBinding { caller, request_id, ask })
            }
            42..48 if !bindings.is_empty() => {
                let target = ReleaseTarget::Binding(*dice.one_of(bindings));
                let (by, channel, evidence) = (ReleasedBy::Owner, Channel::AgencyWindow, evidence(&RELEASED_WITH));
                Asked::Release(ReleaseBinding { caller, request_id, target, by, channel, evidence })
            }
            48..62 if !settlements.is_empty() => {
                let settlement = *dice.one_of(settlements);
                let fen = Money::fen(dice.fen(3_000));
                let ask = match dice.roll(3) {
                    0 => RefundAsk::Parts(Parts {
                        fund: Money::ZERO,
                        hospital_part: Money::ZERO,
                        accounts: fen,
                        cash: Money::ZERO,
                    }),
                    _ => RefundAsk::Whole,
                };
                let institution = InstitutionCode::parse(HOSPITAL).expect("a code");
                Asked::Refund(RefundSettlement { request_id, institution, settlement, ask })
            }
            _ => {
                let (patient, fund, person) = (who(dice), Money::fen(dice.fen(4_000)), Money::fen(dice.fen(20_000)));
                Asked::Settle(Settle { request_id, ask: self.ask(patient, fund, person), token: String::new() })
            }
        }
    }

    fn ask(&self, patient: MemberRef, fund: Money, person_part: Money) -> Ask {
        let today = Moment::from_micros(self.clock.load(Ordering::SeqCst)).civil_day();
        let parts = Adjudicated {
            fund,
            hospital_part: Money::ZERO,
            deductible: Money::ZERO,
            first_self_pay: Money::ZERO,
            over_limit: Money::ZERO,
            full_self_pay: Money::ZERO,
            person_part,
        };
        let visit = Visit {
            institution_kind: InstitutionKind::Level2,
            care_region: RegionCode::parse(SHENZHEN).expect("a code"),
            purpose: Purpose::Outpatient,
            date: today,
            external: ExternalRefs::default(),
        };
        Ask {
            institution: InstitutionCode::parse(HOSPITAL).expect("a code"),
            patient,
            visit,
            bill: Arc::new(Bill { total: fund + person_part, content: BillContent::Adjudicated(parts) }),
            papers: Vec::new(),
            day_given: true,
        }
    }
}
