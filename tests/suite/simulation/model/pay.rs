//! The auditor's view of who pays a bill.

use std::cmp::Reverse;

use gongji::domain::ids::{BindingId, InstitutionCode, MemberId, SettlementId};
use gongji::domain::policy::Rules;
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::vocabulary::{Bucket, Component, Mode, OwnAccountOrder, OwnerOrder, Purpose, Relation};
use gongji::domain::year_use::UseOf;
use gongji::store::ListKind;
use jiff::civil::Date;

use super::law::{Pair, usable};
use super::{Aside, Draft, Drawn, Model, No, Of, Settled, Turn, is_out_of_time, place, refused};
use crate::simulation::op::{Bought, Purse, Quoted, Reply, Told};
use crate::simulation::world::World;

/// One who may pay: through a binding, or named on the n-th paper.
struct Payer {
    owner: MemberId,
    relation: Relation,
    binding: Option<BindingId>,
    paper: Option<usize>,
    quota: Option<Aside>,
}

/// What is still owed under each heading.
struct Owed([(Component, i64); 5]);

impl Owed {
    fn of(split: &[i64; 9]) -> Self {
        let [_, full, over, first, _, deductible, _, _, person] = *split;
        let rest = person - deductible - first - over - full;
        use Component as C;
        let parts = [(C::Deductible, deductible), (C::CoPayment, rest), (C::FirstSelfPay, first), (C::OverLimit, over)];
        Self([parts[0], parts[1], parts[2], parts[3], (C::FullSelfPay, full)])
    }

    fn among(&self, components: &[Component]) -> i64 {
        self.0.iter().filter(|(component, _)| components.contains(component)).map(|(_, fen)| fen).sum()
    }

    fn pay(&mut self, components: &[Component], mut fen: i64) {
        for wanted in components {
            for (_, owed) in self.0.iter_mut().filter(|(component, _)| component == wanted) {
                let part = fen.min(*owed);
                *owed -= part;
                fen -= part;
            }
        }
    }
}

impl Model {
    /// Quote and settlement alike.
    pub fn told(&self, world: &World, bought: &Bought, turn: Turn) -> Result<(Told, Vec<Drawn>), No> {
        let today = turn.today();
        let patient = self.find(bought.patient)?;
        if is_out_of_time(bought.visit.date, today) {
            return Err("INVALID visit.visit_date".to_owned());
        }
        let who = &self.who[&patient];
        if !bought.papers.is_empty() && bought.card != who.number {
            let fields: Vec<String> =
                (0..bought.papers.len()).map(|place| format!("paper_authorisations[{place}].user_card")).collect();
            return Err(format!("INVALID {}", fields.join(" ")));
        }
        let rules = world.rules(who.insurance.region, bought.visit.date);
        let split = super::split::split(bought, &who.insurance, &who.years, rules);
        let mut owed = Owed::of(&split);
        let mut told = Told { split, ..Told::default() };
        let mut drawn = Vec::new();
        let purse = self.purse(patient, today);
        let counts = rules.own_buckets.iter().filter(|bucket| **bucket != Bucket::Wallet);
        let own_before: i64 = purse.map_or(0, |purse| counts.map(|b| purse.1[place(*b)]).sum());
        if let Some(purse) = purse {
            own(rules, bought.visit.purpose, patient, purse, &mut owed, &mut told);
            drawn.resize(told.paid.len(), Drawn { spell: None, counted: false });
        }
        self.relatives(world, bought, patient, today, own_before, &mut owed, &mut told, &mut drawn);
        told.cash = told.split[8] - told.own - told.aid;
        Ok((told, drawn))
    }

    fn payers(&self, bought: &Bought, patient: MemberId, today: Date) -> Vec<Payer> {
        let ties = &self.who[&patient].ties;
        let can_pay = |id: &BindingId| {
            let tied = &self.bindings[id];
            tied.spends && tied.missing.is_empty() && tied.start <= today && tied.runs(today)
        };
        let named = |owner: MemberId| bought.papers.iter().any(|(paper, _)| *paper == owner);
        let mut payers = Vec::new();
        for id in ties {
            let tied = &self.bindings[id];
            if can_pay(id) || !named(tied.owner) {
                let (owner, relation, quota) = (tied.owner, tied.relation, self.live_quota(*id, today));
                payers.push(Payer { owner, relation, binding: Some(*id), paper: None, quota });
            }
        }
        for (place, (owner, relation)) in bought.papers.iter().enumerate() {
            let bound = ties.iter().any(|id| self.bindings[id].owner == *owner && can_pay(id));
            let earlier = bought.papers[..place].iter().any(|(known, _)| known == owner);
            if !bound && !earlier {
                let (owner, relation) = (*owner, *relation);
                payers.push(Payer { owner, relation, binding: None, paper: Some(place), quota: None });
            }
        }
        payers
    }

