//! The law as values: what one region's policy says on one day, each value with where it came from.
//!
//! Files are read by `crate::policy`; nothing here knows a rate, a date or a list of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, Time};

use super::calc::law::CalcBook;
use super::ids::RegionCode;
use super::money::{Money, Rate, Rounding};
use super::region::RegionBook;
use super::vocabulary::{
    Bucket, Channel, Component, Grade, InsuranceState, ListClass, Mode, OwnAccountOrder, OwnerOrder, Purpose, Relation,
    Scheme, Scope, TieSide,
};

pub use super::policy_rows::{
    CardRule, ChannelRule, Deductible, Floor, FundBand, FundShare, Hours, PriceCap, RelationSteps, ReleaseRule,
    YearInterest,
};

macro_rules! params {
    ($($(#[$doc:meta])* $variant:ident $name:literal $zh:literal;)*) => {
        /// The name of every value a policy has, in the order of `Policy::values`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Param { $($(#[$doc])* $variant,)* }

        impl Param {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|param| param.name() == name)
            }

            /// The stored code: the place in this list, which only ever grows at its end.
            pub fn code(self) -> u8 {
                self as u8
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

params! {
    Modes "modes" "共济方式";
    Relations "relations" "亲属范围";
    BeneficiaryScope "beneficiary_scope" "共济区域范围";
    BeneficiarySchemes "beneficiary_schemes" "被共济人险种";
    OwnerTiers "owner_tiers" "共济人参保档次";
    OwnerStates "owner_states" "共济人参保状态";
    BeneficiaryStates "beneficiary_states" "被共济人参保状态";
    OwnBuckets "own_buckets" "本人可用账户";
    RelativeBuckets "relative_buckets" "家庭成员可用账户";
    Floor "floor" "共济人须保留余额";
    OwnAccountOrder "own_account_order" "本人账户与共济账户先后";
    OwnerOrder "owner_order" "共济人先后";
    OwnPurposes "own_purposes" "本人账户用途";
    RelativePurposes "relative_purposes" "家庭共济用途";
    ProhibitedPurposes "prohibited_purposes" "禁止用途";
    OwnComponents "own_components" "本人账户可支付部分";
    RelativeComponents "relative_components" "家庭共济可支付部分";
    FundShares "fund_shares" "统筹基金支付比例";
    Deductibles "deductibles" "起付标准";
    FundYearCap "fund_year_cap" "统筹基金年度限额";
    FirstSelfPayRate "first_self_pay_rate" "乙类先行自付比例";
    FundRounding "fund_rounding" "基金支付取整方式";
    MembersPerOwner "members_per_owner" "每名共济人可绑定人数";
    OwnersPerMember "owners_per_member" "每名被共济人可绑定共济人数";
    OwnersPerSettlement "owners_per_settlement" "每次结算可用共济人数";
    Channels "channels" "办理渠道与材料";
    PaperAuthorisation "paper_authorisation" "书面授权";
    ReleaseOnEndOrMove "release_on_end_or_move" "参保终止或转移时解除绑定";
    FamilySize "family_size" "共济家庭总人数（含共济人）";
    OneFamilyPerPerson "one_family_per_person" "每人只能加入一个共济家庭";
    AidPerSettlement "aid_per_settlement" "每名被共济人每次使用上限";
    AidPerDay "aid_per_day" "每名被共济人每日使用上限";
    AidPerYear "aid_per_year" "每名被共济人每年使用上限";
    FullSelfPayClasses "full_self_pay_classes" "全自费目录类别";
    PriceCaps "price_caps" "项目限价";
    MinorAge "minor_age" "未成年人办理年龄线";
    Releases "releases" "解绑渠道与材料";
    CardActivation "card_activation" "社保卡激活渠道与材料";
    PaperRegulariseDays "paper_regularise_days" "书面授权后补办绑定的期限";
    CrossProvinceModes "cross_province_modes" "跨省共济方式";
    WalletSources "wallet_sources" "钱包转账资金来源";
    WalletPurposes "wallet_purposes" "钱包资金用途";
    WalletTransfersPerDay "wallet_transfers_per_day" "钱包每日转账次数";
    WalletTransferMax "wallet_transfer_max" "钱包每笔转账限额";
    WalletClosedHours "wallet_closed_hours" "钱包停止转账时段";
    WalletReturnTime "wallet_return_time" "未领取资金退回时间";
    QuotaEvidence "quota_evidence" "设定共济额度所需的双方同意";
    QuotaMax "quota_max" "每个绑定关系的共济额度上限";
    YearInterest "year_interest" "年度结转计息";
    PremiumPurposes "premium_purposes" "共济缴费所含用途";
    FundYearCapPurposes "fund_year_cap_purposes" "统筹基金年度限额所计用途";
    ReleaseSides "release_sides" "因参保变动解除绑定的一方";
    LimitsOtherProvinces "limits_other_provinces" "人数限制是否计入跨省关系";
}

/// The typed values of one policy; each field is the [`Param`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub modes: Vec<Mode>,
    pub relations: Vec<Relation>,
    pub beneficiary_scope: Scope,
    pub beneficiary_schemes: Vec<Scheme>,
    /// Tier codes of the region; empty means any tier, or none.
    pub owner_tiers: Vec<String>,
    pub owner_states: Vec<InsuranceState>,
    pub beneficiary_states: Vec<InsuranceState>,
    /// In the order in which they are drawn.
    pub own_buckets: Vec<Bucket>,
    /// In the order in which they are drawn.
    pub relative_buckets: Vec<Bucket>,
    pub floor: Floor,
    pub own_account_order: OwnAccountOrder,
    pub owner_order: OwnerOrder,
    pub own_purposes: Vec<Purpose>,
    pub relative_purposes: Vec<Purpose>,
    pub prohibited_purposes: Vec<Purpose>,
    pub own_components: Vec<Component>,
    pub relative_components: Vec<Component>,
    /// The first that matches a line decides; none means that the fund pays nothing for it.
    pub fund_shares: Vec<FundShare>,
    /// The first that matches decides; none means no deductible.
    pub deductibles: Vec<Deductible>,
    /// Of what the fund pays in a calendar year for care of the kinds below.
    pub fund_year_cap: Option<Money>,
    /// For class B lines that do not bring their own.
    pub first_self_pay_rate: Rate,
    pub fund_rounding: Rounding,
    pub members_per_owner: Option<u32>,
    pub owners_per_member: Option<u32>,
    pub owners_per_settlement: Option<u32>,
    pub channels: Vec<ChannelRule>,
    pub paper_authorisation: bool,
    pub release_on_end_or_move: bool,
    /// The owner and everybody bound to the owner, counted together.
    pub family_size: Option<u32>,
    pub one_family_per_person: bool,
    /// What one beneficiary may draw from one owner's account.
    pub aid_per_settlement: Option<Money>,
    pub aid_per_day: Option<Money>,
    pub aid_per_year: Option<Money>,
    /// Lines of these classes stay wholly with the person.
    pub full_self_pay_classes: Vec<ListClass>,
    /// The first that matches a line decides; none means that only the line's own over-limit part counts.
    pub price_caps: Vec<PriceCap>,
    /// Persons younger than this on the day of application hand in a channel's `minor_evidence` too.
    pub minor_age: Option<u32>,
    pub releases: Vec<ReleaseRule>,
    pub card_activation: Vec<CardRule>,
    /// How many days after the first slip a pair has to be bound; none means that slips need not be regularised.
    pub paper_regularise_days: Option<u32>,
    /// How money moves to another province once both regions are open.
    pub cross_province_modes: Vec<Mode>,
    /// Where the money of a wallet transfer may come from, in the order in which it is taken; empty means no transfers.
    pub wallet_sources: Vec<Bucket>,
    pub wallet_purposes: Vec<Purpose>,
    /// Per sending wallet and civil day.
    pub wallet_transfers_per_day: Option<u32>,
    /// The most of one transfer.
    pub wallet_transfer_max: Option<Money>,
    pub wallet_closed_hours: Option<Hours>,
    /// On the day after the transfer: from then on it can no longer be taken.
    pub wallet_return_time: Time,
    pub quota_evidence: Vec<String>,
    /// The most of one binding.
    pub quota_max: Option<Money>,
    /// None: nothing is added when a year is closed.
    pub year_interest: Option<YearInterest>,
    /// What a binding for premiums alone (共济缴费) pays; one for care alone (共济支付) pays the rest.
    pub premium_purposes: Vec<Purpose>,
    /// The kinds of care that the fund's cap holds for and counts together; empty: all.
    pub fund_year_cap_purposes: Vec<Purpose>,
    /// Whose end or move of insurance releases a binding.
    pub release_sides: Vec<TieSide>,
    /// Whether the numbers of owners, members and families also bind ties to another province.
    pub limits_other_provinces: bool,
}

impl Rules {
    /// Whether what a beneficiary drew before today, or today, bears on what is left.
    pub fn counts_aid(&self) -> bool {
        self.aid_per_day.is_some() || self.aid_per_year.is_some()
    }
}

/// Where a value comes from: a document with its grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// `<folder>/<key>`, unique in the book.
    pub id: String,
    pub document: String,
    pub article: String,
    pub effective: Option<Date>,
    pub url: String,
    pub grade: Grade,
    pub note: String,
    /// Where it is written down: `440300-shenzhen/policy.toml:12`.
    pub place: String,
}

/// One value as a reader sees it: text, life, origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyValue {
    pub param: Param,
    /// Canonical text: enum names joined by commas, amounts in fen, tables as compact JSON.
    pub text: String,
    pub start: Date,
    pub end: Option<Date>,
    /// Whose file says so: the region itself, one it extends, or [`RegionCode::NATIONAL`].
    pub region: RegionCode,
    pub citation: Arc<Citation>,
    /// The citation's grade, or a lower one where only part of the source could be confirmed.
    pub grade: Grade,
    pub note: String,
    /// Where the entry stands: `440300-shenzhen/policy.toml:80`.
    pub place: String,
}

/// A policy between two changes of any of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// SHA-256 over the canonical text of all values: what stored decisions refer to.
    pub digest: [u8; 32],
    pub start: Date,
    pub end: Option<Date>,
    /// The day this text of the law entered the data, so that a later correction is told apart.
    pub known_from: Date,
}

