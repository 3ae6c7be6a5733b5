//! CalculateContribution and CalculateAccountCredit on the wire.

use super::answer::{Beside, Calculation, Tail, common};
use crate::domain::calc::chosen::{self, Flexible, FlexibleContribution, ResidentContribution};
use crate::domain::calc::contribution::{self, Compared, Contribution, Employee, OnBase};
use crate::domain::calc::credit::{self, Credit, Credited};
use crate::domain::calc::law::{Law, Refusal};
use crate::domain::calc::number::Factor;
use crate::domain::calc::trace::Trace;
use crate::domain::calc::words::{ContributionScheme, Insurance};
use crate::domain::money::Money;
use crate::grpc::enums::Wire;
use crate::grpc::fields::Fields;
use crate::grpc::proto;

/// By whose rules.
pub enum Payer {
    Employee(Employee),
    Flexible(Flexible),
    Resident(Money),
}

pub enum Paid {
    Employee(Box<Contribution>),
    Flexible(FlexibleContribution, bool, bool),
    Resident(ResidentContribution),
}

impl Calculation for proto::CalculateContributionRequest {
    type Input = Payer;
    type Outcome = Paid;
    type Response = proto::CalculateContributionResponse;

    const EXPLANATION: u32 = 18;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Payer> {
        let scheme = match self.scheme {
            0 => ContributionScheme::Employee,
            number => fields.word("scheme", number)?,
        };
        foreign(&self, scheme, fields);
        match scheme {
            ContributionScheme::Employee => employee(self, fields).map(Payer::Employee),
            ContributionScheme::Flexible => flexible(self, fields).map(Payer::Flexible),
            ContributionScheme::Resident => {
                fields.positive("resident_tier_fen", self.resident_tier_fen).map(Payer::Resident)
            }
        }
    }

    fn calculate(law: &Law<'_>, input: &Payer, trace: &mut Trace) -> Result<Paid, Refusal> {
        Ok(match input {
            Payer::Employee(input) => Paid::Employee(Box::new(contribution::calculate(law, input, trace)?)),
            Payer::Flexible(input) => {
                Paid::Flexible(chosen::flexible(law, input, trace)?, input.pension, input.medical)
            }
            Payer::Resident(tier) => Paid::Resident(chosen::resident(law, *tier, trace)?),
        })
    }

    fn respond(outcome: Paid, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let answer = proto::CalculateContributionResponse { weakest_grade, what_if, explanation, ..Default::default() };
        match outcome {
            Paid::Employee(found) => of_employee(&found, answer),
            Paid::Flexible(found, pension, medical) => of_flexible(&found, pension, medical, answer),
            Paid::Resident(found) => proto::CalculateContributionResponse {
                person_total_fen: found.paid.as_fen(),
                to_account_fen: found.to_account.as_fen(),
                subsidy_fen: found.subsidy.as_fen(),
                ..answer
            },
        }
    }
}

/// Fields of another scheme are refused: they would be passed over in silence.
fn foreign(request: &proto::CalculateContributionRequest, scheme: ContributionScheme, fields: &mut Fields) {
    let employee = scheme == ContributionScheme::Employee;
    let of_employees = [
        ("wage_fen", request.wage_fen.is_some()),
        ("injury_class", request.injury_class != 0),
        ("injury_float", !request.injury_float.is_empty()),
        ("housing_fund_person_rate", !request.housing_fund_person_rate.is_empty()),
        ("housing_fund_unit_rate", !request.housing_fund_unit_rate.is_empty()),
        ("compare_base_wage_fen", request.compare_base_wage_fen.is_some()),
    ];
    for (field, given) in of_employees {
        fields.foreign(field, given && !employee, "EMPLOYEE");
    }
    let flexible = scheme == ContributionScheme::Flexible;
    let of_flexible = [
        ("tier", !request.tier.is_empty()),
        ("without_pension", request.without_pension),
        ("without_medical", request.without_medical),
    ];
    for (field, given) in of_flexible {
        fields.foreign(field, given && !flexible, "FLEXIBLE");
    }
    let resident = scheme == ContributionScheme::Resident;
    fields.foreign("resident_tier_fen", request.resident_tier_fen != 0 && !resident, "RESIDENT");
    fields.foreign("base_wage_fen", request.base_wage_fen.is_some() && resident, "EMPLOYEE and FLEXIBLE");
    fields.foreign("average_wage_fen", request.average_wage_fen.is_some() && resident, "EMPLOYEE and FLEXIBLE");
}

fn employee(request: proto::CalculateContributionRequest, fields: &mut Fields) -> Option<Employee> {
    let wage = match request.wage_fen {
        Some(wage) => fields.money("wage_fen", wage),
        None => {
            fields.bad("wage_fen", "is required");
            None
        }
    };
    let base_wage = fields.optional_money("base_wage_fen", request.base_wage_fen);
    let average_wage = average_wage(request.average_wage_fen, fields);
    let injury_class = fields.count("injury_class", request.injury_class, 0, 100);
    let injury_float = fields.optional_factor("injury_float", &request.injury_float);
    let housing_person = fields.rate("housing_fund_person_rate", &request.housing_fund_person_rate);
    let housing_unit = fields.rate("housing_fund_unit_rate", &request.housing_fund_unit_rate);
    let compared = fields.optional_money("compare_base_wage_fen", request.compare_base_wage_fen);
    Some(Employee {
        wage: wage?,
        base_wage: base_wage?.or(wage)?,
        average_wage: average_wage?,
        injury_class: injury_class.map(|class| (class > 0).then_some(class))?,
        injury_float: injury_float?,
        housing_person: housing_person?,
        housing_unit: housing_unit?,
        compared: compared?,
    })
}

