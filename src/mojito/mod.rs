//! Parses Mojito's own files: `config.js`, and the script of a container with its experiments.

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
