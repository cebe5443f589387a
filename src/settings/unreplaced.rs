//! Settings that hold `$NAME` in place of a value, as Bitbucket passes it where that variable is not defined for the step.
//!
//! They count as unset, and are reported with the name to define. Otherwise, AWS would reject a key that looks like one.

use std::collections::BTreeMap;

use super::variables::{element_of, Variables, LISTS};

/// The settings that are credentials, the secrets first.
pub(super) const CREDENTIALS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_OIDC_ROLE_ARN",
];

/// Takes such settings out. The result has the name of the undefined variable for each.
pub(super) fn take(variables: &mut Variables, settings: &[String]) -> BTreeMap<String, String> {
    variables.take(|name, value| {
        let is_element = |list: &&str| element_of(list, name).is_some();
        let is_setting = settings.iter().any(|it| it == name) || LISTS.iter().any(is_element);
        let reference = reference(value).filter(|_| is_setting)?;
        let is_whole = value == format!("${reference}") || value == format!("${{{reference}}}");
        // Passwords may contain a `$`.
        let is_secret = name.ends_with("_PROXY") || CREDENTIALS[..3].contains(&name);
        (is_whole || !is_secret).then(|| reference.to_owned())
    })
}

/// The name of the variable that a value refers to, as in `$NAME` or `${NAME}`.
fn reference(value: &str) -> Option<&str> {
    let references = value.split('$').skip(1).filter_map(|rest| {
        let braced = rest.strip_prefix('{');
        let rest = braced.unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_closed = braced.is_none() || after.starts_with(['}', ':']);
        let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        (is_name && is_closed).then_some(name)
    });
    references.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_that_nothing_replaced_is_taken_out() {
        #[track_caller]
        fn case(name: &str, value: &str, expected: Option<&str>) {
            let mut variables = Variables::from_iter([(name, value)]);
            let settings = [
                "BUCKET",
                "HTTPS_PROXY",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_OIDC_ROLE_ARN",
            ];
            let taken = take(&mut variables, &settings.map(str::to_owned));
            assert_eq!(
                taken.get(name).map(String::as_str),
                expected,
                "{name}={value}"
            );
            assert_eq!(variables.is_set(name), expected.is_none(), "{name}={value}");
        }
        case("BUCKET", "$BUCKET", Some("BUCKET"));
        case("BUCKET", "${NAME_2}", Some("NAME_2"));
        case("BUCKET", "$NAME/js", Some("NAME"));
        case("BUCKET", "https://${HOST:-a}/", Some("HOST"));
        case("DISTRIBUTION_ID_1", "$ID", Some("ID"));
        case("AWS_SECRET_ACCESS_KEY", "$SECRET", Some("SECRET"));
        case("AWS_SECRET_ACCESS_KEY", "a$SECRET", None);
        case("AWS_OIDC_ROLE_ARN", "arn:aws:iam::$ID:role/a", Some("ID"));
        case("HTTPS_PROXY", "http://user:pa$word@proxy", None);
        case("OTHER", "$OTHER", None);
        for value in ["a", "$", "$1", "${", "${a", "a$", "$$", "${}"] {
            case("BUCKET", value, None);
        }
    }
}
