//! `gongji policy whatif`: settlements of a period decided again under a draft, from the facts that were kept with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;

use super::replay::{self, Replayed};
use crate::domain::ids::RegionCode;
use crate::domain::money::Money;
use crate::domain::policy::PolicyBook;
use crate::domain::record::Event;
use crate::domain::settlement::Amounts;
use crate::domain::vocabulary::Relation;
use crate::policy::words::yuan;
use crate::policy::{self, PolicyFiles};
use crate::store::embedded::EmbeddedStore;
use crate::store::{Store, record};

#[derive(Debug, Args)]
pub struct Options {
    /// The draft: a policy.toml that replaces the one of its region's folder.
    draft: PathBuf,
    /// The data directory of a stopped server.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// First day of settlement, YYYY-MM-DD. Left out: from the beginning.
    #[arg(long, value_parser = super::read_day)]
    from: Option<Date>,
    /// Last day of settlement, YYYY-MM-DD. Left out: to the end.
    #[arg(long, value_parser = super::read_day)]
    to: Option<Date>,
    /// How many changed settlements to show.
    #[arg(long, default_value_t = 5)]
    examples: usize,
}

/// Records read at a time.
const CHUNK: usize = 256;

pub fn run(options: &Options, files: &PolicyFiles) -> Result<(), String> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && from > to
    {
        return Err("--from: lies after --to".to_owned());
    }
    let now = super::load(files)?;
    let draft = with_draft(options, files)?;
    let store = EmbeddedStore::open_existing(&options.data_dir).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let report = runtime.block_on(replay_all(options, store.as_ref(), &now, &draft))?;
    super::print(&report.page(&now, options))
}

/// The book with the draft in the place of the folder of its region.
fn with_draft(options: &Options, files: &PolicyFiles) -> Result<PolicyBook, String> {
    let name = options.draft.display();
    let text = std::fs::read_to_string(&options.draft).map_err(|error| format!("{name}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{name}: {error}"))?;
    let region = table.get("region").and_then(toml::Value::as_str).ok_or_else(|| format!("{name}: no region"))?;
    let folder = if region == "000000" { "national".to_owned() } else { format!("{region}-") };
    let file = files.0.keys().find(|file| file.starts_with(&folder) && file.ends_with("/policy.toml"));
    let file = file.ok_or_else(|| format!("{name}: no folder of region {region}; make one and its row first"))?;
    let mut drafted = files.clone();
    drafted.0.insert(file.clone(), text);
    policy::load(&drafted).map_err(|error| format!("the draft ({name}) stands for {file}\n{error}"))
}

/// Changes of one group: how many settlements, and by how much each pocket's sum moved.
#[derive(Default)]
struct Group {
    settlements: u64,
    cash_more: u64,
    cash_less: u64,
    moved: [i64; 4],
}

#[derive(Default)]
struct Report {
    settlements: u64,
    not_comparable: u64,
    changed: u64,
    by_region: BTreeMap<RegionCode, Group>,
    /// What each relation's accounts give more or less.
    by_relation: BTreeMap<Relation, (u64, i64)>,
    reasons: BTreeMap<String, u64>,
    examples: Vec<String>,
}

