//! The multipart uploads that `check` created and has not aborted, or may have created: nobody sees them, but they stay in the
//! bucket until somebody aborts them.

use crate::aws::error::AwsError;
use crate::aws::Aws;
use crate::report::console::Console;
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
        for Upload { key, id, error } in &self.created {
            let uri = s3_uri(bucket, key);
            let reason = error
                .as_ref()
                .map_or_else(String::new, |it| format!("\n{it}"));
            console.warning(&format!(
                "a multipart upload to {uri}, created to check the key, is still there; visitors do not see it{reason}\n{}",
                remove(settings, key, shown_id(id))
            ));
        }
        for key in &self.possible {
            let uri = s3_uri(bucket, key);
            console.warning(&format!(
                "a multipart upload to {uri} may be left behind, as S3 did not confirm a request; visitors do not see it\n{}",
                remove(settings, key, None)
            ));
        }
    }
}

impl Upload {
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

/// How to find the uploads of a key, and to abort one.
fn remove(settings: &Settings, key: &ObjectKey, id: Option<&str>) -> String {
    let (bucket, key) = (&settings.target.bucket, shell_word(key.as_str()));
    let abort =
        format!("aws s3api abort-multipart-upload --bucket {bucket} --key {key} --upload-id");
    match id {
        Some(id) => format!("remove it with `{abort} {id}`"),
        None => format!(
            "find it with `aws s3api list-multipart-uploads --bucket {bucket} --prefix {key}`,\n\
             and remove it with `{abort} ID`"
        ),
    }
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
