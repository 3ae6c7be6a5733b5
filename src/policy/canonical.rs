//! The one text of each value: what readers see and what the digests are made of.

use std::fmt::Write as _;

use crate::domain::policy::{
    CardRule, ChannelRule, Deductible, Floor, FundBand, FundShare, PriceCap, RelationSteps, ReleaseRule, YearInterest,
};

/// Compact JSON with the keys in the order given here, so that equal values have equal texts.
pub(super) trait Json {
    fn json(&self) -> String;
}

impl Json for str {
    fn json(&self) -> String {
        let mut out = String::with_capacity(self.len() + 2);
        out.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }
}

impl Json for String {
    fn json(&self) -> String {
        self.as_str().json()
    }
}

impl Json for &str {
    fn json(&self) -> String {
        str::json(self)
    }
}

impl<T: Json> Json for [T] {
    fn json(&self) -> String {
        let items: Vec<String> = self.iter().map(Json::json).collect();
        format!("[{}]", items.join(","))
    }
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{value}", key.json())).collect();
    format!("{{{}}}", fields.join(","))
}

/// With a list that most rows do not have: it stands in the text where it says something.
fn object_with<T: Json>(fields: &[(&str, String)], list: (&'static str, &[T])) -> String {
    let mut fields = fields.to_vec();
    fields.extend(where_said(list));
    object(&fields)
}

fn where_said<T: Json>((key, rows): (&'static str, &[T])) -> Option<(&'static str, String)> {
    (!rows.is_empty()).then(|| (key, rows.json()))
}

/// A list of vocabulary items by their names.
macro_rules! names {
    ($list:expr) => {
        $list.iter().map(|item| item.name()).collect::<Vec<&str>>().json()
    };
}

impl Json for Floor {
    fn json(&self) -> String {
        match self {
            Self::Fixed(amount) => object(&[("fixed_fen", amount.to_string())]),
            Self::Share { rate, of, rounding } => object(&[
                ("rate", rate.to_string().json()),
                ("of_fen", of.to_string()),
                ("rounding", rounding.name().json()),
            ]),
        }
    }
}

impl Json for YearInterest {
    fn json(&self) -> String {
        object(&[
            ("basis", self.basis.name().json()),
            ("current_rate", self.current_rate.to_string().json()),
            ("prior_rate", self.prior_rate.to_string().json()),
            ("rounding", self.rounding.name().json()),
        ])
    }
}

impl Json for FundShare {
    fn json(&self) -> String {
        let fields = [
            ("name", self.name.json()),
            ("schemes", names!(self.schemes)),
            ("tiers", self.tiers.json()),
            ("states", names!(self.states)),
            ("institution_kinds", names!(self.institution_kinds)),
            ("purposes", names!(self.purposes)),
            ("list_classes", names!(self.list_classes)),
            ("categories", names!(self.categories)),
            ("excluded_categories", names!(self.excluded_categories)),
            ("rate", self.rate.to_string().json()),
        ];
        object_with(&fields, ("bands", &self.bands))
    }
}

impl Json for FundBand {
    fn json(&self) -> String {
        object(&[("fund_paid_fen", self.fund_paid.to_string()), ("rate", self.rate.to_string().json())])
    }
}

impl Json for Deductible {
    fn json(&self) -> String {
        object(&[
            ("name", self.name.json()),
            ("schemes", names!(self.schemes)),
            ("tiers", self.tiers.json()),
            ("institution_kinds", names!(self.institution_kinds)),
            ("purposes", names!(self.purposes)),
            ("amount_fen", self.amount.to_string()),
            ("per", self.per.name().json()),
        ])
    }
}

impl Json for PriceCap {
    fn json(&self) -> String {
        object(&[
            ("name", self.name.json()),
            ("item_codes", self.item_codes.json()),
            ("categories", names!(self.categories)),
            ("institution_kinds", names!(self.institution_kinds)),
            ("amount_fen", self.amount.to_string()),
        ])
    }
}

impl Json for ChannelRule {
    fn json(&self) -> String {
        let mut fields = vec![("channel", self.channel.name().json()), ("evidence", self.evidence.json())];
        fields.extend(where_said(("evidence_any", &self.evidence_any)));
        fields.extend([
            ("minor_evidence", self.minor_evidence.json()),
            ("verification", self.verification.json()),
            ("card_active", self.card_active.to_string()),
            ("effective", self.effective.name().json()),
            ("grants", names!(self.grants)),
        ]);
        object_with(&fields, ("relation_steps", &self.relation_steps))
    }
}

impl Json for RelationSteps {
    fn json(&self) -> String {
        object(&[("relations", names!(self.relations)), ("verification", self.verification.json())])
    }
}

impl Json for ReleaseRule {
    fn json(&self) -> String {
        object(&[
            ("channel", self.channel.name().json()),
            ("evidence", self.evidence.json()),
            ("effective", self.effective.name().json()),
        ])
    }
}

impl Json for CardRule {
    fn json(&self) -> String {
        object(&[("channel", self.channel.name().json()), ("evidence", self.evidence.json())])
    }
}
