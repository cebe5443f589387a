//! `BITBUCKET_STEP_OIDC_TOKEN`, with which a step assumes a role, and what it says of the step.

use std::fmt::{self, Debug, Formatter};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde::Deserialize;

/// The token. It cannot be printed.
pub(crate) struct Token(String);

/// What a token says of the step. AWS verifies this, nothing here does.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Claims {
    #[serde(rename = "iss")]
    pub(crate) issuer: String,
    #[serde(rename = "aud", deserialize_with = "one_or_many")]
    pub(crate) audiences: Vec<String>,
    /// `{REPOSITORY}:{DEPLOYMENT_ENVIRONMENT}:{STEP}`, all of them UUIDs. Without `deployment:`, `{REPOSITORY}:{STEP}`.
    #[serde(rename = "sub")]
    pub(crate) subject: String,
    /// Seconds since 1970.
    #[serde(rename = "exp", default)]
    pub(crate) expires_at: Option<i64>,
}

impl Token {
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself, for the request to STS.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("** redacted **")
    }
}

impl Claims {
    /// `None` if it is not a token in the form of a JWT.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

/// Bitbucket's tokens may have up to ten audiences.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audiences {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audiences::deserialize(deserializer)? {
        Audiences::One(audience) => vec![audience],
        Audiences::Many(audiences) => audiences,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Token::new("secret".to_owned())).contains("secret"));
    }

    #[test]
    fn a_token_says_who_the_step_is_and_garbage_says_nothing() {
        let token = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        let claims = Claims::of(&token(
            r#"{"iss":"https://i","aud":"a","sub":"{r}:{s}","exp":1795,"x":[1]}"#,
        ));
        let one = Claims {
            issuer: "https://i".to_owned(),
            audiences: vec!["a".to_owned()],
            subject: "{r}:{s}".to_owned(),
            expires_at: Some(1795),
        };
        assert_eq!(claims.as_ref(), Some(&one));
        let many = Claims::of(&token(r#"{"iss":"i","aud":["a","b"],"sub":"s"}"#)).unwrap();
        assert_eq!(many.audiences, ["a", "b"]);
        assert_eq!(many.expires_at, None);
        for garbage in ["", "a", "a.b", "e30.e30.e30", "..", "a.{}.c", &token("[]")] {
            assert_eq!(Claims::of(garbage), None, "{garbage}");
        }
    }
}
