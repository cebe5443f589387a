//! Rejects syntax that the parser accepts but browsers do not: TypeScript, proposals and invisible characters.

use oxc_ast::{AstKind, AstType};
use oxc_semantic::Semantic;
use oxc_span::{GetSpan, Span};

use super::syntax_error::{range, SyntaxError, SyntaxErrorKind};

/// The first unsupported syntax in a script.
pub(super) fn unsupported_syntax(
    text: &str,
    spaces: &[Span],
    semantic: &Semantic,
) -> Option<SyntaxError> {
    invisible_character(text, spaces)
        .or_else(|| {
            let mut nodes = semantic.nodes().iter();
            let node = nodes.find(|node| {
                let kind = node.kind();
                is_unsupported(kind) || is_async_field(text, kind)
            })?;
            let message = "This is TypeScript or a proposal, which browsers do not run".to_owned();
            let span = node.kind().span();
            Some(SyntaxError::new(message, span, SyntaxErrorKind::Script))
        })
        .or_else(|| restricted_name(semantic))
        .or_else(|| let_in_catch(semantic))
}

/// `catch ({ let })`, which V8 rejects though the specification does not.
fn let_in_catch(semantic: &Semantic) -> Option<SyntaxError> {
    semantic.nodes().iter().find_map(|node| {
        let AstKind::CatchParameter(parameter) = node.kind() else {
            return None;
        };
        let pattern = Some(&parameter.pattern).filter(|it| !it.is_binding_identifier())?;
        let names = pattern.get_binding_identifiers().into_iter();
        let name = names.into_iter().find(|it| it.name == "let")?;
        let message = "`let` cannot be declared in a pattern".to_owned();
        Some(SyntaxError::new(
            message,
            name.span,
            SyntaxErrorKind::Script,
        ))
    })
}

/// `for (eval in a)` in strict code.
fn restricted_name(semantic: &Semantic) -> Option<SyntaxError> {
    semantic.nodes().iter().find_map(|node| {
        let AstKind::ForInStatement(statement) = node.kind() else {
            return None;
        };
        let target = statement.left.as_assignment_target()?;
        let is_restricted = matches!(target.get_identifier_name()?, "eval" | "arguments");
        let flags = semantic.scoping().scope_flags(node.scope_id());
        (is_restricted && flags.is_strict_mode()).then(|| {
            let message = "Cannot assign to `eval` or `arguments` in strict mode".to_owned();
            SyntaxError::new(message, target.span(), SyntaxErrorKind::Script)
        })
    })
}

/// Characters that the parser treats as whitespace, as TypeScript does, and browsers reject.
fn invisible_character(text: &str, spaces: &[Span]) -> Option<SyntaxError> {
    let is_rejected = |c: char| matches!(c, '\u{85}' | '\u{200b}');
    spaces.iter().find_map(|space| {
        let (at, c) = text[range(*space)]
            .char_indices()
            .find(|(_, c)| is_rejected(*c))?;
        let at = space.start + u32::try_from(at).ok()?;
        let code = u32::from(c);
        Some(SyntaxError::new(
            format!("Invisible character U+{code:04X}, often copied from web pages"),
            Span::sized(at, u32::try_from(c.len_utf8()).ok()?),
            SyntaxErrorKind::Script,
        ))
    })
}

fn is_unsupported(kind: AstKind) -> bool {
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
            // Not in Safari.
            declaration.declare || declaration.kind.is_using()
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

/// `class A { async a }`, where only methods can be async.
fn is_async_field(text: &str, kind: AstKind) -> bool {
    let AstKind::PropertyDefinition(property) = kind else {
        return false;
    };
    let before = &text[range(Span::new(property.span.start, property.key.span().start))];
    let before = before.trim_end_matches(['[', ' ', '\t', '\n', '\r']);
    before.ends_with("async")
}
