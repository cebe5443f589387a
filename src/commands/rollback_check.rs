//! `check --rollback`: tries what a rollback reads, which changes nothing: the versions of each key, and the newest of them.

use tokio::time::Instant;

use crate::aws::config::OPERATION_TIMEOUT;
use crate::aws::error::AwsError;
use crate::aws::iam_policy::Permissions;
use crate::aws::versions::{self, GET_VERSION, LIST_VERSIONS, NULL_VERSION};
use crate::aws::{s3, Aws};
use crate::report::console::Console;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// Tries it for each key, and says what came of it. Returns whether all of it is allowed.
pub(super) async fn try_all(aws: &Aws, settings: &Settings, console: &Console) -> bool {
    let mut statements = Vec::new();
    let (mut all, mut keeps_versions) = (true, true);
    for key in settings.keys() {
        let uri = s3_uri(&settings.target.bucket, &key);
        match try_key(aws, settings, &key).await {
            Ok(Kept::Nothing) => console.success(&format!(
                "can list the versions of {uri}; there is none yet, so reading one could not be tried"
            )),
            Ok(Kept::Versions { are_kept }) => {
                keeps_versions &= are_kept;
                console.success(&format!("can list the versions of {uri}, and read them"));
            }
            Err(error) => {
                all = false;
                let permissions = Permissions::of(settings);
                let remedy = match permissions.missing_statement(&error) {
                    Some(statement) => {
                        // Each once, for all keys.
                        let statement = statement.pretty();
                        if !statements.contains(&statement) {
                            statements.push(statement);
                        }
                        String::new()
                    }
                    None => format!("\nwhat to do: {}", error.remedy()),
                };
                let cannot = match error.action {
                    LIST_VERSIONS => "list the versions of",
                    GET_VERSION => "read a version of",
                    _ => "read",
                };
                console.failure(&format!("a rollback cannot {cannot} {uri}: {error}{remedy}"));
            }
        }
    }
    if !statements.is_empty() {
        console.failure(&format!(
            "for a rollback, add this to the user or role:\n{}",
            statements.join(",\n")
        ));
    }
    if !keeps_versions {
        console.warning(&format!(
            "the bucket's versioning is off, or was at the last publish: S3 keeps nothing to roll back to\n\
             aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled",
            settings.target.bucket
        ));
    }
    all
}

/// What S3 keeps of a key.
enum Kept {
    Nothing,
    Versions { are_kept: bool },
}

async fn try_key(aws: &Aws, settings: &Settings, key: &ObjectKey) -> Result<Kept, AwsError> {
    let (client, deadline) = (&aws.s3, Instant::now() + OPERATION_TIMEOUT);
    let listed = versions::list(client, settings, key, 1, deadline).await?;
    let mut objects = listed.list.iter().filter(|it| !it.is_delete_marker);
    let Some(newest) = objects.next() else {
        return Ok(Kept::Nothing);
    };
    versions::head(client, settings, key, &newest.id, deadline).await?;
    if newest.is_live {
        s3::head_object(client, settings, key, deadline).await?;
    }
    let are_kept = newest.id != NULL_VERSION;
    Ok(Kept::Versions { are_kept })
}
