//! `gongji policy show`.

use clap::Args;
use jiff::civil::Date;

use super::Languages;
use crate::domain::calc::law::Law;
use crate::domain::policy::{Citation, Policy, PolicyBook};
use crate::domain::region::RegionBook;
use crate::ledger::page::hex;
use crate::policy::words::{self, Language};

#[derive(Debug, Args)]
pub struct Options {
    /// Six digits, a name or an alias: 440300, 深圳市, 深圳.
    region: String,
    /// The day, YYYY-MM-DD.
    #[arg(long, value_parser = super::read_day)]
    on: Date,
    /// The language of the page; notes are printed as the policy files have them, which is English for most.
    #[arg(long, value_enum, default_value = "both")]
    lang: Languages,
}

pub fn run(options: &Options, book: &PolicyBook) -> Result<(), String> {
    let region = super::region(book, &options.region)?;
    let policy = super::policy_on(book, region, options.on)?;
    let name = super::name_of(book, region);
    let law = book.calculation.law(region, options.on);
    let pages = options.lang.list().iter().map(|language| {
        let tables = law.as_ref().map(|law| tables(law, *language)).unwrap_or_default();
        page(policy, &name, options.on, &book.regions, *language) + &tables
    });
    super::print(&pages.collect::<String>())
}

/// The calculation tables of the day: each with its text as a what-if takes it, its life and its document.
fn tables(law: &Law<'_>, language: Language) -> String {
    let chinese = language == Language::Chinese;
    let mut out = if chinese { "计算参数表\n" } else { "Calculation tables\n" }.to_owned();
    for (entry, origin) in
        law.revision.entries.iter().flatten().filter_map(|entry| Some((entry, entry.origin.as_ref()?)))
    {
        let title = if chinese { entry.key.zh() } else { entry.key.en() };
        let grade = if chinese { origin.grade.zh() } else { origin.grade.name() };
        let end = origin.end.map(|end| format!(" – {end}")).unwrap_or_default();
        out += &format!("{} ({title}): {}\n", entry.key.name(), entry.text);
        out += &format!("    {}{end} · {grade} · {} [{}]\n", origin.start, origin.place, origin.citation.id);
        if !origin.note.is_empty() {
            out += &format!("    {}\n", origin.note);
        }
    }
    out.push('\n');
    out
}

/// The rules of a day: one paragraph for each value, then the documents.
fn page(policy: &Policy, name: &str, on: Date, regions: &RegionBook, language: Language) -> String {
    let chinese = language == Language::Chinese;
    let until = |end: Option<Date>| match (end, chinese) {
        (Some(end), true) => format!("至 {end}（不含）"),
        (Some(end), false) => format!("to {end} (not included)"),
        (None, true) => "起长期".to_owned(),
        (None, false) => "open".to_owned(),
    };
    let (start, end) = (policy.revision.start, until(policy.revision.end));
    let mut out = if chinese {
        format!("{name}：{on} 的家庭共济规则\n本版本 {start} {end}，摘要 {}\n\n", short(&policy.revision.digest))
    } else {
        format!(
            "{name}: rules of family mutual aid on {on}\nrevision {start} {end}, digest {}\n\n",
            short(&policy.revision.digest)
        )
    };
    let opening = regions.open_on(policy.region, on);
    out += &match (opening, chinese) {
        (Some(opening), true) => format!("跨省共济：{} 起开通 [{}]\n", opening.since, opening.citation.id),
        (Some(opening), false) => format!("cross-province: open since {} [{}]\n", opening.since, opening.citation.id),
        (None, true) => "跨省共济：未开通，或未确认\n".to_owned(),
        (None, false) => "cross-province: not open, or not confirmed\n".to_owned(),
    };
    let mut cited: Vec<&Citation> = Vec::new();
    for value in policy.values.iter() {
        let grade = if chinese { value.grade.zh() } else { value.grade.name() };
        let (key, text) = (words::key(value.param, language), words::value(value, language));
        let end = until(value.end);
        let from = if chinese { "自" } else { "since" };
        let colon = if chinese { "：" } else { ": " };
        out += &format!("{key}{colon}{text}\n    {from} {} {end} · {grade} · {}", value.start, value.place);
        out += &format!(" [{}]\n", value.citation.id);
        if !value.note.is_empty() {
            out += &format!("    {}\n", value.note);
        }
        if cited.iter().all(|known| known.id != value.citation.id) {
            cited.push(&value.citation);
        }
    }
    out += if chinese { "\n依据\n" } else { "\nSources\n" };
    for citation in cited {
        let grade = if chinese { citation.grade.zh() } else { citation.grade.name() };
        let parts = [&citation.document, &citation.article, &citation.url];
        let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        out += &format!("  [{}] {} · {grade} · {}\n", citation.id, parts.join(" · "), citation.place);
    }
    out.push('\n');
    out
}

/// Enough of a digest to tell two revisions apart by eye.
fn short(digest: &[u8; 32]) -> String {
    hex(&digest[..8])
}
