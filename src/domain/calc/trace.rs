//! How a figure came about: each step with formula, values, rounding and result. Written by the run that calculates; how much
//! of it is kept is the caller's choice, the figures never depend on it.

use super::keys::Key;
use std::borrow::Cow;

use super::law::Law;
use super::number::Ratio;
use crate::domain::money::{Money, Rounding};
use crate::domain::vocabulary::Grade;

macro_rules! rules {
    ($($variant:ident $id:literal $zh:literal $en:literal;)*) => {
        /// Every rule of a calculation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($variant,)* }

        impl Rule {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            pub const fn en(self) -> &'static str {
                match self { $(Self::$variant => $en,)* }
            }

            pub fn parse(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.id() == id)
            }
        }
    };
}

rules! {
    AverageWage "contribution.average_wage" "上年度社会平均工资" "average wage of the year before";
    LowerBound "contribution.lower_bound" "缴费基数下限" "lower bound of the base";
    UpperBound "contribution.upper_bound" "缴费基数上限" "upper bound of the base";
    Base "contribution.base" "缴费基数" "contribution base";
    ContributionIndex "contribution.index" "缴费指数" "contribution index";
    BaseYear "contribution.base_year" "缴费基数适用期间" "months for which the base holds";
    InjuryRate "contribution.injury_rate" "工伤保险费率" "work-injury rate";
    PersonPart "contribution.person" "个人缴费" "the person's part";
    UnitPart "contribution.unit" "单位缴费" "the unit's part";
    PersonTotal "contribution.person_total" "个人缴费合计" "the person's parts in sum";
    UnitTotal "contribution.unit_total" "单位缴费合计" "the unit's parts in sum";
    NetWage "contribution.net_wage" "工资减个人缴费" "wage minus own contributions";
    ToAccount "contribution.to_account" "计入个人账户" "into the own account";
    ToPool "contribution.to_pool" "计入统筹基金" "into the pool";
    Tier "contribution.tier" "缴费档次" "tier";
    Subsidy "contribution.subsidy" "政府缴费补贴" "government subsidy";
    Comparison "contribution.comparison" "两种基数相比" "the two bases compared";
    CreditOwn "credit.own" "个人缴费划入个人账户" "own contribution credited";
    CreditUnit "credit.unit" "单位缴费划入个人账户" "share of the unit's contribution credited";
    CreditRetired "credit.retired" "退休人员定额划入" "fixed credit of the retired";
    CreditTotal "credit.total" "当月划入合计" "credited in the month";
    PeriodIndex "pension.period_index" "各时段缴费指数" "index of a period";
    AverageIndex "pension.average_index" "平均缴费指数" "average contribution index";
    PensionYears "pension.years" "缴费年限（含视同缴费年限）" "contribution years with deemed years";
    BasicPension "pension.basic" "基础养老金" "basic pension";
    PayoutMonths "pension.payout_months" "计发月数" "payout months";
    AccountPension "pension.account" "个人账户养老金" "account pension";
    TransitionalPension "pension.transitional" "过渡性养老金" "transitional pension";
    PensionTotal "pension.total" "月基本养老金" "monthly pension";
    MinimumYears "pension.minimum_years" "最低缴费年限" "minimum years";
    OriginalAge "retirement.original" "原法定退休年龄" "original age";
    DelayMonths "retirement.delay" "延迟月数" "months of delay";
    LegalAge "retirement.legal" "法定退休年龄" "legal age";
    EarliestAge "retirement.earliest" "弹性提前退休" "earliest flexible retirement";
    LatestAge "retirement.latest" "弹性延迟退休" "latest flexible retirement";
    Notice "retirement.notice" "书面告知截止日" "last day of notice in writing";
    EarlyCategory "retirement.early_category" "特殊工种或因病提前退休" "early by special work or illness";
    RetirementDay "retirement.day" "退休日" "day of retirement";
    GapMonths "gap.months" "中断月数" "months of the gap";
    GapEffect "gap.effect" "中断的影响" "effect of the gap";
    BenefitsBack "gap.benefits_back" "待遇恢复月份" "month in which benefits come back";
    ContinuousMonths "gap.continuous_months" "连续缴费月数" "continuous months";
    CumulativeMonths "gap.cumulative_months" "累计缴费月数" "months in sum";
    Waiting "gap.waiting" "居民医保待遇等待期" "waiting period of the resident scheme";
    Counter "gap.counter" "连续月数资格" "counter of continuous months";
    Condition "benefit.condition" "享受条件" "condition";
    Benefit "benefit.given" "待遇" "benefit";
    MaternityDays "benefit.maternity_days" "产假天数" "days of maternity leave";
    MaternityAllowance "benefit.maternity_allowance" "生育津贴" "maternity allowance";
    UnemploymentScale "unemployment.scale" "按缴费时间核定的领取月数" "months by paid time";
    UnemploymentCarry "unemployment.carry_over" "结转原未领取月数" "unused months carried over";
    UnemploymentCap "unemployment.cap" "领取月数上限" "most months";
    UnemploymentExtension "unemployment.extension" "延长至法定退休年龄" "extended to the legal age";
    UnemploymentCut "unemployment.until_retirement" "领至法定退休年龄为止" "at most until the legal age";
    UnemploymentTotal "unemployment.total" "失业保险金合计" "benefit in sum";
    LifelongYears "lifelong.required" "终身享受医保所需年限" "required months";
    LifelongShortfall "lifelong.shortfall" "所差月数" "months missing";
    LifelongBuyout "lifelong.buyout" "一次性补缴" "paid at once";
    Window "tier.window" "调档办理时间" "window of the change";
    ChangesLeft "tier.changes" "年度内调档次数" "changes in the year";
    TierHigher "tier.higher" "新档次高于已缴金额" "the new tier is above what was paid";
    Channel "tier.channel" "办理渠道" "channel";
    EffectiveMonth "tier.effective" "生效月份" "month of effect";
    DifferenceDue "tier.difference" "应补差额" "difference due";
    SubsidyDifference "tier.subsidy" "补贴差额" "difference of the subsidy";
    RollingDue "certification.rolling" "距上次认证的最长间隔" "longest interval since the last one";
    CalendarYearDue "certification.calendar_year" "每自然年度认证一次" "once in every calendar year";
    CertificationDue "certification.due" "下次认证截止日" "due day";
    CertificationState "certification.state" "认证状态" "state";
    CertificationWays "certification.ways" "当地的认证渠道" "channels of the region";
    CertificationChannel "certification.channel" "认证渠道及前提" "channel and what it asks for";
    DisabilityStops "injury.allowance" "领取养老金后停发伤残津贴" "allowance stops with the pension";
    InjuryDifference "injury.difference" "工伤保险基金补足差额" "difference from the injury fund";
    InjuryTotal "injury.total" "每月合计" "in sum a month";
}

