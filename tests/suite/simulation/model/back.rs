//! The auditor's view of money that goes back to who paid, and of money that is taken once more.

use std::collections::BTreeSet;

use gongji::domain::ids::{InstitutionCode, MemberId, SettlementId};
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::settlement::RefundAsk;
use gongji::store::ListKind;

use super::{Draft, Life, Model, No, Of, Refunded, Settled, Turn, bucket_now, left_of, place, refused};
use crate::simulation::op::{Paid, Reply};

impl Model {
    pub(super) fn settled_by(&self, id: SettlementId, by: &str) -> Result<&Settled, No> {
        let found = self.settlements.get(&id).filter(|settled| settled.institution == by);
        Ok(found.ok_or("NOT_FOUND Settlement")?)
    }

    /// One contribution, or a part of it, goes back to where it came from, as far as that is there.
    pub(super) fn back(&self, draft: &mut Draft, settled: &Settled, number: usize, fen: i64, from: &Party, turn: Turn) {
        let today = turn.today();
        let (owner, binding, relation, bucket, year, _, _) = settled.told.paid[number];
        draft.entry(owner, 0);
        let now_in = bucket_now(bucket, year, today);
        let spell = settled.drawn[number].spell;
        let quota = binding.and_then(|id| {
            let known = draft.quotas.get(&id).cloned().or_else(|| self.live_quota(id, today));
            known.filter(|quota| Some(quota.spell) == spell).map(|quota| (id, quota))
        });
        if let Some((id, mut quota)) = quota {
            quota.money[place(now_in)] += fen;
            draft.quotas.insert(id, quota);
            draft.moved(from.clone(), Party::Quota(id, now_in), fen);
        } else {
            self.change_purse(draft, owner, now_in, fen, today);
            draft.moved(from.clone(), Party::Bucket(owner, now_in), fen);
        }
        if let Some(binding) = binding {
            self.tied(draft, binding).used.give_back(today, settled.on, fen);
        }
        if relation.is_some() && settled.drawn[number].counted {
            let pair = (owner, settled.patient);
            let used = draft.aid.entry(pair).or_insert_with(|| self.aid[&pair].clone());
            used.give_back(today, settled.on, fen);
        }
    }

    /// What went back is taken again from where it lies now, if it is there.
    fn again(
        &self,
        draft: &mut Draft,
        settled: &Settled,
        number: usize,
        fen: i64,
        to: &Party,
        turn: Turn,
    ) -> Result<(), No> {
        let today = turn.today();
        let (owner, binding, relation, bucket, year, _, _) = settled.told.paid[number];
        draft.entry(owner, 0);
        let now_in = bucket_now(bucket, year, today);
        let spell = settled.drawn[number].spell;
        let quota = binding.and_then(|id| {
            let known = draft.quotas.get(&id).cloned().or_else(|| self.live_quota(id, today));
            known.filter(|quota| Some(quota.spell) == spell).map(|quota| (id, quota))
        });
        if let Some((id, mut quota)) = quota {
            if quota.money[place(now_in)] < fen {
                return Err(refused(&[Reason::RefundSpent]));
            }
            quota.money[place(now_in)] -= fen;
            draft.quotas.insert(id, quota);
            draft.moved(Party::Quota(id, now_in), to.clone(), fen);
        } else {
            let left = self.change_purse(draft, owner, now_in, -fen, today);
            if left.1[place(now_in)] < 0 {
                return Err(refused(&[Reason::RefundSpent]));
            }
            draft.moved(Party::Bucket(owner, now_in), to.clone(), fen);
        }
        if let Some(binding) = binding {
            self.tied(draft, binding).used.give_back(today, settled.on, -fen);
        }
        if relation.is_some() && settled.drawn[number].counted {
            let pair = (owner, settled.patient);
            let used = draft.aid.entry(pair).or_insert_with(|| self.aid[&pair].clone());
            used.give_back(today, settled.on, -fen);
        }
        Ok(())
    }

    /// A slip is used while something stays paid of what its owner paid by it.
    pub(super) fn recount_slips(&self, draft: &mut Draft, before: &Settled, after: &[Paid]) {
        let stays = |of: &[Paid]| -> BTreeSet<MemberId> {
            let by_slip = of.iter().filter(|paid| paid.2.is_some() && paid.1.is_none() && left_of(paid) > 0);
            by_slip.map(|paid| paid.0).collect()
        };
        let (was, is) = (stays(&before.told.paid), stays(after));
        let who = self.changed(draft, before.patient);
        let (slips, regularised) = (&mut who.slips, &who.regularised);
        let counts = |owner: &&MemberId| regularised.get(*owner).is_none_or(|bound| *bound < before.at);
        for owner in was.difference(&is).filter(counts) {
            slips.get_mut(owner).expect("it was counted").1 -= 1;
        }
        for owner in is.difference(&was).filter(counts) {
            let slip = slips.get_mut(owner).expect("it was counted");
            let first = if slip.1 == 0 { before.on } else { slip.0.min(before.on) };
            *slip = (first, slip.1 + 1);
        }
    }

