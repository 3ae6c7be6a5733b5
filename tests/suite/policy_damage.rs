//! Damaged policy files: whatever is in them, they load or are refused with a place; nothing panics and nothing hangs.
//!
//! `GONGJI_POLICY_DAMAGE=600s cargo test --test suite policy_damage:: -- --nocapture` goes on for ten minutes and says how many
//! sets it tried; a plain number is that many sets. `GONGJI_SEED=7` takes another seed.

use std::time::Instant;

use gongji::policy::{self, PolicyFiles, cases};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::process::from_env;

/// Words that files are made of, put where they do not belong.
const WORDS: &[&str] = &[
    "[[floor]]",
    "[[modes]]",
    "[sources.x]",
    "start = 2021-01-01",
    "end = 1998-12-13",
    "value = []",
    "value = [\"SPOUSE\"]",
    "inherit = true",
    "rate = \"1.000001\"",
    "rate = 0.1",
    "amount_fen = -1",
    "amount_fen = 99999999999999999999",
    "\"none\"",
    "0x1F",
    "1e400",
    "nan",
    "\u{feff}",
    "\"",
    "'''",
    "{",
    "}",
    "[",
    "]",
    "=",
    ",",
    "\n",
    "2024-02-30",
    "extends = \"national\"",
    "region = \"440300\"",
    "schema = 2",
    "grade = \"OFFICIAL\"",
    "\0",
    "\u{202e}",
    "known_from = 2026-11-22",
    "withheld = true",
    "bands = [{ fund_paid_fen = 2, rate = \"0.5\" }, { fund_paid_fen = 1, rate = \"1\" }]",
    "relation_steps = [{ relations = [\"SPOUSE\"], verification = [] }]",
    "grants = [\"PAY_PREMIUMS\"]",
    "needs = [\"PAID_MONTHS\"]",
];

fn damage(text: &str, dice: &mut SmallRng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..dice.random_range(1..4) {
        if lines.is_empty() {
            return String::new();
        }
        let at = dice.random_range(0..lines.len());
        match dice.random_range(0..7) {
            0 => _ = lines.remove(at),
            1 => {
                let other = dice.random_range(0..lines.len());
                lines.swap(at, other);
            }
            2 => {
                let copy = lines[at].clone();
                lines.insert(at, copy);
            }
            3 => lines.insert(at, WORDS[dice.random_range(0..WORDS.len())].to_owned()),
            4 => lines.truncate(at),
            5 => {
                let chars: Vec<char> = lines[at].chars().collect();
                let cut = dice.random_range(0..=chars.len());
                let (head, tail): (String, String) = (chars[..cut].iter().collect(), chars[cut..].iter().collect());
                lines[at] = format!("{head}{}{tail}", WORDS[dice.random_range(0..WORDS.len())]);
            }
            _ => {
                let mut digit = |c: char| match c {
                    '0'..='9' => char::from(b'0' + dice.random_range(0..10_u8)),
                    c => c,
                };
                lines[at] = lines[at].clone().chars().map(&mut digit).collect();
            }
        }
    }
    lines.join("\n")
}

/// A tree that loads fast: the nation, one province, one of its cities, the demonstration, the tables they stand in.
fn small() -> PolicyFiles {
    let whole = PolicyFiles::embedded();
    let folders = ["national/", "440000-", "440300-", "980"];
    let is_kept = |name: &str| !name.contains('/') || folders.iter().any(|folder| name.starts_with(folder));
    let kept = whole.0.iter().filter(|(name, _)| is_kept(name));
    let mut files = PolicyFiles(kept.map(|(name, text)| (name.clone(), text.clone())).collect());
    let regions = files.0.get_mut("regions.csv").expect("regions");
    let keep = |row: &&str| ["code,", "44", "98"].iter().any(|start| row.starts_with(start));
    *regions = regions.lines().filter(keep).map(|row| format!("{row}\n")).collect();
    let openings = files.0.get_mut("national/cross_province.csv").expect("openings");
    *openings = openings.lines().take(1).map(|row| format!("{row}\n")).collect();
    files
}

/// How long the damage goes on.
#[derive(Debug)]
enum Until {
    Sets(u64),
    Seconds(u64),
}

impl Until {
    /// `300`, or `600s`; anything else is an error, so that a run that was to be long is not a short one.
    fn from_env() -> Self {
        let Ok(text) = std::env::var("GONGJI_POLICY_DAMAGE") else { return Self::Sets(300) };
        let number =
            |text: &str| text.parse().unwrap_or_else(|_| panic!("GONGJI_POLICY_DAMAGE={text}: 100000 or 600s"));
        text.strip_suffix('s').map_or_else(|| Self::Sets(number(&text)), |seconds| Self::Seconds(number(seconds)))
    }

    fn goes_on(&self, sets: u64, began: Instant) -> bool {
        match self {
            Self::Sets(most) => sets < *most,
            Self::Seconds(most) => began.elapsed().as_secs() < *most,
        }
    }
}

#[test]
fn damaged_policy_files_never_panic() {
    let (until, seed) = (Until::from_env(), from_env("GONGJI_SEED", 0x7a11));
    println!("seed {seed}, {until:?}");
    let good = small();
    policy::load(&good).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&String> = good.0.keys().collect();
    let mut dice = SmallRng::seed_from_u64(seed);
    let (mut refused, mut loaded) = (0_u64, 0_u64);
    let began = Instant::now();
    let mut count = 0;
    while until.goes_on(count, began) {
        let number = count;
        count += 1;
        let name = names[dice.random_range(0..names.len())];
        let mut files = good.clone();
        files.0.insert(name.clone(), damage(&good.0[name], &mut dice));
        match policy::load(&files) {
            Ok(_) => loaded += 1,
            Err(error) => {
                refused += 1;
                for problem in &error.problems {
                    let lines = files.0.get(&problem.file).map_or(0, |text| text.lines().count());
                    assert!(problem.line <= lines + 1, "seed {seed}, number {number}: {problem} of {lines} lines");
                    assert!(!problem.message.is_empty() && !problem.file.is_empty(), "seed {seed}, number {number}");
                }
            }
        }
        _ = cases::read(&files);
    }
    let took = began.elapsed().as_secs();
    println!("{count} damaged sets in {took} s, seed {seed}: {refused} refused, {loaded} loaded, no panic");
    assert!(refused > count / 5 && loaded > 0, "damage is seen, and not everywhere");
}
