//! The law of a run: pools whose rules are drawn from the dice. The auditor reads the same values and applies them by
//! arithmetic of its own; a fault may alter what the server reads, never what the auditor does.

use std::collections::BTreeMap;
use std::sync::Arc;

use gongji::domain::ids::RegionCode;
use gongji::domain::money::{Money, Rate, Rounding};
use gongji::domain::policy::{
    ChannelRule, Deductible, Floor, FundShare, Hours, Param, Policy, PolicyBook, PriceCap, ReleaseRule, Revision,
    Rules, YearInterest,
};
use gongji::domain::region::{Opening, Region, RegionBook};
use gongji::domain::vocabulary::{
    Bucket, Category, Channel, Component, DeductiblePer, Effective, Grant, InstitutionKind, InsuranceState,
    InterestBasis, ListClass, Mode, OwnAccountOrder, OwnerOrder, Purpose, Relation, Scheme, Scope, TieSide,
};
use jiff::civil::{Date, date, time};

use crate::process::Dice;
use crate::support::book;

/// Two pools of one province and one of another.
pub const POOLS: [&str; 3] = ["330100", "330200", "440300"];
/// Relations that no pool of these runs leaves out, and one that some do.
pub const RELATIONS: [Relation; 4] = [Relation::Spouse, Relation::Child, Relation::Parent, Relation::Sibling];
/// The evidence codes of these runs.
pub const COMMITMENT: &str = "COMMITMENT";
pub const FACE: &str = "FACE_CHECK";
pub const CONSENT: &str = "OWNER_CONSENT";

/// The rules of every pool, as they are.
#[derive(Debug)]
pub struct World {
    pub rules: BTreeMap<RegionCode, Vec<(Date, Arc<Rules>)>>,
    regions: BTreeMap<RegionCode, Region>,
    openings: BTreeMap<RegionCode, Opening>,
}

impl World {
    /// World number `seed`; the same number is the same world.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x0011_ab1e_0f1a_0057);
        let book = book();
        let mut world = Self { rules: BTreeMap::new(), regions: BTreeMap::new(), openings: BTreeMap::new() };
        for code in POOLS {
            let code = RegionCode::parse(code).expect("a code");
            for known in [code, code.province()] {
                world.regions.insert(known, book.regions.get(known).expect("a region").clone());
            }
            let citation = world.regions[&code].citation.clone();
            world.openings.insert(code, Opening { unit: code, since: date(2025, 1, 1), citation });
            let template = book.policy(code, date(2026, 6, 1)).expect("a policy");
            let change = date(2026, 12, 20).checked_add(jiff::Span::new().days(dice.roll(25) as i64)).expect("a day");
            let first = Arc::new(drawn(&template.rules, &mut dice));
            let second = Arc::new(later(&first, &mut dice));
            world.rules.insert(code, vec![(date(1998, 12, 14), first), (change, second)]);
        }
        world
    }

    pub fn pools(&self) -> Vec<RegionCode> {
        self.rules.keys().copied().collect()
    }

    /// The rules of a pool on a day.
    pub fn rules(&self, pool: RegionCode, on: Date) -> &Rules {
        let revisions = &self.rules[&pool];
        revisions.iter().rev().find(|(start, _)| *start <= on).map(|(_, rules)| rules.as_ref()).expect("a first day")
    }

    /// What the server reads: these rules, altered where a fault wants them so.
    pub fn book(&self, seed: u64, alter: Option<fn(&mut Rules)>) -> Arc<PolicyBook> {
        let known = book();
        let mut revisions = BTreeMap::new();
        for (place, (code, list)) in self.rules.iter().enumerate() {
            let template = known.policy(*code, date(2026, 6, 1)).expect("a policy");
            let policy = |(number, (start, rules)): (usize, &(Date, Arc<Rules>))| {
                let mut rules = rules.as_ref().clone();
                if let Some(alter) = alter {
                    alter(&mut rules);
                }
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&seed.to_be_bytes());
                digest[8] = place as u8;
                digest[9] = number as u8;
                digest[10] = 1;
                // A refund reads in the revision's text whether a limit counted what was drawn.
                let mut values = template.values.to_vec();
                for value in &mut values {
                    let limit = match value.param {
                        Param::AidPerDay => rules.aid_per_day,
                        Param::AidPerYear => rules.aid_per_year,
                        _ => continue,
                    };
                    value.text = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
                }
                let end = list.get(number + 1).map(|(start, _)| *start);
                Arc::new(Policy {
                    region: *code,
                    revision: Revision { digest, start: *start, end, known_from: *start },
                    rules: Arc::new(rules),
                    values: values.into(),
                })
            };
            revisions.insert(*code, list.iter().enumerate().map(policy).collect());
        }
        let regions = RegionBook::new(self.regions.clone(), self.openings.clone());
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&seed.to_be_bytes());
        Arc::new(PolicyBook::new(regions, revisions, known.calculation.clone(), digest, Vec::new()))
    }
}

fn rate(dice: &mut Dice, texts: &[&str]) -> Rate {
    Rate::parse(texts[dice.roll(texts.len())]).expect("a rate")
}

