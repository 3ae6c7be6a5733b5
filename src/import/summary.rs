//! What an import came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::send::Outcome;

/// Counts and sums so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub rows: u64,
    /// Rows carried out by this import.
    pub imported: u64,
    /// Rows that had been carried out before, by a run that was stopped, a call whose answer was lost, or an equal row.
    pub replayed: u64,
    /// Rows without an effect, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Fen of the rows carried out by this import; as text, since it may be larger than 64 bits. None where rows have none.
    pub sum_fen: Option<String>,
    /// Fen of those that had been carried out before: an equal row of the same file among them moved nothing.
    #[serde(default)]
    pub replayed_fen: Option<String>,
}

impl Summary {
    pub fn add(&mut self, outcome: &Outcome, fen: Option<i64>) {
        self.rows += 1;
        match outcome {
            Ok(row) => {
                *if row.replayed { &mut self.replayed } else { &mut self.imported } += 1;
                if let Some(fen) = fen {
                    let sum = if row.replayed { &mut self.replayed_fen } else { &mut self.sum_fen };
                    let known = sum.as_ref().and_then(|text| text.parse::<i128>().ok()).unwrap_or_default();
                    *sum = Some((known + i128::from(fen)).to_string());
                }
            }
            Err(refusal) => *self.refused.entry(refusal.reason.clone()).or_default() += 1,
        }
    }

    pub fn failed(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, imported, replayed, refused, sum_fen, replayed_fen } = self;
        writeln!(f, "{rows} rows: {imported} imported, {replayed} there before, {} refused", self.failed())?;
        for (reason, count) in refused {
            writeln!(f, "  {reason}: {count}")?;
        }
        let sums = [(sum_fen, "imported"), (replayed_fen, "there before")];
        sums.iter()
            .try_for_each(|(sum, word)| sum.iter().try_for_each(|sum| writeln!(f, "  sum of amount_fen {word}: {sum}")))
    }
}
