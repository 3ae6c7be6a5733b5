//! In which words a decision is explained. While a database is updated, programs of two versions serve it at once, and each has
//! to read what the other one stored: until all know the newer words, decisions are told in the first ones.

use std::ops::Deref;

use super::rule::{Input, Inputs, Rule, Step, Subject, Trace};

/// The words that all who serve a data set can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wording {
    /// Those of the programs of schema 1.
    First,
    /// All.
    Full,
}

/// A trace in the words that may be told. Only such a one is stored and answered, so that an answer, its repeat and a later look
/// are the same, whichever program gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(Trace);

impl Deref for Told {
    type Target = Trace;

    fn deref(&self) -> &Trace {
        &self.0
    }
}

impl Told {
    /// As it was stored, in whatever words.
    pub(crate) fn as_stored(trace: Trace) -> Self {
        Self(trace)
    }

    /// With what was told later of the same decision.
    pub fn then(mut self, later: &Self) -> Self {
        self.0.steps.extend_from_slice(&later.steps);
        self
    }
}

/// Words are only added at the ends of their lists: the first programs know those before these.
const FIRST_NEWER_RULE: Rule = Rule::FirstSelfPayGiven;
const FIRST_NEWER_INPUT: Input = Input::Relation;

impl Wording {
    /// Puts a decision into these words. It has been made and judged by then: only how it is told may change.
    pub fn tell(self, mut trace: Trace) -> Told {
        if self == Self::First {
            trace.steps = trace.steps.into_iter().filter_map(in_first_words).collect();
        }
        Told(trace)
    }
}