fn maybe<T>(dice: &mut Dice, one_in: usize, value: T) -> Option<T> {
    (dice.roll(one_in) == 0).then_some(value)
}

fn share(name: &str, rate: Rate) -> FundShare {
    FundShare {
        name: name.to_owned(),
        schemes: Vec::new(),
        tiers: Vec::new(),
        states: Vec::new(),
        institution_kinds: Vec::new(),
        purposes: Vec::new(),
        list_classes: Vec::new(),
        categories: Vec::new(),
        excluded_categories: Vec::new(),
        rate,
        bands: Vec::new(),
    }
}

fn channel(
    channel: Channel,
    evidence: &[&str],
    verification: &[&str],
    effective: Effective,
    spends: bool,
) -> ChannelRule {
    let codes = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
    ChannelRule {
        channel,
        evidence: codes(evidence),
        evidence_any: Vec::new(),
        minor_evidence: Vec::new(),
        verification: codes(verification),
        relation_steps: Vec::new(),
        card_active: false,
        effective,
        grants: if spends { vec![Grant::ViewStatement, Grant::Spend] } else { vec![Grant::ViewStatement] },
    }
}

/// Rules of one pool. What is not named here stays as the pool's policy has it.
fn drawn(template: &Rules, dice: &mut Dice) -> Rules {
    use Bucket::{CurrentYear as Current, PriorYears as Prior, Wallet};
    use Component::{CoPayment, Deductible as Threshold, FirstSelfPay, FullSelfPay, OverLimit};
    let mut rules = template.clone();
    let mut modes = vec![Mode::DirectDraw];
    modes.extend(maybe(dice, 2, Mode::TransferBeforehand));
    modes.extend(maybe(dice, 2, Mode::Quota));
    rules.modes = modes;
    rules.cross_province_modes = vec![Mode::WalletTransfer, Mode::Quota];
    rules.relations = RELATIONS[..3 + dice.roll(2)].to_vec();
    rules.beneficiary_scope = *dice.one_of(&[Scope::SameProvince, Scope::SameProvince, Scope::SameRegion]);
    rules.beneficiary_schemes = vec![Scheme::Employee, Scheme::Resident];
    rules.owner_tiers = Vec::new();
    rules.owner_states = vec![InsuranceState::Normal];
    rules.owner_states.extend(maybe(dice, 2, InsuranceState::Suspended));
    rules.beneficiary_states = vec![InsuranceState::Normal, InsuranceState::Suspended];
    rules.own_buckets =
        dice.one_of(&[vec![Current, Prior, Wallet], vec![Prior, Current], vec![Wallet, Current, Prior]]).clone();
    rules.relative_buckets = dice.one_of(&[vec![Prior, Current], vec![Current, Prior], vec![Prior]]).clone();
    rules.floor = floor(dice);
    rules.own_account_order =
        *dice.one_of(&[OwnAccountOrder::OwnFirst, OwnAccountOrder::OwnFirst, OwnAccountOrder::RelativesOnlyIfOwnZero]);
    rules.owner_order = *dice.one_of(OwnerOrder::ALL);
    rules.own_purposes = vec![Purpose::Outpatient, Purpose::Inpatient, Purpose::Pharmacy];
    rules.relative_purposes = vec![Purpose::Outpatient, Purpose::Inpatient];
    rules.relative_purposes.extend(maybe(dice, 2, Purpose::Pharmacy));
    rules.prohibited_purposes = vec![Purpose::SportFitness];
    rules.wallet_purposes =
        dice.one_of(&[vec![Purpose::Outpatient, Purpose::Pharmacy], vec![Purpose::Pharmacy]]).clone();
    rules.own_components =
        dice.one_of(&[vec![Threshold, CoPayment, FirstSelfPay], vec![CoPayment, FullSelfPay, Threshold]]).clone();
    rules.relative_components = dice
        .one_of(&[
            vec![Threshold, CoPayment, FirstSelfPay],
            vec![FirstSelfPay, CoPayment],
            vec![CoPayment, OverLimit, FullSelfPay],
        ])
        .clone();
    rules.fund_shares = vec![
        FundShare { list_classes: vec![ListClass::B], ..share("class-b", rate(dice, &["0.333333", "0.5", "0.45"])) },
        FundShare {
            schemes: vec![Scheme::Employee],
            states: vec![InsuranceState::Normal],
            excluded_categories: vec![Category::Device],
            ..share("employees", rate(dice, &["0.7", "0.55", "0.123457"]))
        },
    ];
    rules.deductibles = vec![
        Deductible {
            name: "level-3".to_owned(),
            schemes: Vec::new(),
            tiers: Vec::new(),
            institution_kinds: vec![InstitutionKind::Level3],
            purposes: Vec::new(),
            amount: Money::fen(dice.fen(9_000)),
            per: *dice.one_of(&[DeductiblePer::Year, DeductiblePer::Visit]),
        },
        Deductible {
            name: "employees".to_owned(),
            schemes: vec![Scheme::Employee],
            tiers: Vec::new(),
            institution_kinds: Vec::new(),
            purposes: Vec::new(),
            amount: Money::fen(dice.fen(3_000)),
            per: DeductiblePer::Year,
        },
    ];
    for row in &mut rules.deductibles {
        row.purposes = kinds_of_care(row.amount);
    }
    rules.fund_year_cap = maybe(dice, 3, Money::fen(6_000));
    rules.fund_year_cap_purposes = kinds_of_care(rules.deductibles[1].amount);
    rules.first_self_pay_rate = rate(dice, &["0.1", "0.033333"]);
    rules.fund_rounding = *dice.one_of(&[Rounding::HalfUp, Rounding::HalfEven, Rounding::Floor, Rounding::Ceiling]);
    rules.full_self_pay_classes = vec![ListClass::C];
    rules.price_caps = vec![PriceCap {
        name: "consumables".to_owned(),
        item_codes: Vec::new(),
        categories: vec![Category::Consumable],
        institution_kinds: Vec::new(),
        amount: Money::fen(2_500),
    }];
    rules.members_per_owner = maybe(dice, 3, 3);
    rules.owners_per_member = maybe(dice, 3, 3);
    rules.owners_per_settlement = maybe(dice, 3, 2);
    rules.family_size = maybe(dice, 4, 4);
    rules.one_family_per_person = dice.roll(6) == 0;
    limits(&mut rules, dice);
    rules.channels = vec![
        channel(Channel::AgencyWindow, &[COMMITMENT], &[], Effective::AtOnce, true),
        channel(Channel::CityApp, &[], &[FACE], Effective::AtOnce, true),
        channel(Channel::StreetOffice, &[], &[], Effective::NextDay, true),
        channel(Channel::ECardFamilyService, &[], &[], Effective::AtOnce, false),
    ];
    rules.releases = vec![
        ReleaseRule { channel: Channel::AgencyWindow, evidence: Vec::new(), effective: Effective::AtOnce },
        ReleaseRule { channel: Channel::CityApp, evidence: vec![FACE.to_owned()], effective: Effective::NextDay },
    ];
    rules.minor_age = None;
    rules.paper_authorisation = dice.roll(2) == 0;
    rules.paper_regularise_days = maybe(dice, 2, 3);
    rules.release_on_end_or_move = dice.roll(3) > 0;
    let sides = [vec![TieSide::Owner, TieSide::Beneficiary], vec![TieSide::Owner], vec![TieSide::Beneficiary]];
    rules.release_sides = dice.one_of(&sides).clone();
    rules.limits_other_provinces = dice.roll(2) == 0;
    rules.wallet_sources = dice.one_of(&[vec![Prior, Current, Wallet], vec![Wallet, Prior]]).clone();
    rules.wallet_transfers_per_day = Some(2);
    rules.wallet_transfer_max = maybe(dice, 2, Money::fen(6_000));
    rules.wallet_closed_hours = maybe(dice, 2, Hours { from: time(22, 0, 0, 0), to: time(6, 0, 0, 0) });
    rules.wallet_return_time = time(6, 0, 0, 0);
    rules.quota_evidence = maybe(dice, 2, CONSENT.to_owned()).into_iter().collect();
    rules.quota_max = maybe(dice, 2, Money::fen(9_000));
    rules.year_interest = (dice.roll(4) > 0).then(|| YearInterest {
        basis: *dice.one_of(InterestBasis::ALL),
        current_rate: rate(dice, &["0.0035", "0.012345"]),
        prior_rate: rate(dice, &["0.015", "0.033333"]),
        rounding: *dice.one_of(&[Rounding::HalfUp, Rounding::HalfEven, Rounding::Floor, Rounding::Ceiling]),
    });
    rules
}

