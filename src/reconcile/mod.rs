//! `gongji reconcile`: an institution's book, as a file in the national shape, against a running server.

mod aside;
mod details;
mod export;
mod file;
mod fields;
mod table;
mod totals;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::terminal::remark;

/// `gongji reconcile`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file: UTF-8, cells separated by tabs, empty cells as null or nothing, money in yuan (126.00). The first line names the\n\
columns; without it they are psn_no mdtrt_id setl_id msgid stmt_rslt refd_setl_flag memo medfee_sumamt fund_pay_sumamt acct_pay.\n\
Read: setl_id msgid request_id omsgid medins_setl_id refd_setl_flag setl_time medfee_sumamt fund_pay_sumamt hosp_part_amt\n\
acct_pay acct_mulaid_pay psn_cash_pay; others are left alone, and no personal data leaves this machine. A refund is a line of\n\
its own (refd_setl_flag 1, amounts negative). A line without setl_time belongs to the days compared. What is null is not compared.\n\n\
Ends with 0: equal; 1: differences; 2: not compared whole (a bad line or file, no server, a refusal).\n\n\
  gongji reconcile totals  --institution H44030001 --from 2026-11-22 book.txt\n\
  gongji reconcile details --institution H44030001 --from 2026-11-01 --to 2026-11-30 --out differences.txt book.txt\n\
  gongji reconcile export  --institution H44030001 --from 2026-11-22 ours.txt")]
pub struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Compare counts and sums (总额对账, 3201).
    Totals {
        #[command(flatten)]
        book: Book,
        /// The institution's lines.
        file: PathBuf,
    },
    /// Compare line by line (明细对账, 3202).
    Details {
        #[command(flatten)]
        book: Book,
        /// When the book was closed, e.g. 2026-11-22T20:00:00+08:00: what the ledger has from later is in flight.
        #[arg(long, default_value = "")]
        cut_off: String,
        /// Writes the differences as a file in the national shape too; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The institution's lines, in any order.
        file: PathBuf,
    },
    /// Write the ledger's lines as such a file.
    Export {
        #[command(flatten)]
        book: Book,
        /// Where to; it must not be there yet. Left out: standard output.
        file: Option<PathBuf>,
    },
}

/// Whose lines of which days, and where the server is.
#[derive(Debug, clap::Args)]
struct Book {
    /// Address of the server.
    #[arg(long, env = "GONGJI_CONNECT", default_value = "http://127.0.0.1:50051")]
    connect: String,
    /// Code of the institution (定点医药机构编号).
    #[arg(long)]
    institution: String,
    /// First day, YYYY-MM-DD.
    #[arg(long)]
    from: String,
    /// Last day, YYYY-MM-DD; left out: the first.
    #[arg(long, default_value = "")]
    to: String,
    /// Whether acct_pay holds acct_mulaid_pay or stands beside it.
    #[arg(long, value_enum, default_value = "inside")]
    mutual_aid: MutualAid,
}

/// Books differ in what `acct_pay` is; most give all that accounts paid, relatives' too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MutualAid {
    Inside,
    Beside,
}

impl Book {
    fn last_day(&self) -> &str {
        if self.to.is_empty() { &self.from } else { &self.to }
    }

    fn has(&self, day: &str) -> bool {
        // Days are read as YYYY-MM-DD before, so text stands in their order.
        (self.from.as_str()..=self.last_day()).contains(&day)
    }
}

/// How a comparison came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Equal,
    Different,
    /// Something could not be compared.
    Incomplete,
}

/// Compares or writes.
pub fn run(options: &Options) -> ExitCode {
    match start(&options.task) {
        Ok(Outcome::Equal) => ExitCode::SUCCESS,
        Ok(Outcome::Different) => ExitCode::from(1),
        Ok(Outcome::Incomplete) => ExitCode::from(2),
        Err(text) => {
            remark!("gongji: {text}");
            ExitCode::from(2)
        }
    }
}

fn start(task: &Task) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let (Task::Totals { book, .. } | Task::Details { book, .. } | Task::Export { book, .. }) = task;
        for (name, day) in [("--from", book.from.as_str()), ("--to", book.last_day())] {
            if crate::domain::time::parse_day(day).is_none() {
                return Err(format!("{name}: must be a day as YYYY-MM-DD"));
            }
        }
        match task {
            Task::Totals { book, file } => totals::run(book, file).await,
            Task::Details { book, cut_off, out, file } => details::run(book, cut_off, out.as_deref(), file).await,
            Task::Export { book, file } => export::run(book, file.as_deref()).await,
        }
    })
}
