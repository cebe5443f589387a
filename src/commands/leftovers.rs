//! The multipart uploads that `check` created and has not aborted, or may have created: nobody sees them, but they stay in the
//! bucket until somebody aborts them.

use std::collections::BTreeSet;

use crate::aws::error::AwsError;
use crate::aws::Aws;
use crate::common::layout::first_ten;
use crate::report::console::Console;
use crate::report::tables::MAX_LISTED;
use crate::settings::names::{s3_uri, ObjectKey};
use crate::settings::Settings;

/// S3's IDs have some 130 characters, and its documentation names no limit.
const MAX_ID: usize = 1024;

#[derive(Default)]
pub(super) struct Leftovers {
    /// For each of these keys, S3 did not confirm a request, so there may be an upload that nobody has the ID of.
    possible: Vec<ObjectKey>,
    created: Vec<Upload>,
}

/// A multipart upload.
struct Upload {
    key: ObjectKey,
    id: String,
    /// Why it could not be aborted.
    error: Option<AwsError>,
}

impl Leftovers {
    /// A request to create an upload is about to be sent. Until its response is here, there may be one.
    pub(super) fn creating(&mut self, key: &ObjectKey) {
        self.possible.push(key.clone());
    }

    /// The response is here. `may_be_more` is whether one of its attempts may have created another upload.
    pub(super) fn created(&mut self, id: Option<&str>, may_be_more: bool) {
        let key = self.possible.last().cloned();
        if !may_be_more {
            self.possible.pop();
        }
        self.created.extend(key.zip(id).map(|(key, id)| Upload {
            key,
            id: id.to_owned(),
            error: None,
        }));
    }

    /// Aborts the upload that was created last, if it is still there.
    pub(super) async fn abort_last(&mut self, aws: &Aws, settings: &Settings) {
        if self.created.last().is_some_and(|last| last.error.is_none()) {
            let last = self.created.len() - 1;
            self.abort_from(last, aws, settings).await;
        }
    }

    /// Aborts all that are still there.
    pub(super) async fn abort(&mut self, aws: &Aws, settings: &Settings) {
        self.abort_from(0, aws, settings).await;
    }

    async fn abort_from(&mut self, first: usize, aws: &Aws, settings: &Settings) {
        let mut number = first;
        while let Some(upload) = self.created.get_mut(number) {
            match upload.abort(aws, settings).await {
                Ok(()) => drop(self.created.remove(number)),
                Err(error) => {
                    upload.error = Some(error);
                    number += 1;
                }
            }
        }
    }

    /// Says what is still there, and how to remove it.
    pub(super) fn report(&self, settings: &Settings, console: &Console) {
        let bucket = &settings.target.bucket;
        let uris = |keys: &BTreeSet<&ObjectKey>| {
            let uris: Vec<String> = keys.iter().map(|key| s3_uri(bucket, key)).collect();
            first_ten(&uris.iter().map(String::as_str).collect::<Vec<_>>())
        };
        if let Some(first) = self.created.first() {
            let keys = self.created.iter().map(|it| &it.key).collect();
            let reason = first.error.as_ref();
            let reason = reason.map_or_else(String::new, |it| format!("\n{it}"));
            let commands = self.created.iter().take(MAX_LISTED);
            let commands: Vec<String> = commands.map(|it| it.remove(settings)).collect();
            console.warning(&format!(
                "multipart uploads to {}, created to check the keys, are still there; visitors do not see them{reason}\n\
                 remove them with\n  {}",
                uris(&keys),
                commands.join("\n  ")
            ));
        }
        let keys: BTreeSet<&ObjectKey> = self.possible.iter().collect();
        if let Some(first) = keys.first() {
            let key = if keys.len() == 1 {
                first.as_str()
            } else {
                "KEY"
            };
            console.warning(&format!(
                "multipart uploads to {} may be left behind, as S3 did not confirm a request; visitors do not see them\n\
                 find and remove them with\n  {}",
                uris(&keys),
                find_and_abort(settings, key)
            ));
        }
    }
}

impl Upload {
    /// The command that removes it.
    fn remove(&self, settings: &Settings) -> String {
        match shown_id(&self.id) {
            Some(id) => abort_command(settings, self.key.as_str(), id),
            None => find_and_abort(settings, self.key.as_str()),
        }
    }

    async fn abort(&self, aws: &Aws, settings: &Settings) -> Result<(), AwsError> {
        let bucket = &settings.target.bucket;
        let request = aws.s3.abort_multipart_upload().bucket(bucket.as_str());
        let request = request.key(self.key.as_str()).upload_id(&self.id);
        let Err(error) = request.send().await else {
            return Ok(());
        };
        let uri = s3_uri(bucket, &self.key);
        match AwsError::new("s3:AbortMultipartUpload", uri, &error) {
            // An earlier attempt, whose response was lost, has aborted it.
            error if error.code.as_deref() == Some("NoSuchUpload") => Ok(()),
            error => Err(error),
        }
    }
}

fn abort_command(settings: &Settings, key: &str, id: &str) -> String {
    let (bucket, key) = (&settings.target.bucket, shell_word(key));
    format!("aws s3api abort-multipart-upload --bucket {bucket} --key {key} --upload-id {id}")
}

/// The commands that find an upload whose ID is not known, and remove it.
fn find_and_abort(settings: &Settings, key: &str) -> String {
    let bucket = &settings.target.bucket;
    let abort = abort_command(settings, key, "ID");
    format!(
        "aws s3api list-multipart-uploads --bucket {bucket} --prefix {}\n  {abort}",
        shell_word(key)
    )
}

/// The ID of an upload, unless it could do harm in a log or in a shell.
fn shown_id(id: &str) -> Option<&str> {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
    let starts_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_valid = starts_well && id.len() <= MAX_ID && id.bytes().all(is_safe);
    is_valid.then_some(id)
}

/// Text as one word of a command to paste.
fn shell_word(text: &str) -> String {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._+/=-".contains(&byte);
    if text.bytes().all(is_safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_if_it_is_harmless() {
        for id in ["2~abc.DEF_1-2", "QWxh+/8=", &"a".repeat(MAX_ID)] {
            assert_eq!(shown_id(id), Some(id));
        }
        let long = "a".repeat(MAX_ID + 1);
        for id in [
            "",
            "-a",
            "~",
            "a b",
            "a\u{1b}[31m",
            "a\n✔ b",
            "$(id)",
            "`id`",
            "a;b",
            "a'b",
            "ä",
            &long,
        ] {
            assert_eq!(shown_id(id), None, "{id}");
        }
    }

    #[test]
    fn a_key_is_one_word_of_a_command() {
        assert_eq!(shell_word("js/acme-site_2.js"), "js/acme-site_2.js");
        assert_eq!(shell_word("js/a b;id.js"), "'js/a b;id.js'");
        assert_eq!(shell_word("js/it's.js"), r"'js/it'\''s.js'");
    }
}
