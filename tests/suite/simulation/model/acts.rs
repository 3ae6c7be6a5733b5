//! The auditor's view of members and bindings, and which rule book page each call is on.

use std::collections::BTreeMap;

use gongji::domain::ids::{BindingId, MemberId, RegionCode};
use gongji::domain::member::Insurance;
use gongji::domain::policy::Rules;
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::vocabulary::{Bucket, Channel, Effective, Grant, InsuranceState, OwnerOrder, Scheme, TieSide};
use gongji::ledger::members::SERVERS_DAY;
use gongji::store::ListKind;
use jiff::civil::Date;

use super::law::Pair;
use super::{Draft, Life, Model, No, Of, Tied, Turn, Used, Who, is_out_of_time, refused};
use crate::simulation::BINDINGS_PER_MEMBER;
use crate::simulation::op::{Filed, Named, Op, Reply, What};
use crate::simulation::world::World;

impl Model {
    pub(super) fn act(&self, world: &World, op: &Op, turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        match &op.what {
            What::Create { number, insurance } => self.create(*number, insurance, turn),
            What::Insure { who, insurance } => self.insure(world, *who, insurance, turn),
            What::Credit { who, bucket, fen } => self.credit(*who, *bucket, *fen, today),
            What::Bind(filed) => self.bind(world, filed, turn),
            What::Verify { binding, evidence } => self.verify(*binding, evidence, turn),
            What::Reorder { beneficiary, order } => self.reorder(world, *beneficiary, order, today),
            What::Release { binding, channel, evidence } => self.release(world, *binding, *channel, evidence, turn),
            What::ReleasePair { owner, beneficiary, channel } => {
                let ties = self.who[beneficiary].ties.iter().rev();
                let found = ties.copied().find(|id| self.bindings[id].owner == *owner).ok_or("NOT_FOUND Binding")?;
                self.release(world, found, *channel, &[], turn)
            }
            What::Quota { binding, fen, evidence } => self.set_quota(world, *binding, *fen, evidence, turn),
            What::OpenWallet { who } => self.open_wallet(world, *who, today),
            What::Transfer { owner, beneficiary, relation, fen, mode, from_wallet } => {
                self.transfer(world, *owner, *beneficiary, *relation, *fen, *mode, *from_wallet, turn)
            }
            What::Claim { transfer, who } => self.claim(*transfer, *who, turn),
            What::Quote(bought) => {
                let (told, _) = self.told(world, bought, turn)?;
                Ok(Draft::look(Reply::Quoted(told)))
            }
            What::Settle(bought, quoted) => self.settle(world, bought, quoted.as_ref(), None, turn),
            What::Hold(bought, seconds, quoted) => self.settle(world, bought, quoted.as_ref(), Some(*seconds), turn),
            What::Confirm { settlement, institution, fen } => self.confirm(*settlement, institution, *fen, turn),
            What::ReleaseHold { settlement, institution } => {
                self.settled_by(*settlement, institution)?;
                self.end_hold(*settlement, Life::Released, "", turn)
            }
            What::EndHold { settlement } => self.expire(*settlement, turn),
            What::Refund { settlement, institution, ask } => self.refund(*settlement, institution, *ask, "", turn),
            What::Resolve { institution, original, fence, reverse } => {
                self.resolve(op, institution, original, *fence, *reverse, turn)
            }
            What::CloseAccount { who, year } => self.close_account(world, *who, *year, None, today),
            What::CloseOne { member, region, year } => {
                self.close_account(world, Named::Id(*member), *year, Some(*region), today)
            }
            What::BeginClose { region, year } => self.begin_close(*region, *year, today),
            What::Advance { region, year, to } => self.advance(*region, *year, *to),
            What::DayDone { job, day } => Ok(Draft { day: Some((*job, *day)), ..Draft::new() }),
            What::Return { transfer } => self.give_back(*transfer, turn),
            What::ReturnUnclaimed { .. } | What::Sweep | What::CloseStep { .. } | What::Many(..) => {
                Err("it is many changes".to_owned())
            }
        }
    }

