//! What clients ask next: families, hospitals and the bureau, drawn from the dice with an eye on what there is.

use std::sync::Arc;

use gongji::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use gongji::domain::binding::Caps;
use gongji::domain::ids::{BindingId, MemberId, RegionCode};
use gongji::domain::member::Insurance;
use gongji::domain::money::{Money, Rate};
use gongji::domain::settlement::{Parts, RefundAsk};
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{
    Bucket, Category, Channel, InstitutionKind, InsuranceState, ListClass, Mode, Purpose, Scheme,
};
use gongji::ledger::members::SERVERS_DAY;
use jiff::civil::Date;

use super::many::Way;
use super::model::Model;
use super::op::{Bought, Filed, Named, Op, Quoted, What};
use super::world::{COMMITMENT, CONSENT, FACE, RELATIONS, World};
use crate::process::Dice;

pub const INSTITUTIONS: [&str; 3] = ["H001", "H002", "P003"];

/// Draws calls; the ids of one client.
pub struct Planner<'a> {
    pub dice: &'a mut Dice,
    pub model: &'a Model,
    pub world: &'a World,
    pub today: Date,
    pub people: usize,
    /// What was sent last, and by which institution; its answer may be on its way still.
    pub sent: &'a [Arc<Op>],
}

impl Planner<'_> {
    /// The next call under this id. `quote` is what the client was last quoted.
    pub fn next(&mut self, id: String, quote: Option<(Bought, Quoted)>) -> Op {
        if let Some((bought, quoted)) = quote {
            let hold = self.dice.roll(3) == 0;
            let seconds = self.seconds();
            let quoted = Some(quoted);
            return Op {
                id,
                what: if hold { What::Hold(bought, seconds, quoted) } else { What::Settle(bought, quoted) },
            };
        }
        if self.dice.roll(28) == 0 && self.model.who.len() >= 3 {
            let what = self.many(&id);
            return Op { id, what };
        }
        Op { id, what: self.what() }
    }

    /// Several calls as one: some that were sent before, now and then one twice, or an earlier id for something else.
    fn many(&mut self, id: &str) -> What {
        let way = [Way::BatchSettle, Way::BatchSettle, Way::StreamSettle, Way::ImportMembers, Way::ImportCredits]
            [self.dice.roll(5)];
        let mut items: Vec<Arc<Op>> = Vec::new();
        for number in 0..1 + self.dice.roll(5) {
            let what = match way {
                Way::BatchSettle | Way::StreamSettle => What::Settle(self.bought(), None),
                Way::ImportMembers => self.create(),
                Way::ImportCredits => self.monthly(),
            };
            let mut item = Op { id: format!("{id}-{number}"), what };
            match self.dice.roll(12) {
                0 | 1 => {
                    if let Some(earlier) = self.sent_by(way) {
                        item = earlier;
                    }
                }
                2 => {
                    if let Some(earlier) = self.sent_by(way).filter(|earlier| earlier.scope() == item.scope()) {
                        item.id = earlier.id;
                    }
                }
                3 if !items.is_empty() => item = self.dice.one_of(&items).as_ref().clone(),
                _ => {}
            }
            // Which of two of one id but other content comes first nobody promises.
            if items.iter().all(|known| known.id != item.id || **known == item) {
                items.push(Arc::new(item));
            }
        }
        What::Many(way, items)
    }

    /// One of the last calls that could have been an item of such a call.
    fn sent_by(&mut self, way: Way) -> Option<Op> {
        let fits = |op: &&Arc<Op>| match (&op.what, way) {
            (What::Settle(..), Way::BatchSettle | Way::StreamSettle) | (What::Create { .. }, Way::ImportMembers) => {
                true
            }
            // Nobody credits a wallet by the wire.
            (What::Credit { bucket, .. }, Way::ImportCredits) => *bucket != Bucket::Wallet,
            _ => false,
        };
        let back = self.dice.roll(6);
        let found = self.sent.iter().rev().take(60).filter(fits).nth(back)?;
        // A quote's token is not content, and a call of many carries none.
        let what = match &found.what {
            What::Settle(bought, _) => What::Settle(bought.clone(), None),
            other => other.clone(),
        };
        Some(Op { id: found.id.clone(), what })
    }

    fn monthly(&mut self) -> What {
        let bucket = *self.dice.one_of(&[Bucket::CurrentYear, Bucket::CurrentYear, Bucket::PriorYears]);
        let fen = self.dice.fen(9_000);
        What::Credit { who: self.named(), bucket, fen: if self.dice.roll(8) == 0 { -fen } else { fen } }
    }

    fn what(&mut self) -> What {
        if self.model.who.len() < 3 || (self.model.who.len() < self.people && self.dice.roll(4) == 0) {
            return self.create();
        }
        match self.dice.roll(137) {
            0..14 => self.credit(),
            14..24 => self.bind(),
            24..28 => self.verify(),
            28..30 => self.reorder(),
            30..33 => self.release(),
            33..39 => self.quota(),
            39..42 => What::OpenWallet { who: self.member() },
            42..49 => self.transfer(),
            49..53 => self.claim(),
            53..61 => What::Quote(self.bought()),
            61..79 => What::Settle(self.bought(), None),
            79..92 => self.refund(),
            92..95 => self.insure(),
            95 => self.create(),
            96 | 134..137 => self.night(),
            97..107 => What::Hold(self.bought(), self.seconds(), None),
            107..118 => self.end_of_hold(),
            118..128 => self.resolve(),
            128 => What::Sweep,
            129..132 => What::CloseAccount { who: self.named(), year: self.year() },
            132 => self.begin_close(),
            _ => self.close_step(),
        }
    }

    fn seconds(&mut self) -> u32 {
        [1, 40, 900, 7_200, 86_400][self.dice.roll(5)]
    }

    fn year(&mut self) -> i16 {
        self.today.year() - [1, 1, 1, 0, 2][self.dice.roll(5)]
    }

    /// Takes a hold, in whole or in part or too much, or lets it go; rather one that is open.
    fn end_of_hold(&mut self) -> What {
        let open = self.model.open.len();
        let held = match self.dice.roll(6) {
            0 => {
                let held = self.model.settlements.iter().filter(|(_, settled)| settled.hold.is_some());
                held.map(|(id, _)| *id).next_back()
            }
            1 => self.model.settlements.keys().last().copied(),
            _ => self.model.open.keys().nth(self.dice.roll(open)).copied(),
        };
        let Some(settlement) = held else { return What::Hold(self.bought(), self.seconds(), None) };
        let settled = self.model.settlements[&settlement].clone();
        let institution = if self.dice.roll(30) == 0 { INSTITUTIONS[0] } else { settled.institution };
        if self.dice.roll(3) == 0 {
            return What::ReleaseHold { settlement, institution };
        }
        let held: i64 = settled.told.paid.iter().map(|paid| paid.5).sum();
        let fen = match self.dice.roll(8) {
            0 => Some(held + 1),
            1 => Some(0),
            2 => Some(held),
            3..6 => Some(self.dice.fen(held.max(1)) - 1),
            _ => None,
        };
        What::Confirm { settlement, institution, fen }
    }

    /// What became of an earlier call, which may be under way still, or may never have been sent.
    fn resolve(&mut self) -> What {
        let of_institutions = self.sent.iter().rev().filter(|op| op.institution().is_some());
        let most = if self.dice.roll(3) == 0 { 60 } else { 6 };
        let back = self.dice.roll(most);
        let found = of_institutions.take(back + 1).last();
        let Some((institution, original)) = found.and_then(|op| Some((op.institution()?, op.id.clone()))) else {
            return What::Settle(self.bought(), None);
        };
        let original = if self.dice.roll(12) == 0 { format!("never-{original}") } else { original };
        What::Resolve { institution, original, fence: self.dice.roll(3) > 0, reverse: self.dice.roll(2) == 0 }
    }

    fn begin_close(&mut self) -> What {
        let region = *self.dice.one_of(&self.world.pools());
        What::BeginClose { region, year: self.year() }
    }

    fn close_step(&mut self) -> What {
        let mut open = self.model.closes.iter().filter(|(_, close)| close.is_open).map(|(of, _)| *of);
        match open.next_back() {
            Some((region, year)) => What::CloseStep { region, year, most: 1 + self.dice.roll(6) },
            None => self.begin_close(),
        }
    }

    fn member(&mut self) -> MemberId {
        let place = self.dice.roll(self.model.who.len());
        *self.model.who.keys().nth(place).expect("there are some")
    }

    fn named(&mut self) -> Named {
        let id = self.member();
        if self.dice.roll(4) == 0 { Named::Card(self.model.who[&id].number) } else { Named::Id(id) }
    }

    fn binding(&mut self) -> Option<BindingId> {
        let known = self.model.bindings.len();
        // Rather the newest: older ones have often ended.
        let back = self.dice.roll(known.clamp(1, 12));
        self.model.bindings.keys().rev().nth(back).copied()
    }

    fn insurance(&mut self) -> Insurance {
        let region: RegionCode = *self.dice.one_of(&self.world.pools());
        let employee = self.dice.roll(10) < 7;
        let state = match self.dice.roll(12) {
            0 => InsuranceState::Suspended,
            1 => InsuranceState::Ended,
            _ => InsuranceState::Normal,
        };
        Insurance {
            scheme: if employee { Scheme::Employee } else { Scheme::Resident },
            tier: String::new(),
            state,
            region,
            has_account: employee && self.dice.roll(10) > 0,
            start: SERVERS_DAY,
        }
    }

    fn create(&mut self) -> What {
        // Now and then somebody who is there already.
        What::Create { number: 1 + self.dice.roll(self.people + 2), insurance: self.insurance() }
    }

    fn insure(&mut self) -> What {
        let who = self.named();
        let mut insurance = self.insurance();
        if self.dice.roll(2) == 0 {
            // Only the state changes.
            let id = self.model.find(who).expect("it is one of them");
            let before = &self.model.who[&id].insurance;
            insurance = Insurance { state: insurance.state, ..before.clone() };
        }
        What::Insure { who, insurance }
    }

    fn credit(&mut self) -> What {
        let bucket = *self.dice.one_of(&[Bucket::CurrentYear, Bucket::CurrentYear, Bucket::PriorYears, Bucket::Wallet]);
        let fen = self.dice.fen(20_000);
        let fen = if self.dice.roll(8) == 0 { -fen / 4 - 1 } else { fen };
        What::Credit { who: self.named(), bucket, fen }
    }

    fn bind(&mut self) -> What {
        let channels = [Channel::AgencyWindow, Channel::CityApp, Channel::StreetOffice, Channel::ECardFamilyService];
        let channel = channels[[0, 0, 0, 1, 1, 2, 3][self.dice.roll(7)]];
        let mut evidence = Vec::new();
        if self.dice.roll(10) > 0 {
            evidence.push(COMMITMENT);
        }
        if channel == Channel::CityApp && self.dice.roll(2) == 0 {
            evidence.push(FACE);
        }
        let mut cap = |most: i64, one_in: usize| (self.dice.roll(one_in) == 0).then(|| Money::fen(self.dice.fen(most)));
        let caps = Caps { per_settlement: cap(4_000, 4), per_day: cap(6_000, 4), per_year: cap(20_000, 4) };
        let days = jiff::Span::new().days(i64::try_from(self.dice.roll(20)).expect("few"));
        What::Bind(Filed {
            owner: self.named(),
            beneficiary: self.named(),
            relation: *self.dice.one_of(&RELATIONS),
            channel,
            evidence,
            start: (self.dice.roll(6) == 0).then(|| self.today.checked_sub(days).expect("a day")),
            last_day: (self.dice.roll(6) == 0).then(|| self.today.checked_add(days).expect("a day")),
            caps,
            priority: u32::try_from(self.dice.roll(4)).expect("few"),
        })
    }

    fn verify(&mut self) -> What {
        let waits = self.model.bindings.iter().rev().find(|(_, tied)| !tied.missing.is_empty()).map(|(id, _)| *id);
        let binding = if self.dice.roll(5) == 0 { self.binding() } else { waits.or_else(|| self.binding()) };
        let Some(binding) = binding else { return self.credit() };
        let evidence = if self.dice.roll(5) == 0 { vec![CONSENT] } else { vec![FACE] };
        What::Verify { binding, evidence }
    }

    fn reorder(&mut self) -> What {
        let beneficiary = self.member();
        let today = self.today;
        let ties = &self.model.who[&beneficiary].ties;
        let mut order: Vec<BindingId> =
            ties.iter().filter(|id| self.model.bindings[*id].runs(today)).copied().collect();
        if order.is_empty() {
            return self.bind();
        }
        let by = self.dice.roll(order.len());
        order.rotate_left(by);
        What::Reorder { beneficiary, order }
    }

    fn release(&mut self) -> What {
        let Some(binding) = self.binding() else { return self.bind() };
        let channel = *self.dice.one_of(&[Channel::AgencyWindow, Channel::CityApp, Channel::StreetOffice]);
        let tied = &self.model.bindings[&binding];
        if self.dice.roll(3) == 0 {
            return What::ReleasePair { owner: tied.owner, beneficiary: tied.beneficiary, channel };
        }
        let evidence = if self.dice.roll(4) == 0 { Vec::new() } else { vec![FACE] };
        What::Release { binding, channel, evidence }
    }

    fn quota(&mut self) -> What {
        let Some(binding) = self.binding() else { return self.bind() };
        let fen = if self.dice.roll(4) == 0 { 0 } else { self.dice.fen(6_000) };
        let evidence = if self.dice.roll(5) == 0 { Vec::new() } else { vec![CONSENT] };
        What::Quota { binding, fen, evidence }
    }

    fn transfer(&mut self) -> What {
        let mode = *self.dice.one_of(&[None, None, Some(Mode::WalletTransfer), Some(Mode::TransferBeforehand)]);
        What::Transfer {
            owner: self.member(),
            beneficiary: self.member(),
            relation: *self.dice.one_of(&RELATIONS),
            fen: self.dice.fen(3_000),
            mode,
            from_wallet: self.dice.roll(5) == 0,
        }
    }

    fn claim(&mut self) -> What {
        let known = self.model.transfers.len();
        let back = self.dice.roll(known.clamp(1, 4));
        let Some((transfer, sent)) = self.model.transfers.iter().rev().nth(back) else { return self.transfer() };
        let (transfer, of) = (*transfer, sent.beneficiary);
        What::Claim { transfer, who: if self.dice.roll(10) == 0 { self.member() } else { of } }
    }

    fn night(&mut self) -> What {
        let days = jiff::Span::new().days(i64::try_from(self.dice.roll(4)).expect("few"));
        What::ReturnUnclaimed { day: self.today.checked_sub(days).expect("a day") }
    }

    fn bought(&mut self) -> Bought {
        let patient = self.named();
        let region = *self.dice.one_of(&self.world.pools());
        let days = if self.dice.roll(4) == 0 { self.dice.roll(40) } else { 0 };
        let mdtrt_id = if self.dice.roll(6) == 0 { format!("V{}", self.dice.roll(20)) } else { String::new() };
        let kinds = [
            InstitutionKind::Level3,
            InstitutionKind::Level1,
            InstitutionKind::Pharmacy,
            InstitutionKind::CommunityHealthCentre,
        ];
        let purposes =
            [Purpose::Outpatient, Purpose::Outpatient, Purpose::Pharmacy, Purpose::Inpatient, Purpose::SportFitness];
        let visit = Visit {
            institution_kind: *self.dice.one_of(&kinds),
            care_region: region,
            purpose: *self.dice.one_of(&purposes),
            date: self.today.checked_sub(jiff::Span::new().days(days as i64)).expect("a day"),
            external: ExternalRefs { mdtrt_id, ..ExternalRefs::default() },
        };
        let bill = if self.dice.roll(3) == 0 { self.adjudicated() } else { self.lines() };
        let mut papers = Vec::new();
        if self.dice.roll(8) == 0 {
            papers = (0..1 + self.dice.roll(2)).map(|_| (self.member(), *self.dice.one_of(&RELATIONS))).collect();
        }
        let id = self.model.find(patient).expect("it is one of them");
        let card = if self.dice.roll(12) == 0 { 99 } else { self.model.who[&id].number };
        let institution = self.dice.one_of(&INSTITUTIONS);
        Bought { institution, patient, visit, bill: Arc::new(bill), papers, card }
    }

    fn lines(&mut self) -> Bill {
        let lines: Vec<Line> = (0..1 + self.dice.roll(3)).map(|place| self.line(place)).collect();
        Bill { total: lines.iter().map(|line| line.amount).sum(), content: BillContent::Lines(lines) }
    }

    fn line(&mut self, place: usize) -> Line {
        let amount = self.dice.fen(7_000);
        let over = if self.dice.roll(5) == 0 { self.dice.fen(amount) } else { 0 };
        Line {
            id: format!("{place}"),
            item_code: "item".to_owned(),
            item_name: "药".to_owned(),
            category: *self.dice.one_of(&[Category::Drug, Category::Drug, Category::Consumable, Category::Device]),
            class: *self.dice.one_of(&[ListClass::A, ListClass::A, ListClass::B, ListClass::C]),
            amount: Money::fen(amount),
            over_limit: Money::fen(over),
            first_self_pay_rate: (self.dice.roll(5) == 0).then(|| Rate::parse("0.055555").expect("a rate")),
        }
    }

    fn adjudicated(&mut self) -> Bill {
        let mut part = |one_in: usize| if self.dice.roll(one_in) == 0 { self.dice.fen(2_500) } else { 0 };
        let [deductible, first, over, full] = [part(2), part(3), part(4), part(4)];
        let (fund, hospital, rest) = (part(2), part(4), part(1));
        let person = deductible + first + over + full + rest;
        let content = BillContent::Adjudicated(Adjudicated {
            fund: Money::fen(fund),
            hospital_part: Money::fen(hospital),
            deductible: Money::fen(deductible),
            first_self_pay: Money::fen(first),
            over_limit: Money::fen(over),
            full_self_pay: Money::fen(full),
            person_part: Money::fen(person),
        });
        Bill { total: Money::fen(fund + hospital + person), content }
    }

    fn refund(&mut self) -> What {
        let known = self.model.settlements.len();
        let back = self.dice.roll(known.clamp(1, 20));
        let Some((id, settled)) = self.model.settlements.iter().rev().nth(back) else {
            return What::Settle(self.bought(), None);
        };
        let (settlement, mut institution) = (*id, settled.institution);
        if self.dice.roll(30) == 0 {
            institution = INSTITUTIONS[0];
        }
        if self.dice.roll(3) == 0 {
            return What::Refund { settlement, institution, ask: RefundAsk::Whole };
        }
        let told = &settled.told;
        let paid = [told.split[6], told.split[7], told.own + told.aid, told.cash];
        let mut some = |place: usize| {
            let left = paid[place] - settled.back[place];
            match self.dice.roll(4) {
                0 => 0,
                1 => left,
                2 if self.dice.roll(10) == 0 => left + 1,
                _ => self.dice.fen(left.max(1)).min(left),
            }
        };
        let [fund, hospital_part, accounts, cash] = [some(0), some(1), some(2), some(3)].map(Money::fen);
        let parts = Parts { fund, hospital_part, accounts, cash };
        let ask = if parts.is_empty() { RefundAsk::Whole } else { RefundAsk::Parts(parts) };
        What::Refund { settlement, institution, ask }
    }
}

/// An instant at which something turns: a midnight, a morning, the first of a year; or just before it.
pub fn next_turn(dice: &mut Dice, micros: i64) -> i64 {
    let today = Moment::from_micros(micros).civil_day();
    let tomorrow = today.tomorrow().expect("a day");
    let new_year = jiff::civil::date(today.year() + 1, 1, 1);
    let (midnight, morning) = (jiff::civil::Time::midnight(), jiff::civil::time(6, 0, 0, 0));
    let later = today.checked_add(jiff::Span::new().days(1 + dice.roll(4) as i64)).expect("a day");
    let instant = match dice.roll(8) {
        0..2 => Moment::of_civil(tomorrow, midnight),
        2..4 => Moment::of_civil(tomorrow, morning),
        4 => Moment::of_civil(new_year, midnight),
        _ => Moment::of_civil(later, jiff::civil::time(9, 30, 0, 0)),
    };
    let instant = instant.as_micros();
    // The last moment before, the moment itself, or somewhat later.
    let place = [instant - 1_500, instant, instant + 60_000_000][dice.roll(3)];
    place.max(micros)
}
