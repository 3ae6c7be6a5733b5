//! The labels there are: methods and reasons of the contract, from its own descriptors. What a request names otherwise has
//! one place for all, so no caller can make a label.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::proto;

/// Of the package whose calls are counted.
const PACKAGE: &str = "gongji.v1";
const REASON: &str = "Reason";
const REASON_PREFIX: &str = "REASON_";
/// Of what is not in the contract.
const UNKNOWN: &str = "unknown";

pub struct Contract {
    /// The last one stands for all paths that are no method.
    pub methods: Vec<Method>,
    places: HashMap<String, usize, RandomState>,
    /// The first one stands for all words that are no reason.
    pub reasons: Vec<String>,
    reason_places: HashMap<String, usize, RandomState>,
}

/// A method, as it is labelled.
pub struct Method {
    pub service: String,
    pub name: String,
}

impl Contract {
    pub fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let set = FileDescriptorSet::decode(proto::DESCRIPTORS).expect("built into this program, and tested");
            let ours = |file: &&FileDescriptorProto| file.package() == PACKAGE;
            Self::of(set.file.iter().filter(ours))
        })
    }

    fn of<'a>(files: impl Iterator<Item = &'a FileDescriptorProto>) -> Self {
        let (mut methods, mut places) = (Vec::new(), HashMap::default());
        let mut reasons = vec![UNKNOWN.to_owned()];
        for file in files {
            for service in &file.service {
                for method in &service.method {
                    places.insert(format!("/{PACKAGE}.{}/{}", service.name(), method.name()), methods.len());
                    methods.push(Method { service: service.name().to_owned(), name: method.name().to_owned() });
                }
            }
            let values = file.enum_type.iter().filter(|it| it.name() == REASON).flat_map(|it| &it.value);
            let named = values.filter(|value| value.number() != 0).map(|value| value.name());
            reasons.extend(named.map(|name| name.strip_prefix(REASON_PREFIX).unwrap_or(name).to_owned()));
        }
        methods.push(Method { service: UNKNOWN.to_owned(), name: UNKNOWN.to_owned() });
        let reason_places = reasons.iter().enumerate().map(|(place, reason)| (reason.clone(), place)).collect();
        Self { methods, places, reasons, reason_places }
    }

    /// Where a method stands, by its path.
    pub fn method(&self, path: &str) -> usize {
        self.places.get(path).copied().unwrap_or(self.methods.len() - 1)
    }

    pub fn reason(&self, word: &str) -> usize {
        self.reason_places.get(word).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_found_and_nothing_else() {
        let contract = Contract::get();
        let label = |path| {
            let Method { service, name } = &contract.methods[contract.method(path)];
            format!("{service}.{name}")
        };
        assert_eq!(label("/gongji.v1.SettlementService/Settle"), "SettlementService.Settle");
        assert_eq!(label("/gongji.v1.ServerService/GetServerInfo"), "ServerService.GetServerInfo");
        for path in ["/gongji.v1.SettlementService/settle", "/gongji.v1.SettlementService/Settle/", "/gongji.v1.", ""] {
            assert_eq!(label(path), "unknown.unknown", "{path}");
        }
        assert_eq!(contract.reasons[contract.reason("OVERLOADED")], "OVERLOADED");
        assert_eq!(contract.reasons[contract.reason("440305195304120021")], "unknown");
        assert!(contract.methods.len() > 60 && contract.reasons.len() > 100, "all of them");
    }
}
