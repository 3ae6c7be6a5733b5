//! What a settlement or refund changes of those who pay: accounts, quotas, and the mark a paper slip leaves.

use jiff::civil::Date;

use super::failure::Failure;
use super::reading::Reading;
use crate::domain::account::Account;
use crate::domain::draw::Contribution;
use crate::domain::ids::MemberId;
use crate::domain::paper::Slips;
use crate::domain::posting::Posting;
use crate::domain::quota::Quota;
use crate::store::Key;

/// The quotas that pay or may get back, turned to today: while one is in force its binding draws on nothing else.
pub(super) fn payer_quotas(
    reading: &Reading<'_>,
    contributions: &[Contribution],
    today: Date,
    postings: &mut Vec<Posting>,
) -> Vec<Quota> {
    let mut quotas: Vec<Quota> = Vec::new();
    for binding in contributions.iter().filter_map(|contribution| contribution.binding) {
        // A quota that was not loaded was not looked at by the decision either.
        let found = reading.quota(&Key::Quota(binding)).ok().flatten().filter(|quota| quota.is_live());
        if let Some(found) = found
            && quotas.iter().all(|quota| quota.binding != binding)
        {
            let mut quota = found.clone();
            quota.turn_year(today, postings);
            quotas.push(quota);
        }
    }
    quotas
}

/// The patient's slips with those that paid this time; none where nobody paid on paper.
pub(super) fn count_slips(
    reading: &Reading<'_>,
    patient: MemberId,
    contributions: &[Contribution],
    today: Date,
) -> Result<Option<Slips>, Failure> {
    let mut slips: Option<Slips> = None;
    let mut counted: Vec<MemberId> = Vec::new();
    for paid in contributions {
        let (Some(relation), None) = (paid.relation, paid.binding) else { continue };
        if counted.contains(&paid.payer) {
            continue;
        }
        counted.push(paid.payer);
        if slips.is_none() {
            slips = Some(reading.slips(&Key::Slips(patient))?.cloned().unwrap_or_default());
        }
        if let Some(slips) = &mut slips {
            slips.count(paid.payer, relation, today);
        }
    }
    Ok(slips)
}

/// The accounts that pay or get back, turned to today, each once.
pub(super) fn payer_accounts<'a>(
    reading: &Reading<'_>,
    contributions: impl Iterator<Item = &'a Contribution>,
    today: Date,
    postings: &mut Vec<Posting>,
) -> Result<Vec<Account>, Failure> {
    let mut accounts: Vec<Account> = Vec::with_capacity(4);
    for contribution in contributions {
        if accounts.iter().all(|account| account.member != contribution.payer) {
            let found = reading.account(contribution.payer)?;
            let mut account = found.cloned().ok_or(Failure::Bug("a payer has no account"))?;
            account.turn_year(today, postings);
            accounts.push(account);
        }
    }
    Ok(accounts)
}
