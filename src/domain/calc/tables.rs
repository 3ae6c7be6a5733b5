//! The typed form of every calculation table. Values come from `policies/` or from the caller's own parameter set; no number
//! stands here.

use super::number::{Factor, Month};
use super::words::{
    BenefitNeed, CertificationChannel, CertificationResult, EarlyCategory, GapEffect, GiftAmount, Insurance, PayoutAge,
    Precondition, ResidentChangeRule, RetirementClass, TierChannel, TierEffect, TransitionalBase,
};
use crate::domain::money::{Money, Rate, Rounding};

/// One insurance's rates on the contribution base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRow {
    pub insurance: Insurance,
    pub person: Rate,
    pub unit: Rate,
}

/// 工伤保险行业基准费率: one rate per class, and by what a unit's rate may float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjuryRates {
    pub classes: Vec<Rate>,
    pub first_class_floats: Vec<Factor>,
    pub other_class_floats: Vec<Factor>,
}

/// 住房公积金缴存比例: the range, and what is taken where a request names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HousingFund {
    pub lowest: Rate,
    pub highest: Rate,
    pub usual: Rate,
}

/// 缴费基数上下限, as shares of the average wage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseBounds {
    pub lower: Factor,
    pub upper: Factor,
    /// To multiples of so many fen; left out: to whole fen.
    pub unit_fen: Option<u32>,
    /// Left out: as contributions are rounded.
    pub rounding: Option<Rounding>,
}

/// 缴费年度: the month in which a newly declared base takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseYear {
    pub first_month: u32,
}

/// 灵活就业人员缴费比例.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlexibleRates {
    pub pension: Rate,
    /// The part of `pension` that enters the own account.
    pub pension_account: Rate,
    pub medical: Rate,
}

/// 政府补贴: from this tier on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsidyRow {
    pub from_fen: Money,
    pub subsidy_fen: Money,
}

/// 个人账户划入（在职）: shares of the own and of the unit's contribution base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveCredit {
    /// Of the base: the person's own contribution.
    pub of_base: Rate,
    /// Of the unit's contribution.
    pub of_unit_part: Rate,
}

/// 个人账户划入（退休）: an amount, or a share of the average pension at the reform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredCredit {
    pub fixed_fen: Option<Money>,
    pub of_average_pension: Option<Rate>,
}

/// 基础养老金: the share of the indexed average wage for one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PensionFormula {
    pub per_year: Rate,
}

/// 个人账户养老金计发月数.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutRow {
    pub age: u32,
    pub months: u32,
}

/// How an age between two whole years is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutRule {
    pub mode: PayoutAge,
    /// Decimals of an interpolated number of months.
    pub decimals: u32,
}

/// 中间位数与取整: decimals of intermediate results; left out: exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PensionRounding {
    pub period_index_decimals: u32,
    pub index_decimals: Option<u32>,
    pub years_decimals: Option<u32>,
    pub transitional_years_decimals: Option<u32>,
    pub rounding: Rounding,
}

/// 过渡性养老金.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transitional {
    pub coefficient: Rate,
    pub base: TransitionalBase,
}

/// 最低缴费年限 from a year of retirement on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinimumRow {
    pub from_year: u32,
    pub months: u32,
}

/// 法定退休年龄 of one class; no step where nothing is delayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeRow {
    pub class: RetirementClass,
    pub original_months: u32,
    pub delay: Option<Delay>,
}

/// 渐进式延迟: one month more for every `birth_months` from the first delayed month of birth on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    pub first_birth: Month,
    pub birth_months: u32,
    pub most: u32,
}

/// 弹性退休.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flexible {
    pub early_months: u32,
    pub late_months: u32,
    pub early_notice_months: u32,
    pub late_notice_months: u32,
}

/// 提前退休年龄 of special work and of illness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyRow {
    pub category: EarlyCategory,
    pub male_months: u32,
    pub female_months: u32,
}

/// 退休后终身享受医保的年限.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifelong {
    pub male_months: u32,
    pub female_months: u32,
    /// Of these, really paid in this region.
    pub local_months: u32,
    pub buyout: bool,
}

/// 中断后恢复待遇的等待期.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MedicalGap {
    /// Months of renewed payment before benefits come back.
    pub wait_months: u32,
}

