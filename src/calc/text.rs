//! An explanation line by line, in Chinese or English, so that somebody with a pocket calculator gets the same fen.

use std::fmt::Write as _;

use crate::domain::calc::keys::Key;
use crate::domain::calc::trace::Rule;
use crate::grpc::proto;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Zh,
    En,
}

struct Words {
    subject: &'static str,
    values: &'static str,
    formula: &'static str,
    rounding: &'static str,
    result: &'static str,
    table: &'static str,
    from: &'static str,
    own: &'static str,
    fen: &'static str,
    yuan: &'static str,
    sources: &'static str,
    revision: &'static str,
}

const ZH: Words = Words {
    subject: "对象",
    values: "数值",
    formula: "算式",
    rounding: "取整",
    result: "结果",
    table: "参数",
    from: "自",
    own: "（请求自带参数，试算）",
    fen: "分",
    yuan: "元",
    sources: "依据",
    revision: "参数版本",
};

const EN: Words = Words {
    subject: "about",
    values: "values",
    formula: "formula",
    rounding: "rounding",
    result: "result",
    table: "table",
    from: "from",
    own: "(the caller's own, a what-if)",
    fen: "fen",
    yuan: "yuan",
    sources: "sources",
    revision: "tables",
};

pub fn render(explanation: &proto::Explanation, language: Language) -> String {
    let words = if language == Language::Zh { &ZH } else { &EN };
    let mut out = String::new();
    for (place, step) in explanation.steps.iter().enumerate() {
        one(&mut out, place + 1, step, language, words);
    }
    _ = writeln!(out, "{}:", words.sources);
    for citation in &explanation.citations {
        let grade = citation.grade().as_str_name().trim_start_matches("GRADE_");
        _ = writeln!(out, "  [{}] {} {} {grade}", citation.id, citation.document, citation.effective_date);
        for more in [&citation.article, &citation.url, &citation.note] {
            if !more.is_empty() {
                _ = writeln!(out, "      {more}");
            }
        }
    }
    for revision in &explanation.policy_revisions {
        _ = writeln!(out, "{}: {} {} {}", words.revision, revision.region_code, revision.start_date, revision.digest);
    }
    out
}

fn one(out: &mut String, number: usize, step: &proto::Step, language: Language, words: &Words) {
    let rule = Rule::parse(&step.rule_id);
    let title = rule.map_or(step.title.as_str(), |rule| if language == Language::Zh { rule.zh() } else { rule.en() });
    _ = writeln!(out, "{number}. {title} [{}]", step.rule_id);
    if !step.subject.is_empty() {
        _ = writeln!(out, "   {}: {}", words.subject, step.subject);
    }
    if !step.inputs.is_empty() {
        let values: Vec<String> = step.inputs.iter().map(|value| format!("{} = {}", value.name, value.value)).collect();
        _ = writeln!(out, "   {}: {}", words.values, values.join(", "));
    }
    if !step.operation.is_empty() {
        _ = writeln!(out, "   {}: {}", words.formula, step.operation);
    }
    if let Some(rounding) = &step.rounding {
        _ = writeln!(out, "   {}: {} {} → {}", words.rounding, rounding.mode, rounding.before, rounding.after);
    }
    match step.result_fen {
        Some(fen) => _ = writeln!(out, "   {}: {fen} {} ({} {})", words.result, words.fen, yuan(fen), words.yuan),
        None => _ = writeln!(out, "   {}: {}", words.result, step.result),
    }
    for parameter in &step.parameters {
        let name =
            Key::parse(&parameter.name).map_or("", |key| if language == Language::Zh { key.zh() } else { key.en() });
        let origin = if parameter.start_date.is_empty() {
            words.own.to_owned()
        } else {
            let grade = parameter.grade().as_str_name().trim_start_matches("GRADE_");
            format!("{} {} [{}] {grade}", words.from, parameter.start_date, parameter.citation_id)
        };
        _ = writeln!(out, "   {}: {name} {} = {} {origin}", words.table, parameter.name, parameter.value);
    }
}

/// Fen as yuan with two decimals.
fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::yuan;

    #[test]
    fn fen_are_shown_as_yuan() {
        assert_eq!([0, 5, 100, 126_799, -1].map(yuan), ["0.00", "0.05", "1.00", "1267.99", "-0.01"]);
    }
}
