//! The auditor's view of money set aside or sent ahead: quotas, transfers beforehand, wallets.

use std::collections::BTreeMap;

use gongji::domain::ids::{BindingId, MemberId, TransferId};
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, Mode, Relation};
use gongji::store::ListKind;

use super::law::{Pair, floor_of, usable};
use super::{Aside, Draft, Model, No, Of, Sent, Turn, bucket_now, place, refused};
use crate::simulation::op::Reply;
use crate::simulation::world::World;

impl Model {
    /// What open holds hold of a quota in its present spell.
    fn held_of_quota(&self, owner: MemberId, binding: BindingId, spell: u32) -> i64 {
        let open = self.who[&owner].holds.iter().map(|id| &self.settlements[id]).filter(|held| held.is_open());
        let parts = open.flat_map(|held| held.told.paid.iter().zip(&held.drawn));
        let of_quota = parts.filter(|(paid, drawn)| paid.1 == Some(binding) && drawn.spell == Some(spell) && spell > 0);
        of_quota.map(|(paid, _)| paid.5).sum()
    }

    pub(super) fn set_quota(
        &self,
        world: &World,
        id: BindingId,
        fen: i64,
        given: &[&str],
        turn: Turn,
    ) -> Result<Draft, No> {
        let today = turn.today();
        let tied = self.bindings.get(&id).ok_or("NOT_FOUND Binding")?;
        let no = if !tied.runs(today) || tied.released.is_some() {
            Some(Reason::BindingNotActive)
        } else if !tied.missing.is_empty() {
            Some(Reason::BindingNotVerified)
        } else if !tied.spends {
            Some(Reason::FamilyServiceDoesNotSpend)
        } else if tied.last_day.is_some() {
            Some(Reason::BindingHasLastDay)
        } else {
            None
        };
        if let Some(no) = no {
            return Err(refused(&[no]));
        }
        let owner = tied.owner;
        let pair = Pair::new(self, world, owner, tied.beneficiary, today);
        let nothing = Aside { year: today.year(), money: [0, 0], spell: 0, spells: 0, ended: BTreeMap::new() };
        let mut quota = self.quotas.get(&id).map_or(nothing, |quota| quota.turned(today));
        let mut evidence = tied.evidence.clone();
        evidence.extend(given.iter().map(|kind| (*kind).to_owned()).filter(|kind| !tied.evidence.contains(kind)));
        let before = quota.left();
        if fen == 0 {
            if quota.spell == 0 {
                return Err(refused(&[Reason::QuotaUnchanged]));
            }
        } else {
            let missing: Vec<&String> =
                pair.from.quota_evidence.iter().filter(|kind| !evidence.contains(kind)).collect();
            let mut reasons = Vec::new();
            reasons.extend(pair.relation_no(tied.relation));
            reasons.extend(pair.mode_no(self, Mode::Quota, Reason::ModeNotQuota));
            reasons.extend(pair.owner_no(self));
            reasons.extend(pair.beneficiary_no(self));
            reasons.extend((!missing.is_empty()).then_some(Reason::EvidenceMissing));
            let held = self.held_of_quota(owner, id, quota.spell);
            let over = pair.from.quota_max.is_some_and(|most| fen + held > most.as_fen());
            reasons.extend(over.then_some(Reason::QuotaTooLarge));
            reasons.extend((quota.spell > 0 && fen == before).then_some(Reason::QuotaUnchanged));
            if let Some(purse) = self.purse(owner, today) {
                reasons.extend((fen > before + usable(purse, pair.from)).then_some(Reason::BalanceInsufficient));
            }
            match reasons.as_slice() {
                [] => {}
                [Reason::EvidenceMissing] => return Err(format!("EVIDENCE {missing:?}")),
                reasons => return Err(refused(reasons)),
            }
        }
        let mut draft = Draft::new();
        let mut purse = self.purse(owner, today).ok_or("NOT_FOUND Account")?;
        if fen > before {
            let mut more = fen - before;
            for bucket in &pair.from.relative_buckets {
                let part = more.min(purse.1[place(*bucket)]);
                more -= part;
                quota.money[place(*bucket)] += part;
                purse = self.change_purse(&mut draft, owner, *bucket, -part, today);
                draft.moved(Party::Bucket(owner, *bucket), Party::Quota(id, *bucket), part);
            }
        } else {
            let mut less = before - fen;
            for bucket in [Bucket::CurrentYear, Bucket::PriorYears] {
                let part = less.min(quota.money[place(bucket)]);
                less -= part;
                quota.money[place(bucket)] -= part;
                purse = self.change_purse(&mut draft, owner, bucket, part, today);
                draft.moved(Party::Quota(id, bucket), Party::Bucket(owner, bucket), part);
            }
        }
        if fen == 0 {
            quota.give_up(self.changed(&mut draft, owner));
        } else if quota.spell == 0 {
            quota.spells += 1;
            quota.spell = quota.spells;
        }
        self.tied(&mut draft, id).evidence = evidence;
        self.changed(&mut draft, owner);
        draft.reply = Reply::Quota { id, money: quota.money, owner: purse };
        draft.quotas.insert(id, quota);
        draft.entry(owner, 0);
        Ok(draft)
    }