fn floor(dice: &mut Dice) -> Floor {
    match dice.roll(3) {
        0 => Floor::Fixed(Money::ZERO),
        1 => Floor::Fixed(Money::fen(dice.fen(6_000))),
        _ => Floor::Share {
            rate: rate(dice, &["0.05", "0.033333"]),
            of: Money::fen(dice.fen(90_000)),
            rounding: *dice.one_of(&[Rounding::HalfUp, Rounding::Floor, Rounding::Ceiling]),
        },
    }
}

fn limits(rules: &mut Rules, dice: &mut Dice) {
    rules.aid_per_settlement = maybe(dice, 4, Money::fen(4_000));
    rules.aid_per_day = maybe(dice, 4, Money::fen(7_000));
    rules.aid_per_year = maybe(dice, 3, Money::fen(20_000));
}

/// What a pool changes once in a run.
fn later(first: &Rules, dice: &mut Dice) -> Rules {
    let mut rules = first.clone();
    rules.floor = floor(dice);
    limits(&mut rules, dice);
    rules.owner_order = *dice.one_of(OwnerOrder::ALL);
    rules.fund_shares[1].rate = rate(dice, &["0.7", "0.66", "0.8"]);
    rules
}

/// What counts together, as an amount that was drawn by the dice has it; none named: all.
fn kinds_of_care(drawn: Money) -> Vec<Purpose> {
    match drawn.as_fen() % 3 {
        0 => Vec::new(),
        1 => vec![Purpose::Outpatient],
        _ => vec![Purpose::Outpatient, Purpose::Pharmacy],
    }
}
