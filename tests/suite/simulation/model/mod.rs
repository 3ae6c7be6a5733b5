//! The auditor's own ledger: what every call must come to, by arithmetic of its own over plain fen. It knows the rules'
//! values and none of the functions that the server decides with. One call is decided by `decide` and made true by `apply`,
//! in the order in which the store took the changes.

pub mod acts;
pub mod aid;
pub mod law;
pub mod pay;
pub mod split;

use std::collections::BTreeMap;
use std::sync::Arc;

use gongji::domain::binding::Caps;
use gongji::domain::ids::{BindingId, MemberId, SettlementId, TransferId};
use gongji::domain::member::Insurance;
use gongji::domain::policy::Rules;
use gongji::domain::posting::Party;
use gongji::domain::record::Job;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, Relation};
use gongji::store::ListKind;
use jiff::civil::Date;

use super::op::{Named, Op, Paid, Purse, Reply, Told};
use super::world::World;

/// Why not, in words that a failure of the server can be put into too.
pub type No = String;

#[derive(Clone, Debug)]
pub struct Who {
    pub number: usize,
    pub insurance: Insurance,
    pub purse: Option<Purse>,
    /// Who may pay for this person, in order of filing.
    pub ties: Vec<BindingId>,
    /// For whom this person may pay.
    pub wards: Vec<BindingId>,
    /// Deductible and fund used, by year of the visits.
    pub years: BTreeMap<i16, [i64; 2]>,
    pub wallet: bool,
    /// On paper: by owner, the first day.
    pub slips: BTreeMap<MemberId, Date>,
}

#[derive(Clone, Debug)]
pub struct Tied {
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub relation: Relation,
    pub start: Date,
    pub last_day: Option<Date>,
    pub caps: Caps,
    pub priority: u32,
    pub spends: bool,
    pub missing: Vec<String>,
    pub evidence: Vec<String>,
    /// From which day on it is released.
    pub released: Option<Date>,
    /// What was drawn through it and not given back within the same day and year.
    pub used: Used,
}

/// Money counted by day and by year.
#[derive(Clone, Debug, Default)]
pub struct Used {
    pub days: BTreeMap<Date, i64>,
    pub years: BTreeMap<i16, i64>,
}

impl Used {
    pub fn count(&mut self, on: Date, fen: i64) {
        *self.days.entry(on).or_default() += fen;
        *self.years.entry(on.year()).or_default() += fen;
    }

    /// Money that comes back frees the day it was counted on, if that is today, and the year, if that is this one.
    pub fn give_back(&mut self, today: Date, drawn_on: Date, fen: i64) {
        if drawn_on == today {
            *self.days.entry(today).or_default() -= fen;
        }
        if drawn_on.year() == today.year() {
            *self.years.entry(today.year()).or_default() -= fen;
        }
    }

    pub fn of(&self, on: Date) -> (i64, i64) {
        let day = self.days.get(&on).copied().unwrap_or_default();
        (day, self.years.get(&on.year()).copied().unwrap_or_default())
    }
}

/// What is set aside for a binding.
#[derive(Clone, Debug)]
pub struct Aside {
    pub year: i16,
    /// Of the current year, of prior years.
    pub money: [i64; 2],
    /// Which unbroken spell this is, counted from one; zero: none is in force.
    pub spell: u32,
    pub spells: u32,
}

#[derive(Clone, Debug)]
pub struct Sent {
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub fen: i64,
    pub from: Vec<(Bucket, i64)>,
    pub year: i16,
    pub on: Date,
    pub claim_before: i64,
    /// None: on its way; then whether it was taken.
    pub taken: Option<bool>,
}

#[derive(Clone, Debug)]
pub struct Settled {
    pub institution: &'static str,
    pub patient: MemberId,
    pub visit_year: i16,
    pub region: gongji::domain::ids::RegionCode,
    pub told: Told,
    pub on: Date,
    /// What each contribution was drawn from, and whether the region's limit counted it.
    pub drawn: Vec<Drawn>,
    /// Fund, hospital part, accounts, cash that went back.
    pub back: [i64; 4],
}

#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    /// The spell of the quota that paid; none: the account did.
    pub spell: Option<u32>,
    pub counted: bool,
}

