//! Gaps, conditions of benefits, unemployment, lifelong medical insurance, and disability beside a pension, on the wire.

use super::answer::{Beside, Calculation, Tail, common};
use super::read::{MONTHS_MAX, decision, int, notes};
use crate::domain::calc::benefits::{self, Benefits, Disabled, DisabledFound, Facts, Lifelong, LifelongFound};
use crate::domain::calc::gap::{self, Assessment, Paid, Standing};
use crate::domain::calc::law::{Law, Refusal};
use crate::domain::calc::number::Month;
use crate::domain::calc::trace::Trace;
use crate::domain::calc::unemployment::{self, Months, Unemployed};
use crate::domain::calc::words::Insurance;
use crate::grpc::enums::Wire;
use crate::grpc::fields::Fields;
use crate::grpc::proto;

impl Calculation for proto::AssessContributionGapRequest {
    type Input = gap::Asked;
    type Outcome = Assessment;
    type Response = proto::AssessContributionGapResponse;

    const EXPLANATION: u32 = 7;

    common!();

    fn read(self, fields: &mut Fields, beside: Beside) -> Option<gap::Asked> {
        let missed = fields.count("resident_missed_years", self.resident_missed_years, 0, 100);
        let resident = fields.optional_month("resident_paid_month", &self.resident_paid_month);
        let missed_alone = self.resident_missed_years != 0 && self.resident_paid_month.is_empty();
        fields.foreign("resident_missed_years", missed_alone, "a request with resident_paid_month");
        if self.paid.is_empty() && self.resident_paid_month.is_empty() {
            fields.bad("paid", "is required");
        }
        let now = beside.on.map(Month::of);
        let paid = paid(&self.paid, fields, beside.limits.periods as usize, now);
        let first = self.paid.first().and_then(|period| Insurance::from_wire(period.insurance));
        Some(gap::Asked { paid: paid?, first, missed_years: missed?, resident_paid: resident? })
    }

    fn calculate(law: &Law<'_>, input: &gap::Asked, trace: &mut Trace) -> Result<Assessment, Refusal> {
        gap::assess(law, input, trace)
    }

