//! gongji
pub mod domain;
