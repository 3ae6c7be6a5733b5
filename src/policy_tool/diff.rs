//! `gongji policy diff`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use jiff::civil::Date;

use super::Languages;
use crate::domain::policy::{Policy, PolicyBook, PolicyValue, ValueChange, changes};
use crate::policy::words::{self, Language};

#[derive(Debug, Args)]
pub struct Options {
    /// Six digits, a name or an alias.
    region: String,
    /// The earlier day, YYYY-MM-DD.
    #[arg(long, value_parser = super::read_day)]
    from: Date,
    /// The later day, YYYY-MM-DD.
    #[arg(long, value_parser = super::read_day)]
    to: Date,
    /// The language of the page; notes are printed as the policy files have them, which is English for most.
    #[arg(long, value_enum, default_value = "both")]
    lang: Languages,
}

pub fn run(options: &Options, book: &PolicyBook) -> Result<(), String> {
    if options.to <= options.from {
        return Err("--to must be a later day than --from".to_owned());
    }
    let region = super::region(book, &options.region)?;
    let first = super::policy_on(book, region, options.from)?;
    let later = book.revisions(region).iter().map(std::convert::AsRef::as_ref);
    let later: Vec<&Policy> =
        later.filter(|policy| policy.revision.start > options.from && policy.revision.start <= options.to).collect();
    let mut out = String::new();
    for language in options.lang.list() {
        let name = super::name_of(book, region);
        _ = writeln!(out, "{}", title(&name, options.from, options.to, *language));
        let mut before = first;
        let mut said = 0;
        for policy in &later {
            let changed: Vec<ValueChange<'_>> = changes(Some(before), policy).collect();
            if !changed.is_empty() {
                _ = writeln!(out, "\n{}", policy.revision.start);
            }
            said += changed.len();
            for change in changed {
                out += &told(change, *language);
            }
            before = policy;
        }
        if said == 0 {
            _ = writeln!(out, "{}", if *language == Language::Chinese { "没有变化。" } else { "Nothing changed." });
        }
        out.push('\n');
    }
    super::print(&out)
}

fn title(name: &str, from: Date, to: Date, language: Language) -> String {
    match language {
        Language::Chinese => format!("{name}：{from} 至 {to} 的规则变化"),
        Language::English => format!("{name}: what changed from {from} to {to}"),
    }
}

/// One change in words; of a list what came and what went.
fn told(change: ValueChange<'_>, language: Language) -> String {
    let after = change.after;
    let key = words::key(after.param, language);
    let chinese = language == Language::Chinese;
    let before = change.before.filter(|before| before.text != after.text);
    let Some(before) = before else {
        let same = if chinese { "内容不变，依据改为" } else { "unchanged, now by" };
        return format!("  {key}: {same} {} [{}]\n", after.citation.document, after.citation.id);
    };
    let body = list_change(before, after, chinese).unwrap_or_else(|| {
        let (old, new) = (words::value(before, language), words::value(after, language));
        match (old.contains('\n') || new.contains('\n'), chinese) {
            (true, true) => format!("\n    原为：{old}\n    改为：{new}"),
            (true, false) => format!("\n    was: {old}\n    now: {new}"),
            (false, true) => format!("由 {old} 改为 {new}"),
            (false, false) => format!("from {old} to {new}"),
        }
    });
    let grade = if chinese { after.grade.zh() } else { after.grade.name() };
    let note = if after.note.is_empty() { String::new() } else { format!("    {}\n", after.note) };
    format!(
        "  {key}: {body}\n    {} · {grade} · {} [{}]\n{note}",
        after.citation.document, after.place, after.citation.id
    )
}

/// A plain list is told by what was added and taken out; anything else is told whole.
fn list_change(before: &PolicyValue, after: &PolicyValue, chinese: bool) -> Option<String> {
    let is_list = |text: &str| text.contains(',') && !text.starts_with(['[', '{']);
    if !is_list(&before.text) && !is_list(&after.text) {
        return None;
    }
    let set =
        |text: &'_ str| text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
    let (old, new) = (set(&before.text), set(&after.text));
    let language = if chinese { Language::Chinese } else { Language::English };
    let say = |items: Vec<&String>| {
        let text = items.into_iter().map(String::as_str).collect::<Vec<_>>().join(",");
        words::text(after.param, &text, language)
    };
    let (added, gone): (Vec<_>, Vec<_>) = (new.difference(&old).collect(), old.difference(&new).collect());
    let mut parts = Vec::new();
    if !added.is_empty() {
        parts.push(format!("{} {}", if chinese { "增加" } else { "added" }, say(added)));
    }
    if !gone.is_empty() {
        parts.push(format!("{} {}", if chinese { "删去" } else { "taken out" }, say(gone)));
    }
    (!parts.is_empty()).then(|| parts.join(if chinese { "；" } else { "; " }))
}