    fn in_order(&self, world: &World, payers: Vec<Payer>, order: OwnerOrder, visit: Date, today: Date) -> Vec<Payer> {
        let lies = |payer: &Payer| match &payer.quota {
            Some(quota) => quota.left(),
            None => self.purse(payer.owner, today).map_or(0, |purse| {
                self.rules(world, payer.owner, visit).relative_buckets.iter().map(|b| purse.1[place(*b)]).sum()
            }),
        };
        let mut places: Vec<(usize, Payer)> = payers.into_iter().enumerate().collect();
        match order {
            OwnerOrder::FilingOrder => {}
            OwnerOrder::BalanceDesc => places.sort_by_key(|(place, payer)| (Reverse(lies(payer)), *place)),
            OwnerOrder::UserOrder => places.sort_by_key(|(place, payer)| {
                let priority = payer.binding.map_or(0, |id| self.bindings[&id].priority);
                (if priority == 0 { u32::MAX } else { priority }, *place)
            }),
            OwnerOrder::NewestFirst => places.sort_by_key(|(place, payer)| {
                let place = i64::try_from(*place).expect("few");
                (payer.paper.is_some(), if payer.paper.is_some() { place } else { -place })
            }),
        }
        places.into_iter().map(|(_, payer)| payer).collect()
    }

    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
    fn relatives(
        &self,
        world: &World,
        bought: &Bought,
        patient: MemberId,
        today: Date,
        own_before: i64,
        owed: &mut Owed,
        told: &mut Told,
        drawn: &mut Vec<Drawn>,
    ) {
        let visit = bought.visit.date;
        let rules = self.rules(world, patient, visit);
        let at_first = Owed::of(&told.split).among(&rules.relative_components);
        let mut paying = 0;
        let payers = self.payers(bought, patient, today);
        for payer in self.in_order(world, payers, rules.owner_order, visit, today) {
            let no = self.payer_no(world, bought, patient, &payer, today);
            let no = no.or_else(|| {
                let only_if_zero = rules.own_account_order == OwnAccountOrder::RelativesOnlyIfOwnZero;
                if only_if_zero && own_before > 0 {
                    Some(Reason::OwnBalanceNotZero)
                } else if at_first == 0 {
                    Some(Reason::ComponentNotPayable)
                } else if owed.among(&rules.relative_components) == 0 {
                    Some(Reason::NothingLeftToPay)
                } else if rules.owners_per_settlement.is_some_and(|most| paying >= most) {
                    Some(Reason::OwnersPerSettlementExceeded)
                } else {
                    None
                }
            });
            let outcome = match no {
                Some(no) => Err(no),
                None => self.payer_gives(world, patient, &payer, visit, today, owed.among(&rules.relative_components)),
            };
            match outcome {
                Err(no) => told.excluded.push((payer.owner, payer.binding, no)),
                Ok(parts) => {
                    paying += 1;
                    let of_owner = self.rules(world, payer.owner, visit);
                    let counted = of_owner.aid_per_day.is_some() || of_owner.aid_per_year.is_some();
                    let sum: i64 = parts.iter().map(|(_, fen)| fen).sum();
                    owed.pay(&rules.relative_components, sum);
                    told.aid += sum;
                    for (bucket, fen) in parts {
                        let relation = Some(payer.relation);
                        told.paid.push((payer.owner, payer.binding, relation, bucket, today.year(), fen, 0));
                        drawn.push(Drawn { spell: payer.quota.as_ref().map(|quota| quota.spell), counted });
                    }
                }
            }
        }
    }

    /// The first reason why a payer is left out, whatever there is to pay.
    fn payer_no(
        &self,
        world: &World,
        bought: &Bought,
        patient: MemberId,
        payer: &Payer,
        today: Date,
    ) -> Option<Reason> {
        let pair = Pair::new(self, world, payer.owner, patient, bought.visit.date);
        if payer.paper.is_some() {
            if !pair.from.paper_authorisation || !pair.to.paper_authorisation {
                return Some(Reason::PaperAuthorisationNotAllowed);
            }
            let first = self.who[&patient].slips.get(&payer.owner).filter(|(_, uses)| *uses > 0);
            if let (Some((first, _)), Some(days)) = (first, pair.to.paper_regularise_days)
                && first.checked_add(jiff::Span::new().days(i64::from(days))).expect("a day") < today
            {
                return Some(Reason::PaperNotRegularised);
            }
        }
        if payer.owner == patient {
            return Some(Reason::SamePerson);
        }
        if let Some(tied) = payer.binding.map(|id| &self.bindings[&id]) {
            if tied.start > today {
                return Some(Reason::BindingNotStarted);
            }
            if !tied.runs(today) {
                return Some(Reason::BindingEnded);
            }
            if !tied.spends {
                return Some(Reason::FamilyServiceDoesNotSpend);
            }
            if !tied.missing.is_empty() {
                return Some(Reason::BindingNotVerified);
            }
        }
        let (mode, no) = match payer.quota {
            Some(_) => (Mode::Quota, Reason::ModeNotQuota),
            None => (Mode::DirectDraw, Reason::ModeNotDirect),
        };
        pair.relation_no(payer.relation)
            .or_else(|| pair.purpose_no(bought.visit.purpose))
            .or_else(|| pair.mode_no(self, mode, no))
            .or_else(|| pair.owner_no(self))
            .or_else(|| pair.beneficiary_no(self))
    }

