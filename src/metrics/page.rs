//! What was counted, as text in the Prometheus exposition format (version 0.0.4).

use std::fmt::Write as _;

use super::Seen;

/// A metric: its name, kind and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub name: &'static str,
    kind: &'static str,
    help: &'static str,
}

impl Family {
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: "counter", help }
    }

    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: "gauge", help }
    }

    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: "histogram", help }
    }
}

/// In what a histogram's values were counted; what is told is seconds, or just a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Micros,
    Number,
}

impl Unit {
    fn told(self, value: u64) -> String {
        let (whole, part) = (value / 1_000_000, value % 1_000_000);
        match self {
            Self::Number => value.to_string(),
            Self::Micros if part == 0 => whole.to_string(),
            Self::Micros => format!("{whole}.{part:06}").trim_end_matches('0').to_owned(),
        }
    }
}

/// Names and values. A value is of a fixed list or a setting, never of a request.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// The text, family by family.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// Rows of this family follow; there may be none yet.
    pub fn family(&mut self, family: &Family) -> &mut Self {
        let Family { name, kind, help } = family;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.name = name;
        self
    }

    pub fn row(&mut self, labels: Labels<'_>, value: u64) -> &mut Self {
        self.named("", labels, None, value);
        self
    }

    /// A family of one number.
    pub fn one(&mut self, family: &Family, value: u64) {
        self.family(family).row(&[], value);
    }

    pub fn seen<const N: usize>(&mut self, labels: Labels<'_>, unit: Unit, seen: &Seen<N>) -> &mut Self {
        let mut below = 0;
        for (bound, count) in seen.bounds.iter().zip(seen.up_to) {
            below += count;
            self.named("_bucket", labels, Some(&unit.told(*bound)), below);
        }
        self.named("_bucket", labels, Some("+Inf"), seen.count());
        let sum = unit.told(seen.sum);
        self.start("_sum", labels, None);
        self.write(format_args!(" {sum}\n"));
        self.named("_count", labels, None, seen.count());
        self
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn named(&mut self, ending: &str, labels: Labels<'_>, bound: Option<&str>, value: u64) {
        self.start(ending, labels, bound);
        self.write(format_args!(" {value}\n"));
    }

    fn start(&mut self, ending: &str, labels: Labels<'_>, bound: Option<&str>) {
        let name = self.name;
        self.write(format_args!("{name}{ending}"));
        let mut between = '{';
        for (label, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.write(format_args!("{between}{label}=\""));
            for letter in value.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    letter => self.text.push(letter),
                }
            }
            self.text.push('"');
            between = ',';
        }
        if between == ',' {
            self.text.push('}');
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A text takes everything.
        let _ = self.text.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Numbers, Times};

    #[test]
    fn a_page_reads_as_the_format_says() {
        const CALLS: Family = Family::counter("calls_total", "Calls.");
        const EMPTY: Family = Family::gauge("empty", "Nothing yet.");
        const TOOK: Family = Family::histogram("took_seconds", "Times.");
        let mut page = Page::default();
        page.family(&CALLS).row(&[], 3).row(&[("code", "OK"), ("what", "a\\b\"c\nd")], 4);
        page.family(&EMPTY);
        let times = Times::default();
        [50, 51, 1_500_000, 60_000_000].into_iter().for_each(|micros| times.saw(micros));
        page.family(&TOOK).seen(&[("method", "M")], Unit::Micros, &Seen::of(&times, []));
        let text = page.into_text();
        let begins = "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total 3\n\
                      calls_total{code=\"OK\",what=\"a\\\\b\\\"c\\nd\"} 4\n\
                      # HELP empty Nothing yet.\n# TYPE empty gauge\n# HELP took_seconds Times.\n# TYPE took_seconds histogram\n\
                      took_seconds_bucket{method=\"M\",le=\"0.00005\"} 1\ntook_seconds_bucket{method=\"M\",le=\"0.0001\"} 2\n";
        assert!(text.starts_with(begins), "{text}");
        let ends = "took_seconds_bucket{method=\"M\",le=\"1\"} 2\ntook_seconds_bucket{method=\"M\",le=\"2.5\"} 3\n\
                    took_seconds_bucket{method=\"M\",le=\"10\"} 3\ntook_seconds_bucket{method=\"M\",le=\"+Inf\"} 4\n\
                    took_seconds_sum{method=\"M\"} 61.500101\ntook_seconds_count{method=\"M\"} 4\n";
        assert!(text.ends_with(ends), "{text}");
    }

    #[test]
    fn numbers_are_told_as_they_are() {
        for (unit, value, told) in [
            (Unit::Micros, 0, "0"),
            (Unit::Micros, 1, "0.000001"),
            (Unit::Micros, 1_200_000, "1.2"),
            (Unit::Micros, 10_000_000, "10"),
            (Unit::Number, 10_000_000, "10000000"),
        ] {
            assert_eq!(unit.told(value), told);
        }
        let mut page = Page::default();
        page.family(&Family::histogram("n", "N.")).seen(&[], Unit::Number, &Seen::of(&Numbers::default(), []));
        assert!(page.into_text().contains("n_bucket{le=\"1024\"} 0\nn_bucket{le=\"+Inf\"} 0\nn_sum 0\nn_count 0\n"));
    }
}
