//! `gongji calc`: any calculation on one JSON object, or on a file of millions of rows. The same functions as on the wire; no
//! server, no store.

mod file;
mod rows;
mod summary;
mod text;

use std::path::PathBuf;

use serde_json::Value;

use crate::domain::calc::law::CalcBook;
use crate::domain::time::parse_day;
use crate::grpc::calculation::json::{self, Kind};
use crate::grpc::calculation::{Asked, CalculationLimits, answer_item};
use crate::grpc::proto;
use crate::ledger::source::{Clock, SystemClock};
use crate::policy::{self, PolicyFiles};
use crate::terminal::{put, say};

/// Periods of one history, as the server's default.
const PERIODS: u32 = 600;

/// `gongji calc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "One person:\n  \
    gongji calc contribution '{\"region_code\":\"110000\",\"on\":\"2025-08-01\",\"wage_fen\":1000000}' --explain en\n\
    A file (CSV with the fields' names in its first line, or JSON lines); an optional column item_id names the rows:\n  \
    gongji calc contribution staff.csv --region 310000 --on 2025-08-01 --out staff.jsonl\n\
    Stopped half-way, the same line with --resume goes on where it was.\n\
    Rows without a result are told by their lines, the first hundred of them; the results have all.\n\
    Ends with 0: everything is calculated; 1: something is not, and the results or the message say what.")]
pub struct Options {
    /// Which calculation; its fields are those of the request in proto/gongji/v1/calculation.proto.
    #[arg(value_enum)]
    kind: Kind,
    /// A JSON object, or a .csv, .jsonl or .ndjson file. Nested fields need JSON. Left out: the object comes from standard input.
    input: Option<String>,
    /// Region for requests that name none: six digits, or 000000 for the nation's values.
    #[arg(long, default_value = "")]
    region: String,
    /// Day for requests that name none, YYYY-MM-DD; left out: today.
    #[arg(long, default_value = "")]
    on: String,
    /// Prints the calculation line by line, as a person would check it, instead of JSON. One object only.
    #[arg(long, value_enum, value_name = "LANGUAGE", num_args = 0..=1, default_missing_value = "zh")]
    explain: Option<text::Language>,
    /// How much explanation the results of a file carry.
    #[arg(long, value_enum, default_value = "none")]
    view: View,
    /// Where the results of a file go: one JSON object a line, in the order of the rows.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Goes on with a file that was stopped half-way.
    #[arg(long)]
    resume: bool,
    /// Writes the summary of a file as JSON.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Threads; 0: as many as there are cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Directory of policy files read instead of those built in.
    #[arg(long, env = "GONGJI_POLICIES", value_name = "DIR")]
    policies: Option<PathBuf>,
}

/// How much explanation a result carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum View {
    None,
    Summary,
    Full,
}

/// Calculates requests of one kind.
struct Calculator<'a> {
    kind: Kind,
    region: &'a str,
    on: &'a str,
    view: proto::ExplanationView,
    asked: Asked<'a>,
}

impl Calculator<'_> {
    fn result(
        &self,
        item_id: String,
        read: Result<proto::calculation_item::Calculation, String>,
    ) -> proto::CalculationResult {
        match read {
            Ok(mut calculation) => {
                json::fill(&mut calculation, self.region, self.on, self.view);
                answer_item(proto::CalculationItem { item_id, calculation: Some(calculation) }, &self.asked)
            }
            Err(description) => {
                let violation = proto::CalculationViolation { field: String::new(), description };
                let error = proto::CalculationError {
                    reason: proto::Reason::MalformedMessage as i32,
                    message: "该行内容无法解析。".to_owned(),
                    violations: vec![violation],
                    ..Default::default()
                };
                proto::CalculationResult { item_id, result: Some(proto::calculation_result::Result::Error(error)) }
            }
        }
    }
}

/// Calculates and prints.
pub fn run(options: &Options) -> Result<(), String> {
    let files = match &options.policies {
        None => PolicyFiles::embedded(),
        Some(folder) => PolicyFiles::from_dir(folder).map_err(|error| error.to_string())?,
    };
    let book = policy::load(&files).map_err(|error| error.to_string())?;
    if !options.on.is_empty() && parse_day(&options.on).is_none() {
        return Err("--on: must be a day as YYYY-MM-DD".to_owned());
    }
    let view = match (options.explain, options.view) {
        (Some(_), _) | (None, View::Full) => proto::ExplanationView::Full,
        (None, View::Summary) => proto::ExplanationView::Summary,
        (None, View::None) => proto::ExplanationView::None,
    };
    let calculator = calculator(options, &book.calculation, view);
    match &options.input {
        Some(input) if is_file(input) => {
            if options.explain.is_some() {
                return Err("--explain: for one object only; a file takes --view full".to_owned());
            }
            file::run(&calculator, options, std::path::Path::new(input))
        }
        Some(object) => one(&calculator, options, object),
        None => {
            let object = std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string())?;
            one(&calculator, options, &object)
        }
    }
}

fn calculator<'a>(options: &'a Options, book: &'a CalcBook, view: proto::ExplanationView) -> Calculator<'a> {
    let asked = Asked {
        book,
        limits: CalculationLimits { batch_items: 1, periods: PERIODS, answer_bytes: u32::MAX },
        today: SystemClock.now().civil_day(),
        view,
    };
    Calculator { kind: options.kind, region: &options.region, on: &options.on, view, asked }
}

fn is_file(input: &str) -> bool {
    !input.trim_start().starts_with('{')
}

/// One object: its answer as JSON, or line by line.
fn one(calculator: &Calculator<'_>, options: &Options, object: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(object).map_err(|error| format!("the request is not JSON: {error}"))?;
    let read = calculator.kind.read(value).map_err(|error| format!("the request: {error}"))?;
    let result = calculator.result(String::new(), Ok(read));
    let found = result.result.as_ref().ok_or("no answer")?;
    if let proto::calculation_result::Result::Error(error) = found {
        return Err(error_text(error));
    }
    if let Some(language) = options.explain {
        let explanation = json::explanation(found).ok_or("no explanation")?;
        put!("{}", text::render(explanation, language));
        return Ok(());
    }
    let mut answer = serde_json::to_value(&result).map_err(|error| error.to_string())?;
    let answer = answer[calculator.kind.name()].take();
    say!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
    Ok(())
}

fn error_text(error: &proto::CalculationError) -> String {
    let reason = error.reason().as_str_name().trim_start_matches("REASON_").to_owned();
    let mut text = format!("{reason}: {}", error.message);
    if !error.parameter.is_empty() {
        text.push_str(&format!("\n  {}", error.parameter));
    }
    for violation in &error.violations {
        let field = if violation.field.is_empty() { String::new() } else { format!("{} ", violation.field) };
        text.push_str(&format!("\n  {field}{}", violation.description));
    }
    text
}