    /// What a payer gives of what is still owed, by bucket.
    fn payer_gives(
        &self,
        world: &World,
        patient: MemberId,
        payer: &Payer,
        visit: Date,
        today: Date,
        owed: i64,
    ) -> Result<Vec<(Bucket, i64)>, Reason> {
        let rules = self.rules(world, payer.owner, visit);
        let purse = self.purse(payer.owner, today).ok_or(Reason::OwnerWithoutAccount)?;
        let has = match &payer.quota {
            Some(quota) if quota.left() == 0 => return Err(Reason::QuotaUsedUp),
            Some(quota) => quota.left(),
            None => usable(purse, rules),
        };
        if has == 0 {
            return Err(Reason::NothingUsable);
        }
        let mut most = has.min(owed);
        if let Some(tied) = payer.binding.map(|id| &self.bindings[&id]) {
            let (day, year) = tied.used.of(today);
            let caps = [
                tied.caps.per_settlement.map(|cap| cap.as_fen()),
                tied.caps.per_day.map(|cap| (cap.as_fen() - day).max(0)),
                tied.caps.per_year.map(|cap| (cap.as_fen() - year).max(0)),
            ];
            if let Some(cap) = caps.into_iter().flatten().min() {
                if cap == 0 {
                    return Err(Reason::CapReached);
                }
                most = most.min(cap);
            }
        }
        let (day, year) = self.aid.get(&(payer.owner, patient)).map_or((0, 0), |used| used.of(today));
        let per_day = rules.aid_per_day.map(|limit| (limit.as_fen() - day).max(0));
        let per_year = rules.aid_per_year.map(|limit| (limit.as_fen() - year).max(0));
        let limits = [rules.aid_per_settlement.map(|limit| limit.as_fen()), per_day, per_year];
        if let Some(limit) = limits.into_iter().flatten().min() {
            if limit == 0 {
                return Err(match (per_year, per_day) {
                    (Some(0), _) => Reason::YearLimitReached,
                    (_, Some(0)) => Reason::DayLimitReached,
                    _ => Reason::CapReached,
                });
            }
            most = most.min(limit);
        }
        let of_quota = [Bucket::PriorYears, Bucket::CurrentYear];
        let buckets = if payer.quota.is_some() { &of_quota[..] } else { &rules.relative_buckets };
        let mut parts = Vec::new();
        for bucket in buckets {
            let lies = match &payer.quota {
                Some(quota) => quota.money[place(*bucket)],
                None => purse.1[place(*bucket)],
            };
            let part = most.min(lies);
            if part > 0 {
                most -= part;
                parts.push((*bucket, part));
            }
        }
        Ok(parts)
    }