/// 连续缴费的认定.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuity {
    /// How many of the latest months may still be unpaid without a gap.
    pub grace_months: u32,
    /// Whose months the counters count, where it was paid.
    pub insurance: Insurance,
}

/// 居民医保待遇等待期.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidentWaiting {
    pub fixed_months: u32,
    pub per_missed_year_months: u32,
}

/// 生育津贴.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaternityRule {
    pub continuous_months: u32,
    pub leave_days: u32,
    pub dystocia_days: u32,
    pub further_child_days: u32,
    /// The monthly wage is divided by this.
    pub days_of_month: u32,
}

/// What a gap does to one insurance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    pub insurance: Insurance,
    pub effect: GapEffect,
}

/// 社会保障卡用途, and the like: a code and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRow {
    pub code: String,
    pub text: String,
}

/// 待遇条件: one way to the benefits of an insurance. The first way whose needs are all met gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenefitWay {
    pub insurance: Insurance,
    pub needs: Vec<BenefitNeed>,
    /// For `PAID_MONTHS`: how many.
    pub paid_months: Option<u32>,
    pub gives: Vec<Gift>,
}

/// One thing that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gift {
    pub code: String,
    pub text: String,
    /// Beside the way's own; where one is not met this is left out.
    pub needs: Option<Vec<BenefitNeed>>,
    pub amount: Option<GiftAmount>,
}

/// 伤残津贴与养老金.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjuryPension {
    /// The allowance stops when the pension begins.
    pub allowance_stops: bool,
    /// The injury fund pays what the pension is lower.
    pub difference_paid: bool,
}

/// 失业保险金领取期限.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnemploymentScale {
    pub rows: Vec<UnemploymentRow>,
    /// Further months for each full further year beyond the last row.
    pub per_further_year: u32,
    /// Most months at once, with what was carried over.
    pub most: u32,
    /// The law's upper bounds, which a region's own scale may stay below.
    pub is_upper_bound: bool,
}

/// Benefit months from so many paid months on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnemploymentRow {
    pub paid_months: u32,
    pub months: u32,
}

/// 领取失业保险金的条件.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnemploymentConditions {
    pub paid_months: u32,
    pub involuntary: bool,
    pub registered: bool,
    /// Employees' medical insurance is paid by the fund meanwhile.
    pub medical_covered: bool,
}

/// 距法定退休年龄不足 so many months: the benefit goes on until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearRetirement {
    pub within_months: u32,
}

/// A day of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    pub month: u32,
    pub day: u32,
}

impl MonthDay {
    /// Reads `MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let (month, day) = text.split_once('-').filter(|_| text.len() == 5 && text.is_ascii())?;
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Self { month, day })
    }
}

impl std::fmt::Display for MonthDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// 灵活就业人员调整缴费档次.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlexibleChange {
    /// Both ends inclusive; left out: any day.
    pub window_first: Option<MonthDay>,
    pub window_last: Option<MonthDay>,
    pub effect: TierEffect,
    /// Changes in one contribution year; 0: as many as wanted.
    pub per_year: u32,
    pub channels: Vec<TierChannel>,
}

/// 城乡居民调整缴费档次.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidentChange {
    pub per_year: u32,
    pub rule: ResidentChangeRule,
    pub channels: Vec<TierChannel>,
}

/// 待遇领取资格认证周期.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificationCycle {
    pub months: u32,
    pub dependant_months: u32,
    /// Beside the interval, once in every calendar year.
    pub every_calendar_year: bool,
    /// After the first payment.
    pub first_months: u32,
    /// `first_months` lead to the day on which the first cycle begins; left out or `false`: to the day on which it is due.
    pub first_opens: Option<bool>,
    /// The month in which the year of `every_calendar_year` begins; left out: January.
    pub start_month: Option<u32>,
}

/// One certification channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificationWay {
    pub channel: CertificationChannel,
    pub preconditions: Vec<Precondition>,
    pub result: CertificationResult,
    /// Whether somebody else, such as a child, may do it for the person.
    pub proxy: bool,
    /// The steps of the procedure, zh-CN.
    pub steps: Vec<String>,
}
