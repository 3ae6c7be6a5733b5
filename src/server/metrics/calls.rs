//! Calls, counted where they end: by method and status, with the reason of those that failed, and how long they took.

use std::array;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::grpc::contract::{Contract, Method};
use crate::metrics::{Counter, Family, Page, Seen, Sharded, Stopwatch, Times, Unit};

const CALLS: Family = Family::counter("gongji_calls_total", "Calls that ended, by method and status code.");
const FAILED: Family =
    Family::counter("gongji_failed_calls_total", "Calls that ended with an error, by method and reason.");
const REFUSED: Family = Family::counter(
    "gongji_admission_refusals_total",
    "Calls that were refused before they began: too many running, too many that watch, or the server stopping.",
);
const TOOK: Family = Family::histogram(
    "gongji_call_duration_seconds",
    "Time from the arrival of a call to its answer, of a stream to its end; without refused calls and Watch.",
);

/// Status codes, by their number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Why a call did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Calls,
    Watches,
    Stopping,
}

const DOORS: [(Door, &str); 3] = [(Door::Calls, "calls"), (Door::Watches, "watches"), (Door::Stopping, "stopping")];

/// What is counted of one method by one thread.
struct OfMethod {
    codes: [Counter; CODES.len()],
    took: Times,
}

/// All that is counted of calls.
pub struct Calls {
    contract: &'static Contract,
    methods: Sharded<Box<[OfMethod]>>,
    /// For each method every reason. Not apart by threads: a failure costs far more than to count it.
    failed: Box<[Counter]>,
    refused: [Counter; DOORS.len()],
}

impl Default for Calls {
    fn default() -> Self {
        let contract = Contract::get();
        let of_method = || OfMethod { codes: array::from_fn(|_| Counter::default()), took: Times::default() };
        let number = contract.methods.len();
        Self {
            contract,
            methods: Sharded::new(|| (0..number).map(|_| of_method()).collect()),
            failed: (0..number * contract.reasons.len()).map(|_| Counter::default()).collect(),
            refused: array::from_fn(|_| Counter::default()),
        }
    }
}

/// One call, until it ends. Who does not say how it ended was cut off.
#[derive(Debug)]
pub struct Tally {
    method: usize,
    code: Code,
    /// None: how long it takes says nothing.
    since: Option<Stopwatch>,
}

impl Calls {
    pub fn begin(&self, path: &str, timed: bool) -> Tally {
        let method = self.contract.method(path);
        Tally { method, code: Code::Cancelled, since: timed.then(Stopwatch::start) }
    }

    /// A call that does not begin.
    pub fn refused(&self, tally: &mut Tally, door: Door, status: &Status) {
        if let Some(place) = DOORS.iter().position(|(known, _)| *known == door) {
            self.refused[place].one();
        }
        tally.since = None;
        self.failed(tally, status);
    }

    /// How a call ended, as the headers of its answer or the trailers of its stream say.
    pub fn told(&self, tally: &mut Tally, headers: &HeaderMap) {
        match headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes())) {
            None | Some(Code::Ok) => tally.code = Code::Ok,
            Some(code) => match Status::from_header_map(headers) {
                Some(status) => self.failed(tally, &status),
                None => tally.code = code,
            },
        }
    }

    pub fn failed(&self, tally: &mut Tally, status: &Status) {
        tally.code = status.code();
        if let Some(info) = status.get_details_error_info() {
            let reason = self.contract.reason(&info.reason);
            self.failed[tally.method * self.contract.reasons.len() + reason].one();
        }
    }

    pub fn end(&self, tally: &Tally) {
        let of_method = &self.methods.own()[tally.method];
        of_method.codes[tally.code as usize].one();
        if let Some(since) = tally.since {
            of_method.took.saw(since.micros());
        }
    }

    /// Methods that nobody has called are left out.
    pub fn measure(&self, page: &mut Page) {
        let methods = || self.contract.methods.iter().enumerate();
        page.family(&CALLS);
        for (place, Method { service, name }) in methods() {
            for (code, word) in CODES.iter().enumerate() {
                let count: u64 = self.methods.all().map(|own| own[place].codes[code].get()).sum();
                if count > 0 {
                    page.row(&[("service", service), ("method", name), ("code", word)], count);
                }
            }
        }
        page.family(&FAILED);
        let rows = self.failed.chunks(self.contract.reasons.len());
        for ((_, Method { service, name }), row) in methods().zip(rows) {
            for (reason, count) in self.contract.reasons.iter().zip(row).filter(|(_, count)| count.get() > 0) {
                page.row(&[("service", service), ("method", name), ("reason", reason)], count.get());
            }
        }
        page.family(&REFUSED);
        for ((_, cause), count) in DOORS.iter().zip(&self.refused) {
            page.row(&[("cause", cause)], count.get());
        }
        page.family(&TOOK);
        for (place, Method { service, name }) in methods() {
            let mut own = self.methods.all().map(|own| &own[place].took);
            let seen = own.next().map(|first| Seen::of(first, own)).filter(|seen| seen.count() > 0);
            if let Some(seen) = seen {
                page.seen(&[("service", service), ("method", name)], Unit::Micros, &seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::transport;

    const SETTLE: &str = "/gongji.v1.SettlementService/Settle";

    fn lines(calls: &Calls) -> Vec<String> {
        let mut page = Page::default();
        calls.measure(&mut page);
        let text = page.into_text();
        let rows =
            text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket") && !line.contains("_sum"));
        rows.map(str::to_owned).collect()
    }

    #[test]
    fn codes_have_their_numbers() {
        for (number, word) in CODES.iter().enumerate() {
            let code = Code::from(i32::try_from(number).expect("small"));
            let spelt = format!("{code:?}").to_uppercase();
            assert_eq!(word.replace('_', ""), spelt, "{number}");
        }
    }

    #[test]
    fn a_call_counts_once_as_what_it_was_told_to_be() {
        let calls = Calls::default();
        type End = fn(&Calls, &mut Tally);
        let ends: [End; 4] = [
            |calls, tally| calls.told(tally, &HeaderMap::new()),
            |_, _| {},
            |calls, tally| calls.told(tally, transport::time_limit().into_http::<()>().headers()),
            |calls, tally| calls.refused(tally, Door::Calls, &transport::overloaded()),
        ];
        for end in ends {
            let mut tally = calls.begin(SETTLE, true);
            end(&calls, &mut tally);
            calls.end(&tally);
        }
        let call = |label: &str| format!("{{service=\"SettlementService\",method=\"Settle\"{label}}}");
        let row = |name: &str, label: &str, count| format!("{name}{} {count}", call(label));
        let expected = [
            row("gongji_calls_total", ",code=\"OK\"", 1),
            row("gongji_calls_total", ",code=\"CANCELLED\"", 1),
            row("gongji_calls_total", ",code=\"DEADLINE_EXCEEDED\"", 1),
            row("gongji_calls_total", ",code=\"RESOURCE_EXHAUSTED\"", 1),
            row("gongji_failed_calls_total", ",reason=\"OVERLOADED\"", 1),
            row("gongji_failed_calls_total", ",reason=\"TIME_LIMIT\"", 1),
            "gongji_admission_refusals_total{cause=\"calls\"} 1".to_owned(),
            "gongji_admission_refusals_total{cause=\"watches\"} 0".to_owned(),
            "gongji_admission_refusals_total{cause=\"stopping\"} 0".to_owned(),
            row("gongji_call_duration_seconds_count", "", 3),
        ];
        let mut found = lines(&calls);
        found.sort_by_key(|line| expected.iter().position(|known| known == line));
        assert_eq!(found, expected);
    }
}