    fn create(&self, number: usize, insurance: &Insurance, turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        let insurance = from(insurance, today)?;
        if self.numbers.contains_key(&number) {
            return Err("MEMBER_EXISTS".to_owned());
        }
        let id = MemberId::from_u128(turn.id);
        let purse = insurance.has_account.then_some((today.year(), [0; 3]));
        let (ties, wards, years, slips) = (Vec::new(), Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut draft = Draft::new();
        draft.reply = Reply::Member { id, insurance: insurance.clone(), released: Vec::new() };
        draft.rows.push((ListKind::RegionMembers, Of::Id(insurance.region.as_u32().into()), turn.id));
        draft.rows.push((ListKind::MemberRegions, Of::Id(turn.id), insurance.region.as_u32().into()));
        let (ended, holds, held, wallet, moved_at) = (BTreeMap::new(), Vec::new(), BTreeMap::new(), false, 0);
        let regularised = BTreeMap::new();
        let who = Who {
            number,
            insurance,
            purse,
            ties,
            wards,
            years,
            wallet,
            slips,
            regularised,
            ended,
            holds,
            held,
            moved_at,
        };
        draft.who.insert(id, who);
        Ok(draft)
    }

    fn insure(&self, world: &World, who: Named, insurance: &Insurance, turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        let insurance = from(insurance, today)?;
        let id = self.find(who)?;
        let before = &self.who[&id].insurance;
        if *before == insurance {
            return Err(refused(&[Reason::InsuranceUnchanged]));
        }
        let ended = insurance.state == InsuranceState::Ended && before.state != InsuranceState::Ended;
        let moved = insurance.region != before.region;
        let mut draft = Draft::new();
        let who = &self.who[&id];
        let all: Vec<BindingId> = who.ties.iter().chain(&who.wards).copied().collect();
        let leaves = before.scheme == Scheme::Employee && insurance.scheme != Scheme::Employee;
        let rules = world.rules(before.region, today);
        let releases = |id: &BindingId| {
            let owns = who.wards.contains(id);
            let side = if owns { TieSide::Owner } else { TieSide::Beneficiary };
            let changes = ended || moved || (owns && leaves);
            changes && rules.release_on_end_or_move && rules.release_sides.contains(&side)
        };
        let stands = |id: &BindingId| self.bindings[id].released.is_none() && self.bindings[id].runs(today);
        let released: Vec<BindingId> = all.iter().copied().filter(stands).filter(releases).collect();
        released.iter().for_each(|binding| self.let_go(&mut draft, *binding, today));
        // A quota is set between two regions, out of an employee's account: it does not outlive a move, nor the scheme.
        let ends = all.iter().filter(|id| moved || (leaves && who.wards.contains(id)) || releases(id));
        ends.for_each(|binding| self.end_quota(&mut draft, *binding, turn));
        if moved {
            draft.rows.push((ListKind::RegionMembers, Of::Id(insurance.region.as_u32().into()), id.as_u128()));
        }
        draft.rows.push((ListKind::MemberRegions, Of::Id(id.as_u128()), insurance.region.as_u32().into()));
        let changed = self.changed(&mut draft, id);
        if insurance.has_account && changed.purse.is_none() {
            changed.purse = Some((today.year(), [0; 3]));
        }
        changed.insurance = insurance.clone();
        draft.reply = Reply::Member { id, insurance, released };
        Ok(draft)
    }

    /// A binding holds from now on no longer.
    fn let_go(&self, draft: &mut Draft, id: BindingId, today: Date) {
        let tied = self.tied(draft, id);
        tied.released = Some(today);
        let (owner, beneficiary) = (tied.owner, tied.beneficiary);
        self.changed(draft, beneficiary).ties.retain(|known| *known != id);
        self.changed(draft, owner).wards.retain(|known| *known != id);
    }

    fn credit(&self, who: Named, bucket: Bucket, fen: i64, today: Date) -> Result<Draft, No> {
        let id = self.find(who)?;
        let pays_in = fen < 0 || self.who[&id].insurance.has_account;
        let before = self.purse(id, today).filter(|_| pays_in).ok_or("NOT_FOUND Account")?;
        if before.1[super::place(bucket)] + fen < 0 {
            return Err(refused(&[Reason::BalanceInsufficient]));
        }
        let mut draft = Draft::new();
        let (source, bucket_of) = (Party::Credits(self.who[&id].insurance.region), Party::Bucket(id, bucket));
        let purse = self.change_purse(&mut draft, id, bucket, fen, today);
        if fen < 0 {
            draft.moved(bucket_of, source, -fen);
        } else {
            draft.moved(source, bucket_of, fen);
        }
        draft.entry(id, 0);
        draft.reply = Reply::Account { id, purse };
        Ok(draft)
    }

    fn open_wallet(&self, world: &World, id: MemberId, today: Date) -> Result<Draft, No> {
        if self.rules(world, id, today).wallet_sources.is_empty() {
            return Err(refused(&[Reason::WalletNotOffered]));
        }
        if self.who[&id].wallet {
            return Err(refused(&[Reason::WalletAlreadyOpen]));
        }
        let turns = self.who[&id].purse.is_some_and(|(year, money)| year < today.year() && money[0] > 0);
        let mut draft = Draft::new();
        let purse = self.change_purse(&mut draft, id, Bucket::Wallet, 0, today);
        self.changed(&mut draft, id).wallet = true;
        if turns {
            draft.entry(id, 0);
        }
        draft.reply = Reply::Account { id, purse };
        Ok(draft)
    }

    fn bind(&self, world: &World, filed: &Filed, turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        let on = filed.start.unwrap_or(today);
        let ends_before = filed.last_day.is_some_and(|last| last < on || last < today);
        let bad = [(is_out_of_time(on, today), "start_date"), (ends_before, "last_day")];
        let bad: Vec<&str> = bad.iter().filter(|(bad, _)| *bad).map(|(_, field)| *field).collect();
        if !bad.is_empty() {
            return Err(format!("INVALID {}", bad.join(" ")));
        }
        let (owner, beneficiary) = (self.find(filed.owner)?, self.find(filed.beneficiary)?);
        let pair = Pair::new(self, world, owner, beneficiary, on);
        let runs = |id: &&BindingId| self.bindings[*id].runs(today);
        let ties: Vec<BindingId> = self.who[&beneficiary].ties.iter().filter(runs).copied().collect();
        let wards: Vec<BindingId> = self.who[&owner].wards.iter().filter(runs).copied().collect();
        let given = |kind: &&String| !filed.evidence.contains(&kind.as_str());
        let rule = pair.from.channels.iter().find(|rule| rule.channel == filed.channel);
        let missing: Vec<&String> = rule.map_or(&[][..], |rule| &rule.evidence).iter().filter(given).collect();
        let steps = rule.map_or(&[][..], |rule| &rule.verification);
        let done = steps.iter().take_while(|kind| filed.evidence.contains(&kind.as_str())).count();
        let pending = steps[done..].to_vec();
        let mut reasons = Vec::new();
        reasons.extend((owner == beneficiary).then_some(Reason::SamePerson));
        reasons.extend(pair.relation_no(filed.relation));
        reasons.extend(pair.modes(self).err());
        reasons.extend(pair.owner_no(self));
        reasons.extend(pair.beneficiary_no(self));
        reasons.extend(rule.is_none().then_some(Reason::ChannelNotAvailable));
        reasons.extend((!missing.is_empty()).then_some(Reason::EvidenceMissing));
        let bound = ties.iter().any(|id| self.bindings[id].owner == owner);
        // How many may stand in a family is today's question, whichever the first day is.
        let now = Pair::new(self, world, owner, beneficiary, today);
        reasons.extend(bound.then_some(Reason::BindingAlreadyActive));
        let over = |limit: Option<u32>, now: usize| limit.is_some_and(|limit| now >= limit as usize);
        // None: the region's numbers say nothing of this pair.
        let far = self.province(owner) != self.province(beneficiary);
        let counted = |rules: &Rules, all: &[BindingId]| match (rules.limits_other_provinces, far) {
            (true, _) => Some(all.len()),
            (false, true) => None,
            (false, false) => Some(all.iter().filter(|id| !self.bindings[*id].far).count()),
        };
        let (members, owners) = (counted(now.from, &wards), counted(now.to, &ties));
        let no = members.is_some_and(|count| over(now.from.members_per_owner, count));
        reasons.extend(no.then_some(Reason::MembersPerOwnerExceeded));
        let no = owners.is_some_and(|count| over(now.to.owners_per_member, count));
        reasons.extend(no.then_some(Reason::OwnersPerMemberExceeded));
        let large = |count: usize| now.from.family_size.is_some_and(|size| count + 2 > size as usize);
        reasons.extend(members.is_some_and(large).then_some(Reason::FamilySizeExceeded));
        let elsewhere = [now.from, now.to].into_iter().filter(|rules| rules.one_family_per_person).any(|rules| {
            let only_near = !rules.limits_other_provinces;
            !(only_near && far) && self.elsewhere(owner, beneficiary, today, only_near)
        });
        reasons.extend(elsewhere.then_some(Reason::AlreadyInAnotherFamily));
        let full = ties.len().max(wards.len()) >= BINDINGS_PER_MEMBER as usize;
        reasons.extend(full.then_some(Reason::BindingsPerMemberExceeded));
        match reasons.as_slice() {
            [] => {}
            [Reason::EvidenceMissing] => return Err(format!("EVIDENCE {missing:?}")),
            reasons => return Err(refused(reasons)),
        }
        let rule = rule.expect("offered");
        let next_day = rule.effective == Effective::NextDay;
        let start = if next_day { on.max(today.tomorrow().expect("a day")) } else { on };
        let id = BindingId::from_u128(turn.id);
        let tied = Tied {
            owner,
            beneficiary,
            relation: filed.relation,
            start,
            last_day: filed.last_day,
            caps: filed.caps,
            priority: filed.priority,
            spends: rule.grants.contains(&Grant::Spend),
            missing: pending.clone(),
            evidence: filed.evidence.iter().map(|kind| (*kind).to_owned()).collect(),
            released: None,
            far,
            used: Used::default(),
        };
        let mut draft = Draft::new();
        let to = self.changed(&mut draft, beneficiary);
        to.ties = ties;
        to.ties.push(id);
        let from = self.changed(&mut draft, owner);
        from.wards = wards;
        from.wards.push(id);
        if tied.spends && tied.missing.is_empty() {
            self.regularise(&mut draft, owner, beneficiary, turn);
        }
        draft.bindings.insert(id, tied);
        draft.rows.push((ListKind::OwnerBindings, Of::Id(owner.as_u128()), turn.id));
        draft.rows.push((ListKind::BeneficiaryBindings, Of::Id(beneficiary.as_u128()), turn.id));
        draft.reply = Reply::Binding { id, start, missing: pending };
        Ok(draft)
    }

    /// Whether one of the two stands in a family other than the owner's.
    fn elsewhere(&self, owner: MemberId, beneficiary: MemberId, today: Date, only_near: bool) -> bool {
        let runs = |id: &&BindingId| self.bindings[*id].runs(today) && !(only_near && self.bindings[*id].far);
        let helpers = |of: MemberId| self.who[&of].ties.iter().filter(runs).map(|id| self.bindings[id].owner);
        let helped = self.who[&beneficiary].wards.iter().filter(runs).map(|id| self.bindings[id].beneficiary);
        helpers(beneficiary).any(|helper| helper != owner)
            || helpers(owner).any(|helper| helper != beneficiary)
            || helped.into_iter().any(|helped| helped != owner)
    }

    fn province(&self, member: MemberId) -> RegionCode {
        self.who[&member].insurance.region.province()
    }

    /// The two are bound, and money may be drawn: slips up to now are regularised.
    fn regularise(&self, draft: &mut Draft, owner: MemberId, beneficiary: MemberId, turn: Turn) {
        let who = self.changed(draft, beneficiary);
        if let Some(slip) = who.slips.get_mut(&owner) {
            *slip = (turn.today(), 0);
            let bound = who.regularised.entry(owner).or_insert(turn.now);
            *bound = turn.now.max(*bound);
        }
    }

    fn verify(&self, id: BindingId, given: &[&'static str], turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        let tied = self.bindings.get(&id).ok_or("NOT_FOUND Binding")?;
        if !tied.runs(today) {
            return Err(refused(&[Reason::BindingNotActive]));
        }
        if tied.missing.is_empty() {
            return Err(refused(&[Reason::BindingAlreadyVerified]));
        }
        let in_order = given.len() <= tied.missing.len() && given.iter().zip(&tied.missing).all(|(a, b)| a == b);
        if !in_order {
            return Err(refused(&[Reason::StepSkipped]));
        }
        let mut draft = Draft::new();
        let (start, missing) = (tied.start, tied.missing[given.len()..].to_vec());
        if missing.is_empty() && tied.spends {
            self.regularise(&mut draft, tied.owner, tied.beneficiary, turn);
        }
        let changed = self.tied(&mut draft, id);
        changed.missing = missing.clone();
        changed.evidence.extend(given.iter().map(|kind| (*kind).to_owned()));
        draft.reply = Reply::Binding { id, start, missing };
        Ok(draft)
    }

    fn reorder(&self, world: &World, who: MemberId, order: &[BindingId], today: Date) -> Result<Draft, No> {
        if self.rules(world, who, today).owner_order != OwnerOrder::UserOrder {
            return Err(refused(&[Reason::OrderNotForUser]));
        }
        let ties: Vec<BindingId> =
            self.who[&who].ties.iter().filter(|id| self.bindings[*id].runs(today)).copied().collect();
        if ties.len() != order.len() || ties.iter().any(|id| !order.contains(id)) {
            return Err("INVALID binding_ids".to_owned());
        }
        let mut draft = Draft::new();
        self.changed(&mut draft, who).ties = ties;
        let mut told = Vec::new();
        for (place, id) in order.iter().enumerate() {
            let priority = u32::try_from(place + 1).expect("few");
            self.tied(&mut draft, *id).priority = priority;
            told.push((*id, priority));
        }
        draft.reply = Reply::Order(told);
        Ok(draft)
    }

    fn release(&self, world: &World, id: BindingId, channel: Channel, given: &[&str], turn: Turn) -> Result<Draft, No> {
        let today = turn.today();
        let tied = self.bindings.get(&id).ok_or("NOT_FOUND Binding")?;
        if !tied.runs(today) || tied.released.is_some() {
            return Err(refused(&[Reason::BindingNotActive]));
        }
        let rules = self.rules(world, tied.owner, today);
        let rule = rules.releases.iter().find(|rule| rule.channel == channel);
        let rule = rule.ok_or_else(|| refused(&[Reason::ChannelNotAvailable]))?;
        let missing: Vec<&String> = rule.evidence.iter().filter(|kind| !given.contains(&kind.as_str())).collect();
        if !missing.is_empty() {
            return Err(format!("EVIDENCE {missing:?}"));
        }
        let mut draft = Draft::new();
        // With a quota goes all that there was to draw on.
        let set_aside = self.live_quota(id, today).is_some();
        if rule.effective == Effective::NextDay && tied.missing.is_empty() && !set_aside {
            self.tied(&mut draft, id).released = Some(today.tomorrow().expect("a day"));
        } else {
            self.let_go(&mut draft, id, today);
        }
        self.end_quota(&mut draft, id, turn);
        draft.reply = Reply::Unbound { id };
        Ok(draft)
    }
}

/// The insurance with its first day filled in, if it can be one.
fn from(insurance: &Insurance, today: Date) -> Result<Insurance, No> {
    let start = if insurance.start == SERVERS_DAY { today } else { insurance.start };
    if start > today {
        return Err("INVALID insurance.start_date".to_owned());
    }
    Ok(Insurance { start, ..insurance.clone() })
}
