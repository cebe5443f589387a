//! What to do about a denied request: the likelier questions first, then the statement that the run needs.

use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::iam_policy::ACCOUNT_PLACEHOLDER;
use crate::publish::plan::Plan;
use crate::publish::state::RunState;
use crate::settings::names::{s3_uri, ObjectKey};

/// What to do about an error of a run.
pub(crate) fn remedy(error: &AwsError, plan: &Plan, state: &RunState) -> String {
    if error.kind == AwsErrorKind::Kms {
        return of_key(error, plan, state).unwrap_or_else(|| error.remedy());
    }
    if error.kind == AwsErrorKind::Changed && plan.settings.rollback.is_some() {
        return "somebody else replaced the live container meanwhile, and that one stays"
            .to_owned();
    }
    if error.kind != AwsErrorKind::AccessDenied {
        return error.remedy();
    }
    let arguments = plan.settings.arguments();
    let mut lines = match error.action {
        "s3:GetObject" if plan.settings.rollback.is_none() => vec![needed_by("ONLY_NEWER", error)],
        "cloudfront:GetInvalidation" => vec![needed_by("WAIT", error)],
        _ => questions(error, plan, state),
    };
    let permissions = state.permissions(plan);
    let statement = permissions.missing_statement(error);
    // Reading takes the key as well, and a response to HEAD does not say which of the two is missing.
    let of_key = match plan.settings.rollback {
        Some(_) => permissions.statement_for_decrypting(),
        None => permissions.statement_for_key(),
    };
    let of_key = of_key.filter(|_| error.action == "s3:GetObject");
    let statements = statement.into_iter().chain(of_key);
    lines.extend(statements.map(|statement| statement.pretty()));
    if permissions.account_id.is_none() && error.action.starts_with("cloudfront:") {
        lines.push(format!(
            "with the 12 digits of your account in place of `{ACCOUNT_PLACEHOLDER}`"
        ));
    }
    lines.push(format!(
        "`mojito-publish policy{arguments}` prints all that the run needs, and\n\
         `mojito-publish check{arguments}` shows what credentials can write"
    ));
    lines.join("\n")
}

/// The bucket's key may not be used. `None` if `KMS_KEY_ARN` is not set, or more than a permission is missing.
fn of_key(error: &AwsError, plan: &Plan, state: &RunState) -> Option<String> {
    let key = plan.settings.kms_key.as_ref()?;
    let statement = state.permissions(plan).missing_statement(error)?;
    let named = format!("on resource: {key}");
    let is_other = error.message.contains("on resource: arn:") && !error.message.contains(&named);
    if is_other {
        return Some(format!("the bucket is encrypted with another key than `KMS_KEY_ARN` ({key}), and these credentials cannot use it: set it to the key that AWS names, and allow it (`mojito-publish policy`)"));
    }
    Some(format!(
        "the bucket is encrypted with a KMS key that these credentials cannot use (`KMS_KEY_ARN`):\n\
         add this statement to the user or role; the key's own policy must allow it as well, or leave it to IAM\n{}",
        statement.pretty()
    ))
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
