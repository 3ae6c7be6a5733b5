//! The auditor's view of holds: money set aside for a bill, then taken, let go, or free again by itself.

use gongji::domain::ids::{InstitutionCode, MemberId, SettlementId};
use gongji::domain::posting::Party;
use gongji::domain::reason::Reason;
use gongji::domain::time::{Moment, day_number};
use gongji::domain::vocabulary::Bucket;
use gongji::store::ListKind;

use super::{Draft, Held, Life, Model, No, Of, Settled, Turn, refused};
use crate::simulation::HOLDS_PER_MEMBER;
use crate::simulation::op::{Reply, What};

impl Settled {
    /// A hold is resolved once.
    fn no_hold(&self) -> Result<(), No> {
        let no = match self.hold.map(|hold| hold.now) {
            Some(Life::Open) => return Ok(()),
            None => Reason::NotHeld,
            Some(Life::Confirmed) => Reason::HoldConfirmed,
            Some(Life::Released) => Reason::HoldReleased,
            Some(Life::Expired) => Reason::HoldExpired,
        };
        Err(refused(&[no]))
    }

    /// The patient, and everybody whose money is held.
    fn marked(&self) -> Vec<MemberId> {
        let mut people = vec![self.patient];
        people.extend(self.told.paid.iter().map(|paid| paid.0));
        people.sort();
        people.dedup();
        people
    }
}

impl Model {
    /// All that there is as if every hold that has run out had been ended; none where there is none. What ends one sees it.
    pub(super) fn without_due(&self, what: &What, turn: Turn) -> Option<Self> {
        let now = turn.now.as_micros();
        if matches!(what, What::EndHold { .. }) || self.open.values().all(|expires| *expires > now) {
            return None;
        }
        let mut later = self.clone();
        for id in self.open.iter().filter(|(_, expires)| **expires <= now).map(|(id, _)| *id) {
            let draft = later.end_hold(id, Life::Expired, "", turn).expect("it is open");
            later.take_in(draft, 0);
        }
        Some(later)
    }

    /// What a settlement would take is set aside, until the end of so many seconds.
    pub(super) fn set_aside(
        &self,
        draft: &mut Draft,
        id: SettlementId,
        mut settled: Settled,
        seconds: u32,
        turn: Turn,
    ) -> Result<(), No> {
        let expires = turn.now.as_micros() + i64::from(seconds) * 1_000_000;
        settled.hold = Some(Held { expires, at: 0, now: Life::Open });
        for member in settled.marked() {
            let holds = &mut self.changed(draft, member).holds;
            if holds.len() >= HOLDS_PER_MEMBER as usize {
                return Err(refused(&[Reason::HoldsPerMemberExceeded]));
            }
            holds.push(id);
            let parts: Vec<(Bucket, i16, i64)> =
                settled.told.paid.iter().filter(|paid| paid.0 == member).map(|paid| (paid.3, paid.4, paid.5)).collect();
            if !parts.is_empty() {
                self.changed(draft, member).held.insert(id, parts);
            }
        }
        let day = Moment::from_micros(expires).civil_day();
        let number = u128::try_from(day_number(day)).expect("a day of our era");
        draft.rows.push((ListKind::HoldsOfDay, Of::Id(number), turn.id));
        draft.reply = Reply::Held { id, told: settled.told.clone(), expires };
        draft.settlements.insert(id, settled);
        Ok(())
    }

    /// Whose money it held turns first: it was there when the year ended.
    fn unmark(&self, draft: &mut Draft, id: SettlementId, settled: &Settled, turn: Turn) {
        for member in settled.marked() {
            let who = self.changed(draft, member);
            who.holds.retain(|known| *known != id);
            if who.held.contains_key(&id) {
                let year = who.purse.map(|purse| purse.0);
                who.turn(turn.today());
                who.held.remove(&id);
                if who.purse.map(|purse| purse.0) != year {
                    draft.entry(member, 0);
                }
            }
        }
    }

