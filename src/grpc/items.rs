//! Items of calls that carry many, counted where their results are told: a call that ends well says nothing of its items.

use std::array;

use tonic::Status;
use tonic_types::StatusExt as _;

use super::contract::{Contract, Method};
use crate::metrics::{Counter, Family, Page, Sharded};

const ITEMS: Family = Family::counter("gongji_items_total", "Items of calls that carry many, by method and result.");
const FAILED: Family =
    Family::counter("gongji_failed_items_total", "Items that came to an error, by method of their call and reason.");

/// A method whose calls carry many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    BatchSettle,
    StreamSettle,
    ImportMembers,
    ImportCredits,
    CalculateBatch,
}

/// In the order of [`Many`], with their paths.
const MANY: [(Many, &str); 5] = [
    (Many::BatchSettle, "/gongji.v1.SettlementService/BatchSettle"),
    (Many::StreamSettle, "/gongji.v1.SettlementService/StreamSettle"),
    (Many::ImportMembers, "/gongji.v1.MemberService/ImportMembers"),
    (Many::ImportCredits, "/gongji.v1.AccountService/ImportCredits"),
    (Many::CalculateBatch, "/gongji.v1.CalculationService/CalculateBatch"),
];

/// What is counted of one method by one thread.
#[derive(Default)]
struct OfMethod {
    ok: Counter,
    failed: Counter,
}

/// All that is counted of items.
pub struct Items {
    contract: &'static Contract,
    methods: Sharded<[OfMethod; MANY.len()]>,
    /// For each method every reason.
    reasons: Box<[Counter]>,
}

impl Default for Items {
    fn default() -> Self {
        let contract = Contract::get();
        let reasons = (0..MANY.len() * contract.reasons.len()).map(|_| Counter::default()).collect();
        Self { contract, methods: Sharded::new(|| array::from_fn(|_| OfMethod::default())), reasons }
    }
}

impl Items {
    pub fn ok(&self, many: Many) {
        self.methods.own()[many as usize].ok.one();
    }

    /// An item with the status that a call of its own would have ended with.
    pub fn failed(&self, many: Many, status: &Status) {
        let info = status.get_details_error_info();
        self.failed_for(many, info.as_ref().map_or("", |info| &info.reason));
    }

    /// An item with the reason of its error, as the contract spells it.
    pub fn failed_for(&self, many: Many, reason: &str) {
        self.methods.own()[many as usize].failed.one();
        self.reasons[many as usize * self.contract.reasons.len() + self.contract.reason(reason)].one();
    }

    /// What there was none of is left out.
    pub fn measure(&self, page: &mut Page) {
        let method = |path| {
            let Method { service, name } = &self.contract.methods[self.contract.method(path)];
            [("service", service.as_str()), ("method", name.as_str())]
        };
        page.family(&ITEMS);
        for (many, path) in MANY {
            let [service, name] = method(path);
            let counts = [
                ("ok", self.methods.sum(|own| &own[many as usize].ok)),
                ("failed", self.methods.sum(|own| &own[many as usize].failed)),
            ];
            for (result, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                page.row(&[service, name, ("result", result)], count);
            }
        }
        page.family(&FAILED);
        for ((_, path), row) in MANY.iter().zip(self.reasons.chunks(self.contract.reasons.len())) {
            let [service, name] = method(path);
            for (reason, count) in self.contract.reasons.iter().zip(row).filter(|(_, count)| count.get() > 0) {
                page.row(&[service, name, ("reason", reason)], count.get());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::transport;

    #[test]
    fn items_are_counted_by_method_and_reason() {
        let items = Items::default();
        for (place, (many, path)) in MANY.iter().enumerate() {
            assert_eq!(*many as usize, place);
            assert!(items.contract.method(path) < items.contract.methods.len() - 1, "{path} is a method");
        }
        items.ok(Many::StreamSettle);
        items.ok(Many::StreamSettle);
        items.failed(Many::StreamSettle, &transport::time_limit());
        items.failed(Many::ImportCredits, &Status::unknown("without a reason"));
        items.failed_for(Many::CalculateBatch, "440305195304120021");
        let mut page = Page::default();
        items.measure(&mut page);
        let text = page.into_text();
        let found: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            r#"gongji_items_total{service="SettlementService",method="StreamSettle",result="ok"} 2"#,
            r#"gongji_items_total{service="SettlementService",method="StreamSettle",result="failed"} 1"#,
            r#"gongji_items_total{service="AccountService",method="ImportCredits",result="failed"} 1"#,
            r#"gongji_items_total{service="CalculationService",method="CalculateBatch",result="failed"} 1"#,
            r#"gongji_failed_items_total{service="SettlementService",method="StreamSettle",reason="TIME_LIMIT"} 1"#,
            r#"gongji_failed_items_total{service="AccountService",method="ImportCredits",reason="unknown"} 1"#,
            r#"gongji_failed_items_total{service="CalculationService",method="CalculateBatch",reason="unknown"} 1"#,
        ];
        assert_eq!(found, expected);
    }
}
