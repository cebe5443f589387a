//! How long a cookie keeps what Mojito decided for a visitor: whether the visitor is in an experiment, and the recipe.
//!
//! The cookie is written with the decision and not renewed at later visits.

const SETTING: &str = "cookieDuration";

/// The days, if the script sets them in one place only, as Mojito's library does. Shared code or an experiment may set others.
pub(crate) fn days(text: &str) -> Option<u32> {
    let occurrences = text.match_indices(SETTING);
    let mut set = occurrences.filter_map(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + SETTING.len()..]);
        let is_longer_name = before.ends_with(is_of_name) || after.starts_with(is_of_name);
        (!is_longer_name && !is_read(before, after)).then(|| value(after))
    });
    let days = set.next()??;
    (days > 0 && set.next().is_none()).then_some(days)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// Whether it is only used there: `options.cookieDuration||defaults.cookieDuration}`.
fn is_read(before: &str, after: &str) -> bool {
    let after = after.trim_start();
    let is_used = after.starts_with("||") && !after.starts_with("||=");
    before.trim_end().ends_with('.') && (is_used || after.starts_with([',', ')', '}', ';']))
}

/// The number in `:60,`.
fn value(after: &str) -> Option<u32> {
    let after = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = value.split_at(end);
    let is_whole = rest.trim_start().starts_with([',', '}']);
    number.parse().ok().filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_are_known_if_only_the_library_sets_them() {
        let library = "{debug:!1,cookieDuration:60,a:1};{expires:this.options.options.cookieDuration||o.cookieDuration},";
        for (more, expected) in [
            ("", Some(60)),
            ("a(Mojito.options.cookieDuration);", Some(60)),
            ("minCookieDuration=1;cookieDurationDays=2;", Some(60)),
            ("Mojito.options.cookieDuration=30;", None),
            ("Mojito.options.cookieDuration ||= 30;", None),
            ("Mojito.options['cookieDuration']=30;", None),
            ("Mojito.addTest({options:{cookieDuration:30}});", None),
            ("Mojito.addTest({options:{cookieDuration}});", None),
        ] {
            assert_eq!(days(&format!("{library}{more}")), expected, "{more}");
        }
        let pretty =
            "    cookieDuration: 90\n}\n expires: this.cookieDuration || defaults.cookieDuration }";
        assert_eq!(days(pretty), Some(90));
        for text in [
            "",
            "{cookieDuration:6e1}",
            "{cookieDuration:60*a}",
            "{cookieDuration:0}",
            "{cookieDuration:d}",
            "cookieDuration",
        ] {
            assert_eq!(days(text), None, "{text}");
        }
    }
}