    pub(super) fn refund(
        &self,
        id: SettlementId,
        by: &str,
        ask: RefundAsk,
        reversed_by: &str,
        turn: Turn,
    ) -> Result<Draft, No> {
        let mut settled = self.settled_by(id, by)?.clone();
        match settled.hold.map(|hold| hold.now) {
            Some(Life::Open) => return Err(refused(&[Reason::HoldOpen])),
            Some(Life::Released) => return Err(refused(&[Reason::HoldReleased])),
            Some(Life::Expired) => return Err(refused(&[Reason::HoldExpired])),
            Some(Life::Confirmed) | None => {}
        }
        let told = &settled.told;
        let paid = [told.split[6], told.split[7], told.own + told.aid, told.cash];
        let left: Vec<i64> = paid.iter().zip(&settled.back).map(|(paid, back)| paid - back).collect();
        if left.iter().sum::<i64>() == 0 {
            return Err(refused(&[Reason::AlreadyRefunded]));
        }
        let parts = match ask {
            RefundAsk::Whole => [left[0], left[1], left[2], left[3]],
            RefundAsk::Parts(parts) => crate::simulation::op::parts(&parts),
        };
        if parts.iter().zip(&left).any(|(part, left)| part > left) {
            return Err(refused(&[Reason::RefundExceedsPaid]));
        }
        let mut draft = Draft::new();
        let code = InstitutionCode::parse(settled.institution).expect("a code");
        let hospital = Party::Institution(code.clone());
        draft.moved(hospital.clone(), Party::Fund(settled.region), parts[0]);
        draft.moved(hospital.clone(), Party::HospitalPart(code), parts[1]);
        draft.moved(hospital.clone(), Party::Cash, parts[3]);
        draft.rows.push((ListKind::InstitutionChanges, Of::Institution(settled.institution), id.as_u128()));
        let mut accounts = parts[2];
        let mut returned = Vec::new();
        for number in (0..settled.told.paid.len()).rev() {
            let fen = accounts.min(left_of(&settled.told.paid[number]));
            if fen == 0 {
                continue;
            }
            accounts -= fen;
            returned.push((u16::try_from(number).expect("few"), fen));
            self.back(&mut draft, &settled, number, fen, &hospital, turn);
            settled.told.paid[number].6 += fen;
        }
        for (back, part) in settled.back.iter_mut().zip(parts) {
            *back += part;
        }
        self.recount_slips(&mut draft, &self.settlements[&id], &settled.told.paid);
        let whole = settled.is_gone();
        let deductible = settled.yearly;
        let used = self.changed(&mut draft, settled.patient).years.entry(settled.counts).or_default();
        used[1] -= parts[0];
        if whole {
            used[0] -= deductible;
        }
        let place = settled.refunds.len();
        settled.refunds.push(Refunded { parts, returned: returned.clone(), stands: true });
        if !reversed_by.is_empty() {
            reversed_by.clone_into(&mut settled.reversed_by);
        }
        let paid = settled.told.paid.clone();
        draft.reply = Reply::Refunded { id, place, parts, returned: returned.clone(), paid, whole };
        draft.returned = returned;
        draft.settlements.insert(id, settled);
        Ok(draft)
    }

    /// A refund comes to be none: everybody pays again what came back.
    pub(super) fn put_back(&self, id: SettlementId, number: usize, turn: Turn) -> Result<Draft, No> {
        let mut settled = self.settlements[&id].as_ref().clone();
        let was_gone = settled.is_gone();
        let Refunded { parts, returned, .. } = settled.refunds[number].clone();
        let mut draft = Draft::new();
        let code = InstitutionCode::parse(settled.institution).expect("a code");
        let hospital = Party::Institution(code.clone());
        draft.moved(Party::Fund(settled.region), hospital.clone(), parts[0]);
        draft.moved(Party::HospitalPart(code), hospital.clone(), parts[1]);
        draft.moved(Party::Cash, hospital.clone(), parts[3]);
        draft.rows.push((ListKind::InstitutionChanges, Of::Institution(settled.institution), id.as_u128()));
        for (place, fen) in &returned {
            self.again(&mut draft, &settled, usize::from(*place), *fen, &hospital, turn)?;
            settled.told.paid[usize::from(*place)].6 -= fen;
        }
        for (back, part) in settled.back.iter_mut().zip(parts) {
            *back -= part;
        }
        self.recount_slips(&mut draft, &self.settlements[&id], &settled.told.paid);
        settled.refunds[number].stands = false;
        let deductible = settled.yearly;
        let used = self.changed(&mut draft, settled.patient).years.entry(settled.counts).or_default();
        used[1] += parts[0];
        if was_gone && !settled.is_gone() {
            used[0] += deductible;
        }
        draft.returned = returned;
        draft.settlements.insert(id, settled);
        Ok(draft)
    }
}