    pub(super) fn confirm(&self, id: SettlementId, by: &str, fen: Option<i64>, turn: Turn) -> Result<Draft, No> {
        let mut settled = self.settled_by(id, by)?.clone();
        settled.no_hold()?;
        let held: i64 = settled.told.paid.iter().map(|paid| paid.5).sum();
        let wanted = fen.unwrap_or(held);
        if wanted > held {
            return Err(refused(&[Reason::ConfirmExceedsHeld]));
        }
        let mut draft = Draft::new();
        let code = InstitutionCode::parse(settled.institution).expect("a code");
        let (hospital, hold) = (Party::Institution(code.clone()), Party::Hold(id));
        let split = settled.told.split;
        draft.moved(Party::Fund(settled.region), hospital.clone(), split[6]);
        draft.moved(Party::HospitalPart(code), hospital.clone(), split[7]);
        draft.moved(Party::Cash, hospital.clone(), settled.told.cash + held - wanted);
        draft.moved(hold.clone(), hospital, wanted);
        self.unmark(&mut draft, id, &settled, turn);
        draft.rows.push((ListKind::InstitutionChanges, Of::Institution(settled.institution), id.as_u128()));
        // Taken as drawn; what is left over goes back, last drawn first.
        let mut over = held - wanted;
        for number in (0..settled.told.paid.len()).rev() {
            let part = over.min(settled.told.paid[number].5);
            over -= part;
            if part > 0 {
                self.back(&mut draft, &settled, number, part, &hold, turn);
                draft.returned.push((u16::try_from(number).expect("few"), part));
                settled.told.paid[number].5 -= part;
            }
        }
        self.recount_slips(&mut draft, &self.settlements[&id], &settled.told.paid);
        settled.told.paid.retain(|paid| paid.5 > 0);
        settled.drawn.truncate(settled.told.paid.len());
        let sum = |own: bool| settled.told.paid.iter().filter(|paid| paid.2.is_none() == own).map(|paid| paid.5).sum();
        (settled.told.own, settled.told.aid) = (sum(true), sum(false));
        settled.told.cash += held - wanted;
        settled.hold = settled.hold.map(|hold| Held { now: Life::Confirmed, ..hold });
        let told = crate::simulation::op::Told { excluded: Vec::new(), ..settled.told.clone() };
        draft.reply = Reply::Confirmed { id, told, returned: held - wanted };
        draft.settlements.insert(id, settled);
        Ok(draft)
    }

    pub(super) fn expire(&self, id: SettlementId, turn: Turn) -> Result<Draft, No> {
        let hold = self.settlements.get(&id).ok_or("NOT_FOUND Settlement")?.hold;
        if hold.is_some_and(|hold| hold.now == Life::Open && hold.expires > turn.now.as_micros()) {
            return Err(refused(&[Reason::HoldOpen]));
        }
        Ok(Draft { reply: Reply::Returned, ..self.end_hold(id, Life::Expired, "", turn)? })
    }

    /// All money, and all that was counted, is as if it had never been.
    pub(super) fn end_hold(&self, id: SettlementId, how: Life, reversed_by: &str, turn: Turn) -> Result<Draft, No> {
        let mut settled = self.settlements[&id].as_ref().clone();
        settled.no_hold()?;
        let mut draft = Draft::new();
        draft.rows.push((ListKind::InstitutionChanges, Of::Institution(settled.institution), id.as_u128()));
        self.unmark(&mut draft, id, &settled, turn);
        self.recount_slips(&mut draft, &settled, &[]);
        for number in (0..settled.told.paid.len()).rev() {
            let fen = settled.told.paid[number].5;
            self.back(&mut draft, &settled, number, fen, &Party::Hold(id), turn);
            draft.returned.push((u16::try_from(number).expect("few"), fen));
        }
        let used = self.changed(&mut draft, settled.patient).years.entry(settled.counts).or_default();
        used[0] -= settled.yearly;
        used[1] -= settled.told.split[6];
        settled.hold = settled.hold.map(|hold| Held { now: how, ..hold });
        reversed_by.clone_into(&mut settled.reversed_by);
        let returned = draft.returned.iter().map(|(_, fen)| fen).sum();
        draft.reply = Reply::Released { id, returned };
        draft.settlements.insert(id, settled);
        Ok(draft)
    }
}
