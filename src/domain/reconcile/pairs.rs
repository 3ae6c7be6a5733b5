//! Settlements of theirs that they gave back whole, and that we never saw.

use std::collections::HashMap;

use super::line::{Cell, LineKind, TheirLine};
use crate::domain::money::Money;

/// One settlement has few refunds: what more lines than these share does not name one.
const SHARED_MAX: usize = 64;

/// Puts each settlement with its refunds where they sum to the whole; the rest stay alone. Every line comes out once.
pub fn pair_up(lines: Vec<TheirLine>) -> (Vec<Vec<TheirLine>>, Vec<TheirLine>) {
    let mut lines: Vec<Option<TheirLine>> = lines.into_iter().map(Some).collect();
    let mut refunds: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, line) in lines.iter().enumerate() {
        let refund = line.as_ref().filter(|line| line.kind == LineKind::Refund);
        for name in refund.map(settlement_names).unwrap_or_default() {
            refunds.entry(name).or_default().push(place);
        }
    }
    refunds.retain(|_, places| places.len() <= SHARED_MAX);
    let mut pairs = Vec::new();
    for place in 0..lines.len() {
        let Some(settlement) = lines[place].as_ref().filter(|line| line.kind == LineKind::Settlement) else { continue };
        let named = settlement_names(settlement).into_iter().filter_map(|name| refunds.get(&name)).flatten();
        let mut given_back: Vec<usize> = named.copied().filter(|place| lines[*place].is_some()).collect();
        given_back.sort_unstable();
        given_back.dedup();
        let total = |place: &usize| lines[*place].as_ref().and_then(|line| line.claimed.of(Cell::Total));
        let sum: Option<i64> = given_back.iter().try_fold(0_i64, |sum, place| sum.checked_add(total(place)?.as_fen()));
        let whole = settlement.claimed.of(Cell::Total).map(Money::as_fen);
        if !given_back.is_empty() && sum.is_some() && sum == whole {
            let pair = std::iter::once(place).chain(given_back);
            pairs.push(pair.filter_map(|place| lines[place].take()).collect());
        }
    }
    (pairs, lines.into_iter().flatten().collect())
}

/// By what a settlement and its refunds find each other. A refund's own request_id and msgid are not its settlement's, unless
/// the book gives both lines the same.
fn settlement_names(line: &TheirLine) -> Vec<String> {
    let names = &line.names;
    let request = names.request.as_ref().map(|id| format!("request {}", id.as_str()));
    let refunded = names.refunded_request.as_ref().map(|id| format!("request {}", id.as_str()));
    let settlement = names.settlement.map(|id| format!("settlement {id}"));
    let text = |kind: &str, text: &str| (!text.is_empty()).then(|| format!("{kind} {text}"));
    let msgid = text("msgid", &names.msgid);
    [settlement, request, refunded, msgid, text("medins_setl_id", &names.medins_setl_id)]
        .into_iter()
        .flatten()
        .collect()
}
