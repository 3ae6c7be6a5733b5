//! The name of every calculation table, and the table of any name.

use super::number::Factor;
use super::tables::{
    ActiveCredit, AgeRow, BaseBounds, BaseYear, BenefitWay, CertificationCycle, CertificationWay, Continuity, EarlyRow,
    Flexible, FlexibleChange, FlexibleRates, GapRow, HousingFund, InjuryPension, InjuryRates, Lifelong, MaternityRule,
    MedicalGap, MinimumRow, NearRetirement, PayoutRow, PayoutRule, PensionFormula, PensionRounding, RateRow,
    ResidentChange, ResidentWaiting, RetiredCredit, SubsidyRow, Transitional, UnemploymentConditions,
    UnemploymentScale, UseRow,
};
use super::words::{Counter, RetirementDay};
use crate::domain::money::{Money, Rounding};

macro_rules! keys {
    ($($variant:ident $get:ident $zh:literal $en:literal: $type:ty;)*) => {
        /// The name of every calculation table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key { $($variant,)* }

        impl Key {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($get),)* }
            }

            pub const fn zh(self) -> &'static str {
                match self { $(Self::$variant => $zh,)* }
            }

            pub const fn en(self) -> &'static str {
                match self { $(Self::$variant => $en,)* }
            }

            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|key| key.name() == name)
            }
        }

        /// A table of any key.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Value { $($variant($type),)* }

        impl super::law::Law<'_> {
            $(
                #[doc = concat!("`", stringify!($get), "`: ", $en, ".")]
                pub fn $get(&self) -> Result<&$type, super::law::Refusal> {
                    match self.value(Key::$variant)? {
                        Value::$variant(value) => Ok(value),
                        _ => Err(super::law::Refusal::NotKnown(Key::$variant)),
                    }
                }
            )*
        }

        /// Calls `$each!` with every key: the loader reads each by the type of its value.
        macro_rules! for_each_key {
            ($each:ident) => { $each! { $($variant)* } };
        }
        pub(crate) use for_each_key;
    };
}

keys! {
    ContributionRates contribution_rates "社会保险缴费费率" "social-insurance rates": Vec<RateRow>;
    InjuryRates injury_rates "工伤保险行业费率" "work-injury rates by class": InjuryRates;
    InjuryDefaultClass injury_default_class "未注明行业类别时的工伤类别" "injury class where none is named": u32;
    HousingFund housing_fund "住房公积金缴存比例" "housing-fund rates": HousingFund;
    BaseBounds base_bounds "缴费基数上下限" "bounds of the contribution base": BaseBounds;
    BaseYear base_year "缴费年度" "contribution year": BaseYear;
    AverageWage average_wage "社会平均工资（月）" "average monthly wage": Money;
    ContributionRounding contribution_rounding "缴费金额取整方式" "rounding of contributions": Rounding;
    FlexibleRates flexible_rates "灵活就业人员缴费比例" "flexible-employment rates": FlexibleRates;
    FlexibleTiers flexible_tiers "灵活就业人员缴费档次" "flexible-employment tiers": Vec<Factor>;
    ResidentTiers resident_tiers "城乡居民养老保险缴费档次" "resident-pension tiers": Vec<Money>;
    ResidentSubsidies resident_subsidies "城乡居民养老保险缴费补贴" "resident-pension subsidies": Vec<SubsidyRow>;
    ActiveCredit active_credit "在职职工个人账户划入" "account credit of the active": ActiveCredit;
    RetiredCredit retired_credit "退休人员个人账户划入" "account credit of the retired": RetiredCredit;
    PensionBase pension_base "养老金计发基数" "pension calculation base": Money;
    PensionFormula pension_formula "基础养老金计发比例" "basic-pension share per year": PensionFormula;
    PayoutMonths payout_months "个人账户养老金计发月数" "account payout months": Vec<PayoutRow>;
    PayoutRule payout_rule "非整岁计发月数取法" "payout months at fractional ages": PayoutRule;
    PensionRounding pension_rounding "养老金中间位数与取整" "pension rounding": PensionRounding;
    Transitional transitional "过渡性养老金" "transitional pension": Transitional;
    MinimumYears minimum_years "按月领取养老金最低缴费年限" "minimum pension years": Vec<MinimumRow>;
    RetirementAges retirement_ages "法定退休年龄" "retirement ages": Vec<AgeRow>;
    FlexibleRetirement flexible_retirement "弹性退休" "flexible retirement": Flexible;
    EarlyAges early_ages "提前退休年龄" "early retirement ages": Vec<EarlyRow>;
    RetirementDay retirement_day "退休日取法" "day of retirement": RetirementDay;
    LifelongMedical lifelong_medical "退休后终身享受医保年限" "years for lifelong medical insurance": Lifelong;
    MedicalGap medical_gap "职工医保中断后待遇恢复" "medical benefits after a gap": MedicalGap;
    ResidentWaiting resident_waiting "居民医保待遇等待期" "waiting period of the resident scheme": ResidentWaiting;
    Maternity maternity "生育待遇" "maternity benefits": MaternityRule;
    GapEffects gap_effects "中断缴费的影响" "effects of a gap": Vec<GapRow>;
    ContinuityCounters continuity_counters "按连续缴费月数认定的资格" "counters of continuous months": Vec<Counter>;
    UnemploymentMonths unemployment_months "失业保险金领取期限" "months of unemployment benefit": UnemploymentScale;
    UnemploymentConditions unemployment_conditions "领取失业保险金条件" "conditions of unemployment benefit": UnemploymentConditions;
    UnemploymentNearRetirement unemployment_near_retirement "临近退休失业人员" "unemployed near retirement": NearRetirement;
    FlexibleChange flexible_change "灵活就业人员调档" "flexible-employment tier change": FlexibleChange;
    ResidentChange resident_change "城乡居民调档" "resident tier change": ResidentChange;
    CertificationCycle certification_cycle "资格认证周期" "certification cycle": CertificationCycle;
    CertificationWays certification_ways "资格认证渠道" "certification channels": Vec<CertificationWay>;
    InjuryPension injury_pension "伤残津贴与养老金" "disability allowance and pension": InjuryPension;
    CardUses card_uses "社会保障卡用途" "uses of the social-security card": Vec<UseRow>;
    Continuity continuity "连续缴费的认定" "what counts as continuous payment": Continuity;
    Benefits benefits "各险种待遇及条件" "benefits of each insurance and what they ask for": Vec<BenefitWay>;
}