async fn replay_all(
    options: &Options,
    store: &dyn Store,
    now: &PolicyBook,
    draft: &PolicyBook,
) -> Result<Report, String> {
    let head = store.head().await.map_err(|error| error.to_string())?.position;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} records, {eta} left").ok();
    let bar = style.map_or_else(ProgressBar::hidden, |style| ProgressBar::new(head).with_style(style));
    let mut report = Report::default();
    let mut next = 1;
    while next <= head {
        let records = store.records(next, CHUNK).await.map_err(|error| error.to_string())?;
        let Some(last) = records.last() else { break };
        next = last.position + 1;
        for stored in &records {
            let day = stored.at.civil_day();
            if options.from.is_some_and(|from| day < from) || options.to.is_some_and(|to| day > to) {
                continue;
            }
            let decoded = record::decode_record(&stored.bytes).map_err(|error| error.to_string())?;
            let Event::Settled(settled) = decoded.event else { continue };
            report.settlements += 1;
            match replay::twice(store, settled.id, now, draft).await? {
                Some(replayed) => report.add(&replayed, options.examples),
                None => report.not_comparable += 1,
            }
        }
        bar.set_position(next - 1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// Fund, own account, relatives, cash.
fn pockets(amounts: &Amounts) -> [Money; 4] {
    [amounts.split.fund, amounts.own_account, amounts.mutual_aid, amounts.cash]
}

const POCKETS: [&str; 4] = ["fund", "own account", "relatives", "cash"];

impl Report {
    fn add(&mut self, replayed: &Replayed, examples: usize) {
        let (before, after) = (pockets(&replayed.before.amounts), pockets(&replayed.after.amounts));
        let paid = |decision: &crate::domain::settlement::Decision| {
            decision.contributions.iter().map(|paid| (paid.payer, paid.amount)).collect::<Vec<_>>()
        };
        if before == after && paid(&replayed.before) == paid(&replayed.after) {
            return;
        }
        self.changed += 1;
        let group = self.by_region.entry(replayed.region).or_default();
        group.settlements += 1;
        group.cash_more += u64::from(after[3] > before[3]);
        group.cash_less += u64::from(after[3] < before[3]);
        for (place, (before, after)) in before.iter().zip(&after).enumerate() {
            group.moved[place] += (*after - *before).as_fen();
        }
        let of = |decision: &crate::domain::settlement::Decision, relation| {
            let given = decision.contributions.iter().filter(|paid| paid.relation == Some(relation));
            given.map(|paid| paid.amount).sum::<Money>().as_fen()
        };
        for relation in Relation::ALL.iter().copied() {
            let difference = of(&replayed.after, relation) - of(&replayed.before, relation);
            if difference != 0 {
                let (count, sum) = self.by_relation.entry(relation).or_default();
                *count += 1;
                *sum += difference;
            }
        }
        let reasons = replay::reasons(replayed);
        for reason in &reasons {
            *self.reasons.entry(reason.clone()).or_default() += 1;
        }
        if self.examples.len() < examples {
            let changes = POCKETS.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before != after);
            let changes: Vec<String> = changes
                .map(|(name, (before, after))| format!("{name} {} → {}", yuan(before.as_fen()), yuan(after.as_fen())))
                .collect();
            let (id, day, region) = (replayed.id, replayed.visit_day, replayed.region);
            self.examples.push(format!(
                "{id}, visit of {day}, {region}: {}\n      because {}",
                changes.join(", "),
                reasons.join("; ")
            ));
        }
    }

    fn page(&self, book: &PolicyBook, options: &Options) -> String {
        let mut out = String::new();
        let comparable = self.settlements - self.not_comparable;
        _ = writeln!(out, "draft {}", options.draft.display());
        _ = writeln!(
            out,
            "{} settlements; {comparable} could be decided again, {} could not (people or balances that were not kept)",
            self.settlements, self.not_comparable
        );
        _ = writeln!(out, "{} of them come out otherwise\n", self.changed);
        for (region, group) in &self.by_region {
            _ = writeln!(
                out,
                "{}: {} changed; {} pay more cash, {} less",
                super::name_of(book, *region),
                group.settlements,
                group.cash_more,
                group.cash_less
            );
            for (name, moved) in POCKETS.iter().zip(group.moved).filter(|(_, moved)| *moved != 0) {
                _ = writeln!(out, "    {name}: {} yuan", signed(moved));
            }
        }
        for (relation, (count, sum)) in &self.by_relation {
            _ = writeln!(
                out,
                "paid for a {} ({}): {} yuan over {count} settlements",
                relation.name().to_lowercase(),
                relation.zh(),
                signed(*sum)
            );
        }
        for (reason, count) in &self.reasons {
            _ = writeln!(out, "reason: {reason} ({count})");
        }
        for example in &self.examples {
            _ = writeln!(out, "  e.g. {example}");
        }
        out
    }
}

fn signed(fen: i64) -> String {
    if fen > 0 { format!("+{}", yuan(fen)) } else { yuan(fen) }
}
