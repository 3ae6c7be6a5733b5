//! What a run over a file came to: rows, errors by reason, sums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::grpc::calculation::json::figures;
use crate::grpc::proto;

/// Counts and sums so far. Sums are whole fen as text: they may be larger than 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub rows: u64,
    pub results: u64,
    /// Rows without a result, by reason.
    pub errors: BTreeMap<String, u64>,
    pub sums_fen: BTreeMap<String, String>,
}

impl Summary {
    pub fn add(&mut self, result: &proto::CalculationResult) {
        self.rows += 1;
        match &result.result {
            Some(proto::calculation_result::Result::Error(error)) => {
                let reason = error.reason().as_str_name().trim_start_matches("REASON_");
                *self.errors.entry(reason.to_owned()).or_default() += 1;
            }
            Some(_) | None => self.results += 1,
        }
    }

    pub fn merge(&mut self, other: &Self, sums: &Sums) {
        self.rows += other.rows;
        self.results += other.results;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
        for (name, sum) in &sums.0 {
            let known = self.sums_fen.get(*name).and_then(|text| text.parse::<i128>().ok()).unwrap_or_default();
            self.sums_fen.insert((*name).to_owned(), (known + sum).to_string());
        }
    }

    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} rows, {} results, {} errors", self.rows, self.results, self.failed())?;
        for (reason, count) in &self.errors {
            writeln!(f, "  {reason}: {count}")?;
        }
        for (name, sum) in &self.sums_fen {
            writeln!(f, "  sum of {name}: {sum}")?;
        }
        Ok(())
    }
}

/// Sums of one piece.
#[derive(Clone, Debug, Default)]
pub struct Sums(BTreeMap<&'static str, i128>);

impl Sums {
    pub fn add(&mut self, result: &proto::CalculationResult) {
        for (name, amount) in result.result.as_ref().map(figures).unwrap_or_default() {
            *self.0.entry(name).or_default() += i128::from(amount);
        }
    }
}
