//! The national code table of relations (GB/T 4761): which of the eight relations a code of two digits is, and which codes are
//! none of them: 岳母 is no parent, 嫂 no sister.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::policy::Citation;
use super::vocabulary::Relation;

/// One row of `policies/national/relation_codes.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationCode {
    /// Of which the code may be any; empty: of none.
    pub relations: Vec<Relation>,
    pub name: String,
    pub citation: Arc<Citation>,
}

/// What a code says beside a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// No code, or one of the relation.
    Fits,
    /// A relation that no law names.
    NoKin,
    /// Another relation.
    Contradicts,
    /// No code of the table.
    Unknown,
}

/// All rows by code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelationCodes(pub BTreeMap<String, RelationCode>);

impl RelationCodes {
    pub fn judge(&self, relation: Relation, detail: &str) -> Detail {
        if detail.is_empty() {
            return Detail::Fits;
        }
        match self.0.get(detail) {
            None => Detail::Unknown,
            Some(code) if code.relations.is_empty() => Detail::NoKin,
            Some(code) if code.relations.contains(&relation) => Detail::Fits,
            Some(_) => Detail::Contradicts,
        }
    }
}
