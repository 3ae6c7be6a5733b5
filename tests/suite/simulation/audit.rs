//! The auditor: looks at every change that the store took, first by itself (positions, chain, money, lists), then against
//! what the model says it had to be, then at the facts it left behind. Each check is a law with a name.

use std::collections::{BTreeMap, BTreeSet};

use gongji::domain::bill::BillContent;
use gongji::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, RequestId, SettlementId, TransferId};
use gongji::domain::posting::{Party, Posting};
use gongji::domain::record::{Event, Record};
use gongji::domain::settlement::SettlementState;
use gongji::domain::settlement::hold::HoldEnd;
use gongji::domain::time::{Moment, day_number};
use gongji::domain::vocabulary::{Bucket, Mode};
use gongji::domain::wallet::TransferState;
use gongji::domain::year_use::UseOf;
use gongji::grpc::proto::RecordKind;
use gongji::ledger::fingerprint::Keys;
use gongji::ledger::resolve::Original;
use gongji::store::record::decode_record;
use gongji::store::{Change, Committed, Entity, Head, Key, ListKey, ListRow, Store, StoredRecord};
use sha2::{Digest, Sha256};

use super::model::split::so_far;
use super::model::{Closing, Draft, Life, Model, Move, Of, Turn, bucket_now, law, turned};
use super::op::{Bought, Op, Reply, What, told};
use super::stage::{Checked, broken};
use super::store::at_once;
use super::world::World;
use crate::store::HeadNow;

/// What each contribution of a settlement paid, and what of it came back.
type Paid = Vec<(MemberId, Option<BindingId>, Bucket, i16, i64, i64)>;

#[derive(Clone)]
pub struct Audit {
    pub head: Head,
    /// What the postings sum to, for every party.
    pub balances: BTreeMap<Party, i64>,
    /// The year in which a holder's money was last touched.
    years: BTreeMap<Party, i16>,
    ids: BTreeSet<u128>,
    paid: BTreeMap<SettlementId, Paid>,
    lists: BTreeMap<ListKey, Vec<ListRow>>,
    /// What the feed has to tell of each record, the first first.
    pub feed: Vec<About>,
}

/// A record as a consumer of the feed may know it.
#[derive(Clone)]
pub struct About {
    pub link: [u8; 32],
    pub kind: RecordKind,
    pub members: BTreeSet<MemberId>,
    pub institutions: BTreeSet<InstitutionCode>,
    /// Of its money, and where its members are insured, or were until it.
    pub regions: BTreeSet<RegionCode>,
}

impl Default for Audit {
    fn default() -> Self {
        let (balances, years, ids) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (paid, lists, feed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { head: Head::EMPTY, balances, years, ids, paid, lists, feed }
    }
}

/// A change as it was taken.
pub struct Looked {
    pub record: Record,
    pub position: u64,
    pub now: Moment,
    /// The id that it made.
    new_id: Option<u128>,
    /// Its movements but for turns of the year.
    moves: Vec<Move>,
}

/// Whose facts a change wrote.
pub struct Touched {
    members: BTreeSet<MemberId>,
    quotas: Vec<BindingId>,
    transfers: Vec<TransferId>,
    pairs: Vec<(MemberId, MemberId)>,
    settlements: Vec<SettlementId>,
    fence: Option<(String, String)>,
}

impl Touched {
    pub fn of(draft: &Draft) -> Self {
        Self {
            members: draft.who.keys().copied().collect(),
            quotas: draft.quotas.keys().copied().collect(),
            transfers: draft.transfers.keys().copied().collect(),
            pairs: draft.aid.keys().copied().collect(),
            settlements: draft.settlements.keys().copied().collect(),
            fence: draft.fence.clone(),
        }
    }
}

fn holds(party: &Party) -> bool {
    matches!(party, Party::Bucket(..) | Party::Quota(..) | Party::Transfer(_) | Party::Hold(_))
}

fn new_id(event: &Event) -> Option<u128> {
    match event {
        Event::MemberCreated { member } => Some(member.id.as_u128()),
        Event::BindingCreated { binding, .. } => Some(binding.id.as_u128()),
        Event::Settled(settled) | Event::Held { settled, .. } => Some(settled.id.as_u128()),
        Event::Transferred { transfer, .. } | Event::TransferSent { transfer, .. } => Some(transfer.id.as_u128()),
        _ => None,
    }
}

/// Current-year money of one holder that becomes its prior-year money.
fn is_turn(posting: &Posting) -> bool {
    match (&posting.from, &posting.to) {
        (Party::Bucket(one, Bucket::CurrentYear), Party::Bucket(two, Bucket::PriorYears)) => one == two,
        (Party::Quota(one, Bucket::CurrentYear), Party::Quota(two, Bucket::PriorYears)) => one == two,
        _ => false,
    }
}

impl Audit {
    /// Position, time, content and chain.
    pub fn record(
        &mut self,
        change: &Change,
        now: Moment,
        done: Committed,
        stored: Option<&StoredRecord>,
    ) -> Result<Looked, super::stage::Broken> {
        let position = self.head.position + 1;
        let Some(stored) = stored.filter(|stored| stored.position == done.position && done.position == position) else {
            return broken("positions are gapless", format!("{done:?} after {}", self.head.position));
        };
        if stored.at != done.at || done.at != now.max(self.head.at) {
            return broken("time never runs backwards", format!("{done:?} at {now:?} after {:?}", self.head.at));
        }
        let content: [u8; 32] = Sha256::digest(&stored.bytes).into();
        if content != stored.content_hash || stored.bytes != change.record {
            return broken("a record is what its hash says", format!("record {position}"));
        }
        let mut link = Sha256::new();
        link.update(b"gongji-sha256-1");
        link.update(self.head.link);
        link.update(position.to_be_bytes());
        link.update(done.at.as_micros().to_be_bytes());
        link.update(content);
        if stored.link != <[u8; 32]>::from(link.finalize()) {
            return broken("each record is linked to the one before", format!("record {position}"));
        }
        self.head = Head { position, link: stored.link, at: done.at };
        let Ok(record) = decode_record(&stored.bytes) else { return broken("a record can be read", "it cannot") };
        let new_id = new_id(&record.event);
        let of = |posting: &Posting| (posting.from.clone(), posting.to.clone(), posting.amount.as_fen());
        let mut moves: Vec<Move> = record.postings.iter().filter(|posting| !is_turn(posting)).map(of).collect();
        moves.sort();
        Ok(Looked { record, position, now, new_id, moves })
    }