/// What a request id did.
#[derive(Clone, Debug)]
pub struct Known {
    pub op: Arc<Op>,
    pub reply: Reply,
    pub position: u64,
}

/// Whose list a row stands in.
#[derive(Clone, Debug, PartialEq)]
pub enum Of {
    Id(u128),
    Day(Date),
    Institution(&'static str),
    Visit(&'static str, String),
}

/// Money from one party to another.
pub type Move = (Party, Party, i64);

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub who: BTreeMap<MemberId, Who>,
    pub numbers: BTreeMap<usize, MemberId>,
    pub bindings: BTreeMap<BindingId, Tied>,
    pub quotas: BTreeMap<BindingId, Aside>,
    pub transfers: BTreeMap<TransferId, Sent>,
    pub settlements: BTreeMap<SettlementId, Settled>,
    pub aid: BTreeMap<(MemberId, MemberId), Used>,
    pub sent: BTreeMap<(MemberId, Date), u32>,
    pub known: BTreeMap<(String, String), Known>,
    pub done: Option<(Job, Date)>,
}

/// One change before it is made: what it will leave, and what it says.
#[derive(Clone, Debug)]
pub struct Draft {
    pub reply: Reply,
    pub moves: Vec<Move>,
    /// Rows of lists: whose, and what it leads to.
    pub rows: Vec<(ListKind, Of, u128)>,
    pub who: BTreeMap<MemberId, Who>,
    pub bindings: BTreeMap<BindingId, Tied>,
    pub quotas: BTreeMap<BindingId, Aside>,
    pub transfers: BTreeMap<TransferId, Sent>,
    pub settlements: BTreeMap<SettlementId, Settled>,
    pub aid: BTreeMap<(MemberId, MemberId), Used>,
    pub sent: BTreeMap<(MemberId, Date), u32>,
    pub done: Option<(Job, Date)>,
}

impl Draft {
    fn new() -> Self {
        Self {
            reply: Reply::Returned,
            moves: Vec::new(),
            rows: Vec::new(),
            who: BTreeMap::new(),
            bindings: BTreeMap::new(),
            quotas: BTreeMap::new(),
            transfers: BTreeMap::new(),
            settlements: BTreeMap::new(),
            aid: BTreeMap::new(),
            sent: BTreeMap::new(),
            done: None,
        }
    }

    fn moved(&mut self, from: Party, to: Party, fen: i64) {
        if fen != 0 {
            self.moves.push((from, to, fen));
        }
    }

    /// A row for an account's entries; one a change.
    fn entry(&mut self, of: MemberId, subject: u128) {
        let whose = Of::Id(of.as_u128());
        if !self.rows.iter().any(|(kind, known, _)| *kind == ListKind::AccountEntries && *known == whose) {
            self.rows.push((ListKind::AccountEntries, whose, subject));
        }
    }
}

/// When and under which new id a call is decided.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub now: Moment,
    pub id: u128,
}

impl Turn {
    pub fn today(self) -> Date {
        self.now.civil_day()
    }
}

/// What a call must come to.
#[derive(Clone, Debug)]
pub enum Decided {
    /// A change, or the answer to a question.
    Fresh(Box<Draft>),
    /// The outcome that the id had, at this position.
    Repeat(Reply, u64),
    No(No),
}

impl Model {
    pub fn decide(&self, world: &World, op: &Op, turn: Turn) -> Decided {
        if !op.is_question()
            && let Some(known) = self.known.get(&(op.scope(), op.id.clone()))
        {
            return if known.op.same_content(op) {
                Decided::Repeat(known.reply.clone(), known.position)
            } else {
                Decided::No("REUSED".to_owned())
            };
        }
        match self.act(world, op, turn) {
            Ok(draft) => Decided::Fresh(Box::new(draft)),
            Err(no) => Decided::No(no),
        }
    }

