//! `ResolveOutcome`: what became of a call whose answer was lost, and, if wanted, an end to the doubt. A fence stands where
//! the original's own request would, in the same commit as its record, so exactly one of the two is written, in whatever
//! order they arrive.
//!
//! A resolution that changes nothing is a look and keeps nothing; one that fences or reverses is a change under its own
//! request id. Both come to the same answer when asked again.

use std::sync::Arc;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::hold::{end, of_institution};
use super::reading::Reading;
use super::settle::institution_scope;
use super::{Command, Fresh, Ledger, Plan, refund};
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record};
use crate::domain::settlement::hold::HoldEnd;
use crate::domain::settlement::{RefundAsk, Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::store::entity::Request;
use crate::store::{Entity, Key, StoreError, record};

/// The method of a request id that was declared void.
pub(super) const FENCE: u8 = 8;

/// `ResolveOutcome`.
#[derive(Clone, Debug)]
pub struct ResolveOutcome {
    pub request_id: RequestId,
    pub institution: InstitutionCode,
    pub original: RequestId,
    /// Whether an original that had no effect shall never have one.
    pub fence: bool,
    /// Whether an original that had its effect shall be undone.
    pub reverse: bool,
}

/// What kind of call the original was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    Settle,
    Hold,
    Confirm,
    Release,
    /// The refund's place in its settlement.
    Refund(u16),
    /// A resolution that fenced or reversed something.
    Resolve,
}

/// An original that had its effect, as it stands now.
#[derive(Clone, Debug)]
pub struct Applied {
    pub original: Original,
    /// Where it had its effect.
    pub position: u64,
    /// With the position of its last change before this resolution. None: the original fenced another request.
    pub settlement: Option<(Settlement, u64)>,
}

#[derive(Clone, Debug)]
pub enum Resolved {
    Applied(Applied),
    NotApplied,
    Fenced,
    Reversed(Applied),
}

/// The answer, and the change it took, if it took one.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub resolved: Resolved,
    /// The position of the change; none: nothing was changed.
    pub position: Option<u64>,
    pub replayed: bool,
}

impl Ledger {
    pub async fn resolve_outcome(&self, ask: &ResolveOutcome) -> Result<Resolution, Failure> {
        for _ in 0..=self.limits.retries {
            let mut reading = Reading::as_of(self.store(), self.now());
            let changes = match self.look_at_original(ask, &mut reading).await {
                Err(Failure::RanOut(holds)) => {
                    self.end_holds(&holds).await?;
                    continue;
                }
                Err(failure) => {
                    self.store().wait_durable(reading.read_at()).await?;
                    return Err(failure);
                }
                // Perhaps another sending of this very request did what is seen: then this one is its repeat.
                Ok(Looked::Nothing(_)) if reading.is_torn() && self.is_known(ask).await? => self.run(ask).await,
                Ok(Looked::Nothing(resolved)) => {
                    self.store().wait_durable(reading.read_at()).await?;
                    return Ok(Resolution { resolved, position: None, replayed: false });
                }
                Ok(Looked::Changes) => self.run(ask).await,
            };
            match changes {
                // Somebody was faster with the original, or with the reversal.
                Err(Failure::LookAgain) => {}
                Err(failure) => return Err(failure),
                Ok(done) => {
                    let (position, replayed) = (Some(done.position), done.replayed);
                    return Ok(Resolution { resolved: done.outcome, position, replayed });
                }
            }
        }
        Err(Failure::Contention)
    }

    fn own_key(&self, ask: &ResolveOutcome) -> Key {
        Key::Request(self.keys.request(&institution_scope(&ask.institution), &ask.request_id))
    }

    async fn is_known(&self, ask: &ResolveOutcome) -> Result<bool, Failure> {
        let (own, mut reading) = (self.own_key(ask), Reading::new(self.store()));
        reading.get(&[own]).await?;
        Ok(reading.request(&own)?.is_some())
    }

