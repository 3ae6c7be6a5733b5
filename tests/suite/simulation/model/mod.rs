//! The auditor's own ledger: what every call must come to, by arithmetic of its own over plain fen. It knows the rules'
//! values and none of the functions that the server decides with. One call is decided by `decide` and made true by `apply`,
//! in the order in which the store took the changes.

pub mod acts;
pub mod aid;
pub mod back;
pub mod hold;
pub mod law;
pub mod pay;
pub mod resolve;
pub mod split;
pub mod year;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gongji::domain::binding::Caps;
use gongji::domain::ids::{BindingId, MemberId, RegionCode, SettlementId, TransferId};
use gongji::domain::member::Insurance;
use gongji::domain::policy::Rules;
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::record::Job;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, Relation};
use gongji::domain::year_use::UseOf;
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
    /// Yearly deductible and fund used, by year of the visits, region and kind of care.
    pub years: BTreeMap<UseOf, [i64; 2]>,
    pub wallet: bool,
    /// On paper: by owner, the first day, and how often.
    pub slips: BTreeMap<MemberId, (Date, u32)>,
    /// By owner, when the two were bound after a slip: those of settlements up to then count no more.
    pub regularised: BTreeMap<MemberId, Moment>,
    /// What current and prior years held at the end of years that wait for their close.
    pub ended: BTreeMap<i16, [i64; 2]>,
    /// Open holds that hold this person's money, or count towards this person's year.
    pub holds: Vec<SettlementId>,
    /// What they hold of this person's money: bucket, year, fen.
    pub held: BTreeMap<SettlementId, Vec<(Bucket, i16, i64)>>,
    /// Since which position this person is insured in the region.
    pub moved_at: u64,
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
    /// Whether the two were insured in different provinces.
    pub far: bool,
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
    /// What it held at the end of years that wait for the close of the owner's account.
    pub ended: BTreeMap<i16, [i64; 2]>,
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
    /// Where its use of the fund is counted, and how much of its deductible.
    pub counts: UseOf,
    pub yearly: i64,
    pub region: gongji::domain::ids::RegionCode,
    pub told: Told,
    pub on: Date,
    pub at: Moment,
    /// What each contribution was drawn from, and whether the region's limit counted it.
    pub drawn: Vec<Drawn>,
    /// Fund, hospital part, accounts, cash that went back.
    pub back: [i64; 4],
    pub refunds: Vec<Refunded>,
    /// None: it was settled in one step.
    pub hold: Option<Held>,
    /// The request that reversed it while resolving a lost answer.
    pub reversed_by: String,
}

/// Money that went back once, and may have been taken again.
#[derive(Clone, Debug)]
pub struct Refunded {
    pub parts: [i64; 4],
    pub returned: Vec<(u16, i64)>,
    pub stands: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub expires: i64,
    /// Where it was recorded.
    pub at: u64,
    pub now: Life,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    Open,
    Confirmed,
    Released,
    Expired,
}

impl Settled {
    /// Whether nothing of it stands any more.
    pub fn is_gone(&self) -> bool {
        self.back.iter().sum::<i64>() == self.told.split[0]
    }

    pub fn is_open(&self) -> bool {
        self.hold.is_some_and(|hold| hold.now == Life::Open)
    }
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
    pub settlements: BTreeMap<SettlementId, Arc<Settled>>,
    pub aid: BTreeMap<(MemberId, MemberId), Used>,
    pub sent: BTreeMap<(MemberId, Date), u32>,
    pub known: Arc<BTreeMap<(String, String), Known>>,
    /// Request ids that were declared void.
    pub fences: BTreeSet<(String, String)>,
    /// Holds that nobody has ended, with when they run out.
    pub open: BTreeMap<SettlementId, i64>,
    pub closes: BTreeMap<(RegionCode, i16), Closing>,
    /// Accounts that a region's close has closed: where, with what interest.
    pub closed: BTreeMap<(RegionCode, i16, MemberId), (u64, i64)>,
    /// Everybody who was ever insured in a region, in order of the rows.
    pub insured: BTreeMap<RegionCode, Vec<(u64, MemberId)>>,
    pub days: BTreeMap<Job, Date>,
}

/// How far a region's close has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Closing {
    pub round: u32,
    pub after: u64,
    pub until: u64,
    pub is_open: bool,
    /// Closed, without, refused, interest.
    pub tally: [i64; 4],
    /// Where it was begun, and where it was noted last.
    pub began_at: u64,
    pub noted_at: u64,
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
    pub fence: Option<(String, String)>,
    pub close: Option<((RegionCode, i16), Closing)>,
    pub closed: Option<((RegionCode, i16, MemberId), i64)>,
    pub day: Option<(Job, Date)>,
    /// What each contribution got back, or paid again, by its place.
    pub returned: Vec<(u16, i64)>,
    /// It is an answer and no change.
    pub is_look: bool,
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
            fence: None,
            close: None,
            closed: None,
            day: None,
            returned: Vec::new(),
            is_look: false,
        }
    }

    fn look(reply: Reply) -> Self {
        Self { reply, is_look: true, ..Self::new() }
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
    Fresh(Box<Draft>),
    /// An answer, and no change.
    Look(Reply),
    /// The outcome that the id had, at this position.
    Repeat(Reply, u64),
    No(No),
}

