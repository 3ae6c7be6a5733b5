//! What a settlement touches of people: the books that a decision, a refund or the end of a hold is written into, and the
//! facts they become.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::Failure;
use super::list_of;
use super::reading::{Reading, Standings};
use crate::domain::account::Account;
use crate::domain::binding::{AidUse, Binding};
use crate::domain::draw::Contribution;
use crate::domain::ids::MemberId;
use crate::domain::paper::Slips;
use crate::domain::posting::Posting;
use crate::domain::quota::Quota;
use crate::domain::settlement::Settlement;
use crate::domain::settlement::books::Books;
use crate::domain::time::Moment;
use crate::store::{Entity, Key, ListKey, ListKind};

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
    for (owner, paid) in on_paper(contributions) {
        if slips.is_none() {
            slips = Some(reading.slips(&Key::Slips(patient))?.cloned().unwrap_or_default());
        }
        if let (Some(slips), Some(relation)) = (&mut slips, paid.relation) {
            slips.count(owner, relation, today);
        }
    }
    Ok(slips)
}

/// A slip is used for as long as something that its owner pays by it stays paid: the patient's slips after a change to what
/// stays; none where that is the same. Whoever pays again after having got all back used it on the day of the settlement.
pub(super) fn recount_slips(
    reading: &Reading<'_>,
    before: &Settlement,
    after: &[Contribution],
) -> Result<Option<Slips>, Failure> {
    let mut slips: Option<Slips> = None;
    for (owner, paid) in on_paper(&before.contributions) {
        let change = (pays_on_paper(&before.contributions, owner), pays_on_paper(after, owner));
        if change.0 == change.1 {
            continue;
        }
        if slips.is_none() {
            slips = Some(reading.slips(&Key::Slips(before.patient))?.cloned().unwrap_or_default());
        }
        match (&mut slips, change, paid.relation) {
            // Whatever becomes of it now, the pair was bound after it.
            (Some(slips), ..) if slips.is_regularised(owner, before.created_at) => {}
            (Some(slips), (true, false), _) => slips.uncount(owner),
            (Some(slips), (false, true), Some(relation)) => {
                slips.count(owner, relation, before.created_at.civil_day());
            }
            _ => {}
        }
    }
    Ok(slips)
}

fn pays_on_paper(contributions: &[Contribution], owner: MemberId) -> bool {
    contributions.iter().any(|paid| paid.payer == owner && is_on_paper(paid) && paid.left().is_positive())
}

fn is_on_paper(paid: &Contribution) -> bool {
    !paid.is_own() && paid.binding.is_none()
}

/// The slips of a beneficiary whom an owner is bound to from now on, so that money may be drawn: none where there were none.
pub(super) fn regularise_slips(
    reading: &Reading<'_>,
    binding: &Binding,
    now: Moment,
) -> Result<Option<(Key, Entity)>, Failure> {
    let key = Key::Slips(binding.beneficiary);
    let mut slips = reading.slips(&key)?.filter(|_| binding.tie(0).spends.draws()).cloned();
    let known = slips.as_mut().is_some_and(|slips| slips.regularise(binding.owner, now));
    Ok(slips.filter(|_| known).map(|slips| (key, Entity::Slips(Arc::new(slips)))))
}

/// Those who pay on paper, each once.
fn on_paper(contributions: &[Contribution]) -> Vec<(MemberId, &Contribution)> {
    let mut found: Vec<(MemberId, &Contribution)> = Vec::new();
    for paid in contributions.iter().filter(|paid| is_on_paper(paid)) {
        if found.iter().all(|(owner, _)| *owner != paid.payer) {
            found.push((paid.payer, paid));
        }
    }
    found
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
            account.turn_year(today, reading.marks(contribution.payer)?, postings);
            accounts.push(account);
        }
    }
    Ok(accounts)
}

/// Loads everything that a settlement has touched and may touch again.
pub(super) async fn load_touched(reading: &mut Reading<'_>, settlement: &Settlement) -> Result<(), Failure> {
    let paid = &settlement.contributions;
    let mut keys = vec![Key::Standing(settlement.patient)];
    keys.extend(paid.iter().map(|paid| Key::Standing(paid.payer)));
    keys.extend(paid.iter().filter(|paid| paid.counted).map(|paid| Key::AidUse(paid.payer, settlement.patient)));
    keys.extend(paid.iter().filter_map(|paid| paid.binding.map(Key::Quota)));
    keys.extend(paid.iter().find(|paid| is_on_paper(paid)).map(|_| Key::Slips(settlement.patient)));
    reading.get(&keys).await
}

/// The books of a settlement that was made before, for those of its contributions that something happens to.
pub(super) fn books_of(
    reading: &Reading<'_>,
    settlement: &Settlement,
    places: impl Iterator<Item = u16>,
    today: Date,
) -> Result<Books, Failure> {
    let touched: Vec<Contribution> = places.map(|place| settlement.contributions[usize::from(place)].clone()).collect();
    let mut postings = Vec::new();
    let quotas = payer_quotas(reading, &touched, today, &mut postings);
    let accounts = payer_accounts(reading, touched.iter(), today, &mut postings)?;
    let mut aid: Vec<(MemberId, AidUse)> = Vec::new();
    for paid in touched.iter().filter(|paid| paid.counted) {
        if aid.iter().all(|(owner, _)| *owner != paid.payer)
            && let Some(used) = reading.aid_use(&Key::AidUse(paid.payer, settlement.patient))?
        {
            aid.push((paid.payer, *used));
        }
    }
    let family = reading.known(settlement.patient)?.family.clone();
    Ok(Books { today, accounts, quotas, family, aid, postings })
}

/// Turns books into facts and rows of lists; returns the postings.
pub(super) fn close_books(
    books: Books,
    patient: MemberId,
    standings: &mut Standings<'_>,
    puts: &mut Vec<(Key, Entity)>,
    lists: &mut Vec<(ListKey, u128)>,
) -> Result<Vec<Posting>, Failure> {
    let Books { today: _, accounts, quotas, family, aid, postings } = books;
    if family != standings.before(patient)?.family {
        standings.of(patient)?.family = family;
    }
    for account in accounts {
        let key = list_of(ListKind::AccountEntries, account.member.as_u128());
        if lists.iter().all(|(known, _)| *known != key) {
            lists.push((key, 0));
        }
        let member = account.member;
        standings.of(member)?.account = Some(account);
    }
    puts.extend(aid.into_iter().map(|(owner, aid)| (Key::AidUse(owner, patient), Entity::AidUse(aid))));
    puts.extend(quotas.into_iter().map(|quota| (Key::Quota(quota.binding), Entity::Quota(Arc::new(quota)))));
    Ok(postings)
}
