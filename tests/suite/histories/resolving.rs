//! What a resolution is told and does, in every state the original may be in.

use super::calls::{Answer, Id, Original, Resolve, State, Told};
use super::model::{Done, Family};

impl Family {
    pub(super) fn resolve(&mut self, ask: &Resolve) -> Answer {
        if self.fenced.contains(&ask.id) {
            return Answer::Refused("REQUEST_FENCED");
        }
        if let Some(known) = self.done.get(&ask.id) {
            let told = if known.about.is_some() { Told::Reversed } else { Told::Fenced };
            return self.told(told, ask.of, true, true);
        }
        let Some(original) = self.done.get(&ask.of).cloned() else { return self.resolve_missing(ask) };
        let Some(about) = original.about else {
            // It fenced another request, and what is fenced stays so.
            return if ask.reverse { not_reversible() } else { self.told(Told::Applied, ask.of, false, false) };
        };
        match (self.is_gone(ask.of, original.original, about), ask.reverse) {
            // Whoever only asks is told it too.
            (Gone::ForEver, _) => self.told(Told::Reversed, ask.of, false, false),
            (Gone::ByRefunds | Gone::No, false) => self.told(Told::Applied, ask.of, false, false),
            (Gone::ByRefunds, true) => self.reversed(ask, about),
            (Gone::No, true) => match self.undo(ask, original.original, about) {
                Answer::Refused(why) => Answer::Refused(why),
                _ => self.reversed(ask, about),
            },
        }
    }

    fn resolve_missing(&mut self, ask: &Resolve) -> Answer {
        if self.fenced.contains(&ask.of) {
            return self.told(Told::Fenced, ask.of, false, false);
        }
        if !ask.fence {
            return self.told(Told::NotApplied, ask.of, false, false);
        }
        self.fenced.insert(ask.of);
        self.done.insert(ask.id, Done { original: Original::Resolve, about: None, answer: None });
        self.told(Told::Fenced, ask.of, true, false)
    }

    /// Whether anything of it stands.
    fn is_gone(&self, of: Id, original: Original, about: Id) -> Gone {
        let settled = &self.settled[&about];
        match (original, settled.state()) {
            (Original::Settle | Original::Confirm | Original::Hold, State::Refunded) => match settled.reversed_by {
                Some(_) => Gone::ForEver,
                // One of them could still be put back.
                None => Gone::ByRefunds,
            },
            (Original::Hold, State::Released) => Gone::ForEver,
            (Original::Refund, _)
                if settled.refunds.iter().any(|refund| refund.by == of && refund.put_back.is_some()) =>
            {
                Gone::ForEver
            }
            _ => Gone::No,
        }
    }

    fn undo(&mut self, ask: &Resolve, original: Original, about: Id) -> Answer {
        match original {
            Original::Settle | Original::Confirm => self.refund(ask.id, about, None),
            Original::Hold => self.release(about),
            Original::Refund => self.put_back(ask, about),
            Original::Release | Original::Resolve => not_reversible(),
        }
    }

    /// Takes a refund again, if everybody who got something still has it.
    fn put_back(&mut self, ask: &Resolve, about: Id) -> Answer {
        let settled = self.settled.get_mut(&about).expect("a refund is of a settlement");
        if settled.reversed_by.is_some() {
            return not_reversible();
        }
        let refund = settled.refunds.iter_mut().find(|refund| refund.by == ask.of).expect("it was made");
        if refund.returned.iter().any(|(son, part)| self.balances[*son] < *part) {
            return Answer::Refused("REFUND_SPENT");
        }
        refund.put_back = Some(ask.id);
        settled.cash_back -= refund.cash;
        let returned = refund.returned.clone();
        for (son, part) in &returned {
            let paid = settled.drawn.iter_mut().find(|(payer, ..)| payer == son).expect("who got back had paid");
            paid.2 -= part;
        }
        for (son, part) in returned {
            self.post(son, -part);
        }
        self.told(Told::Reversed, ask.of, true, false)
    }

    /// Nothing of it stands, and from now on nothing will again.
    fn reversed(&mut self, ask: &Resolve, about: Id) -> Answer {
        let original = self.done[&ask.of].original;
        if original != Original::Refund {
            self.settled.get_mut(&about).expect("it was reversed").reversed_by = Some(ask.id);
        }
        self.done.insert(ask.id, Done { original: Original::Resolve, about: Some(about), answer: None });
        self.told(Told::Reversed, ask.of, true, false)
    }

    /// The settlement is told as it stands now, to repeats too.
    fn told(&self, told: Told, of: Id, changed: bool, replayed: bool) -> Answer {
        let known = self.done.get(&of).filter(|_| matches!(told, Told::Applied | Told::Reversed));
        let about = known.and_then(|known| known.about);
        Answer::Resolved {
            told,
            original: known.map(|known| known.original),
            settlement: about.map(|about| (about, self.settled[&about].view())),
            changed,
            replayed,
        }
    }
}

#[derive(Clone, Copy)]
enum Gone {
    No,
    /// For now.
    ByRefunds,
    ForEver,
}

fn not_reversible() -> Answer {
    Answer::Refused("NOT_REVERSIBLE")
}