    pub fn apply(&mut self, op: &Arc<Op>, draft: Draft, position: u64) {
        let Draft { reply, who, bindings, quotas, transfers, settlements, aid, sent, done, .. } = draft;
        self.numbers.extend(who.iter().map(|(id, who)| (who.number, *id)));
        self.who.extend(who);
        self.bindings.extend(bindings);
        self.quotas.extend(quotas);
        self.transfers.extend(transfers);
        self.settlements.extend(settlements);
        self.aid.extend(aid);
        self.sent.extend(sent);
        self.done = done.or(self.done);
        if !op.id.is_empty() {
            self.known.insert((op.scope(), op.id.clone()), Known { op: op.clone(), reply, position });
        }
    }

    pub fn find(&self, named: Named) -> Result<MemberId, No> {
        let found = match named {
            Named::Id(id) => self.who.contains_key(&id).then_some(id),
            Named::Card(number) => self.numbers.get(&number).copied(),
        };
        found.ok_or_else(|| "NOT_FOUND Member".to_owned())
    }

    /// The purse as it counts on a day: after the turn of the year the current money is of prior years.
    pub fn purse(&self, id: MemberId, today: Date) -> Option<Purse> {
        self.who[&id].purse.map(|purse| turned(purse, today))
    }

    pub fn rules<'w>(&self, world: &'w World, id: MemberId, on: Date) -> &'w Rules {
        world.rules(self.who[&id].insurance.region, on)
    }

    /// A quota in force on a day.
    pub fn live_quota(&self, binding: BindingId, today: Date) -> Option<Aside> {
        self.quotas.get(&binding).filter(|quota| quota.spell > 0).map(|quota| quota.turned(today))
    }

    fn changed<'d>(&self, draft: &'d mut Draft, id: MemberId) -> &'d mut Who {
        draft.who.entry(id).or_insert_with(|| self.who[&id].clone())
    }

    fn tied<'d>(&self, draft: &'d mut Draft, id: BindingId) -> &'d mut Tied {
        draft.bindings.entry(id).or_insert_with(|| self.bindings[&id].clone())
    }

    /// Puts money into a bucket, or takes it out, as of today; an account that was not there is opened.
    fn change_purse(&self, draft: &mut Draft, id: MemberId, bucket: Bucket, fen: i64, today: Date) -> Purse {
        let who = self.changed(draft, id);
        let mut purse = turned(who.purse.unwrap_or((today.year(), [0; 3])), today);
        purse.1[place(bucket)] += fen;
        who.purse = Some(purse);
        purse
    }
}

impl Aside {
    pub fn turned(&self, today: Date) -> Self {
        let mut turned = self.clone();
        if today.year() > turned.year {
            turned.year = today.year();
            turned.money = [0, turned.money[0] + turned.money[1]];
        }
        turned
    }

    pub fn left(&self) -> i64 {
        self.money[0] + self.money[1]
    }
}

pub fn place(bucket: Bucket) -> usize {
    match bucket {
        Bucket::CurrentYear => 0,
        Bucket::PriorYears => 1,
        Bucket::Wallet => 2,
    }
}

pub fn turned((year, money): Purse, today: Date) -> Purse {
    if today.year() > year { (today.year(), [0, money[0] + money[1], money[2]]) } else { (year, money) }
}

/// Whether a day lies ahead, or further back than is taken.
pub fn is_out_of_time(day: Date, today: Date) -> bool {
    let most = jiff::Span::new().days(i64::from(crate::simulation::BACKDATE_DAYS));
    day > today || day.checked_add(most).expect("a day") < today
}

pub fn refused(reasons: &[gongji::domain::reason::Reason]) -> No {
    let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
    format!("REFUSED {}", names.join(" "))
}

/// What of a contribution has not gone back.
pub fn left_of(paid: &Paid) -> i64 {
    paid.5 - paid.6
}

/// The bucket in which money of a year lies today.
pub fn bucket_now(bucket: Bucket, year: i16, today: Date) -> Bucket {
    if bucket == Bucket::CurrentYear && year < today.year() { Bucket::PriorYears } else { bucket }
}

impl Tied {
    /// The last day on which it holds.
    pub fn ends(&self) -> Option<Date> {
        let released = self.released.and_then(|from| from.yesterday().ok());
        self.last_day.into_iter().chain(released).min()
    }

    /// Whether its last day is still to come, or today.
    pub fn runs(&self, today: Date) -> bool {
        self.ends().is_none_or(|last| last >= today)
    }
}