    /// Whether there is something to do, or already an answer.
    async fn look_at_original(&self, ask: &ResolveOutcome, reading: &mut Reading<'_>) -> Result<Looked, Failure> {
        let own = self.own_key(ask);
        reading.get(&[own]).await?;
        if reading.request(&own)?.is_some() {
            return Ok(Looked::Changes);
        }
        Ok(match self.found(ask, reading).await? {
            Found::Missing if ask.fence => Looked::Changes,
            Found::Missing => Looked::Nothing(Resolved::NotApplied),
            Found::Fenced => Looked::Nothing(Resolved::Fenced),
            // Whoever only asks is told it too.
            Found::Applied(applied) if applied.is_reversed() && !applied.may_be_paid_again() => {
                Looked::Nothing(Resolved::Reversed(applied))
            }
            Found::Applied(applied) if !ask.reverse => Looked::Nothing(Resolved::Applied(applied)),
            Found::Applied(_) => Looked::Changes,
        })
    }

    async fn found(&self, ask: &ResolveOutcome, reading: &mut Reading<'_>) -> Result<Found, Failure> {
        let scope = institution_scope(&ask.institution);
        let key = Key::Request(self.keys.request(&scope, &ask.original));
        reading.get(&[key]).await?;
        let Some(known) = reading.request(&key)? else { return Ok(Found::Missing) };
        if (known.scope.as_str(), known.id.as_str()) != (scope.as_str(), ask.original.as_str()) {
            return Err(Failure::Bug("two request ids share one hash"));
        }
        let (method, position) = (known.method, reading.version(&key));
        if method == FENCE {
            return Ok(Found::Fenced);
        }
        let stored = self.record_at(position).await?;
        let decoded = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
        let (original, id) = original_of(method, &decoded.event)?;
        let settlement = match id {
            Some(id) => {
                let settlement = of_institution(reading, id, &ask.institution).await?;
                Some((settlement, reading.version(&Key::Settlement(id))))
            }
            None => None,
        };
        Ok(Found::Applied(Applied { original, position, settlement }))
    }
}

#[allow(clippy::large_enum_variant, reason = "one for each call, and never stored")]
enum Looked {
    Nothing(Resolved),
    Changes,
}

#[allow(clippy::large_enum_variant, reason = "one for each call, and never stored")]
enum Found {
    Missing,
    Fenced,
    Applied(Applied),
}

/// Which call made a record, and the settlement it was about.
fn original_of(method: u8, event: &Event) -> Result<(Original, Option<SettlementId>), Failure> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "no other event is of an institution's request")]
    let (original, id) = match event {
        Event::Settled(settled) => (Original::Settle, Some(settled.id)),
        Event::Held { settled, .. } => (Original::Hold, Some(settled.id)),
        Event::HoldConfirmed { settlement, .. } => (Original::Confirm, Some(*settlement)),
        Event::HoldEnded { settlement, .. } => (Original::Release, Some(*settlement)),
        Event::Refunded { settlement, place, .. } => (Original::Refund(*place), Some(*settlement)),
        Event::RefundReversed { settlement, .. } | Event::SettlementReversed { settlement } => {
            (Original::Resolve, Some(*settlement))
        }
        Event::Fenced { .. } => (Original::Resolve, None),
        _ => return Err(Failure::Bug("an institution's request made a record of another kind")),
    };
    let original = if method == ResolveOutcome::METHOD { Original::Resolve } else { original };
    Ok((original, id))
}

impl Applied {
    /// Whether nothing of it stands any more.
    fn is_reversed(&self) -> bool {
        use SettlementState as S;
        let Some((settlement, _)) = &self.settlement else { return false };
        match (self.original, settlement.state()) {
            (Original::Settle | Original::Confirm, state) => state == S::Refunded,
            (Original::Hold, state) => matches!(state, S::Released | S::Expired | S::Refunded),
            (Original::Refund(place), _) => {
                settlement.refunds.get(usize::from(place)).is_some_and(|refund| refund.reversal.is_some())
            }
            (Original::Release | Original::Resolve, _) => false,
        }
    }

    /// Whether it has gone back by refunds alone: one of them could still be put back, and then it would be paid again
    /// though it had been told to be reversed. So that is noted, and final.
    fn may_be_paid_again(&self) -> bool {
        let refunded = |settlement: &Settlement| settlement.state() == SettlementState::Refunded;
        let settlement = self.settlement.as_ref().map(|(settlement, _)| settlement);
        matches!(self.original, Original::Settle | Original::Confirm | Original::Hold)
            && settlement.is_some_and(|settlement| refunded(settlement) && settlement.reversed_by.is_empty())
    }
}

