//! What the hospital asks: a visit and a bill, either line by line or with the fund's part already decided.

use jiff::civil::Date;

use super::ids::RegionCode;
use super::money::{Money, Rate};
use super::vocabulary::{Category, InstitutionKind, ListClass, Purpose};

/// 就诊: where, what for, on which day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub institution_kind: InstitutionKind,
    /// Says only local or away.
    pub care_region: RegionCode,
    pub purpose: Purpose,
    pub date: Date,
    pub external: ExternalRefs,
}

/// The names other systems gave this visit; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalRefs {
    pub mdtrt_id: String,
    pub medins_setl_id: String,
    pub msgid: String,
    pub invoice_no: String,
}

/// 费用: the total and how it is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub total: Money,
    pub content: BillContent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillContent {
    /// The service splits. The amounts sum to the total.
    Lines(Vec<Line>),
    /// The fund's part was decided elsewhere. The parts sum to the total.
    Adjudicated(Adjudicated),
}

/// One charge (费用明细).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: String,
    pub item_code: String,
    pub item_name: String,
    pub category: Category,
    pub class: ListClass,
    pub amount: Money,
    /// The part above a price cap, at most the amount.
    pub over_limit: Money,
    /// None: class A has none, class B takes the policy's.
    pub first_self_pay_rate: Option<Rate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjudicated {
    pub fund: Money,
    pub hospital_part: Money,
    pub deductible: Money,
    pub first_self_pay: Money,
    pub over_limit: Money,
    pub full_self_pay: Money,
    pub person_part: Money,
}

/// What is wrong with a total that its lines do not make.
pub const NOT_THE_SUM: &str = "is not the sum of the lines' amount_fen";

impl BillContent {
    /// What is wrong with the sums of a bill, field by field; with its total as far as that could be read.
    pub fn faults(&self, total: Option<Money>) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        let differs = |sum: Money| total.is_some_and(|total| total != sum);
        match self {
            Self::Lines(lines) => {
                if differs(lines.iter().map(|line| line.amount).sum()) {
                    faults.push(("bill.total_fen", NOT_THE_SUM));
                }
            }
            Self::Adjudicated(parts) => {
                if differs(parts.fund + parts.hospital_part + parts.person_part) {
                    faults.push(("bill.total_fen", "is not fund_fen + hospital_part_fen + person_part_fen"));
                }
                if parts.person_part < parts.deductible + parts.first_self_pay + parts.over_limit + parts.full_self_pay
                {
                    let what = "is less than deductible, first self-pay, over limit and full self-pay together";
                    faults.push(("bill.adjudicated.person_part_fen", what));
                }
            }
        }
        faults
    }
}
