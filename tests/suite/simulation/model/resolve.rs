//! The auditor's view of lost answers: what became of a call, and an end to the doubt.

use gongji::domain::reason::Reason;
use gongji::domain::settlement::RefundAsk;
use gongji::ledger::resolve::Original;
use gongji::store::ListKind;

use super::{Draft, Known, Life, Model, No, Of, Settled, Turn, refused};
use crate::simulation::op::{How, Op, Reply, What};

impl Known {
    /// What kind of call it was.
    fn original(&self) -> Original {
        match (&self.op.what, &self.reply) {
            (What::Hold(..), _) => Original::Hold,
            (What::Confirm { .. }, _) => Original::Confirm,
            (What::ReleaseHold { .. }, _) => Original::Release,
            (What::Refund { .. }, Reply::Refunded { place, .. }) => {
                Original::Refund(u16::try_from(*place).expect("few"))
            }
            (What::Resolve { .. }, _) => Original::Resolve,
            _ => Original::Settle,
        }
    }
}

impl Model {
    pub(super) fn resolve(
        &self,
        op: &Op,
        institution: &'static str,
        original: &str,
        fence: bool,
        reverse: bool,
        turn: Turn,
    ) -> Result<Draft, No> {
        let key = (op.scope(), original.to_owned());
        let told = |how, of| Reply::Resolved { how, of };
        if self.fences.contains(&key) {
            return Ok(Draft::look(told(How::Fenced, None)));
        }
        let Some(known) = self.known.get(&key) else {
            if !fence {
                return Ok(Draft::look(told(How::NotApplied, None)));
            }
            return Ok(Draft { fence: Some(key), reply: told(How::Fenced, None), ..Draft::new() });
        };
        let kind = known.original();
        let id = known.reply.settlement();
        let of = Some((kind, known.position, id));
        let settled = id.map(|id| &self.settlements[&id]);
        let is_gone = |settled: &Settled| match kind {
            Original::Settle | Original::Confirm => settled.is_gone(),
            Original::Hold => {
                settled.is_gone() || settled.hold.is_some_and(|hold| matches!(hold.now, Life::Released | Life::Expired))
            }
            Original::Refund(place) => !settled.refunds[usize::from(place)].stands,
            Original::Release | Original::Resolve => false,
        };
        let gone = settled.is_some_and(|settled| is_gone(settled));
        // Gone by refunds alone: they may be put back, until that is noted.
        let by_refunds = settled.is_some_and(|settled| settled.is_gone() && settled.reversed_by.is_empty())
            && !matches!(kind, Original::Refund(_));
        if !reverse {
            let how = if gone && !by_refunds { How::Reversed } else { How::Applied };
            return Ok(Draft::look(told(how, of)));
        }
        let no = || refused(&[Reason::NotReversible]);
        let (Some(id), Some(settled), false) = (id, settled, matches!(kind, Original::Release | Original::Resolve))
        else {
            return Err(no());
        };
        let reply = told(How::Reversed, of);
        if gone && by_refunds {
            let mut noted = settled.as_ref().clone();
            noted.reversed_by.clone_from(&op.id);
            let mut draft = Draft { reply, ..Draft::new() };
            draft.rows.push((ListKind::InstitutionChanges, Of::Institution(noted.institution), id.as_u128()));
            draft.settlements.insert(id, noted);
            return Ok(draft);
        }
        if gone {
            return Ok(Draft::look(reply));
        }
        let draft = match kind {
            Original::Settle | Original::Confirm => self.refund(id, institution, RefundAsk::Whole, &op.id, turn)?,
            Original::Hold => self.end_hold(id, Life::Released, &op.id, turn)?,
            Original::Refund(_) if !settled.reversed_by.is_empty() => return Err(no()),
            Original::Refund(place) => self.put_back(id, usize::from(place), turn)?,
            Original::Release | Original::Resolve => return Err(no()),
        };
        Ok(Draft { reply, ..draft })
    }
}
