//! What is still to be paid of a bill under each heading, as one payer after the other pays.

use super::money::Money;
use super::rule::{Input, Inputs};
use super::split::Split;
use super::vocabulary::Component;

pub(super) struct Open([(Component, Money); 5]);

impl Open {
    pub fn of(split: &Split) -> Self {
        use Component as C;
        Self(
            [C::Deductible, C::CoPayment, C::FirstSelfPay, C::OverLimit, C::FullSelfPay]
                .map(|c| (c, split.component(c))),
        )
    }

    pub fn total(&self) -> Money {
        self.0.iter().map(|(_, open)| *open).sum()
    }

    pub fn payable(&self, components: &[Component]) -> Money {
        self.0.iter().filter(|(component, _)| components.contains(component)).map(|(_, open)| *open).sum()
    }

    /// What is open of these, and if nothing is, what is open at all.
    pub fn parts(&self, components: &[Component]) -> Inputs {
        let open = self.0.iter().filter(|(component, open)| components.contains(component) && open.is_positive());
        let mut parts: Inputs = open.map(|(component, open)| (of_component(*component), *open)).collect();
        if parts.is_empty() {
            parts.push((Input::StillToPay, self.total()));
        }
        parts
    }

    /// Pays `amount` of the components, in the order in which the policy lists them.
    pub fn pay(&mut self, components: &[Component], mut amount: Money) {
        for wanted in components {
            for (component, open) in &mut self.0 {
                if component == wanted {
                    let part = amount.min(*open);
                    *open -= part;
                    amount -= part;
                }
            }
        }
        assert!(amount.is_zero(), "no more is paid than was payable");
    }
}

fn of_component(component: Component) -> Input {
    match component {
        Component::Deductible => Input::Deductible,
        Component::CoPayment => Input::CoPayment,
        Component::FirstSelfPay => Input::FirstSelfPay,
        Component::OverLimit => Input::OverLimit,
        Component::FullSelfPay => Input::FullSelfPay,
    }
}