    /// What is left of a quota goes back to its owner.
    pub(super) fn end_quota(&self, draft: &mut Draft, id: BindingId, turn: Turn) {
        let today = turn.today();
        let Some(mut quota) = self.live_quota(id, today) else { return };
        let owner = self.bindings[&id].owner;
        for bucket in [Bucket::PriorYears, Bucket::CurrentYear] {
            let part = std::mem::take(&mut quota.money[place(bucket)]);
            self.change_purse(draft, owner, bucket, part, today);
            draft.moved(Party::Quota(id, bucket), Party::Bucket(owner, bucket), part);
        }
        quota.give_up(self.changed(draft, owner));
        draft.quotas.insert(id, quota);
        draft.entry(owner, 0);
    }

    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
    pub(super) fn transfer(
        &self,
        world: &World,
        owner: MemberId,
        beneficiary: MemberId,
        relation: Relation,
        fen: i64,
        mode: Option<Mode>,
        from_wallet: bool,
        turn: Turn,
    ) -> Result<Draft, No> {
        let pair = Pair::new(self, world, owner, beneficiary, turn.today());
        let open = pair.modes(self);
        let by_wallet = match (mode, &open) {
            (Some(mode), _) => mode == Mode::WalletTransfer,
            (None, Ok(modes)) => !modes.contains(&Mode::TransferBeforehand) && modes.contains(&Mode::WalletTransfer),
            (None, Err(_)) => from_wallet,
        };
        if from_wallet && !by_wallet {
            return Err("INVALID from_wallet".to_owned());
        }
        if by_wallet {
            self.send(&pair, relation, fen, from_wallet, turn)
        } else {
            self.move_at_once(&pair, relation, fen, turn)
        }
    }

    fn move_at_once(&self, pair: &Pair<'_>, relation: Relation, fen: i64, turn: Turn) -> Result<Draft, No> {
        let (owner, beneficiary, today) = (pair.owner, pair.beneficiary, turn.today());
        let mut reasons = Vec::new();
        reasons.extend((owner == beneficiary).then_some(Reason::SamePerson));
        reasons.extend(pair.relation_no(relation));
        reasons.extend(pair.mode_no(self, Mode::TransferBeforehand, Reason::ModeNotTransfer));
        reasons.extend(pair.owner_no(self));
        reasons.extend(pair.beneficiary_no(self));
        if let Some(purse) = self.purse(owner, today) {
            let has = usable(purse, pair.from).min(purse.1[place(Bucket::PriorYears)]);
            reasons.extend((fen > has).then_some(Reason::BalanceInsufficient));
        }
        if !reasons.is_empty() {
            return Err(refused(&reasons));
        }
        let mut draft = Draft::new();
        let id = TransferId::from_u128(turn.id);
        let from = self.change_purse(&mut draft, owner, Bucket::PriorYears, -fen, today);
        let to = self.change_purse(&mut draft, beneficiary, Bucket::PriorYears, fen, today);
        let prior = |of: MemberId| Party::Bucket(of, Bucket::PriorYears);
        draft.moved(prior(owner), prior(beneficiary), fen);
        draft.entry(owner, 0);
        draft.entry(beneficiary, 0);
        let mode = Mode::TransferBeforehand;
        draft.reply = Reply::Sent { id, mode, owner: from, beneficiary: Some(to), claim_before: None };
        let claim_before = turn.now.as_micros();
        let from = vec![(Bucket::PriorYears, fen)];
        let (year, on, taken) = (today.year(), today, Some(true));
        draft.transfers.insert(id, Sent { owner, beneficiary, fen, from, year, on, claim_before, taken });
        Ok(draft)
    }

