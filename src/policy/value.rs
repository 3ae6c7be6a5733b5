//! Reads the value of each [`Param`]: its typed form, the text it has, and where it goes in [`Rules`].

use std::fmt;
use std::sync::Arc;

use super::canonical::Json;
use super::error::Problems;
use super::reader::Node;
use super::rows::{
    card_activation, channel, deductible, deductible_covers, floor, fund_share, fund_share_covers, hours, price_cap,
    price_cap_covers, release, tables, year_interest,
};
use crate::domain::money::{Money, Rate, Rounding};
use crate::domain::policy::{Hours, Param, Rules};
use crate::domain::vocabulary::{
    Bucket, CardChannel, Category, Channel, Component, DeductiblePer, Effective, Grade, Grant, InstitutionKind,
    InsuranceState, InterestBasis, ListClass, Mode, OwnAccountOrder, OwnerOrder, Purpose, Relation, Scheme, Scope,
    TieSide,
};

/// A value that was read: its canonical text, and how it is put into the rules.
#[derive(Clone)]
pub(super) struct Value {
    pub text: String,
    put: Arc<dyn Fn(&mut Rules) + Send + Sync>,
}

impl Value {
    fn new(text: String, put: impl Fn(&mut Rules) + Send + Sync + 'static) -> Self {
        Self { text, put: Arc::new(put) }
    }

    /// Of no rule: leaves the rules as they are.
    pub fn nothing() -> Self {
        Self::new(String::new(), |_| {})
    }

    pub fn put_into(&self, rules: &mut Rules) {
        (self.put)(rules);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A closed list whose items have names in files.
pub(super) trait Named: Copy + PartialEq + Send + Sync + 'static {
    fn all() -> Vec<Self>;
    fn text(self) -> &'static str;
}

macro_rules! named {
    ($($name:ident)*) => {
        $(impl Named for $name {
            fn all() -> Vec<Self> {
                Self::ALL.to_vec()
            }

            fn text(self) -> &'static str {
                self.name()
            }
        })*
    };
}

named! {
    Bucket CardChannel Category Channel Component DeductiblePer Effective Grade Grant InstitutionKind InsuranceState
    InterestBasis ListClass Mode OwnAccountOrder OwnerOrder Purpose Relation Scheme Scope TieSide
}

impl Named for Rounding {
    fn all() -> Vec<Self> {
        vec![Self::HalfUp, Self::HalfEven, Self::Floor, Self::Ceiling]
    }

    fn text(self) -> &'static str {
        self.name()
    }
}