    /// The bureau's own change, where it is one, under its own request id.
    pub fn job_of(looked_at: &Looked, of: &What, model: &Model) -> Option<Op> {
        let (id, what) = match (&looked_at.record.event, of) {
            (Event::TransferReturned { transfer, .. }, _) => {
                (format!("return-unclaimed:{}", transfer.id), What::Return { transfer: transfer.id })
            }
            (Event::HoldEnded { settlement, how: HoldEnd::Expired, .. }, _) => {
                (format!("end-holds:{settlement}"), What::EndHold { settlement: *settlement })
            }
            (
                Event::YearClosed { after, .. },
                What::CloseStep { region, year, .. } | What::CloseOne { region, year, .. },
            ) => {
                let (member, region, year) = (after.member, *region, *year);
                (format!("close-year:{region}:{year}:{member}"), What::CloseOne { member, region, year })
            }
            (Event::YearCloseAdvanced { close }, _) => {
                let (region, year, tally) = (close.region, close.year, close.tally);
                let count = |number: u64| i64::try_from(number).expect("few");
                let to = Closing {
                    round: close.round,
                    after: close.after,
                    until: close.until,
                    is_open: close.is_open(),
                    tally: [count(tally.closed), count(tally.without), count(tally.refused), tally.interest.as_fen()],
                    ..Closing::default()
                };
                let from = model.closes.get(&(region, year)).map_or(0, |close| close.after);
                let id = format!("close-year:{region}:{year}:{}:{from}-{}", close.round, close.after);
                (id, What::Advance { region, year, to })
            }
            (Event::JobDone { job, day, .. }, _) => {
                (format!("{}:{day}", job.name()), What::DayDone { job: *job, day: *day })
            }
            _ => return None,
        };
        Some(Op { id, what })
    }

    /// Nothing that is decided rests on a hold that has run out by then; what ends one does.
    pub fn instants(model: &Model, change: &Change, done: Committed, op: &Op) -> Checked {
        if matches!(op.what, What::EndHold { .. }) {
            return Ok(());
        }
        for (key, _) in &change.expects {
            let seen = match key {
                Key::Standing(id) => model.who.get(id).map_or(&[][..], |who| &who.holds),
                Key::Settlement(id) => std::slice::from_ref(id),
                _ => &[],
            };
            for hold in seen {
                if model.open.get(hold).is_some_and(|expires| *expires <= done.at.as_micros()) {
                    return broken(
                        "a hold ends at its instant",
                        format!("{hold} was seen open at {:?}: {op:?}", done.at),
                    );
                }
            }
        }
        Ok(())
    }

    /// The id that a record made.
    pub fn new_id_of(record: &[u8]) -> Option<u128> {
        new_id(&decode_record(record).ok()?.event)
    }

    pub fn new_id(&mut self, looked_at: &Looked, drawn: u128) -> Checked {
        let Some(id) = looked_at.new_id else { return Ok(()) };
        if id != drawn || !self.ids.insert(id) {
            return broken("a name is given once", format!("{id:x} was given before, or is not the one drawn"));
        }
        Ok(())
    }

    /// The postings by themselves.
    pub fn money(&mut self, looked_at: &Looked) -> Checked {
        let year = looked_at.now.civil_day().year();
        let mut touched = Vec::new();
        for posting in &looked_at.record.postings {
            let fen = posting.amount.as_fen();
            if fen <= 0 {
                return broken("money moves forward", format!("{posting:?}"));
            }
            if is_turn(posting) {
                let all = self.balances.get(&posting.from).copied().unwrap_or_default();
                let last = self.years.get(&posting.from).copied().unwrap_or(i16::MIN);
                if fen != all || last >= year {
                    return broken(
                        "the year turns once, with all there is",
                        format!("{posting:?}, of {all}, in {last}"),
                    );
                }
            }
            let sides = [(&posting.from, -fen, posting.from_after), (&posting.to, fen, posting.to_after)];
            for (party, change, after) in sides {
                let balance = self.balances.entry(party.clone()).or_default();
                *balance += change;
                if !holds(party) {
                    continue;
                }
                if *balance < 0 {
                    return broken("no balance is below zero", format!("{party}: {balance}"));
                }
                if after.map(|after| after.as_fen()) != Some(*balance) {
                    return broken(
                        "the balance after a posting is right",
                        format!("{party}: {after:?}, sum {balance}"),
                    );
                }
                touched.push(party.clone());
            }
        }
        for party in touched {
            // A holder's years turn together, whichever of its parts is touched.
            for bucket in Bucket::ALL {
                let part = match &party {
                    Party::Bucket(member, _) => Party::Bucket(*member, *bucket),
                    Party::Quota(binding, _) => Party::Quota(*binding, *bucket),
                    other => other.clone(),
                };
                self.years.insert(part, year);
            }
        }
        Ok(())
    }

