//! Law 11 for facts: every kind is written, replaced, and read back as it was; each kind may have a table of its own.

use std::sync::Arc;

use gongji::domain::ids::MemberId;
use gongji::domain::money::Money;
use gongji::store::{Entity, Key};
use jiff::civil::date;

use super::harness::*;
use crate::samples;

/// The samples of stored facts, each under the name that it would have.
pub fn all() -> Vec<(Key, Entity)> {
    samples::entities().into_iter().map(possible).map(|entity| (key_of(&entity), entity)).collect()
}

/// One fact of each kind.
pub fn one_of_each() -> Vec<(Key, Entity)> {
    let mut all = all();
    all.sort_by_key(|(key, _)| kind(key));
    all.dedup_by_key(|(key, _)| kind(key));
    all
}

/// The samples of one kind.
pub fn of(wanted: &str) -> Vec<(Key, Entity)> {
    let found: Vec<_> = all().into_iter().filter(|(key, _)| kind(key) == wanted).collect();
    assert!(!found.is_empty(), "no sample of {wanted}");
    found
}

/// Samples hold what bytes can hold; a store may refuse what no rule would ever make.
fn possible(entity: Entity) -> Entity {
    let Entity::Standing(standing) = entity else { return entity };
    let mut standing = Arc::unwrap_or_clone(standing);
    if let Some(account) = &mut standing.account {
        account.wallet = Money::fen(account.wallet.as_fen().abs());
    }
    Entity::Standing(Arc::new(standing))
}

fn key_of(entity: &Entity) -> Key {
    match entity {
        Entity::Request(_) => Key::Request([0xe1; 16]),
        Entity::Reference(_) => Key::Reference([0xe2; 16]),
        Entity::Person(person) => Key::Person(person.member),
        Entity::Standing(standing) => Key::Standing(standing.member.id),
        Entity::Wards(_) => Key::Wards(MemberId::from_u128(0xe3)),
        Entity::Binding(binding) => Key::Binding(binding.id),
        Entity::Settlement(settlement) => Key::Settlement(settlement.id),
        Entity::Basis(_) => Key::Basis(gongji::domain::ids::SettlementId::from_u128(0xe4)),
        Entity::Policy(_) => Key::Policy([0xe5; 32]),
        Entity::Decided(_) => Key::Decided([0xe6; 16]),
        Entity::Card(card) => Key::Card(card.member),
        Entity::Wallet(wallet) => Key::Wallet(wallet.member),
        Entity::WalletDay(_) => Key::WalletDay(MemberId::from_u128(0xe7), date(2026, 11, 22)),
        Entity::Transfer(sent) => Key::Transfer(sent.transfer.id),
        Entity::Quota(quota) => Key::Quota(quota.binding),
        Entity::Slips(_) => Key::Slips(MemberId::from_u128(0xe8)),
        Entity::JobDay(day) => Key::JobDay(day.job),
        Entity::Certification(certification) => Key::Certification(certification.member),
        Entity::YearClose(close) => Key::YearClose(close.region, close.year),
        Entity::AidUse(_) => Key::AidUse(MemberId::from_u128(0xe9), MemberId::from_u128(0xea)),
        Entity::PolicySet(_) => Key::PolicySet([0xeb; 32]),
    }
}

/// A new kind of fact stops here: it needs a check below.
pub fn kind(key: &Key) -> &'static str {
    match key {
        Key::Request(_) => "request",
        Key::Reference(_) => "reference",
        Key::Person(_) => "person",
        Key::Standing(_) => "standing",
        Key::Wards(_) => "wards",
        Key::Binding(_) => "binding",
        Key::Settlement(_) => "settlement",
        Key::Basis(_) => "basis",
        Key::Policy(_) => "policy",
        Key::Decided(_) => "decided",
        Key::Card(_) => "card",
        Key::Wallet(_) => "wallet",
        Key::WalletDay(..) => "wallet-day",
        Key::Transfer(_) => "transfer",
        Key::Quota(_) => "quota",
        Key::Slips(_) => "slips",
        Key::JobDay(_) => "job-day",
        Key::Certification(_) => "certification",
        Key::YearClose(..) => "year-close",
        Key::AidUse(..) => "aid-use",
        Key::PolicySet(_) => "policy-set",
    }
}

/// Every sample of a kind is put in place of the one before, looked at alone and among others, and found again.
fn comes_back(harness: &mut Harness, kind: &str) {
    let samples = of(kind);
    let others: Vec<Key> = one_of_each().into_iter().map(|(key, _)| key).filter(|key| *key != samples[0].0).collect();
    for (key, entity) in samples.iter().chain(samples.iter().rev()) {
        let version = harness.store().one(putting(*key, entity.clone()));
        let alone = harness.store().look(&[*key]);
        assert_eq!((alone.facts[0].version, &alone.facts[0].entity), (version, &Some(entity.clone())));
        let among: Vec<Key> = others.iter().chain([key]).copied().collect();
        let found = harness.store().look(&among).facts.pop().expect("the last one asked for");
        assert_eq!((found.version, &found.entity), (version, &Some(entity.clone())));
    }
    harness.store().settled();
    for round in 0..2 {
        if round == 0 {
            harness.reopen();
        } else {
            harness.crash();
        }
        let found = harness.store().look(&[samples[0].0]).facts.remove(0);
        assert_eq!((found.version, found.entity), (2 * samples.len() as u64, Some(samples[0].1.clone())));
    }
}

macro_rules! each_kind {
    ($($check:ident $kind:literal)*) => {$(
        pub fn $check(harness: &mut Harness) {
            comes_back(harness, $kind);
        }
    )*};
}

each_kind! {
    law_11_a_request_comes_back "request"
    law_11_a_reference_comes_back "reference"
    law_11_a_person_comes_back "person"
    law_11_a_standing_comes_back "standing"
    law_11_wards_come_back "wards"
    law_11_a_binding_comes_back "binding"
    law_11_a_settlement_comes_back "settlement"
    law_11_a_basis_comes_back "basis"
    law_11_a_policy_comes_back "policy"
    law_11_a_decision_comes_back "decided"
    law_11_a_card_comes_back "card"
    law_11_a_wallet_comes_back "wallet"
    law_11_a_wallets_day_comes_back "wallet-day"
    law_11_a_transfer_comes_back "transfer"
    law_11_a_quota_comes_back "quota"
    law_11_slips_come_back "slips"
    law_11_a_jobs_day_comes_back "job-day"
    law_11_a_certification_comes_back "certification"
    law_11_a_year_close_comes_back "year-close"
    law_11_an_aid_use_comes_back "aid-use"
    law_11_a_policy_set_comes_back "policy-set"
}
