//! How the calculation tables are written: each shape is read from a node and has one canonical JSON text, which a caller may
//! change and send back as a what-if.

use super::canonical::Json;
use super::error::Problems;
use super::reader::Node;
use super::value::{Named, amount, name_of, rate};
use crate::domain::calc::number::{Factor, Month};
use crate::domain::calc::tables::{
    ActiveCredit, AgeRow, BaseBounds, BaseYear, BenefitWay, CertificationCycle, CertificationWay, Continuity, Delay,
    EarlyRow, Flexible, FlexibleChange, FlexibleRates, GapRow, Gift, HousingFund, InjuryPension, InjuryRates, Lifelong,
    MaternityRule, MedicalGap, MinimumRow, MonthDay, NearRetirement, PayoutRow, PayoutRule, PensionFormula,
    PensionRounding, RateRow, ResidentChange, ResidentWaiting, RetiredCredit, SubsidyRow, Transitional,
    UnemploymentConditions, UnemploymentRow, UnemploymentScale, UseRow,
};
use crate::domain::calc::words::{
    BenefitNeed, CertificationChannel, CertificationResult, Counter, EarlyCategory, GapEffect, GiftAmount, Insurance,
    PayoutAge, Precondition, ResidentChangeRule, RetirementClass, RetirementDay, TierChannel, TierEffect,
    TransitionalBase,
};
use crate::domain::money::{Money, Rate, Rounding};

/// The largest whole number of a table that is no amount.
const NUMBER_MAX: i64 = 100_000;
/// The most rows or items of one list.
const ITEMS_MAX: usize = 200;

/// A value of a table.
pub(super) trait Shape: Sized {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self>;

    /// The canonical text; none where nothing is said.
    fn canonical(&self) -> Option<String>;

    /// What a key that is left out means; none: it may not be.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Shape> Shape for Option<T> {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(Some)
    }

    fn canonical(&self) -> Option<String> {
        self.as_ref().and_then(Shape::canonical)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let nodes = node.items(problems)?;
        if nodes.len() > ITEMS_MAX {
            node.refuse(problems, format!("has more than {ITEMS_MAX} items"));
            return None;
        }
        let read: Vec<Option<T>> = nodes.iter().map(|item| T::read(item, problems)).collect();
        read.into_iter().collect()
    }

    fn canonical(&self) -> Option<String> {
        let items: Vec<String> = self.iter().filter_map(Shape::canonical).collect();
        Some(format!("[{}]", items.join(",")))
    }
}

impl Shape for bool {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.flag(problems)
    }

    fn canonical(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Shape for u32 {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let number = node.integer(problems)?;
        let good = (0..=NUMBER_MAX).contains(&number);
        if !good {
            node.refuse(problems, format!("must lie between 0 and {NUMBER_MAX}"));
        }
        Self::try_from(number).ok().filter(|_| good)
    }

    fn canonical(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Shape for Money {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        amount(node, problems)
    }

    fn canonical(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Shape for Rate {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        rate(node, problems)
    }

    fn canonical(&self) -> Option<String> {
        Some(self.to_string().json())
    }
}

impl Shape for Factor {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Self::parse(node.text(problems)?).map_err(|error| node.refuse(problems, error)).ok()
    }

    fn canonical(&self) -> Option<String> {
        Some(self.to_string().json())
    }
}

impl Shape for String {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.filled(problems)?;
        if text.chars().count() > 200 || text.chars().any(char::is_control) {
            node.refuse(problems, "is longer than 200 characters or has control characters");
            return None;
        }
        Some(text.to_owned())
    }

    fn canonical(&self) -> Option<String> {
        Some(self.as_str().json())
    }
}

/// Texts of a fixed form.
macro_rules! parsed {
    ($($name:ident $wanted:literal;)*) => {$(
        impl Shape for $name {
            fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let found = Self::parse(node.text(problems)?);
                if found.is_none() {
                    node.refuse(problems, concat!("must be ", $wanted));
                }
                found
            }

            fn canonical(&self) -> Option<String> {
                Some(self.to_string().json())
            }
        }
    )*};
}

