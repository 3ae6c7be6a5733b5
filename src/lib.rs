//! gongji
pub mod domain;
pub mod store;