impl Rule {
    /// The working in between, which a summary leaves out: it tells amounts, days and decisions.
    pub const fn is_working(self) -> bool {
        matches!(
            self,
            Self::AverageWage
                | Self::LowerBound
                | Self::UpperBound
                | Self::BaseYear
                | Self::InjuryRate
                | Self::PeriodIndex
                | Self::UnemploymentCarry
                | Self::CumulativeMonths
        )
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    None,
    /// Rules, deciding tables and results.
    Summary,
    /// Formulas and values too.
    Full,
}

/// One application of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub rule: Rule,
    /// What it is about, such as an insurance; empty: the whole.
    pub subject: Cow<'static, str>,
    /// The tables it rests on, the deciding one first.
    pub keys: &'static [Key],
    pub detail: Detail,
    pub outcome: Outcome,
}

/// The arithmetic; left empty below [`Level::Full`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub inputs: Vec<(&'static str, String)>,
    pub operation: String,
    pub rounded: Option<Rounded>,
}

impl Detail {
    pub fn of(inputs: Vec<(&'static str, String)>, operation: impl Into<String>) -> Self {
        Self { inputs, operation: operation.into(), rounded: None }
    }

    pub fn rounded(mut self, mode: Rounding, before: Ratio, after: impl ToString) -> Self {
        self.rounded = Some(Rounded { mode, before: before.text(), after: after.to_string() });
        self
    }
}

/// A rounding that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rounded {
    pub mode: Rounding,
    pub before: String,
    pub after: String,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fen(Money),
    Text(String),
}

/// The steps so far, and which tables were used.
#[derive(Clone, Debug)]
pub struct Trace {
    pub level: Level,
    pub steps: Vec<Step>,
    used: u64,
}

impl Trace {
    pub fn new(level: Level) -> Self {
        Self { level, steps: Vec::new(), used: 0 }
    }

    /// Notes a step; `detail` is only made where it is kept.
    pub fn step(
        &mut self,
        rule: Rule,
        subject: impl Into<Cow<'static, str>>,
        keys: &'static [Key],
        outcome: impl FnOnce() -> Outcome,
        detail: impl FnOnce() -> Detail,
    ) {
        for key in keys {
            self.used |= 1 << (*key as u8);
        }
        if self.level == Level::None || (self.level == Level::Summary && rule.is_working()) {
            return;
        }
        let detail = if self.level == Level::Full { detail() } else { Detail::default() };
        self.steps.push(Step { rule, subject: subject.into(), keys, detail, outcome: outcome() });
    }

    /// Every table used so far.
    pub fn used(&self) -> impl Iterator<Item = Key> + '_ {
        Key::ALL.iter().copied().filter(|key| self.used & (1 << (*key as u8)) != 0)
    }

    /// The weakest grade of the tables used; none where the caller's own parameters are among them, or none was used.
    pub fn weakest(&self, law: &Law<'_>) -> Option<Grade> {
        let mut weakest = None;
        for key in self.used() {
            let grade = law.entry(key)?.origin.as_ref()?.grade;
            weakest = weakest.max(Some(grade));
        }
        weakest
    }
}

/// A result in fen.
pub fn fen(amount: Money) -> Outcome {
    Outcome::Fen(amount)
}

/// A result in words.
pub fn text(text: impl Into<String>) -> Outcome {
    Outcome::Text(text.into())
}