/// What one region's policy says on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub region: RegionCode,
    pub revision: Revision,
    /// Shared by all pools that follow one folder.
    pub rules: Arc<Rules>,
    /// One per [`Param`], in that order.
    pub values: Arc<[PolicyValue]>,
}

impl Policy {
    pub fn value(&self, param: Param) -> &PolicyValue {
        &self.values[usize::from(param.code())]
    }

    pub fn channel(&self, channel: Channel) -> Option<&ChannelRule> {
        self.rules.channels.iter().find(|rule| rule.channel == channel)
    }

    pub fn release(&self, channel: Channel) -> Option<&ReleaseRule> {
        self.rules.releases.iter().find(|rule| rule.channel == channel)
    }
}

/// Every policy of every region, immutable once read.
#[derive(Clone, Debug)]
pub struct PolicyBook {
    pub regions: RegionBook,
    /// Revisions of each region in order of their start; contiguous, the last one open.
    revisions: BTreeMap<RegionCode, Vec<Arc<Policy>>>,
    /// Regions whose own money may be set aside as a quota, on any day.
    quota_regions: BTreeSet<RegionCode>,
    /// The tables of the calculations.
    pub calculation: CalcBook,
    /// SHA-256 over all revisions, openings, regions and calculation tables.
    pub digest: [u8; 32],
    /// What the set is made of, to say what differs between two: each folder's revisions and the two tables.
    pub parts: Vec<SetPart>,
}