fn average_wage(fen: Option<i64>, fields: &mut Fields) -> Option<Option<Money>> {
    fen.map_or(Some(None), |fen| fields.positive("average_wage_fen", fen).map(Some))
}

fn flexible(request: proto::CalculateContributionRequest, fields: &mut Fields) -> Option<Flexible> {
    let average_wage = average_wage(request.average_wage_fen, fields);
    let tier = fields.optional_factor("tier", &request.tier);
    let base = fields.optional_money("base_wage_fen", request.base_wage_fen);
    if request.without_pension && request.without_medical {
        fields.bad("without_medical", "nothing is left to pay");
    }
    Some(Flexible {
        average_wage: average_wage?,
        tier: tier?,
        base: base?,
        pension: !request.without_pension,
        medical: !request.without_medical,
    })
}

fn of_employee(
    found: &Contribution,
    answer: proto::CalculateContributionResponse,
) -> proto::CalculateContributionResponse {
    let plan = &found.plan;
    let mut lines = Vec::with_capacity(Insurance::ALL.len());
    for insurance in Insurance::ALL.iter().copied() {
        let place = usize::from(insurance.code() - 1);
        let (person, unit) = (plan.person[place], plan.unit[place]);
        if person > 0 || unit > 0 {
            lines.push(proto::ContributionLine {
                insurance: insurance.to_wire(),
                person_rate: Factor::from_millionths(person).to_string(),
                person_fen: found.found.parts.person[place],
                unit_rate: Factor::from_millionths(unit).to_string(),
                unit_fen: found.found.parts.unit[place],
            });
        }
    }
    proto::CalculateContributionResponse {
        average_wage_fen: found.average_wage.as_fen(),
        lower_bound_fen: plan.lower,
        upper_bound_fen: plan.upper,
        base_fen: found.found.base.as_fen(),
        base_from_month: found.from.to_string(),
        base_last_month: found.last.to_string(),
        index: found.found.index.to_string(),
        lines,
        person_total_fen: found.found.parts.person_total(),
        unit_total_fen: found.found.parts.unit_total(),
        net_wage_fen: found.found.net_wage.as_fen(),
        comparison: found.compared.as_ref().map(|compared| comparison(&found.found, compared)),
        ..answer
    }
}

fn comparison(found: &OnBase, Compared { other, medical_account }: &Compared) -> proto::ContributionComparison {
    let pension = usize::from(Insurance::Pension.code() - 1);
    proto::ContributionComparison {
        base_fen: other.base.as_fen(),
        person_total_fen: other.parts.person_total(),
        unit_total_fen: other.parts.unit_total(),
        net_wage_fen: other.net_wage.as_fen(),
        index: other.index.to_string(),
        person_difference_fen: found.parts.person_total() - other.parts.person_total(),
        unit_difference_fen: found.parts.unit_total() - other.parts.unit_total(),
        pension_account_difference_fen: found.parts.person[pension] - other.parts.person[pension],
        medical_account_difference_fen: medical_account.as_fen(),
    }
}

fn of_flexible(
    found: &FlexibleContribution,
    pension: bool,
    medical: bool,
    answer: proto::CalculateContributionResponse,
) -> proto::CalculateContributionResponse {
    let line = |insurance: Insurance, rate: crate::domain::money::Rate, amount: Money| proto::ContributionLine {
        insurance: insurance.to_wire(),
        person_rate: rate.to_string(),
        person_fen: amount.as_fen(),
        unit_rate: "0".to_owned(),
        unit_fen: 0,
    };
    let mut lines = Vec::with_capacity(2);
    lines.extend(pension.then(|| line(Insurance::Pension, found.pension_rate, found.pension)));
    lines.extend(medical.then(|| line(Insurance::Medical, found.medical_rate, found.medical)));
    proto::CalculateContributionResponse {
        average_wage_fen: found.average_wage.as_fen(),
        lower_bound_fen: found.lower.as_fen(),
        upper_bound_fen: found.upper.as_fen(),
        base_fen: found.base.as_fen(),
        lines,
        person_total_fen: found.total.as_fen(),
        to_account_fen: found.to_account.as_fen(),
        to_pool_fen: found.to_pool.as_fen(),
        ..answer
    }
}

impl Calculation for proto::CalculateAccountCreditRequest {
    type Input = Credited;
    type Outcome = Credit;
    type Response = proto::CalculateAccountCreditResponse;

    const EXPLANATION: u32 = 7;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Credited> {
        if self.retired {
            fields.foreign("base_fen", self.base_fen != 0, "the active");
            fields.foreign("unit_part_fen", self.unit_part_fen != 0, "the active");
            let average = fields.money("average_pension_fen", self.average_pension_fen)?;
            Some(Credited::Retired { average_pension: average.is_positive().then_some(average) })
        } else {
            fields.foreign("average_pension_fen", self.average_pension_fen != 0, "the retired");
            let base = fields.positive("base_fen", self.base_fen);
            let unit_part = fields.money("unit_part_fen", self.unit_part_fen);
            Some(Credited::Active { base: base?, unit_part: unit_part? })
        }
    }

    fn calculate(law: &Law<'_>, input: &Credited, trace: &mut Trace) -> Result<Credit, Refusal> {
        credit::calculate(law, input, trace)
    }

    fn respond(found: Credit, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        proto::CalculateAccountCreditResponse {
            own_fen: found.own.as_fen(),
            unit_fen: found.unit.as_fen(),
            fixed_fen: found.fixed.as_fen(),
            total_fen: found.total.as_fen(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}