parsed! {
    Month "a month such as 1965-01";
    MonthDay "a day of the year such as 12-20";
}

/// Words of closed lists.
macro_rules! words {
    ($($name:ident)*) => {$(
        impl Named for $name {
            fn all() -> Vec<Self> {
                Self::ALL.to_vec()
            }

            fn text(self) -> &'static str {
                self.name()
            }
        }

        word! { $name }
    )*};
}

macro_rules! word {
    ($name:ident) => {
        impl Shape for $name {
            fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                name_of(node, problems)
            }

            fn canonical(&self) -> Option<String> {
                Some(self.text().json())
            }
        }
    };
}

words! {
    BenefitNeed CertificationChannel CertificationResult Counter EarlyCategory GapEffect GiftAmount Insurance PayoutAge
    Precondition ResidentChangeRule RetirementClass RetirementDay TierChannel TierEffect TransitionalBase
}
word! { Rounding }

/// Tables, by the names of their fields.
macro_rules! records {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Shape for $name {
            fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let mut table = node.table(problems)?;
                $(
                    let $field = match table.get(stringify!($field)) {
                        Some(node) => Shape::read(&node, problems),
                        None => {
                            let absent = Shape::absent();
                            if absent.is_none() {
                                table.refuse(problems, stringify!($field), "is missing");
                            }
                            absent
                        }
                    };
                )*
                table.finish(problems);
                Some(Self { $($field: $field?),* })
            }

            fn canonical(&self) -> Option<String> {
                let Self { $($field),* } = self;
                let fields = [$((stringify!($field), Shape::canonical($field))),*];
                let said = fields.into_iter().filter_map(|(name, text)| text.map(|text| format!("{}:{text}", name.json())));
                Some(format!("{{{}}}", said.collect::<Vec<_>>().join(",")))
            }
        }
    )*};
}

records! {
    RateRow { insurance, person, unit }
    InjuryRates { classes, first_class_floats, other_class_floats }
    HousingFund { lowest, highest, usual }
    BaseBounds { lower, upper, unit_fen, rounding }
    BaseYear { first_month }
    FlexibleRates { pension, pension_account, medical }
    SubsidyRow { from_fen, subsidy_fen }
    ActiveCredit { of_base, of_unit_part }
    RetiredCredit { fixed_fen, of_average_pension }
    PensionFormula { per_year }
    PayoutRow { age, months }
    PayoutRule { mode, decimals }
    PensionRounding { period_index_decimals, index_decimals, years_decimals, transitional_years_decimals, rounding }
    Transitional { coefficient, base }
    MinimumRow { from_year, months }
    AgeRow { class, original_months, delay }
    Delay { first_birth, birth_months, most }
    Flexible { early_months, late_months, early_notice_months, late_notice_months }
    EarlyRow { category, male_months, female_months }
    Lifelong { male_months, female_months, local_months, buyout }
    MedicalGap { wait_months }
    Continuity { grace_months, insurance }
    ResidentWaiting { fixed_months, per_missed_year_months }
    MaternityRule { continuous_months, leave_days, dystocia_days, further_child_days, days_of_month }
    GapRow { insurance, effect }
    UnemploymentScale { rows, per_further_year, most, is_upper_bound }
    UnemploymentRow { paid_months, months }
    UnemploymentConditions { paid_months, involuntary, registered, medical_covered }
    NearRetirement { within_months }
    FlexibleChange { window_first, window_last, effect, per_year, channels }
    ResidentChange { per_year, rule, channels }
    CertificationCycle { months, dependant_months, every_calendar_year, first_months, first_opens, start_month }
    InjuryPension { allowance_stops, difference_paid }
    UseRow { code, text }
    BenefitWay { insurance, needs, paid_months, gives }
    Gift { code, text, needs, amount }
    CertificationWay { channel, preconditions, result, proxy, steps }
}