    /// What bills and refunds must be by themselves, whatever was asked.
    pub fn alone(&mut self, looked_at: &Looked) -> Checked {
        match &looked_at.record.event {
            Event::Settled(settled) => {
                let is = told(&settled.amounts, &settled.contributions, &[]);
                let received = self.flow(looked_at, false);
                if received != is.split[0] {
                    return broken("an institution receives the whole bill", format!("{received} of {}", is.split[0]));
                }
                self.pays(settled.id, &is)
            }
            Event::Held { settled, .. } => {
                let is = told(&settled.amounts, &settled.contributions, &[]);
                let held = self.balances.get(&Party::Hold(settled.id)).copied().unwrap_or_default();
                if held != is.own + is.aid || self.flow(looked_at, false) != 0 {
                    return broken("a hold holds what accounts would pay", format!("{held}: {is:?}"));
                }
                self.pays(settled.id, &is)
            }
            Event::HoldConfirmed { settlement, amounts, contributions, returned } => {
                let is = told(amounts, contributions, &[]);
                let held = self.balances.get(&Party::Hold(*settlement)).copied().unwrap_or_default();
                if held != 0 {
                    return broken("nothing stays in a hold that has ended", format!("{held} in {settlement}"));
                }
                let received = self.flow(looked_at, false);
                if received != is.split[0] {
                    return broken("an institution receives the whole bill", format!("{received} of {}", is.split[0]));
                }
                let back = returned.iter().map(|(_, fen)| fen.as_fen()).sum();
                self.came_back(looked_at, *settlement, back, returned)?;
                // What is left is what was paid.
                let Some(before) = self.paid.insert(*settlement, Vec::new()) else { return Ok(()) };
                let mut taken: Vec<i64> = before.iter().map(|paid| paid.4 - paid.5).filter(|fen| *fen > 0).collect();
                let mut told: Vec<i64> = is.paid.iter().map(|paid| paid.5).collect();
                taken.sort_unstable();
                told.sort_unstable();
                if taken != told {
                    return broken("what is taken and what goes back is what was held", format!("{taken:?}: {is:?}"));
                }
                self.pays(*settlement, &is)
            }
            Event::HoldEnded { settlement, returned, .. } => {
                let held = self.balances.get(&Party::Hold(*settlement)).copied().unwrap_or_default();
                if held != 0 {
                    return broken("nothing stays in a hold that has ended", format!("{held} in {settlement}"));
                }
                let back = returned.iter().map(|(_, fen)| fen.as_fen()).sum();
                self.came_back(looked_at, *settlement, back, returned)
            }
            Event::Refunded { settlement, parts, returned, .. } => {
                let parts = super::op::parts(parts);
                let given: i64 = self.flow(looked_at, true);
                if given != parts.iter().sum::<i64>() {
                    return broken("an institution gives back what is refunded", format!("{given} of {parts:?}"));
                }
                self.came_back(looked_at, *settlement, parts[2], returned)
            }
            Event::RefundReversed { settlement, parts, taken, .. } => {
                let parts = super::op::parts(parts);
                let received: i64 = self.flow(looked_at, false);
                let of_accounts: i64 = taken.iter().map(|(_, fen)| fen.as_fen()).sum();
                if received != parts.iter().sum::<i64>() || of_accounts != parts[2] {
                    return broken("a refund is put back as it was", format!("{received}, {of_accounts} of {parts:?}"));
                }
                for (place, fen) in taken {
                    let paid = self.paid.get_mut(settlement).and_then(|paid| paid.get_mut(usize::from(*place)));
                    let Some(paid) = paid.filter(|paid| paid.5 >= fen.as_fen()) else {
                        return broken("a refund is put back as it was", format!("{fen:?} of place {place}"));
                    };
                    paid.5 -= fen.as_fen();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The sums of a bill, and who pays how much from now on.
    fn pays(&mut self, id: SettlementId, is: &super::op::Told) -> Checked {
        let [total, _, _, _, _, _, fund, hospital, _] = is.split;
        if total != fund + hospital + is.own + is.aid + is.cash {
            return broken("total = fund + hospital + own + aid + cash", format!("{is:?}"));
        }
        let paid: i64 = is.paid.iter().map(|paid| paid.5).sum();
        if paid != is.own + is.aid {
            return broken("contributions are what accounts paid", format!("{is:?}"));
        }
        let of = |paid: &super::op::Paid| (paid.0, paid.1, paid.3, paid.4, paid.5, 0);
        self.paid.insert(id, is.paid.iter().map(of).collect());
        Ok(())
    }

    /// What bills and refunds had to be, part by part.
    pub fn settlement(
        &self,
        world: &World,
        model: &Model,
        op: &Op,
        looked_at: &Looked,
        draft: &Draft,
        turn: Turn,
    ) -> Checked {
        let returned = match &looked_at.record.event {
            Event::Settled(settled) | Event::Held { settled, .. } => {
                return self.settled(world, model, op, settled, draft, turn);
            }
            Event::HoldConfirmed { contributions, amounts, .. } => {
                let (Reply::Confirmed { told: meant, .. }, is) = (&draft.reply, told(amounts, contributions, &[]))
                else {
                    return broken("what is done is what was asked", "a confirmation");
                };
                return match is == *meant {
                    true => Ok(()),
                    false => broken("a confirmation takes what was held, in order", format!("{is:#?}\nfor {meant:#?}")),
                };
            }
            Event::Refunded { returned, .. } | Event::HoldEnded { returned, .. } => returned,
            Event::RefundReversed { taken, .. } => taken,
            Event::YearClosed { interest, .. } => {
                let Reply::Closed { interest: meant, .. } = draft.reply else {
                    return broken("what is done is what was asked", "a year");
                };
                return match interest.as_fen() == meant {
                    true => Ok(()),
                    false => broken("a year bears its interest", format!("{interest} for {meant}")),
                };
            }
            _ => return Ok(()),
        };
        let is: Vec<(u16, i64)> = returned.iter().map(|(place, fen)| (*place, fen.as_fen())).collect();
        if is != draft.returned {
            return broken("last drawn goes back first", format!("{is:?} for {:?}", draft.returned));
        }
        Ok(())
    }

    /// What went to institutions, or came from them.
    fn flow(&self, looked_at: &Looked, back: bool) -> i64 {
        let of = |moved: &&Move| matches!(if back { &moved.0 } else { &moved.1 }, Party::Institution(_));
        looked_at.moves.iter().filter(of).map(|(_, _, fen)| fen).sum()
    }

    fn settled(
        &self,
        world: &World,
        model: &Model,
        op: &Op,
        settled: &gongji::domain::record::Settled,
        draft: &Draft,
        turn: Turn,
    ) -> Checked {
        let is = told(&settled.amounts, &settled.contributions, &[]);
        let (
            Reply::Settled { told: meant, .. } | Reply::Held { told: meant, .. },
            What::Settle(bought, _) | What::Hold(bought, ..),
        ) = (&draft.reply, &op.what)
        else {
            return broken("what is done is what was asked", "a settlement");
        };
        self.bounds(world, model, settled, &is, bought, turn)?;
        if is.split[6] != meant.split[6] {
            return broken("the fund pays its part", format!("{} for {}", is.split[6], meant.split[6]));
        }
        if is.split != meant.split {
            return broken("a bill is divided by the rules", format!("{:?} for {:?}", is.split, meant.split));
        }
        if is.own != meant.own {
            return broken("the own account pays its part", format!("{} for {}", is.own, meant.own));
        }
        let payers = |told: &super::op::Told| told.paid.iter().map(|paid| (paid.0, paid.1)).collect::<Vec<_>>();
        if payers(&is) != payers(meant) {
            return broken(
                "owners pay in the region's order",
                format!("{:?}\nfor {:?}, without {:?}\n{op:?}", is.paid, meant.paid, meant.excluded),
            );
        }
        let buckets = |told: &super::op::Told| told.paid.iter().map(|paid| paid.3).collect::<Vec<_>>();
        if buckets(&is) != buckets(meant) {
            return broken("buckets are drawn in their order", format!("{:#?}\nfor {:#?}", is.paid, meant.paid));
        }
        let years = |told: &super::op::Told| told.paid.iter().map(|paid| paid.4).collect::<Vec<_>>();
        if years(&is) != years(meant) {
            return broken("money keeps its year", format!("{:?} for {:?}", years(&is), years(meant)));
        }
        if is.paid != meant.paid || is.cash != meant.cash {
            return broken("each pays what the rules say", format!("{is:#?}\nfor {meant:#?}"));
        }
        Ok(())
    }

    /// Floors, caps and limits, from the values alone.
    fn bounds(
        &self,
        world: &World,
        model: &Model,
        settled: &gongji::domain::record::Settled,
        is: &super::op::Told,
        bought: &Bought,
        turn: Turn,
    ) -> Checked {
        let (today, day) = (turn.today(), bought.visit.date);
        let by_lines = matches!(bought.bill.content, BillContent::Lines(_));
        let rules = world.rules(settled.region, day);
        let who = &model.who[&settled.patient];
        let capped = &rules.fund_year_cap_purposes;
        let used = so_far(&who.years, &bought.visit, &who.insurance, capped);
        let counts = by_lines && is.split[6] > 0 && (capped.is_empty() || capped.contains(&bought.visit.purpose));
        if rules.fund_year_cap.is_some_and(|cap| counts && used[1] + is.split[6] > cap.as_fen()) {
            return broken("the fund keeps its cap for a year", format!("{} after {}", is.split[6], used[1]));
        }
        for (owner, binding, relation, _, _, _, _) in &is.paid {
            if relation.is_none() {
                continue;
            }
            let of_owner = |paid: &&super::op::Paid| paid.0 == *owner && paid.2.is_some();
            let sum: i64 = is.paid.iter().filter(of_owner).map(|paid| paid.5).sum();
            let rules = model.rules(world, *owner, day);
            let by_quota = binding.is_some_and(|id| model.live_quota(id, today).is_some());
            let held = |bucket| self.balances.get(&Party::Bucket(*owner, bucket)).copied().unwrap_or_default();
            let stays = held(Bucket::CurrentYear) + held(Bucket::PriorYears);
            if !by_quota && stays < law::floor_of(rules) {
                return broken("an owner keeps the floor", format!("{stays} of {}", law::floor_of(rules)));
            }
            if let Some(tied) = binding.map(|id| &model.bindings[&id]) {
                let (on_day, in_year) = tied.used.of(today);
                let over = |cap: Option<gongji::domain::money::Money>, used: i64| {
                    cap.is_some_and(|cap| used + sum > cap.as_fen())
                };
                if over(tied.caps.per_settlement, 0)
                    || over(tied.caps.per_day, on_day)
                    || over(tied.caps.per_year, in_year)
                {
                    return broken(
                        "a binding keeps its caps",
                        format!("{sum} after {on_day} and {in_year} of {:?}", tied.caps),
                    );
                }
            }
            let (on_day, in_year) = model.aid.get(&(*owner, settled.patient)).map_or((0, 0), |used| used.of(today));
            let over = |limit: Option<gongji::domain::money::Money>, used: i64| {
                limit.is_some_and(|limit| used + sum > limit.as_fen())
            };
            if over(rules.aid_per_settlement, 0) || over(rules.aid_per_day, on_day) || over(rules.aid_per_year, in_year)
            {
                return broken("a region keeps its limits", format!("{sum} after {on_day} and {in_year}"));
            }
        }
        Ok(())
    }

    fn came_back(
        &mut self,
        looked_at: &Looked,
        id: SettlementId,
        accounts: i64,
        returned: &[(u16, gongji::domain::money::Money)],
    ) -> Checked {
        let Some(paid) = self.paid.get_mut(&id) else { return broken("a refund is of a settlement", format!("{id}")) };
        let today = looked_at.now.civil_day();
        let mut goes: BTreeMap<(MemberId, Option<BindingId>), BTreeMap<Bucket, i64>> = BTreeMap::new();
        let mut sum = 0;
        for (place, fen) in returned {
            let Some((who, binding, bucket, year, amount, back)) = paid.get_mut(usize::from(*place)) else {
                return broken("a refund is at most what was paid", "to somebody who paid nothing");
            };
            *back += fen.as_fen();
            sum += fen.as_fen();
            if *back > *amount {
                return broken("a refund is at most what was paid", format!("{back} of {amount}"));
            }
            *goes.entry((*who, *binding)).or_default().entry(bucket_now(*bucket, *year, today)).or_default() +=
                fen.as_fen();
        }
        if sum != accounts {
            return broken("an institution gives back what is refunded", format!("{sum} of {accounts}"));
        }
        let mut got: BTreeMap<Party, i64> = BTreeMap::new();
        for (_, to, fen) in looked_at.moves.iter().filter(|(_, to, _)| holds(to)) {
            *got.entry(to.clone()).or_default() += fen;
        }
        for ((who, binding), buckets) in goes {
            let whole: i64 = buckets.values().sum();
            let of = |party: &Party| match party {
                Party::Bucket(member, _) => *member == who,
                Party::Quota(id, _) => Some(*id) == binding,
                _ => false,
            };
            let back: i64 = got.iter().filter(|(party, _)| of(party)).map(|(_, fen)| fen).sum();
            if back != whole {
                return broken("a refund goes back to who paid", format!("{back} of {whole} to {who}"));
            }
            for (bucket, fen) in buckets {
                let parties = [Some(Party::Bucket(who, bucket)), binding.map(|id| Party::Quota(id, bucket))];
                let into: i64 = parties.iter().flatten().filter_map(|party| got.get(party)).sum();
                if into != fen {
                    return broken(
                        "a refund goes back to its bucket and year",
                        format!("{into} of {fen} to {bucket:?}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// The whole of what moved against the whole of what had to.
    pub fn decided(&self, looked_at: &Looked, draft: &Draft) -> Checked {
        let mut meant = draft.moves.clone();
        meant.sort();
        if looked_at.moves != meant {
            return broken("money moves as decided", format!("{:#?}\nfor {meant:#?}", looked_at.moves));
        }
        Ok(())
    }

    /// The rows of lists.
    pub fn lists(&mut self, store: &dyn Store, keys: &Keys, change: &Change, draft: &Draft, position: u64) -> Checked {
        let mut meant: Vec<(ListKey, u128)> =
            draft.rows.iter().map(|(kind, of, subject)| (list_key(*kind, of, keys), *subject)).collect();
        let mut is = change.lists.clone();
        meant.sort();
        is.sort();
        if is != meant {
            return broken("a change stands in all its lists", format!("{is:?} for {meant:?}"));
        }
        for (key, subject) in meant {
            let row = ListRow { position, subject };
            let rows = at_once(store.list(key, position - 1, position, 8)).unwrap_or_default();
            if rows != [row] {
                return broken("a change stands in all its lists", format!("{rows:?} for {row:?} of {key:?}"));
            }
            self.lists.entry(key).or_default().push(row);
        }
        Ok(())
    }

    /// What the change left behind.
    pub fn facts(
        &self,
        store: &dyn Store,
        keys: &Keys,
        model: &Model,
        op: &Op,
        looked_at: &Looked,
        touched: &Touched,
    ) -> Checked {
        let (now, position) = (looked_at.now, looked_at.position);
        let scope = op.scope();
        let request = Key::Request(keys.request(&scope, &RequestId::parse(&op.id).expect("an id")));
        let found = at_once(store.load(&[request])).map(|facts| facts.facts);
        let known = found.as_ref().ok().and_then(|facts| facts.first());
        let whose = known.and_then(|fact| match &fact.entity {
            Some(Entity::Request(request)) => Some((fact.version, request.scope.clone(), request.id.clone())),
            _ => None,
        });
        if whose != Some((position, scope, op.id.clone())) {
            return broken("a request is kept with its work", format!("{whose:?} at {position}"));
        }
        let mut members: BTreeSet<MemberId> = touched.members.clone();
        for (from, to, _) in &looked_at.moves {
            for party in [from, to] {
                if let Party::Bucket(member, _) = party {
                    members.insert(*member);
                }
            }
        }
        for member in members {
            self.member(store, model, member, now)?;
        }
        for id in &touched.quotas {
            self.quota(store, model, *id, now)?;
        }
        for id in &touched.transfers {
            self.transfer(store, model, *id)?;
        }
        for id in &touched.settlements {
            self.bill(store, model, *id)?;
        }
        if let Some((scope, id)) = &touched.fence {
            let key = Key::Request(keys.request(scope, &RequestId::parse(id).expect("an id")));
            if !matches!(Self::load(store, key), Some(Entity::Request(found)) if (&found.scope, &found.id) == (scope, id))
            {
                return broken("a fence stands where the original would", format!("{scope}/{id}"));
            }
        }
        for pair in &touched.pairs {
            let today = now.civil_day();
            let is = match Self::load(store, Key::AidUse(pair.0, pair.1)) {
                Some(Entity::AidUse(aid)) => aid.of(today),
                _ => Default::default(),
            };
            if (is.0.as_fen(), is.1.as_fen()) != model.aid[pair].of(today) {
                return broken("what a limit has used is counted", format!("{is:?} for {:?}", model.aid[pair]));
            }
        }
        Ok(())
    }

    fn load(store: &dyn Store, key: Key) -> Option<Entity> {
        at_once(store.load(&[key])).ok()?.facts.pop()?.entity
    }

    /// One person's facts, against the postings and against the model.
    pub fn member(&self, store: &dyn Store, model: &Model, id: MemberId, now: Moment) -> Checked {
        let today = now.civil_day();
        let Some(Entity::Standing(standing)) = Self::load(store, Key::Standing(id)) else {
            return broken("what was decided is stored", format!("{id} has no standing"));
        };
        let folded = Bucket::ALL
            .iter()
            .map(|bucket| self.balances.get(&Party::Bucket(id, *bucket)).copied().unwrap_or_default());
        let folded: Vec<i64> = folded.collect();
        let account = standing.account.as_ref().map(super::op::purse);
        if account.map_or([0; 3], |purse| purse.1).as_slice() != folded {
            return broken("a fact holds what its postings sum to", format!("{id}: {account:?}, sums {folded:?}"));
        }
        let who = &model.who[&id];
        let meant = who.purse.map(|purse| turned(purse, today));
        if account.map(|purse| turned(purse, today)) != meant {
            return broken("what was decided is stored", format!("{id}: {account:?} for {meant:?}"));
        }
        if standing.member.insurance != who.insurance {
            return broken(
                "what was decided is stored",
                format!("{:?} for {:?}", standing.member.insurance, who.insurance),
            );
        }
        let is = standing.years.iter().map(|(of, used)| (*of, [used.deductible.as_fen(), used.fund.as_fen()]));
        let is: BTreeMap<UseOf, [i64; 2]> = is.collect();
        let meant: BTreeMap<UseOf, [i64; 2]> =
            who.years.iter().filter(|(_, used)| **used != [0; 2]).map(|(of, used)| (*of, *used)).collect();
        if is != meant {
            return broken("the use of a year is counted", format!("{is:?} for {meant:?}"));
        }
        let marks: Vec<(SettlementId, i64)> =
            standing.holds.iter().map(|mark| (mark.settlement, mark.expires.as_micros())).collect();
        let meant: Vec<(SettlementId, i64)> = who.holds.iter().map(|id| (*id, model.open[id])).collect();
        if marks != meant {
            return broken("a hold is marked with its people", format!("{id}: {marks:?} for {meant:?}"));
        }
        let mut turning = who.clone();
        turning.turn(today);
        let mut account = standing.account.clone();
        account.iter_mut().for_each(|account| account.turn_year(today, &standing.holds, &mut Vec::new()));
        let ended = account.map(|account| account.ended).unwrap_or_default();
        let ended: BTreeMap<i16, [i64; 2]> =
            ended.iter().map(|end| (end.year, [end.current.as_fen(), end.prior.as_fen()])).collect();
        if ended != turning.ended {
            return broken("a year's end is kept until its close", format!("{id}: {ended:?} for {:?}", turning.ended));
        }
        let slips = match Self::load(store, Key::Slips(id)) {
            Some(Entity::Slips(slips)) => {
                slips.slips.iter().map(|slip| (slip.owner, ((slip.first, slip.uses), slip.bound))).collect()
            }
            _ => BTreeMap::new(),
        };
        // What counts no more is of no day.
        let counted = |(first, uses): (jiff::civil::Date, u32)| (uses > 0).then_some((first, uses));
        let is: BTreeMap<MemberId, _> =
            slips.into_iter().map(|(owner, (slip, bound))| (owner, (counted(slip), bound))).collect();
        let bound = |owner: &MemberId| who.regularised.get(owner).copied();
        let meant: BTreeMap<MemberId, _> =
            who.slips.iter().map(|(owner, slip)| (*owner, (counted(*slip), bound(owner)))).collect();
        if is != meant {
            return broken("what was decided is stored", format!("slips {is:?} for {meant:?}"));
        }
        let ties: Vec<BindingId> = standing.family.ties.iter().map(|tie| tie.binding).collect();
        if ties != who.ties {
            return broken("what was decided is stored", format!("ties {ties:?} for {:?}", who.ties));
        }
        for tie in &standing.family.ties {
            let tied = &model.bindings[&tie.binding];
            if (tie.start, tie.last_day, tie.priority) != (tied.start, tied.ends(), tied.priority) {
                return broken("what was decided is stored", format!("{tie:?} for {tied:?}"));
            }
            let used = if tied.caps.is_none() { (0, 0) } else { tied.used.of(today) };
            let is = match tie.used_on {
                Some(on) if on == today => (tie.used_day.as_fen(), tie.used_year.as_fen()),
                Some(on) if on.year() == today.year() => (0, tie.used_year.as_fen()),
                _ => (0, 0),
            };
            if is != used {
                return broken("what a cap has used is counted", format!("{is:?} for {used:?} of {}", tie.binding));
            }
        }
        let wards = match Self::load(store, Key::Wards(id)) {
            Some(Entity::Wards(wards)) => wards.bindings.iter().map(|ward| ward.binding).collect(),
            _ => Vec::new(),
        };
        if wards != who.wards {
            return broken("what was decided is stored", format!("wards {wards:?} for {:?}", who.wards));
        }
        Ok(())
    }

    /// A settlement or hold as it stands.
    fn bill(&self, store: &dyn Store, model: &Model, id: SettlementId) -> Checked {
        let Some(Entity::Settlement(settlement)) = Self::load(store, Key::Settlement(id)) else {
            return broken("what was decided is stored", format!("{id} is no settlement"));
        };
        let meant = &model.settlements[&id];
        let folded = self.balances.get(&Party::Hold(id)).copied().unwrap_or_default();
        if settlement.held().as_fen() != folded {
            return broken("a fact holds what its postings sum to", format!("{id} holds {folded}"));
        }
        // Who was left out, and in which order, is told by the answer.
        let is = told(&settlement.amounts, &settlement.contributions, &[]);
        let paid = super::op::Told { excluded: Vec::new(), ..meant.told.clone() };
        let state = match meant.hold.map(|hold| hold.now) {
            Some(Life::Open) => SettlementState::Held,
            Some(Life::Released) => SettlementState::Released,
            Some(Life::Expired) => SettlementState::Expired,
            _ if meant.is_gone() => SettlementState::Refunded,
            _ if meant.back.iter().sum::<i64>() > 0 => SettlementState::PartiallyRefunded,
            _ => SettlementState::Confirmed,
        };
        let expires = settlement.hold.as_ref().map(|hold| hold.expires.as_micros());
        let hold = (settlement.state(), expires, settlement.reversed_by.as_str());
        if is != paid || hold != (state, meant.hold.map(|hold| hold.expires), meant.reversed_by.as_str()) {
            return broken("what was decided is stored", format!("{hold:?} {is:#?}\nfor {state:?} {meant:#?}"));
        }
        Ok(())
    }

    fn quota(&self, store: &dyn Store, model: &Model, id: BindingId, now: Moment) -> Checked {
        let Some(Entity::Quota(quota)) = Self::load(store, Key::Quota(id)) else {
            return broken("what was decided is stored", format!("{id} has no quota"));
        };
        let folded = |bucket| self.balances.get(&Party::Quota(id, bucket)).copied().unwrap_or_default();
        let is = [quota.current.as_fen(), quota.prior.as_fen()];
        if is != [folded(Bucket::CurrentYear), folded(Bucket::PriorYears)] {
            return broken("a fact holds what its postings sum to", format!("quota of {id}: {is:?}"));
        }
        let meant = model.quotas[&id].turned(now.civil_day());
        let stands = quota.as_of(now.civil_day());
        if ([stands.current.as_fen(), stands.prior.as_fen()], stands.is_live()) != (meant.money, meant.spell > 0) {
            return broken("what was decided is stored", format!("{quota:?} for {meant:?}"));
        }
        let ended = stands.ended.iter().map(|end| (end.year, [end.current.as_fen(), end.prior.as_fen()]));
        let ended: BTreeMap<i16, [i64; 2]> = ended.collect();
        if ended != meant.ended {
            return broken("a year's end is kept until its close", format!("{ended:?} for {:?} of {id}", meant.ended));
        }
        Ok(())
    }

    fn transfer(&self, store: &dyn Store, model: &Model, id: TransferId) -> Checked {
        let Some(Entity::Transfer(sent)) = Self::load(store, Key::Transfer(id)) else {
            return broken("what was decided is stored", format!("{id} is no transfer"));
        };
        let folded = self.balances.get(&Party::Transfer(id)).copied().unwrap_or_default();
        if sent.pending().as_fen() != folded {
            return broken("a fact holds what its postings sum to", format!("{sent:?}: {folded}"));
        }
        let taken = match sent.state {
            TransferState::Pending => None,
            TransferState::Claimed => Some(true),
            TransferState::Returned => Some(false),
        };
        if taken != model.transfers[&id].taken {
            return broken("what was decided is stored", format!("{sent:?}"));
        }
        Ok(())
    }

    /// Everything at once, at the end and after every restart: every fact, every list, and that no money was made or lost.
    pub fn whole(&self, store: &dyn Store, model: &Model, now: Moment) -> Checked {
        if store.head_now() != self.head {
            return broken("what was answered survives", format!("{:?} for {:?}", store.head_now(), self.head));
        }
        let mut held = 0;
        for id in model.who.keys() {
            self.member(store, model, *id, now)?;
            held += model.who[id].purse.map_or(0, |purse| purse.1.iter().sum());
        }
        for id in model.quotas.keys() {
            self.quota(store, model, *id, now)?;
            held += model.quotas[id].left();
        }
        for (id, sent) in &model.transfers {
            self.transfer(store, model, *id)?;
            held += if sent.taken.is_none() { sent.fen } else { 0 };
        }
        for (id, settled) in &model.settlements {
            self.bill(store, model, *id)?;
            held += if settled.is_open() { settled.told.own + settled.told.aid } else { 0 };
        }
        for ((region, year), meant) in &model.closes {
            let Some(Entity::YearClose(close)) = Self::load(store, Key::YearClose(*region, *year)) else {
                return broken("what was decided is stored", format!("{region} {year} is not being closed"));
            };
            if (close.round, close.after, close.until, close.is_open())
                != (meant.round, meant.after, meant.until, meant.is_open)
            {
                return broken("what was decided is stored", format!("{close:?} for {meant:?}"));
            }
        }
        let outside: i64 = self.balances.iter().filter(|(party, _)| !holds(party)).map(|(_, fen)| fen).sum();
        if held + outside != 0 {
            return broken("no money is made or lost", format!("{held} held, {outside} outside"));
        }
        for (key, rows) in &self.lists {
            let is = at_once(store.list(*key, 0, u64::MAX, usize::MAX)).unwrap_or_default();
            if is != *rows {
                return broken("a list is what the ledger says", format!("{key:?}: {is:?} for {rows:?}"));
            }
        }
        Ok(())
    }
}

impl About {
    /// Whom a record is about.
    pub fn of(link: [u8; 32], looked_at: &Looked, draft: &Draft, op: &Op, model: &Model) -> Self {
        let (members, institutions, regions) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut about = Self { link, kind: kind_of(op, draft), members, institutions, regions };
        for (from, to, _) in &looked_at.moves {
            for party in [from, to] {
                match party {
                    Party::Bucket(member, _) => {
                        about.members.insert(*member);
                    }
                    Party::Institution(code) | Party::HospitalPart(code) => {
                        about.institutions.insert(code.clone());
                    }
                    Party::Fund(region) | Party::Credits(region) | Party::Interest(region) => {
                        about.regions.insert(*region);
                    }
                    Party::Cash | Party::Quota(..) | Party::Transfer(_) | Party::Hold(_) => {}
                }
            }
        }
        about.regions.extend(draft.close.iter().map(|((region, _), _)| *region));
        for settled in draft.settlements.values() {
            about.regions.insert(settled.region);
            about.members.insert(settled.patient);
            about.institutions.insert(InstitutionCode::parse(settled.institution).expect("a code"));
        }
        for id in draft.settlements.keys() {
            let before = model.settlements.get(id).map_or(&[][..], |settled| &settled.told.paid);
            let back = draft.returned.iter().filter_map(|(place, _)| before.get(usize::from(*place)));
            about.members.extend(back.map(|paid| paid.0));
        }
        if let Reply::Settled { told, .. } | Reply::Held { told, .. } | Reply::Confirmed { told, .. } = &draft.reply {
            about.members.extend(told.paid.iter().map(|paid| paid.0));
        }
        let tied = |id: &BindingId| draft.bindings.get(id).or_else(|| model.bindings.get(id));
        let mut ties: Vec<BindingId> = Vec::new();
        match (&op.what, &draft.reply) {
            (What::Bind(_) | What::Verify { .. }, Reply::Binding { id, .. })
            | (_, Reply::Unbound { id } | Reply::Quota { id, .. }) => ties.push(*id),
            (What::Reorder { beneficiary, .. }, _) => {
                about.members.insert(*beneficiary);
            }
            (_, Reply::Member { id, released, .. }) => {
                about.members.insert(*id);
                ties.extend(released);
            }
            (_, Reply::Account { id, .. } | Reply::Closed { id, .. }) => {
                about.members.insert(*id);
            }
            _ => {}
        }
        about.members.extend(ties.iter().filter_map(tied).flat_map(|tied| [tied.owner, tied.beneficiary]));
        about.members.extend(draft.transfers.values().flat_map(|sent| [sent.owner, sent.beneficiary]));
        let insured = |id| [draft.who.get(id), model.who.get(id)].into_iter().flatten();
        about.regions.extend(about.members.iter().flat_map(insured).map(|who| who.insurance.region));
        about
    }
}

/// What a record is called, by what was asked for.
fn kind_of(op: &Op, draft: &Draft) -> RecordKind {
    use RecordKind as K;
    match (&op.what, &draft.reply) {
        (What::Create { .. }, _) => K::MemberCreated,
        (What::Insure { .. }, _) => K::InsuranceUpdated,
        (What::Credit { .. }, _) => K::AccountCredited,
        (What::Bind(_), _) => K::BindingCreated,
        (What::Verify { .. }, _) => K::BindingVerified,
        (What::Reorder { .. }, _) => K::BindingsReordered,
        (What::Release { .. } | What::ReleasePair { .. }, _) => K::BindingReleased,
        (What::Quota { .. }, _) => K::QuotaSet,
        (What::OpenWallet { .. }, _) => K::WalletOpened,
        (What::Transfer { .. }, Reply::Sent { mode: Mode::WalletTransfer, .. }) => K::TransferSent,
        (What::Transfer { .. }, _) => K::FundsTransferred,
        (What::Claim { .. }, _) => K::TransferClaimed,
        (What::Return { .. }, _) => K::TransferReturned,
        (What::Settle(..), _) => K::Settled,
        (What::Hold(..), _) => K::SettlementHeld,
        (What::Confirm { .. }, _) => K::HoldConfirmed,
        (What::ReleaseHold { .. }, _) => K::HoldReleased,
        (What::EndHold { .. }, _) => K::HoldExpired,
        (What::Refund { .. }, _) => K::Refunded,
        (What::Resolve { .. }, Reply::Resolved { of: None, .. }) => K::RequestFenced,
        // Refunds alone had returned all of it.
        (What::Resolve { .. }, _) if draft.moves.is_empty() && draft.settlements.values().any(|of| of.is_gone()) => {
            K::SettlementReversed
        }
        (What::Resolve { .. }, Reply::Resolved { of: Some((Original::Hold, ..)), .. }) => K::HoldReleased,
        (What::Resolve { .. }, Reply::Resolved { of: Some((Original::Refund(_), ..)), .. }) => K::RefundReversed,
        (What::Resolve { .. }, _) => K::Refunded,
        (What::CloseAccount { .. } | What::CloseOne { .. }, _) => K::YearClosed,
        (What::BeginClose { .. }, _) => K::YearCloseStarted,
        (What::Advance { .. }, _) => K::YearCloseAdvanced,
        (What::DayDone { .. }, _) => K::JobDone,
        (What::Quote(_) | What::ReturnUnclaimed { .. } | What::Sweep | What::CloseStep { .. } | What::Many(..), _) => {
            K::Unspecified
        }
    }
}

fn list_key(kind: gongji::store::ListKind, of: &Of, keys: &Keys) -> ListKey {
    let of = match of {
        Of::Id(id) => id.to_be_bytes(),
        Of::Day(day) => u128::try_from(day_number(*day)).expect("a day of our era").to_be_bytes(),
        Of::Institution(code) => keys.institution(&InstitutionCode::parse(code).expect("a code")),
        Of::Visit(code, text) => keys.external(&InstitutionCode::parse(code).expect("a code"), "mdtrt_id", text),
    };
    ListKey { kind, of }
}
