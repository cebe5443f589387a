//! What to do about a denied request: the likelier questions first, then the statement that the run needs.

use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::iam_policy::ACCOUNT_PLACEHOLDER;
use crate::publish::plan::Plan;
use crate::publish::state::RunState;
use crate::settings::names::{s3_uri, ObjectKey};

/// What to do about an error of a run.
pub(crate) fn remedy(error: &AwsError, plan: &Plan, state: &RunState) -> String {
    if error.kind != AwsErrorKind::AccessDenied {
        return error.remedy();
    }
    let flag = plan.settings.environment.flag();
    let mut lines = match error.action {
        "s3:GetObject" if plan.settings.rollback.is_none() => vec![needed_by("ONLY_NEWER", error)],
        "cloudfront:GetInvalidation" => vec![needed_by("WAIT", error)],
        _ => questions(error, plan, state),
    };
    let permissions = state.permissions(plan);
    let statement = permissions.missing_statement(error);
    lines.extend(statement.map(|statement| statement.pretty()));
    if permissions.account_id.is_none() && error.action.starts_with("cloudfront:") {
        lines.push(format!(
            "with the 12 digits of your account in place of `{ACCOUNT_PLACEHOLDER}`"
        ));
    }
    lines.push(format!(
        "`mojito-publish policy{flag}` prints all that the run needs, and\n\
         `mojito-publish check{flag}` shows what credentials can write"
    ));
    lines.join("\n")
}

fn needed_by(setting: &str, error: &AwsError) -> String {
    format!(
        "`{setting}` needs `{}`: leave `{setting}` off, or\nadd this statement to the user or role",
        error.action
    )
}

/// More often the credentials or the target are wrong than a permission is missing.
fn questions(error: &AwsError, plan: &Plan, state: &RunState) -> Vec<String> {
    let (settings, identity) = (&plan.settings, state.identity.as_ref());
    let environment = settings.environment;
    let mut lines = vec![format!(
        "first, are these the credentials of {environment}?"
    )];
    let arn = identity.map(|identity| format!("  {}", identity.arn));
    let origin = || Some(format!("  {}", state.credentials.as_ref()?));
    lines.extend(arn.or_else(origin));
    if error.action.starts_with("cloudfront:") {
        let account = identity.map_or_else(
            || "their account".to_owned(),
            |identity| format!("account {}", identity.account_id),
        );
        lines.push(format!("is `DISTRIBUTION_ID` right, and in {account}?"));
        lines.push(format!("  {}", error.resource));
    } else {
        let target = &settings.target;
        lines.push("are the bucket and the folder right (`S3_BUCKET`, `S3_PREFIX`)?".to_owned());
        let folder = ObjectKey::new(&target.prefix, "");
        lines.push(format!("  {}", s3_uri(&target.bucket, &folder)));
    }
    let action = error.action;
    lines.push(format!(
        "if so, the credentials lack `{action}`:\nadd this statement to the user or role"
    ));
    lines
}
