//! Parses a built file as a browser would, and finds the experiments that it adds.
//!
//! Everything comes from the syntax tree; nothing is run. Only this module uses the parser.

#[cfg(test)]
mod attack;
mod calls;
mod child;
mod dialect;
mod experiments;
mod fingerprint;
mod global;
mod isolated;
mod layout;
mod limits;
mod module_exports;
mod parse;
mod place;
mod regex;
mod repair;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod simulation;
mod syntax_error;
#[cfg(test)]
mod tests;
mod words;
#[cfg(test)]
mod words_tests;

use std::ffi::OsString;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_semantic::Semantic;
use oxc_span::SourceType;

use self::calls::{calls, Found};
use self::experiments::{read_build_info, read_experiment};
use self::fingerprint::Normalizer;
use self::global::{use_of_mojito, UseOfMojito};
use self::isolated::Content;
use self::limits::TIMEOUT;
pub(crate) use self::module_exports::{Exported, Exports, Property};
use self::parse::parse;
use self::repair::{are_valid, repaired};
pub(crate) use self::syntax_error::{SyntaxError, SyntaxErrorKind};
use self::words::read_source;
use crate::common::byte_size::ByteSize;
use crate::mojito::config_yml::{self, ConfigYml};
use crate::mojito::cookies;
use crate::mojito::experiment::{BuildInfo, Experiment};
use crate::mojito::in_order::run_in_order;
use crate::mojito::library::Library;
use crate::mojito::words::SourceWord;

/// Separates files that are parsed together. Neither YAML nor sources may contain it.
pub(crate) const SEPARATOR: &str = "\0";
/// The most that is parsed together.
pub(crate) const MAX_TOGETHER: ByteSize = ByteSize(1_000_000);

/// A valid script.
#[derive(BorshDeserialize, BorshSerialize, Clone, Debug)]
pub(crate) struct Script {
    /// Whether it defines the global `Mojito`, tests for it, or adds experiments to it.
    pub(crate) is_mojito: bool,
    /// Whether it uses `Mojito` without either, so that it throws where there is none.
    pub(crate) is_unguarded: bool,
    pub(crate) build_info: Option<BuildInfo>,
    pub(crate) experiments: Vec<Experiment>,
    /// How often `addTest` is used in a way that cannot be read.
    pub(crate) unreadable: usize,
    /// Whether it has a property or method `addTest`, as Mojito's library does.
    pub(crate) defines_add_test: bool,
    /// A hash of the library and the shared code, independent of minified names.
    pub(crate) shared_code: u64,
    /// How many days a cookie keeps what was decided for a visitor. `None` if it is not certain.
    pub(crate) cookie_days: Option<u32>,
}

/// Reads a script. One that exceeds a limit is an error too.
pub(crate) fn read(text: &str) -> Result<Script, SyntaxError> {
    read_within(text, TIMEOUT)
}

/// The same in less time.
pub(crate) fn read_within(text: &str, timeout: Duration) -> Result<Script, SyntaxError> {
    isolated::parse(Content::Script, text, timeout, read_here)
}

/// Reads a module's exports. Exceeding a limit is an error too.
pub(crate) fn read_exports(text: &str) -> Result<Exports, SyntaxError> {
    isolated::parse(Content::Module, text, TIMEOUT, Exports::read_here)
}

/// Reads the sources of experiments' code, of at most `MAX_TOGETHER` in all. `None` for those that are not valid.
pub(crate) fn read_sources(texts: &[&str], timeout: Duration) -> Vec<Option<Vec<SourceWord>>> {
    let text = texts.join(SEPARATOR);
    isolated::parse(Content::Sources, &text, timeout, sources_here).unwrap_or_default()
}

/// The same for the files `config.yml`.
pub(crate) fn read_configs(texts: &[&str], timeout: Duration) -> Vec<Option<ConfigYml>> {
    let text = texts.join(SEPARATOR);
    isolated::parse(Content::Configs, &text, timeout, configs_here).unwrap_or_default()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as the other parsers of the child process"
)]
fn sources_here(text: &str) -> Result<Vec<Option<Vec<SourceWord>>>, SyntaxError> {
    let read = |text| read_source(text).ok();
    Ok(text.split(SEPARATOR).map(read).collect())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as the other parsers of the child process"
)]
fn configs_here(text: &str) -> Result<Vec<Option<ConfigYml>>, SyntaxError> {
    Ok(text.split(SEPARATOR).map(config_yml::read).collect())
}

/// Parses and ends the process if the arguments are those of the hidden command, by which the program starts itself.
pub(crate) fn serve_if_child(arguments: impl Iterator<Item = OsString>) {
    child::serve(arguments, |content, text| match content {
        Content::Script => borsh::to_vec(&read_here(text)),
        Content::Module => borsh::to_vec(&Exports::read_here(text)),
        Content::Sources => borsh::to_vec(&sources_here(text)),
        Content::Configs => borsh::to_vec(&configs_here(text)),
    });
}

fn read_here(text: &str) -> Result<Script, SyntaxError> {
    let allocator = Allocator::default();
    match parse(&allocator, text, SourceType::script()) {
        Ok((program, semantic)) => Ok(script(program, &semantic)),
        Err(error) => read_repaired(text).ok_or_else(|| as_module(text, error)),
    }
}

/// Reads a script that browsers accept and the parser does not.
fn read_repaired(text: &str) -> Option<Script> {
    let (repaired, repairs) = repaired(text)?;
    let allocator = Allocator::default();
    let (program, semantic) = parse(&allocator, &repaired, SourceType::script()).ok()?;
    are_valid(&repairs, &semantic).then(|| script(program, &semantic))
}

/// The error, which says so if the text is a valid module.
fn as_module(text: &str, mut error: SyntaxError) -> SyntaxError {
    let is_module = || parse(&Allocator::default(), text, SourceType::mjs()).is_ok();
    if error.kind == SyntaxErrorKind::Script && is_module() {
        error.kind = SyntaxErrorKind::Module;
    }
    error
}

fn script<'a>(program: &'a Program<'a>, semantic: &'a Semantic<'a>) -> Script {
    let calls = calls(semantic);
    let (left_out, receivers) = calls.left_out();
    let normalizer = Normalizer::new(program.source_text, semantic, left_out, &receivers);
    let library = Library::in_script(program.source_text);
    let experiment = |call: &Found| {
        let object = call.object?;
        let read = read_experiment(object, call.own(), library, &normalizer);
        let place = call.place;
        Some(Experiment { place, ..read })
    };
    let mut experiments: Vec<_> = calls.experiments.iter().filter_map(experiment).collect();
    run_in_order(&mut experiments);
    let mut build_info = calls.build_info.iter().filter_map(|it| it.object);
    let use_of_mojito = use_of_mojito(semantic);
    // What adds or defines tests may be another library's.
    let has_tests = calls.is_defined || calls.unreadable > 0 || !experiments.is_empty();
    let is_mojito = match use_of_mojito {
        UseOfMojito::Sound => true,
        UseOfMojito::Unguarded | UseOfMojito::Mentioned => has_tests,
        UseOfMojito::None => false,
    };
    Script {
        is_mojito,
        is_unguarded: use_of_mojito == UseOfMojito::Unguarded && !calls.is_defined,
        build_info: build_info.next_back().map(read_build_info),
        experiments,
        unreadable: calls.unreadable,
        defines_add_test: calls.is_defined,
        shared_code: normalizer.hash_of_rest(program.span),
        cookie_days: cookies::days(program.source_text),
    }
}
