//! Parses Mojito's own files: `config.js`, the script of a container with its experiments, and their sources.

pub(crate) mod config_js;
pub(crate) mod config_yml;
pub(crate) mod cookies;
pub(crate) mod excerpt;
pub(crate) mod experiment;
pub(crate) mod in_order;
pub(crate) mod library;
pub(crate) mod recipes;
pub(crate) mod rules;
pub(crate) mod script;
pub(crate) mod shares;
pub(crate) mod value;
pub(crate) mod waves;
pub(crate) mod words;
mod yaml;