/// Reads the value of `param`; every mistake is reported and makes it `None`.
pub(super) fn read(param: Param, node: &Node<'_>, problems: &mut Problems) -> Option<Value> {
    /// One arm per shape; the field is named once.
    macro_rules! put {
        ($read:expr, $text:expr, $field:ident) => {{
            let value = $read?;
            let text = $text(&value);
            Value::new(text, move |rules| rules.$field.clone_from(&value))
        }};
    }
    Some(match param {
        Param::Modes => put!(names(node, problems), joined, modes),
        Param::Relations => put!(names(node, problems), joined, relations),
        Param::BeneficiaryScope => put!(name_of(node, problems), word, beneficiary_scope),
        Param::BeneficiarySchemes => put!(names(node, problems), joined, beneficiary_schemes),
        Param::OwnerTiers => put!(codes(node, problems), |list: &Vec<String>| list.join(","), owner_tiers),
        Param::OwnerStates => put!(names(node, problems), joined, owner_states),
        Param::BeneficiaryStates => put!(names(node, problems), joined, beneficiary_states),
        Param::OwnBuckets => put!(names(node, problems), joined, own_buckets),
        Param::RelativeBuckets => put!(list(node, problems, drawable), joined, relative_buckets),
        Param::Floor => put!(floor(node, problems), Json::json, floor),
        Param::OwnAccountOrder => put!(name_of(node, problems), word, own_account_order),
        Param::OwnerOrder => put!(name_of(node, problems), word, owner_order),
        Param::OwnPurposes => put!(names(node, problems), joined, own_purposes),
        Param::RelativePurposes => put!(names(node, problems), joined, relative_purposes),
        Param::ProhibitedPurposes => put!(names(node, problems), joined, prohibited_purposes),
        Param::OwnComponents => put!(names(node, problems), joined, own_components),
        Param::RelativeComponents => put!(names(node, problems), joined, relative_components),
        Param::FundShares => {
            put!(tables(node, problems, fund_share, ("name", |row| &row.name), fund_share_covers), table, fund_shares)
        }
        Param::Deductibles => {
            put!(tables(node, problems, deductible, ("name", |row| &row.name), deductible_covers), table, deductibles)
        }
        Param::FundYearCap => put!(or_none(node, problems, amount), or_none_text, fund_year_cap),
        Param::FirstSelfPayRate => put!(rate(node, problems), ToString::to_string, first_self_pay_rate),
        Param::FundRounding => put!(name_of(node, problems), word, fund_rounding),
        Param::MembersPerOwner => put!(or_none(node, problems, limit), or_none_text, members_per_owner),
        Param::OwnersPerMember => put!(or_none(node, problems, limit), or_none_text, owners_per_member),
        Param::OwnersPerSettlement => put!(or_none(node, problems, limit), or_none_text, owners_per_settlement),
        Param::Channels => {
            put!(tables(node, problems, channel, ("channel", |row| row.channel.name()), |_, _| false), table, channels)
        }
        Param::PaperAuthorisation => put!(node.flag(problems), ToString::to_string, paper_authorisation),
        Param::ReleaseOnEndOrMove => put!(node.flag(problems), ToString::to_string, release_on_end_or_move),
        Param::FamilySize => put!(or_none(node, problems, family_size), or_none_text, family_size),
        Param::OneFamilyPerPerson => put!(node.flag(problems), ToString::to_string, one_family_per_person),
        Param::AidPerSettlement => put!(or_none(node, problems, amount), or_none_text, aid_per_settlement),
        Param::AidPerDay => put!(or_none(node, problems, amount), or_none_text, aid_per_day),
        Param::AidPerYear => put!(or_none(node, problems, amount), or_none_text, aid_per_year),
        Param::FullSelfPayClasses => put!(names(node, problems), joined, full_self_pay_classes),
        Param::PriceCaps => {
            put!(tables(node, problems, price_cap, ("name", |row| &row.name), price_cap_covers), table, price_caps)
        }
        Param::MinorAge => put!(or_none(node, problems, limit), or_none_text, minor_age),
        Param::Releases => {
            put!(tables(node, problems, release, ("channel", |row| row.channel.name()), |_, _| false), table, releases)
        }
        Param::CardActivation => {
            let rows = tables(node, problems, card_activation, ("channel", |row| row.channel.name()), |_, _| false);
            put!(rows, table, card_activation)
        }
        Param::PaperRegulariseDays => put!(or_none(node, problems, limit), or_none_text, paper_regularise_days),
        Param::CrossProvinceModes => put!(names(node, problems), joined, cross_province_modes),
        Param::WalletSources => put!(names(node, problems), joined, wallet_sources),
        Param::WalletPurposes => put!(names(node, problems), joined, wallet_purposes),
        Param::WalletTransfersPerDay => {
            put!(or_none(node, problems, limit), or_none_text, wallet_transfers_per_day)
        }
        Param::WalletTransferMax => put!(or_none(node, problems, amount), or_none_text, wallet_transfer_max),
        Param::WalletClosedHours => put!(or_none(node, problems, hours), hours_text, wallet_closed_hours),
        Param::WalletReturnTime => put!(node.time(problems), ToString::to_string, wallet_return_time),
        Param::QuotaEvidence => put!(codes(node, problems), |list: &Vec<String>| list.join(","), quota_evidence),
        Param::QuotaMax => put!(or_none(node, problems, amount), or_none_text, quota_max),
        Param::PremiumPurposes => put!(names(node, problems), joined, premium_purposes),
        Param::FundYearCapPurposes => put!(names(node, problems), joined, fund_year_cap_purposes),
        Param::ReleaseSides => put!(names(node, problems), joined, release_sides),
        Param::LimitsOtherProvinces => put!(node.flag(problems), ToString::to_string, limits_other_provinces),
        Param::YearInterest => put!(or_none(node, problems, year_interest), or_none_json, year_interest),
    })
}