/// The step as the first programs told it; none where they said nothing.
fn in_first_words(step: Step) -> Option<Step> {
    let rule = if step.rule == Rule::FirstSelfPayGiven { Rule::FirstSelfPay } else { step.rule };
    // The order of the owners they knew by name, and never told.
    if rule == Rule::OwnerOrder || rule.code() >= FIRST_NEWER_RULE.code() {
        return None;
    }
    let subject = if step.subject == Subject::Pair { Subject::Bill } else { step.subject };
    let draws = matches!(rule, Rule::OwnerDraw | Rule::QuotaDraw);
    // One amount for all that is left: of the limits, and where an owner pays of the binding's cap as well.
    let limits = [Input::AidPerSettlementLeft, Input::AidPerDayLeft, Input::AidPerYearLeft];
    let least = limits.into_iter().chain(draws.then_some(Input::CapLeft)).filter_map(|input| step.input(input)).min();
    let word = if draws { Input::CapLeft } else { Input::LimitLeft };
    let left = least.map(|left| (word, left));
    // Of a payment they took the third amount for what is left, whatever its name.
    let dropped = |input: Input| draws && [Input::CapLeft, Input::Floor].contains(&input);
    let stays = |input: Input| input.code() < FIRST_NEWER_INPUT.code() && !dropped(input);
    let inputs: Inputs = step.inputs.iter().copied().filter(|(input, _)| stays(*input)).chain(left).collect();
    Some(Step { rule, subject, inputs, ..step })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;
    use crate::domain::reason::Reason;
    use crate::domain::rule::Outcome;

    fn step(rule: Rule, subject: Subject, inputs: &[(Input, i64)]) -> Step {
        let inputs = inputs.iter().map(|(input, fen)| (*input, Money::fen(*fen))).collect();
        let outcome = Outcome::No(Reason::RelationNotAllowed);
        Step { rule, subject, policy: 1, inputs, rounded: None, outcome }
    }

    /// Whether the first programs know all of a step.
    fn is_first(step: &Step) -> bool {
        let newer = step.inputs.iter().any(|(input, _)| input.code() >= FIRST_NEWER_INPUT.code());
        step.rule.code() < FIRST_NEWER_RULE.code() && step.subject != Subject::Pair && !newer
    }

    /// Each newer word, and what the first programs said in its place.
    #[test]
    fn every_newer_word_has_an_older_form() {
        use Input as I;
        use Rule as R;
        use Subject as S;
        type Words = (Rule, Subject, &'static [(Input, i64)]);
        let payment: &[(Input, i64)] = &[(I::StillToPay, 9), (I::Usable, 8)];
        let rows: &[(Words, Option<Words>)] = &[
            (
                (R::FirstSelfPayGiven, S::Line(3), &[(I::Amount, 9), (I::OverLimit, 1)]),
                Some((R::FirstSelfPay, S::Line(3), &[(I::Amount, 9), (I::OverLimit, 1)])),
            ),
            ((R::FirstSelfPayGiven, S::Bill, &[(I::Total, 9)]), Some((R::FirstSelfPay, S::Bill, &[(I::Total, 9)]))),
            (
                (R::MembersPerOwner, S::Pair, &[(I::Number, 2), (I::Limit, 3)]),
                Some((R::MembersPerOwner, S::Bill, &[(I::Number, 2), (I::Limit, 3)])),
            ),
            ((R::RelationAllowed, S::Pair, &[(I::Relation, 2)]), Some((R::RelationAllowed, S::Bill, &[]))),
            ((R::Excluded, S::Paper(1), &[(I::Relation, 2)]), Some((R::Excluded, S::Paper(1), &[]))),
            ((R::OwnerOrder, S::Bill, &[(I::Owners, 2)]), None),
            (
                (R::AidLimit, S::Own, &[(I::UsedToday, 1), (I::UsedThisYear, 2), (I::AidPerSettlementLeft, 7)]),
                Some((R::AidLimit, S::Own, &[(I::UsedToday, 1), (I::UsedThisYear, 2), (I::LimitLeft, 7)])),
            ),
            (
                (
                    R::AidLimit,
                    S::Own,
                    &[(I::UsedToday, 1), (I::UsedThisYear, 2), (I::AidPerDayLeft, 6), (I::AidPerYearLeft, 5)],
                ),
                Some((R::AidLimit, S::Own, &[(I::UsedToday, 1), (I::UsedThisYear, 2), (I::LimitLeft, 5)])),
            ),
            ((R::OwnerDraw, S::Own, payment), Some((R::OwnerDraw, S::Own, payment))),
            (
                (R::OwnerDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::Floor, 1)]),
                Some((R::OwnerDraw, S::Own, payment)),
            ),
            (
                (R::OwnerDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::Floor, 1), (I::CapLeft, 7)]),
                Some((R::OwnerDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::CapLeft, 7)])),
            ),
            (
                (R::OwnerDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::CapLeft, 7), (I::AidPerDayLeft, 6)]),
                Some((R::OwnerDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::CapLeft, 6)])),
            ),
            (
                (R::QuotaDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::AidPerYearLeft, 5)]),
                Some((R::QuotaDraw, S::Own, &[(I::StillToPay, 9), (I::Usable, 8), (I::CapLeft, 5)])),
            ),
            // What they knew stays as it is.
            (
                (R::FundYearCap, S::Bill, &[(I::Fund, 9), (I::CapLeft, 7)]),
                Some((R::FundYearCap, S::Bill, &[(I::Fund, 9), (I::CapLeft, 7)])),
            ),
            (
                (R::OwnerUsable, S::Own, &[(I::Balance, 9), (I::Drawable, 8), (I::Floor, 1)]),
                Some((R::OwnerUsable, S::Own, &[(I::Balance, 9), (I::Drawable, 8), (I::Floor, 1)])),
            ),
        ];
        let made = |(rule, subject, inputs): Words| step(rule, subject, inputs);
        for (newer, older) in rows {
            let mut trace = Trace::under([7; 32]);
            trace.steps.push(made(*newer));
            let full = Wording::Full.tell(trace.clone());
            assert_eq!(*full, trace);
            let told = Wording::First.tell(trace);
            assert_eq!(told.steps, older.map(made).into_iter().collect::<Vec<_>>(), "{newer:?}");
            assert_eq!(told.policy_set, [7; 32]);
            assert!(told.steps.iter().all(is_first));
        }
        // A word that is added later needs a row here.
        let rules = Rule::ALL.iter().filter(|rule| rule.code() >= FIRST_NEWER_RULE.code());
        let unknown: Vec<_> = rules.filter(|rule| rows.iter().all(|(newer, _)| newer.0 != **rule)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let inputs = Input::ALL.iter().filter(|input| input.code() >= FIRST_NEWER_INPUT.code());
        let shown = |input: &Input| rows.iter().any(|((_, _, inputs), _)| inputs.iter().any(|(it, _)| it == input));
        let unknown: Vec<_> = inputs.filter(|input| !shown(input)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    /// How many words the programs of schema 1 know. Their lists are in what they stored, so these numbers never move.
    #[test]
    fn the_first_words_are_those_of_schema_1() {
        assert_eq!((FIRST_NEWER_RULE.code(), FIRST_NEWER_INPUT.code()), (70, 38));
        let of = |rule, subject, inputs: &[(Input, i64)]| is_first(&step(rule, subject, inputs));
        assert!(of(Rule::InsuranceReleases, Subject::Paper(1), &[(Input::InterestPrior, 1)]));
        assert!(!of(Rule::FirstSelfPayGiven, Subject::Bill, &[]));
        assert!(!of(Rule::Cash, Subject::Pair, &[]));
        assert!(!of(Rule::Cash, Subject::Bill, &[(Input::Relation, 1)]));
    }
}
