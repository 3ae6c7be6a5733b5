//! The one text of each value: what readers see and what the digests are made of.

use std::fmt::Write as _;

use crate::domain::policy::{ChannelRule, Deductible, Floor, FundShare};

/// Compact JSON with the keys in the order given here, and nothing optional: two equal values have one text.
pub(super) trait Json {
    fn write(&self, out: &mut String);

    fn json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

impl Json for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

impl Json for i64 {
    fn write(&self, out: &mut String) {
        _ = write!(out, "{self}");
    }
}

impl<T: Json> Json for [T] {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.write(out);
        }
        out.push(']');
    }
}

impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

/// A vocabulary item by its name.
struct Word(&'static str);

impl Json for Word {
    fn write(&self, out: &mut String) {
        self.0.write(out);
    }
}

macro_rules! words {
    ($list:expr) => {
        $list.iter().map(|item| Word(item.name())).collect::<Vec<_>>()
    };
}

/// Writes an object; the value of each field is anything that has a canonical text.
fn object(out: &mut String, fields: &[(&str, &dyn Fn(&mut String))]) {
    out.push('{');
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        key.write(out);
        out.push(':');
        value(out);
    }
    out.push('}');
}

impl Json for Floor {
    fn write(&self, out: &mut String) {
        match self {
            Self::Fixed(amount) => object(out, &[("fixed_fen", &|out| amount.as_fen().write(out))]),
            Self::Share { rate, of, rounding } => object(
                out,
                &[
                    ("rate", &|out| rate.to_string().write(out)),
                    ("of_fen", &|out| of.as_fen().write(out)),
                    ("rounding", &|out| rounding.name().write(out)),
                ],
            ),
        }
    }
}

impl Json for FundShare {
    fn write(&self, out: &mut String) {
        object(
            out,
            &[
                ("name", &|out| self.name.write(out)),
                ("schemes", &|out| words!(self.schemes).write(out)),
                ("tiers", &|out| self.tiers.write(out)),
                ("institution_kinds", &|out| words!(self.institution_kinds).write(out)),
                ("purposes", &|out| words!(self.purposes).write(out)),
                ("list_classes", &|out| words!(self.list_classes).write(out)),
                ("categories", &|out| words!(self.categories).write(out)),
                ("excluded_categories", &|out| words!(self.excluded_categories).write(out)),
                ("rate", &|out| self.rate.to_string().write(out)),
            ],
        );
    }
}

impl Json for Deductible {
    fn write(&self, out: &mut String) {
        object(
            out,
            &[
                ("name", &|out| self.name.write(out)),
                ("schemes", &|out| words!(self.schemes).write(out)),
                ("institution_kinds", &|out| words!(self.institution_kinds).write(out)),
                ("amount_fen", &|out| self.amount.as_fen().write(out)),
            ],
        );
    }
}

impl Json for ChannelRule {
    fn write(&self, out: &mut String) {
        object(
            out,
            &[
                ("channel", &|out| self.channel.name().write(out)),
                ("evidence", &|out| self.evidence.write(out)),
                ("grants", &|out| words!(self.grants).write(out)),
            ],
        );
    }
}