impl Model {
    /// What a call must come to now. A hold that has run out is gone, whether somebody has ended it or not.
    pub fn decide(&self, world: &World, op: &Op, turn: Turn) -> Decided {
        match self.without_due(&op.what, turn) {
            Some(later) => later.decide_here(world, op, turn),
            None => self.decide_here(world, op, turn),
        }
    }

    fn decide_here(&self, world: &World, op: &Op, turn: Turn) -> Decided {
        if !op.is_question() {
            let key = (op.scope(), op.id.clone());
            if self.fences.contains(&key) {
                return Decided::No(refused(&[Reason::RequestFenced]));
            }
            if let Some(known) = self.known.get(&key) {
                return if known.op.same_content(op) {
                    Decided::Repeat(known.reply.clone(), known.position)
                } else {
                    Decided::No("REUSED".to_owned())
                };
            }
        }
        match self.act(world, op, turn) {
            Ok(draft) if draft.is_look => Decided::Look(draft.reply),
            Ok(draft) => Decided::Fresh(Box::new(draft)),
            Err(no) => Decided::No(no),
        }
    }

    pub fn apply(&mut self, op: &Arc<Op>, draft: Draft, position: u64) {
        let reply = draft.reply.clone();
        self.take_in(draft, position);
        Arc::make_mut(&mut self.known).insert((op.scope(), op.id.clone()), Known { op: op.clone(), reply, position });
    }

    fn take_in(&mut self, draft: Draft, position: u64) {
        let Draft { who, bindings, quotas, transfers, settlements, aid, sent, fence, close, closed, day, .. } = draft;
        self.numbers.extend(who.iter().map(|(id, who)| (who.number, *id)));
        for (id, mut who) in who {
            let region = who.insurance.region;
            if self.who.get(&id).is_none_or(|before| before.insurance.region != region) {
                who.moved_at = position;
                self.insured.entry(region).or_default().push((position, id));
            }
            self.who.insert(id, who);
        }
        self.bindings.extend(bindings);
        self.quotas.extend(quotas);
        self.transfers.extend(transfers);
        for (id, mut settled) in settlements {
            if let Some(hold) = settled.hold.as_mut().filter(|hold| hold.at == 0) {
                hold.at = position;
            }
            self.open.remove(&id);
            self.open.extend(settled.hold.filter(|hold| hold.now == Life::Open).map(|hold| (id, hold.expires)));
            self.settlements.insert(id, Arc::new(settled));
        }
        self.aid.extend(aid);
        self.sent.extend(sent);
        self.fences.extend(fence);
        if let Some((of, mut close)) = close {
            close.noted_at = position;
            if close.began_at == 0 {
                close.began_at = position;
            }
            self.closes.insert(of, close);
        }
        self.closed.extend(closed.map(|(of, interest)| (of, (position, interest))));
        if let Some((job, day)) = day {
            let known = self.days.entry(job).or_insert(day);
            *known = day.max(*known);
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
        who.turn(today);
        let mut purse = who.purse.unwrap_or((today.year(), [0; 3]));
        purse.1[place(bucket)] += fen;
        who.purse = Some(purse);
        purse
    }
}

impl Who {
    /// The year turns, and what its end found is kept for its close.
    pub fn turn(&mut self, today: Date) {
        while let Some((year, [current, prior, wallet])) = self.purse.filter(|purse| purse.0 < today.year()) {
            // Held money has not been paid: it is there when the year ends, wherever it lies.
            let mut end = [current, prior];
            for (bucket, of, fen) in self.held.values().flatten().filter(|part| part.1 <= year) {
                match bucket {
                    Bucket::CurrentYear if *of == year => end[0] += fen,
                    Bucket::CurrentYear | Bucket::PriorYears => end[1] += fen,
                    Bucket::Wallet => {}
                }
            }
            self.ended.insert(year, end);
            self.purse = Some((year + 1, [0, current + prior, wallet]));
        }
    }
}

impl Aside {
    pub fn turned(&self, today: Date) -> Self {
        let mut turned = self.clone();
        while today.year() > turned.year {
            if turned.left() > 0 {
                turned.ended.insert(turned.year, turned.money);
            }
            turned.year += 1;
            turned.money = [0, turned.left()];
        }
        turned
    }

    /// It is given up: what its years' ends found joins what the owner's account keeps.
    pub fn give_up(&mut self, owner: &mut Who) {
        self.spell = 0;
        for (year, [current, prior]) in std::mem::take(&mut self.ended) {
            let end = owner.ended.entry(year).or_default();
            *end = [end[0] + current, end[1] + prior];
        }
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