impl Command for ResolveOutcome {
    type Outcome = Resolved;
    const METHOD: u8 = 6;

    fn request(&self) -> (String, &RequestId) {
        (institution_scope(&self.institution), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields
            .field("original_request_id", &self.original.as_str().to_owned())
            .field("on_missing", &self.fence)
            .field("if_applied", &self.reverse);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<Resolved>, Failure> {
        match ledger.found(self, reading).await? {
            Found::Missing if self.fence => Ok(self.plan_fence(ledger)),
            Found::Applied(applied) if self.reverse && applied.is_reversed() && applied.may_be_paid_again() => {
                self.plan_note(ledger, applied)
            }
            Found::Applied(applied) if self.reverse && !applied.is_reversed() => {
                self.plan_reversal(ledger, reading, applied, now, fresh).await
            }
            Found::Missing | Found::Fenced | Found::Applied(_) => Err(Failure::LookAgain),
        }
    }

    async fn replay(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<Resolved, Failure> {
        if let Event::Fenced { .. } = record.event {
            return Ok(Resolved::Fenced);
        }
        match ledger.found(self, reading).await? {
            Found::Applied(applied) => Ok(Resolved::Reversed(applied)),
            Found::Missing | Found::Fenced => Err(Failure::Bug("what was reversed has no record")),
        }
    }
}

impl ResolveOutcome {
    /// The original's request id, taken by nothing for ever.
    fn plan_fence(&self, ledger: &Ledger) -> Plan<Resolved> {
        let scope = institution_scope(&self.institution);
        let request = ledger.keys.request(&scope, &self.original);
        let fence = Request {
            scope,
            id: self.original.as_str().to_owned(),
            method: FENCE,
            fingerprint: [0; 16],
            fields: Vec::new(),
        };
        Plan {
            record: Record { event: Event::Fenced { request }, postings: Vec::new() },
            puts: vec![(Key::Request(request), Entity::Request(Arc::new(fence)))],
            lists: Vec::new(),
            outcome: Resolved::Fenced,
        }
    }

    /// All of it has gone back already; from now on none of its refunds is put back.
    fn plan_note(&self, ledger: &Ledger, mut applied: Applied) -> Result<Plan<Resolved>, Failure> {
        let Some((settlement, _)) = &mut applied.settlement else {
            return Err(Failure::Bug("what was refunded is no settlement"));
        };
        settlement.reversed_by = self.request_id.as_str().to_owned();
        let id = settlement.id;
        Ok(Plan {
            record: Record { event: Event::SettlementReversed { settlement: id }, postings: Vec::new() },
            puts: vec![(Key::Settlement(id), Entity::Settlement(Arc::new(settlement.clone())))],
            lists: vec![(ledger.changes_of(&settlement.institution), id.as_u128())],
            outcome: Resolved::Reversed(applied),
        })
    }

    async fn plan_reversal(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        applied: Applied,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<Resolved>, Failure> {
        let Applied { original, position, settlement } = applied;
        let Some((settlement, changed)) = settlement else { return Err(Failure::refused(Reason::NotReversible)) };
        let id = &self.request_id;
        let (record, puts, lists, settlement) = match original {
            Original::Settle | Original::Confirm => {
                let (ask, reverses) = (RefundAsk::Whole, true);
                let plan = refund::plan(ledger, reading, settlement, ask, id, reverses, now, fresh).await?;
                (plan.record, plan.puts, plan.lists, plan.outcome.settlement)
            }
            Original::Hold => {
                let plan = end(ledger, reading, settlement, HoldEnd::Released, now, id.as_str()).await?;
                (plan.record, plan.puts, plan.lists, plan.outcome.settlement)
            }
            // Everything was to go back, and has.
            Original::Refund(_) if !settlement.reversed_by.is_empty() => {
                return Err(Failure::refused(Reason::NotReversible));
            }
            Original::Refund(place) => {
                let plan = refund::plan_reversal(ledger, reading, settlement, place, id, now, fresh).await?;
                (plan.record, plan.puts, plan.lists, plan.outcome.settlement)
            }
            Original::Release | Original::Resolve => return Err(Failure::refused(Reason::NotReversible)),
        };
        let outcome = Resolved::Reversed(Applied { original, position, settlement: Some((settlement, changed)) });
        Ok(Plan { record, puts, lists, outcome })
    }
}