    fn send(&self, pair: &Pair<'_>, relation: Relation, fen: i64, from_wallet: bool, turn: Turn) -> Result<Draft, No> {
        let (owner, beneficiary, today) = (pair.owner, pair.beneficiary, turn.today());
        let rules = pair.from;
        let sent = self.sent.get(&(owner, today)).copied().unwrap_or_default();
        let state = self.who[&owner].insurance.state;
        let mut reasons = Vec::new();
        reasons.extend((owner == beneficiary).then_some(Reason::SamePerson));
        reasons.extend(pair.relation_no(relation));
        reasons.extend(pair.mode_no(self, Mode::WalletTransfer, Reason::ModeNotTransfer));
        if from_wallet {
            reasons.extend((!rules.owner_states.contains(&state)).then_some(Reason::OwnerStateNotAllowed));
        } else {
            reasons.extend(pair.owner_no(self));
        }
        reasons.extend(pair.beneficiary_no(self));
        reasons.extend((!self.who[&owner].wallet).then_some(Reason::OwnerWalletNotOpen));
        reasons.extend((!self.who[&beneficiary].wallet).then_some(Reason::BeneficiaryWalletNotOpen));
        let closed = rules.wallet_closed_hours.is_some_and(|hours| {
            let time = turn.now.civil_time();
            if hours.from <= hours.to {
                hours.from <= time && time < hours.to
            } else {
                hours.from <= time || time < hours.to
            }
        });
        reasons.extend(closed.then_some(Reason::WalletClosedHours));
        let often = rules.wallet_transfers_per_day.is_some_and(|most| sent >= most);
        reasons.extend(often.then_some(Reason::TransfersPerDayReached));
        let large = rules.wallet_transfer_max.is_some_and(|most| fen > most.as_fen());
        reasons.extend(large.then_some(Reason::TransferTooLarge));
        // What lies where, in the order in which it is taken.
        let purse = self.purse(owner, today).unwrap_or((today.year(), [0; 3]));
        let over = (purse.1[0] + purse.1[1] - floor_of(rules)).max(0);
        let mut most = if from_wallet { purse.1[2] } else { over };
        let (mut from, mut left) = (Vec::new(), fen);
        for bucket in rules.wallet_sources.iter().filter(|bucket| (**bucket == Bucket::Wallet) == from_wallet) {
            let has = most.min(purse.1[place(*bucket)]);
            most -= has;
            let part = left.min(has);
            left -= part;
            from.extend((part > 0).then_some((*bucket, part)));
        }
        reasons.extend((left > 0).then_some(Reason::BalanceInsufficient));
        if !reasons.is_empty() {
            return Err(refused(&reasons));
        }
        let mut draft = Draft::new();
        let id = TransferId::from_u128(turn.id);
        let mut after = purse;
        for (bucket, part) in &from {
            after = self.change_purse(&mut draft, owner, *bucket, -part, today);
            draft.moved(Party::Bucket(owner, *bucket), Party::Transfer(id), *part);
        }
        let tomorrow = today.tomorrow().expect("a day");
        let claim_before = Moment::of_civil(tomorrow, rules.wallet_return_time).as_micros();
        draft.sent.insert((owner, today), sent + 1);
        draft.entry(owner, 0);
        draft.rows.push((ListKind::TransfersOfDay, Of::Day(today), turn.id));
        let (year, on, taken) = (today.year(), today, None);
        draft.transfers.insert(id, Sent { owner, beneficiary, fen, from, year, on, claim_before, taken });
        let mode = Mode::WalletTransfer;
        draft.reply = Reply::Sent { id, mode, owner: after, beneficiary: None, claim_before: Some(claim_before) };
        Ok(draft)
    }

    pub(super) fn claim(&self, id: TransferId, who: MemberId, turn: Turn) -> Result<Draft, No> {
        let found = self.transfers.get(&id).filter(|sent| sent.beneficiary == who);
        let mut sent = found.ok_or("NOT_FOUND Transfer")?.clone();
        match sent.taken {
            Some(true) => return Err(refused(&[Reason::TransferAlreadyClaimed])),
            Some(false) => return Err(refused(&[Reason::TransferReturned])),
            None if turn.now.as_micros() >= sent.claim_before => return Err(refused(&[Reason::TransferReturned])),
            None => {}
        }
        let mut draft = Draft::new();
        let purse = self.change_purse(&mut draft, who, Bucket::Wallet, sent.fen, turn.today());
        draft.moved(Party::Transfer(id), Party::Bucket(who, Bucket::Wallet), sent.fen);
        draft.entry(who, 0);
        sent.taken = Some(true);
        draft.transfers.insert(id, sent);
        draft.reply = Reply::Claimed { id, purse };
        Ok(draft)
    }

    pub(super) fn give_back(&self, id: TransferId, turn: Turn) -> Result<Draft, No> {
        let mut sent = self.transfers.get(&id).ok_or("NOT_FOUND Transfer")?.clone();
        match sent.taken {
            Some(true) => return Err(refused(&[Reason::TransferAlreadyClaimed])),
            Some(false) => return Err(refused(&[Reason::TransferReturned])),
            None if turn.now.as_micros() < sent.claim_before => return Err("it can still be taken".to_owned()),
            None => {}
        }
        let mut draft = Draft::new();
        for (bucket, part) in &sent.from {
            let now_in = bucket_now(*bucket, sent.year, turn.today());
            self.change_purse(&mut draft, sent.owner, now_in, *part, turn.today());
            draft.moved(Party::Transfer(id), Party::Bucket(sent.owner, now_in), *part);
        }
        draft.entry(sent.owner, 0);
        sent.taken = Some(false);
        draft.transfers.insert(id, sent);
        Ok(draft)
    }
}