    fn respond(found: Assessment, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let counters = found.counters.iter().map(|(counter, months)| proto::CounterState {
            counter: counter.to_wire(),
            continuous_months: int(*months),
        });
        proto::AssessContributionGapResponse {
            insurances: found.standings.iter().map(standing).collect(),
            counters: counters.collect(),
            resident_waiting_months: int(found.waiting),
            resident_benefits_month: text(found.resident_from),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

fn text(month: Option<Month>) -> String {
    month.map(|month| month.to_string()).unwrap_or_default()
}

/// Periods in order of insurance and month; those of one insurance must not overlap, and none reaches beyond the month asked
/// about.
fn paid(periods: &[proto::PaidPeriod], fields: &mut Fields, most: usize, now: Option<Month>) -> Option<Vec<Paid>> {
    if periods.len() > most {
        fields.bad("paid", format!("has more than {most} periods"));
        return None;
    }
    let before = fields.len();
    let mut found: Vec<(Paid, usize)> = Vec::with_capacity(periods.len());
    for (place, period) in periods.iter().enumerate() {
        let noted = fields.len();
        let insurance = fields.word::<Insurance>("insurance", period.insurance);
        if insurance == Some(Insurance::HousingFund) {
            fields.bad("insurance", "must be an insurance");
        }
        let from = fields.month("from_month", &period.from_month);
        let last = fields.month("last_month", &period.last_month);
        if let (Some(insurance), Some(from), Some(last)) = (insurance, from, last) {
            if last < from {
                fields.bad("last_month", "lies before from_month");
            } else {
                if now.is_some_and(|now| last > now) {
                    fields.bad("last_month", "lies beyond the month of the day");
                }
                found.push((Paid { insurance, from, last }, place));
            }
        }
        fields.place_since(noted, &format_args!("paid[{place}]"));
    }
    found.sort_unstable();
    for pair in found.windows(2) {
        let ((one, _), (other, place)) = (pair[0], pair[1]);
        if one.insurance == other.insurance && other.from <= one.last {
            fields.bad(format!("paid[{place}].from_month"), "overlaps another period of this insurance");
        }
    }
    (fields.len() == before).then(|| found.into_iter().map(|(paid, _)| paid).collect())
}

fn standing(found: &Standing) -> proto::GapAssessment {
    proto::GapAssessment {
        insurance: found.insurance.to_wire(),
        effect: found.effect.to_wire(),
        cumulative_months: int(found.cumulative),
        continuous_months: int(found.continuous),
        gap_months: int(found.gap),
        gap_from_month: text(found.gap_from),
        resumed_month: text(found.resumed),
        benefits_back_month: text(found.back),
        decision: decision(&found.reasons),
        reasons: notes(&found.reasons),
    }
}

/// Fields of another insurance are refused: they would be passed over in silence.
fn foreign(request: &proto::CheckBenefitsRequest, insurance: Insurance, fields: &mut Fields) {
    use Insurance::{Injury, Maternity, Medical, Pension, Unemployment};
    let rows: [(&str, bool, &[Insurance]); 13] = [
        ("local_paid_months", request.local_paid_months != 0, &[Medical]),
        ("continuous_months", request.continuous_months != 0, &[Maternity]),
        ("class", request.class != 0, &[Pension, Medical]),
        ("birth_date", !request.birth_date.is_empty(), &[Pension, Medical]),
        ("retirement_month", !request.retirement_month.is_empty(), &[Pension, Medical]),
        ("injury_recognised", request.injury_recognised, &[Injury]),
        ("cause", request.cause != 0, &[Unemployment]),
        ("registered", request.registered, &[Unemployment]),
        ("on_unemployment_benefit", request.on_unemployment_benefit, &[Medical]),
        ("paying", request.paying, &[Medical]),
        ("unit_average_wage_fen", request.unit_average_wage_fen != 0, &[Maternity]),
        ("children", request.children != 0, &[Maternity]),
        ("dystocia", request.dystocia, &[Maternity]),
    ];
    for (field, given, of) in rows {
        let names: Vec<&str> = of.iter().map(|insurance| insurance.name()).collect();
        fields.foreign(field, given && !of.contains(&insurance), &names.join(" and "));
    }
}

impl Calculation for proto::CheckBenefitsRequest {
    type Input = Facts;
    type Outcome = Benefits;
    type Response = proto::CheckBenefitsResponse;

    const EXPLANATION: u32 = 8;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Facts> {
        let insurance = fields.word("insurance", self.insurance);
        let paid = fields.count("paid_months", self.paid_months, 0, MONTHS_MAX);
        let local_paid = fields.count("local_paid_months", self.local_paid_months, 0, MONTHS_MAX);
        let continuous = fields.count("continuous_months", self.continuous_months, 0, MONTHS_MAX);
        let worker = fields.optional_worker(self.class, &self.birth_date);
        let retirement = fields.optional_month("retirement_month", &self.retirement_month);
        let ageless = !self.retirement_month.is_empty() && self.birth_date.is_empty();
        fields.foreign("retirement_month", ageless, "a request with class and birth_date");
        let cause = fields.optional_word("cause", self.cause);
        let wage = fields.money("unit_average_wage_fen", self.unit_average_wage_fen);
        let children = fields.count("children", self.children, 0, 20);
        if let (Some(paid), Some(local)) = (paid, local_paid)
            && local > paid
        {
            fields.bad("local_paid_months", "must not be more than paid_months");
        }
        if let Some(insurance) = insurance {
            foreign(&self, insurance, fields);
        }
        Some(Facts {
            insurance: insurance?,
            paid: paid?,
            local_paid: local_paid?,
            continuous: continuous?,
            worker: worker?,
            retirement: retirement?,
            injury_recognised: self.injury_recognised,
            cause: cause?,
            registered: self.registered,
            on_unemployment_benefit: self.on_unemployment_benefit,
            paying: self.paying,
            unit_average_wage: wage.map(|wage| wage.is_positive().then_some(wage))?,
            children: children?.max(1),
            dystocia: self.dystocia,
        })
    }

    fn calculate(law: &Law<'_>, input: &Facts, trace: &mut Trace) -> Result<Benefits, Refusal> {
        benefits::check(law, input, trace)
    }

    fn respond(found: Benefits, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let given = found.given.iter().map(|given| proto::Benefit {
            code: given.code.clone(),
            text: given.text.clone(),
            amount_fen: given.amount.map(|amount| amount.as_fen()),
        });
        let uses = found.card_uses.iter().map(|(code, text)| proto::Benefit {
            code: code.clone(),
            text: text.clone(),
            amount_fen: None,
        });
        proto::CheckBenefitsResponse {
            decision: decision(&found.reasons),
            reasons: notes(&found.reasons),
            benefits: given.collect(),
            leave_days: int(found.leave_days),
            card_uses: uses.collect(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

impl Calculation for proto::CalculateUnemploymentBenefitRequest {
    type Input = Unemployed;
    type Outcome = Months;
    type Response = proto::CalculateUnemploymentBenefitResponse;

    const EXPLANATION: u32 = 11;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Unemployed> {
        let paid = fields.count("paid_months", self.paid_months, 0, MONTHS_MAX);
        let unused = fields.count("unused_months", self.unused_months, 0, MONTHS_MAX);
        let cause = fields.word("cause", self.cause);
        let monthly = fields.optional_money("monthly_benefit_fen", self.monthly_benefit_fen);
        let worker = fields.optional_worker(self.class, &self.birth_date);
        Some(Unemployed {
            paid: paid?,
            unused: unused?,
            cause: cause?,
            registered: self.registered,
            monthly: monthly?,
            worker: worker?,
        })
    }

    fn calculate(law: &Law<'_>, input: &Unemployed, trace: &mut Trace) -> Result<Months, Refusal> {
        unemployment::calculate(law, input, trace)
    }

    fn respond(found: Months, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        proto::CalculateUnemploymentBenefitResponse {
            decision: decision(&found.reasons),
            reasons: notes(&found.reasons),
            scale_months: int(found.scale),
            carried_months: int(found.carried),
            months: int(found.months),
            is_upper_bound: found.is_upper_bound,
            extended_to_month: text(found.extended_to),
            total_fen: found.total.as_fen(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

impl Calculation for proto::CheckLifelongMedicalRequest {
    type Input = Lifelong;
    type Outcome = LifelongFound;
    type Response = proto::CheckLifelongMedicalResponse;

    const EXPLANATION: u32 = 10;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Lifelong> {
        let sex = fields.word("sex", self.sex);
        let paid = fields.count("paid_months", self.paid_months, 0, MONTHS_MAX);
        let local_paid = fields.count("local_paid_months", self.local_paid_months, 0, MONTHS_MAX);
        let base = self.monthly_base_fen.map_or(Some(None), |fen| fields.positive("monthly_base_fen", fen).map(Some));
        if let (Some(paid), Some(local)) = (paid, local_paid)
            && local > paid
        {
            fields.bad("local_paid_months", "must not be more than paid_months");
        }
        Some(Lifelong { sex: sex?, paid: paid?, local_paid: local_paid?, monthly_base: base? })
    }

    fn calculate(law: &Law<'_>, input: &Lifelong, trace: &mut Trace) -> Result<LifelongFound, Refusal> {
        benefits::lifelong(law, input, trace)
    }

    fn respond(found: LifelongFound, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        proto::CheckLifelongMedicalResponse {
            decision: decision(&found.reasons),
            reasons: notes(&found.reasons),
            required_months: int(found.required),
            required_local_months: int(found.required_local),
            missing_months: int(found.missing),
            buyout: found.buyout,
            buyout_fen: found.buyout_cost.as_fen(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

impl Calculation for proto::CalculateInjuryAndPensionRequest {
    type Input = Disabled;
    type Outcome = DisabledFound;
    type Response = proto::CalculateInjuryAndPensionResponse;

    const EXPLANATION: u32 = 7;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Disabled> {
        let allowance = fields.money("disability_allowance_fen", self.disability_allowance_fen);
        let pension = fields.money("pension_fen", self.pension_fen);
        fields.foreign("pension_fen", self.pension_fen > 0 && !self.pension_started, "a pension that has started");
        Some(Disabled { allowance: allowance?, pension: pension?, started: self.pension_started })
    }

    fn calculate(law: &Law<'_>, input: &Disabled, trace: &mut Trace) -> Result<DisabledFound, Refusal> {
        benefits::injury_and_pension(law, input, trace)
    }

    fn respond(found: DisabledFound, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        proto::CalculateInjuryAndPensionResponse {
            allowance_fen: found.allowance.as_fen(),
            pension_fen: found.pension.as_fen(),
            difference_fen: found.difference.as_fen(),
            total_fen: found.total.as_fen(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}
