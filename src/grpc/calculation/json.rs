//! Calculations in JSON and by columns, for the command line: the same requests and answers as on the wire, in the form that
//! gRPC tools use; field names as in the `.proto`, or in camelCase.

use serde::de::value::MapDeserializer;
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use crate::grpc::proto;
use proto::calculation_item::Calculation;
use proto::calculation_result::Result as Found;

macro_rules! kinds {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// Which calculation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
        #[value(rename_all = "snake_case")]
        pub enum Kind { $(#[doc = $doc] $variant,)* }

        impl Kind {
            /// As in `CalculationItem`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Reads a request of this kind.
            pub fn read<'de, D: Deserializer<'de>>(self, from: D) -> Result<Calculation, D::Error> {
                Ok(match self { $(Self::$variant => Calculation::$variant(Deserialize::deserialize(from)?),)* })
            }
        }

        /// Puts the region, the day and the view in where a request names none.
        pub fn fill(calculation: &mut Calculation, region: &str, on: &str, view: proto::ExplanationView) {
            match calculation {
                $(Calculation::$variant(request) => {
                    if request.region_code.is_empty() {
                        region.clone_into(&mut request.region_code);
                    }
                    if request.on.is_empty() {
                        on.clone_into(&mut request.on);
                    }
                    if request.explanation_view == 0 {
                        request.explanation_view = view as i32;
                    }
                })*
            }
        }

        /// The explanation of a result that has one.
        pub fn explanation(found: &Found) -> Option<&proto::Explanation> {
            match found {
                $(Found::$variant(answer) => answer.explanation.as_ref(),)*
                Found::Error(_) => None,
            }
        }
    };
}

kinds! {
    Contribution "contribution" "What employees, the flexibly employed and residents pay (缴费)";
    AccountCredit "account_credit" "What enters a medical account in a month (个人账户划入)";
    Pension "pension" "Basic, account and transitional pension (养老金)";
    Retirement "retirement" "Original, legal, earliest and latest month (退休年龄)";
    ContributionGap "contribution_gap" "What a gap does to each insurance (中断缴费)";
    Benefits "benefits" "Whether a benefit is due, and what it is (待遇条件)";
    UnemploymentBenefit "unemployment_benefit" "For how many months it is paid (失业保险金)";
    LifelongMedical "lifelong_medical" "Whether the years are full (退休后终身享受医保)";
    TierChange "tier_change" "Window, month of effect, difference due (调整缴费档次)";
    CertificationDue "certification_due" "Due day, state and channels (资格认证)";
    InjuryAndPension "injury_and_pension" "Disability allowance beside a pension (伤残津贴与养老金)";
}

/// The sums a summary tells, in fen.
pub fn figures(found: &Found) -> Vec<(&'static str, i64)> {
    match found {
        Found::Contribution(answer) => vec![
            ("person_total_fen", answer.person_total_fen),
            ("unit_total_fen", answer.unit_total_fen),
            ("base_fen", answer.base_fen),
        ],
        Found::AccountCredit(answer) => vec![("total_fen", answer.total_fen)],
        Found::Pension(answer) => vec![("total_fen", answer.total_fen)],
        Found::UnemploymentBenefit(answer) => vec![("total_fen", answer.total_fen)],
        Found::LifelongMedical(answer) => vec![("buyout_fen", answer.buyout_fen)],
        Found::TierChange(answer) => vec![("due_fen", answer.due_fen)],
        Found::InjuryAndPension(answer) => vec![("total_fen", answer.total_fen)],
        Found::Retirement(_)
        | Found::ContributionGap(_)
        | Found::Benefits(_)
        | Found::CertificationDue(_)
        | Found::Error(_) => Vec::new(),
    }
}

/// One row of columns as a request: empty cells are left out, lists are joined by `|`.
pub fn read_columns<'a>(
    kind: Kind,
    columns: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Calculation, serde::de::value::Error> {
    let cells = columns.filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| (name, Cell(cell)));
    kind.read(MapDeserializer::new(cells))
}

/// A cell: text that is read as whatever the field is.
#[derive(Clone, Copy)]
struct Cell<'a>(&'a str);

impl<'de> IntoDeserializer<'de, serde::de::value::Error> for Cell<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(Self::Error::custom("expected true or false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(serde::de::value::SeqDeserializer::new(self.0.split('|').map(Cell)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("a field with fields of its own needs JSON lines"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier ignored_any
    }
}
