//! Which line of ours a line of theirs means.

use super::Book;
use crate::domain::ids::{InstitutionCode, RequestId, SettlementId};
use crate::domain::reconcile::{Claimed, LineKind, Names, OurLine};
use crate::ledger::reading::Reading;
use crate::ledger::resolve::FENCE;
use crate::ledger::settle::institution_scope;
use crate::ledger::{Failure, Ledger};
use crate::store::{Key, ListKey, ListKind};

/// Settlements that carry one external reference: the first so many are looked at.
const SAME_REFERENCE_MAX: usize = 16;

/// Where a line of theirs leads.
#[derive(Debug)]
pub(super) enum Lead {
    Line(OurLine),
    /// A refund that names its settlement only.
    RefundOf(SettlementId),
    Nothing,
}

/// What a line names and says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub kind: LineKind,
    pub names: &'a Names,
    pub claimed: &'a Claimed,
}

impl Ledger {
    /// One lead for each line, in order. Requests are looked up together.
    pub(super) async fn leads(
        &self,
        book: &Book,
        institution: &InstitutionCode,
        lines: &[Asked<'_>],
    ) -> Result<Vec<Lead>, Failure> {
        let scope = institution_scope(institution);
        let requests = lines.iter().flat_map(|line| [&line.names.request, &line.names.refunded_request]).flatten();
        let keys: Vec<Key> = requests.map(|id| Key::Request(self.keys.request(&scope, id))).collect();
        let found = self.store().load(&keys).await?;
        let mut positions = found.facts.iter().map(|fact| fact.version);
        let mut position = |id: &Option<RequestId>| id.as_ref().and_then(|_| positions.next()).unwrap_or_default();
        let mut leads = Vec::with_capacity(lines.len());
        for (place, line) in lines.iter().enumerate() {
            let (own, refunded) = (position(&line.names.request), position(&line.names.refunded_request));
            let finder = Finder { ledger: self, book, institution, line };
            leads.push(match line.kind {
                LineKind::Settlement => finder.settlement(own).await?,
                LineKind::Refund => finder.refund(own, refunded).await?,
            });
            if place % super::TURN == super::TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        Ok(leads)
    }

    /// Whether a request was declared void, so that it never has an effect.
    pub(super) async fn is_fenced(
        &self,
        institution: &InstitutionCode,
        request: Option<&RequestId>,
    ) -> Result<bool, Failure> {
        let Some(id) = request else { return Ok(false) };
        let key = Key::Request(self.keys.request(&institution_scope(institution), id));
        let mut reading = Reading::new(self.store());
        reading.get(&[key]).await?;
        let fenced = reading.request(&key)?.is_some_and(|known| known.method == FENCE);
        if fenced {
            // What is told rests on it.
            self.store().wait_durable(reading.version(&key)).await?;
        }
        Ok(fenced)
    }
}

struct Finder<'a> {
    ledger: &'a Ledger,
    book: &'a Book,
    institution: &'a InstitutionCode,
    line: &'a Asked<'a>,
}

impl Finder<'_> {
    async fn settlement(&self, request: u64) -> Result<Lead, Failure> {
        let mut found = None;
        if let Some(id) = self.line.names.settlement {
            found = self.made(id).await?;
        }
        if found.is_none() && request > 0 {
            // A hold is named by its own request, and by what confirmed or ended it.
            found = self
                .ledger
                .line_behind(request, self.book.until())
                .await?
                .filter(|line| line.kind == LineKind::Settlement);
        }
        if found.is_none() {
            found = self.by_reference().await?;
        }
        Ok(found.map_or(Lead::Nothing, Lead::Line))
    }

    /// A refund's own request decides; else what names its settlement. A book may give both lines the settlement's names.
    async fn refund(&self, own: u64, refunded: u64) -> Result<Lead, Failure> {
        let mut settlement = None;
        if own > 0 {
            match self.ledger.line_behind(own, self.book.until()).await? {
                Some(line) if line.kind == LineKind::Refund => return Ok(Lead::Line(line)),
                line => settlement = line.map(|line| line.settlement),
            }
        }
        if let Some(id) = self.line.names.settlement
            && let Some(line) = self.made(id).await?
        {
            settlement = Some(line.settlement);
        }
        if settlement.is_none() && refunded > 0 {
            settlement = self.ledger.line_behind(refunded, self.book.until()).await?.map(|line| line.settlement);
        }
        if settlement.is_none() {
            settlement = self.by_reference().await?.map(|line| line.settlement);
        }
        Ok(settlement.map_or(Lead::Nothing, Lead::RefundOf))
    }

    /// The line that made a settlement of the institution, on whatever day.
    async fn made(&self, id: SettlementId) -> Result<Option<OurLine>, Failure> {
        if let Some(place) = self.book.made(id) {
            return self.ledger.line_behind(self.book.position(place), self.book.until()).await;
        }
        let mut reading = Reading::new(self.ledger.store());
        let key = Key::Settlement(id);
        reading.get(&[key]).await?;
        match reading.settlement(&key)? {
            Some(known) if known.institution == *self.institution => {
                self.ledger.settlement_line(id, self.book.until()).await
            }
            Some(_) | None => Ok(None),
        }
    }

    /// By the visit's references. Of several the one that is free and says the same, else one that is free, else the newest.
    async fn by_reference(&self) -> Result<Option<OurLine>, Failure> {
        let names = self.line.names;
        for (kind, text) in [("msgid", &names.msgid), ("medins_setl_id", &names.medins_setl_id)] {
            if text.is_empty() {
                continue;
            }
            let of = self.ledger.keys.external(self.institution, kind, text);
            let key = ListKey { kind: ListKind::ExternalReference, of };
            let rows = self.ledger.store().list(key, 0, u64::MAX, SAME_REFERENCE_MAX).await?;
            let mut best: Option<(u8, OurLine)> = None;
            for row in rows {
                let Some(line) = self.ledger.line_behind(row.position, self.book.until()).await? else { continue };
                let free = self.book.at(line.position).is_some_and(|place| !self.book.is_taken(place));
                let rank = u8::from(free) + u8::from(free && self.line.claimed.agrees(&line.figures));
                if best.as_ref().is_none_or(|(known, _)| rank >= *known) {
                    best = Some((rank, line));
                }
            }
            if let Some((_, line)) = best {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}
