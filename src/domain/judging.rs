//! Writing down what two regions say about two people: a step for each question, and where both have to allow and do so by
//! different entries, one for each side.

use std::sync::Arc;

use super::deciding::params_of_beneficiary;
use super::money::Money;
use super::policy::{Param, Policy};
use super::reason::Reason;
use super::rule::{Input, Rule, Subject, Trace};
use super::sharing::{Refusal, Side};
use super::vocabulary::Relation;

pub(super) struct Judging<'a> {
    pub trace: &'a mut Trace,
    /// Everything against it, in the order of the questions.
    pub reasons: Vec<Reason>,
    /// The owner's and the beneficiary's policy.
    sides: [&'a Policy; 2],
    /// Where these two stand in the decision's list.
    first: u8,
}

impl<'a> Judging<'a> {
    /// By the policies that stand first in the decision's list.
    pub fn by(sides: [&'a Policy; 2], trace: &'a mut Trace) -> Self {
        Self { trace, reasons: Vec::new(), sides, first: 0 }
    }

    /// From here on by others, which stand at a place of their own.
    pub fn then_by(&mut self, sides: [&'a Policy; 2], first: u8) {
        (self.sides, self.first) = (sides, first);
    }

    /// A question that one side's policy answers.
    pub fn one(&mut self, rule: Rule, side: Side, inputs: &[(Input, Money)], no: Option<Reason>) {
        self.trace.judged(rule, Subject::Pair, self.first + side.index(), inputs, no);
        self.reasons.extend(no);
    }

    /// A question that both sides' policies answer: a no is that of the side that says it.
    pub fn both(&mut self, rule: Rule, inputs: &[(Input, Money)], no: Option<Refusal>) {
        self.one(rule, no.map_or(Side::Owner, |no| no.side), inputs, no.map(|no| no.reason));
        if no.is_none() && self.differ(params_of_beneficiary(rule)) {
            self.one(rule, Side::Beneficiary, inputs, None);
        }
    }

    fn differ(&self, params: &[Param]) -> bool {
        let [owner, beneficiary] = self.sides;
        let entry = |policy: &'a Policy, param: Param| {
            let value = policy.value(param);
            (&value.place, &value.text)
        };
        !Arc::ptr_eq(&owner.values, &beneficiary.values)
            && params.iter().any(|param| entry(owner, *param) != entry(beneficiary, *param))
    }
}

/// The relation that was asked.
pub(super) fn asked(relation: Relation) -> (Input, Money) {
    (Input::Relation, Money::fen(i64::from(relation.code())))
}

/// How many there are, and how many there may be where that is limited.
pub(super) fn counted(number: usize, limit: Option<u32>) -> impl Iterator<Item = (Input, Money)> {
    let count = |number: usize| Money::fen(i64::try_from(number).unwrap_or(i64::MAX));
    let limit = limit.map(|limit| (Input::Limit, Money::fen(i64::from(limit))));
    std::iter::once((Input::Number, count(number))).chain(limit)
}