fn joined<T: Named>(list: &[T]) -> String {
    list.iter().map(|item| item.text()).collect::<Vec<_>>().join(",")
}

fn word<T: Named>(item: &T) -> String {
    item.text().to_owned()
}

fn table<T: Json>(rows: &[T]) -> String {
    rows.json()
}

fn hours_text(hours: &Option<Hours>) -> String {
    hours.map_or_else(|| "none".to_owned(), |hours| format!("{}-{}", hours.from, hours.to))
}

fn or_none_text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn or_none_json<T: Json>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), Json::json)
}

/// One name of a closed list.
pub(super) fn name_of<T: Named>(node: &Node<'_>, problems: &mut Problems) -> Option<T> {
    let text = node.text(problems)?;
    let found = T::all().into_iter().find(|item| item.text() == text);
    if found.is_none() {
        let known: Vec<_> = T::all().into_iter().map(T::text).collect();
        node.refuse(problems, format!("is {text:?}, not one of {}", known.join(", ")));
    }
    found
}

/// A list without repetition; reports every bad item before it gives up.
fn list<T: PartialEq>(
    node: &Node<'_>,
    problems: &mut Problems,
    mut read: impl FnMut(&Node<'_>, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let nodes = node.items(problems)?;
    let mut found = Vec::with_capacity(nodes.len());
    for item in &nodes {
        if let Some(value) = read(item, problems) {
            if found.contains(&value) {
                item.refuse(problems, "is named twice");
            }
            found.push(value);
        }
    }
    (found.len() == nodes.len()).then_some(found)
}

pub(super) fn names<T: Named>(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<T>> {
    list(node, problems, name_of)
}

/// Relatives draw on the personal account; what lies in a wallet is sent.
fn drawable(node: &Node<'_>, problems: &mut Problems) -> Option<Bucket> {
    let bucket = name_of(node, problems)?;
    if bucket == Bucket::Wallet {
        node.refuse(problems, "is WALLET: a wallet's money is sent to relatives, not drawn by them");
        return None;
    }
    Some(bucket)
}

/// Short codes of the region's or our own: tiers, evidence types, names of rows.
pub(super) fn code(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let plain = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if !plain {
        node.refuse(problems, "must be 1 to 64 letters, digits, '_', '-' or '.'");
    }
    plain.then(|| text.to_owned())
}

pub(super) fn codes(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    list(node, problems, code)
}

pub(super) fn rate(node: &Node<'_>, problems: &mut Problems) -> Option<Rate> {
    Rate::parse(node.text(problems)?).map_err(|error| node.refuse(problems, error.to_string())).ok()
}

pub(super) fn amount(node: &Node<'_>, problems: &mut Problems) -> Option<Money> {
    let fen = node.integer(problems)?;
    let admitted = (0..=Money::INPUT_MAX).contains(&fen);
    if !admitted {
        node.refuse(problems, format!("must lie between 0 and {} fen", Money::INPUT_MAX));
    }
    admitted.then_some(Money::fen(fen))
}

fn limit(node: &Node<'_>, problems: &mut Problems) -> Option<u32> {
    let number = node.integer(problems)?;
    let limit = u32::try_from(number).ok().filter(|limit| *limit > 0);
    if limit.is_none() {
        node.refuse(problems, "must be a number from 1, or \"none\"");
    }
    limit
}

/// A family is an owner and at least one more.
fn family_size(node: &Node<'_>, problems: &mut Problems) -> Option<u32> {
    let size = u32::try_from(node.integer(problems)?).ok().filter(|size| *size > 1);
    if size.is_none() {
        node.refuse(problems, "must be a number from 2, or \"none\"");
    }
    size
}

fn or_none<T>(
    node: &Node<'_>,
    problems: &mut Problems,
    read: fn(&Node<'_>, &mut Problems) -> Option<T>,
) -> Option<Option<T>> {
    if node.is_none() { Some(None) } else { read(node, problems).map(Some) }
}
