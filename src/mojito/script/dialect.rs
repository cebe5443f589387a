//! What the parser takes and browsers do not: TypeScript, proposals, and characters that nobody sees.

use oxc_ast::ast::VariableDeclarationKind;
use oxc_ast::{AstKind, AstType};
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, Span};

use super::syntax_error::{range, SyntaxError, SyntaxErrorKind};

/// The first of it in a script.
pub(super) fn unsupported_syntax(
    text: &str,
    spaces: &[Span],
    semantic: &Semantic,
) -> Option<SyntaxError> {
    invisible(text, spaces).or_else(|| {
        let nodes = semantic.nodes();
        nodes
            .iter()
            .find(|node| is_foreign(node.kind(), || is_in_async(semantic, node.id())))
            .map(|node| SyntaxError {
                message: "This is TypeScript or a proposal, which browsers do not run".to_owned(),
                place: range(node.kind().span()),
                kind: SyntaxErrorKind::Script,
            })
    })
}

/// The parser takes them for spaces, as TypeScript does.
fn invisible(text: &str, spaces: &[Span]) -> Option<SyntaxError> {
    let no_space = |c: char| matches!(c, '\u{85}' | '\u{200b}');
    spaces.iter().find_map(|space| {
        let (at, c) = text[range(*space)]
            .char_indices()
            .find(|(_, c)| no_space(*c))?;
        let at = space.start as usize + at;
        Some(SyntaxError {
            message: format!(
                "Invisible character U+{:04X}, as it comes with text that is copied from a page",
                u32::from(c)
            ),
            place: at..at + c.len_utf8(),
            kind: SyntaxErrorKind::Script,
        })
    })
}

fn is_foreign(kind: AstKind, is_in_async: impl Fn() -> bool) -> bool {
    match kind {
        AstKind::Class(class) => class.r#abstract || class.declare,
        AstKind::PropertyDefinition(property) => {
            property.declare
                || property.r#override
                || property.optional
                || property.definite
                || property.readonly
                || property.accessibility.is_some()
        }
        AstKind::MethodDefinition(method) => {
            method.r#override || method.optional || method.accessibility.is_some()
        }
        AstKind::FormalParameter(parameter) => {
            parameter.optional
                || parameter.readonly
                || parameter.r#override
                || parameter.accessibility.is_some()
        }
        AstKind::VariableDeclarator(variable) => variable.definite,
        AstKind::VariableDeclaration(declaration) => {
            declaration.declare
                || (declaration.kind == VariableDeclarationKind::AwaitUsing && !is_in_async())
        }
        AstKind::Function(function) => {
            function.declare || function.body.is_none() || function.return_type.is_some()
        }
        AstKind::ArrowFunctionExpression(function) => function.return_type.is_some(),
        AstKind::ImportExpression(import) => import.phase.is_some(),
        AstKind::AccessorProperty(_) => true,
        // JSX, TypeScript and decorators are the last kinds.
        kind => kind.ty() as u8 >= AstType::JSXElement as u8,
    }
}

/// Whether the function around it is asynchronous.
fn is_in_async(semantic: &Semantic, node: oxc_semantic::NodeId) -> bool {
    let mut around = semantic.nodes().ancestor_kinds(node);
    around
        .find_map(|kind| match kind {
            AstKind::Function(function) => Some(function.r#async),
            AstKind::ArrowFunctionExpression(function) => Some(function.r#async),
            _ => None,
        })
        .unwrap_or_default()
}
