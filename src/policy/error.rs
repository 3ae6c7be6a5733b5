//! What is wrong with the policy files: every problem at once, each with its place.

use std::fmt;

/// One thing wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Relative to the policy directory: `440300-shenzhen/policy.toml`.
    pub file: String,
    /// Counted from 1; 0 where no line can be named.
    pub line: usize,
    /// The key or column, such as `floor[1].value.rate`.
    pub key: String,
    /// What is wrong, as the end of a sentence that begins with the key.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} {}", self.file, self.line, self.key, self.message)
    }
}

/// Why the policy files were refused. All problems are listed, so that one reading of the message is one round of repair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} problem(s) in the policy files\n{}", .problems.len(), list(.problems))]
pub struct PolicyError {
    /// In order of file and line.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// Problems as they are found; reading goes on after each of them.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub fn add(&mut self, file: &str, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { file: file.to_owned(), line, key: key.into(), message: message.into() });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_error(mut self) -> PolicyError {
        self.0.sort_by(|a, b| (&a.file, a.line, &a.key, &a.message).cmp(&(&b.file, b.line, &b.key, &b.message)));
        self.0.dedup();
        PolicyError { problems: self.0 }
    }
}