/// One part of a policy set with the beginning of its digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetPart {
    /// The folder, or the table's file name.
    pub name: String,
    /// The first day of the revision.
    pub start: Date,
    pub digest: [u8; 8],
}

impl PolicyBook {
    pub fn new(
        mut regions: RegionBook,
        revisions: BTreeMap<RegionCode, Vec<Arc<Policy>>>,
        calculation: CalcBook,
        digest: [u8; 32],
        parts: Vec<SetPart>,
    ) -> Self {
        regions.policy_set = digest;
        for list in revisions.values() {
            assert!(!list.is_empty(), "a region without a policy has no entry");
            let contiguous = list.windows(2).all(|pair| pair[0].revision.end == Some(pair[1].revision.start));
            assert!(
                contiguous && list[list.len() - 1].revision.end.is_none(),
                "revisions are contiguous and the last is open"
            );
        }
        let knows = |list: &[Arc<Policy>]| list.iter().any(|policy| policy.rules.modes.contains(&Mode::Quota));
        let quota_regions = revisions.iter().filter(|(_, list)| knows(list)).map(|(region, _)| *region).collect();
        Self { regions, revisions, quota_regions, calculation, digest, parts }
    }

    /// The policy of a pooling region on a day; none before the first recorded law or for a code that is no pool.
    pub fn policy(&self, region: RegionCode, on: Date) -> Option<&Arc<Policy>> {
        let list = self.revisions.get(&region)?;
        let after = list.partition_point(|policy| policy.revision.start <= on);
        after.checked_sub(1).map(|index| &list[index])
    }

    /// Whether a quota may ever have been set within this region.
    pub fn knows_quota(&self, region: RegionCode) -> bool {
        self.quota_regions.contains(&region)
    }

    /// Of every region, in no stated order.
    pub fn every_revision(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.revisions.values().flatten()
    }

    pub fn revisions(&self, region: RegionCode) -> &[Arc<Policy>] {
        self.revisions.get(&region).map_or(&[], Vec::as_slice)
    }
}

/// One value that is another than in the revision before.
#[derive(Clone, Copy, Debug)]
pub struct ValueChange<'a> {
    /// None in the first revision.
    pub before: Option<&'a PolicyValue>,
    pub after: &'a PolicyValue,
}

/// What a revision changed: values whose text or origin differs from the revision before.
pub fn changes<'a>(before: Option<&'a Policy>, after: &'a Policy) -> impl Iterator<Item = ValueChange<'a>> {
    after.values.iter().enumerate().filter_map(move |(place, value)| {
        let earlier = before.and_then(|policy| policy.values.get(place));
        let same = earlier.is_some_and(|earlier| {
            (&earlier.text, &earlier.citation.id, earlier.region) == (&value.text, &value.citation.id, value.region)
        });
        (!same).then_some(ValueChange { before: earlier, after: value })
    })
}