    /// A settlement, or for so many seconds a hold.
    pub(super) fn settle(
        &self,
        world: &World,
        bought: &Bought,
        quoted: Option<&Quoted>,
        hold_for: Option<u32>,
        turn: Turn,
    ) -> Result<Draft, No> {
        if is_out_of_time(bought.visit.date, turn.today()) {
            return Err("INVALID visit.visit_date".to_owned());
        }
        let (told, drawn) = self.told(world, bought, turn)?;
        if let Some(quoted) = quoted {
            if turn.now.as_micros() >= quoted.expires {
                return Err(refused(&[Reason::QuoteExpired]));
            }
            // Who is left out, and why, is not what was promised.
            let promised = |told: &Told| (told.split, told.own, told.aid, told.cash, told.paid.clone());
            if promised(&told) != promised(&quoted.told) {
                return Err("QUOTE_STALE".to_owned());
            }
        }
        let today = turn.today();
        let patient = self.find(bought.patient)?;
        let id = SettlementId::from_u128(turn.id);
        let region = self.who[&patient].insurance.region;
        let mut draft = Draft::new();
        let code = InstitutionCode::parse(bought.institution).expect("a code");
        let mut to = Party::Institution(code.clone());
        if hold_for.is_some() {
            to = Party::Hold(id);
        } else {
            draft.moved(Party::Fund(region), to.clone(), told.split[6]);
            draft.moved(Party::HospitalPart(code), to.clone(), told.split[7]);
            draft.moved(Party::Cash, to.clone(), told.cash);
        }
        draft.rows.push((ListKind::InstitutionSettlements, Of::Institution(bought.institution), turn.id));
        draft.rows.push((ListKind::PatientSettlements, Of::Id(patient.as_u128()), turn.id));
        let mut on_paper = Vec::new();
        for (paid, drawn) in told.paid.iter().zip(&drawn) {
            let (owner, binding, relation, bucket, _, fen, _) = *paid;
            draft.entry(owner, if relation.is_some() { turn.id } else { 0 });
            if let (Some(_), Some(binding)) = (drawn.spell, binding) {
                let quota = self.live_quota(binding, today).expect("it paid");
                let quota = draft.quotas.entry(binding).or_insert(quota);
                quota.money[place(bucket)] -= fen;
                draft.moved(Party::Quota(binding, bucket), to.clone(), fen);
            } else {
                self.change_purse(&mut draft, owner, bucket, -fen, today);
                draft.moved(Party::Bucket(owner, bucket), to.clone(), fen);
            }
            if let Some(binding) = binding {
                self.tied(&mut draft, binding).used.count(today, fen);
            }
            if drawn.counted {
                let used = draft.aid.entry((owner, patient));
                used.or_insert_with(|| self.aid.get(&(owner, patient)).cloned().unwrap_or_default()).count(today, fen);
            }
            if relation.is_some() && binding.is_none() && !on_paper.contains(&owner) {
                on_paper.push(owner);
                let slip = self.changed(&mut draft, patient).slips.entry(owner).or_insert((today, 0));
                *slip = (if slip.1 == 0 { today } else { slip.0.min(today) }, slip.1 + 1);
            }
        }
        if !bought.visit.external.mdtrt_id.is_empty() {
            let of = Of::Visit(bought.institution, bought.visit.external.mdtrt_id.clone());
            draft.rows.push((ListKind::ExternalReference, of, turn.id));
        }
        let counts = UseOf { year: bought.visit.date.year(), region, purpose: bought.visit.purpose };
        let rules = self.rules(world, patient, bought.visit.date);
        let yearly = super::split::yearly(&self.who[&patient].insurance, &bought.visit, told.split[5], rules);
        let used = self.changed(&mut draft, patient).years.entry(counts).or_default();
        used[0] += yearly;
        used[1] += told.split[6];
        let institution = bought.institution;
        let (back, refunds, reversed_by) = ([0; 4], Vec::new(), String::new());
        let (told, on) = (told, today);
        let settled = Settled {
            institution,
            patient,
            counts,
            yearly,
            region,
            told,
            on,
            at: turn.now,
            drawn,
            back,
            refunds,
            hold: None,
            reversed_by,
        };
        match hold_for {
            Some(seconds) => self.set_aside(&mut draft, id, settled, seconds, turn)?,
            None => {
                draft.reply = Reply::Settled { id, told: settled.told.clone() };
                draft.settlements.insert(id, settled);
            }
        }
        Ok(draft)
    }
}

/// The patient's own account.
fn own(rules: &Rules, purpose: Purpose, patient: MemberId, purse: Purse, owed: &mut Owed, told: &mut Told) {
    let free = !rules.prohibited_purposes.contains(&purpose);
    let payable = owed.among(&rules.own_components);
    for bucket in &rules.own_buckets {
        let purposes = if *bucket == Bucket::Wallet { &rules.wallet_purposes } else { &rules.own_purposes };
        if !free || !purposes.contains(&purpose) {
            continue;
        }
        let fen = (payable - told.own).min(purse.1[place(*bucket)]);
        if fen > 0 {
            told.own += fen;
            told.paid.push((patient, None, None, *bucket, purse.0, fen, 0));
        }
    }
    let has = rules.own_buckets.iter().any(|bucket| purse.1[place(*bucket)] > 0);
    let bill: i64 = owed.0.iter().map(|(_, fen)| fen).sum();
    if told.own == 0 && has && bill > 0 {
        let by_any = rules.own_purposes.contains(&purpose)
            || rules.wallet_purposes.contains(&purpose)
                && purse.1[place(Bucket::Wallet)] > 0
                && rules.own_buckets.contains(&Bucket::Wallet);
        let no = match (free, by_any && payable == 0) {
            (false, _) => Reason::PurposeProhibited,
            (true, true) => Reason::ComponentNotPayable,
            (true, false) => Reason::PurposeNotAllowed,
        };
        told.excluded.push((patient, None, no));
    }
    owed.pay(&rules.own_components, told.own);
}
