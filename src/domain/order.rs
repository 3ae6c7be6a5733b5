//! In which order several owners pay (共济人先后).

use super::draw::Owner;
use super::money::Money;
use super::vocabulary::OwnerOrder;

/// The owners in the policy's order. Larger balance means what lies in the drawable buckets; the sort is stable over
/// filing order, so every tie is broken the same way each time.
pub(super) fn in_order<'a, 'b>(owners: &'a [Owner<'b>], order: OwnerOrder) -> Vec<&'a Owner<'b>> {
    let mut sorted: Vec<&Owner<'b>> = owners.iter().collect();
    let drawable = |owner: &Owner<'_>| {
        if let Some(quota) = owner.quota {
            return quota.left();
        }
        owner.account.map_or(Money::ZERO, |account| account.sum(&owner.policy.rules.relative_buckets))
    };
    sorted.sort_by_key(|owner| (owner.paper, owner.tie.filed));
    match order {
        OwnerOrder::FilingOrder => {}
        OwnerOrder::BalanceDesc => sorted.sort_by_key(|owner| std::cmp::Reverse(drawable(owner))),
        OwnerOrder::UserOrder => {
            sorted.sort_by_key(|owner| if owner.tie.priority == 0 { u32::MAX } else { owner.tie.priority });
        }
        // Papers stay behind what is filed, in the order given.
        OwnerOrder::NewestFirst => sorted
            .sort_by_key(|owner| (owner.paper, if owner.paper.is_some() { 0 } else { u64::MAX - owner.tie.filed })),
    }
    sorted
}
