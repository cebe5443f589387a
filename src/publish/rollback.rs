//! Chooses the version of each container that a rollback puts back, and reads it. From then on, a rollback is a publish of what
//! was read.
//!
//! The version is the newest one before the live one that has other content. If the live one was itself put back, the choice
//! goes on before the version that it is a copy of, since what it replaced is what nobody wants back. Only a re-run of the
//! same pipeline run finishes what that run began.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::parsers::Parsers;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::preconnect::Wanted;
use crate::aws::versions::{self, stored_of_get, stored_of_head, Version, Versions, NULL_VERSION};
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::object::{Container, Object};
use crate::container::served::ServedContainer;
use crate::container::stored::{Restored, Stored};
use crate::container::{validate, InvalidFile, MAX_FILE};
use crate::settings::names::{s3_uri, ContainerName, ObjectKey, Variant};
use crate::settings::pipeline::Build;
use crate::settings::rollback_to::RollbackTo;
use crate::settings::Settings;

/// How many containers are chosen for at the same time.
const MAX_CONCURRENT: usize = 8;

/// How many of the newest versions are looked at first, at the same time, and shown. Each takes a connection.
const LOOKED_AT_ONCE: usize = 6;

/// How many versions are looked at for a build number.
const MAX_LOOKED_AT: usize = 300;

/// How many versions are listed. Whoever wants an older one back names it by its ID.
const MAX_LISTED: usize = 1_000;

/// How many versions with the content of the live one are read before one with other content.
const MAX_READ: usize = 20;

/// How long listing, looking and reading may take for a container.
const CHOICE_TIMEOUT: Duration = Duration::from_mins(2);

/// A version that is put back, with how it was chosen.
pub(crate) struct Choice {
    pub(crate) container: Container,
    /// What is live, unless it is deleted or cannot be read.
    pub(crate) live: Option<ServedContainer>,
    /// The newest versions of `NAME.js`. Empty if it was named by its ID.
    pub(crate) shown: Vec<Shown>,
    /// How many older ones there are.
    pub(crate) unshown: usize,
    pub(crate) reason: Reason,
    /// Whether what is replaced is not kept, as the bucket's versioning is suspended.
    pub(crate) is_suspended: bool,
    /// Why `NAME.pretty.js` stays as it is, although it is published.
    pub(crate) pretty_left: Option<PrettyLeft>,
}

/// A version in the list of a choice.
pub(crate) struct Shown {
    pub(crate) version: Version,
    /// `None` if it was not looked at.
    pub(crate) stored: Option<Stored>,
    pub(crate) is_chosen: bool,
}

/// Why a version was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    BeforeLive,
    /// The live one is a delete marker.
    BeforeDeletion,
    /// The live one was put back by an earlier rollback.
    BeforeRestored,
    /// This pipeline run has put it back before.
    SameRun,
    Named,
}

/// Why there is no version to put back.
pub(crate) enum NoVersion {
    Aws(AwsError),
    /// Nothing is stored at the key.
    NothingStored,
    /// The only version is from before versioning.
    NotVersioned,
    /// Nothing was stored before the live one, as far as S3 keeps it.
    OnlyVersion,
    /// All that S3 keeps has the content of the live one.
    SameContent,
    /// The live one was put back, and nothing is kept from before the version that it is a copy of.
    NothingBeforeRestored(String),
    /// With how many versions were looked at, and whether there are more.
    NoSuchBuild(u64, usize, bool),
    NoSuchVersion(String),
    Invalid(InvalidFile),
}

/// Why `NAME.pretty.js` is not put back.
pub(crate) enum PrettyLeft {
    Aws(AwsError),
    /// S3 keeps no version of the same build.
    NoneOfBuild,
    Invalid(String),
}

/// The container, or its file, for which there is no version.
pub(crate) struct NotChosen {
    pub(crate) uri: String,
    pub(crate) reason: NoVersion,
}

impl From<AwsError> for NoVersion {
    fn from(error: AwsError) -> Self {
        Self::Aws(error)
    }
}

/// The connections to S3 that a rollback with these settings needs.
pub(crate) fn connections(settings: &Settings) -> Wanted {
    let reads = match settings.rollback {
        Some(RollbackTo::Version(_)) => 1,
        _ => LOOKED_AT_ONCE - 1,
    };
    Wanted { uploads: 1, reads }
}

/// Chooses and reads a version of each container. Nothing is put back unless there is one for all.
pub(crate) async fn choose(aws: &Aws, settings: &Settings) -> Result<Vec<Choice>, Vec<NotChosen>> {
    let parsers = &Parsers::new();
    let of_container = async |name: &ContainerName| {
        let choosing = Choosing {
            aws,
            settings,
            parsers,
            name,
            deadline: Instant::now() + CHOICE_TIMEOUT,
        };
        choosing.choose().await.map_err(|reason| NotChosen {
            uri: s3_uri(&settings.target.bucket, &choosing.key(Variant::Minified)),
            reason,
        })
    };
    let chosen = stream::iter(&settings.target.containers).map(of_container);
    let chosen: Vec<_> = chosen.buffered(MAX_CONCURRENT).collect().await;
    let (mut choices, mut problems) = (Vec::new(), Vec::new());
    for result in chosen {
        match result {
            Ok(choice) => choices.push(choice),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(choices)
    } else {
        Err(problems)
    }
}

/// The choice for a container.
struct Choosing<'a> {
    aws: &'a Aws,
    settings: &'a Settings,
    parsers: &'a Parsers,
    name: &'a ContainerName,
    deadline: Instant,
}

/// A version that was read.
struct Read {
    id: String,
    modified: Option<std::time::SystemTime>,
    stored: Stored,
    served: ServedContainer,
}

impl Read {
    fn body(&self) -> Bytes {
        self.served.body.clone()
    }
}

/// What is replaced: its version, and its `ETag` unless it is deleted.
type Live = (Option<String>, Option<String>);

/// The chosen version, with what is live and how it was found.
struct Found {
    chosen: Read,
    live: Live,
    live_content: Option<ServedContainer>,
    shown: Vec<Shown>,
    unshown: usize,
    reason: Reason,
    is_suspended: bool,
}

impl Choosing<'_> {
    fn key(&self, variant: Variant) -> ObjectKey {
        let target = &self.settings.target;
        ObjectKey::new(&target.prefix, &variant.file_name(self.name))
    }

    async fn choose(&self) -> Result<Choice, NoVersion> {
        let found = match &self.settings.rollback {
            Some(RollbackTo::Version(id)) => self.named(id).await?,
            Some(RollbackTo::Build(number)) => self.listed(Some(*number)).await?,
            Some(RollbackTo::Previous) | None => self.listed(None).await?,
        };
        let Found {
            chosen,
            live,
            live_content,
            shown,
            unshown,
            reason,
            is_suspended,
        } = found;
        let uri = s3_uri(&self.settings.target.bucket, &self.key(Variant::Minified));
        let path = PathBuf::from(format!("{uri}?versionId={}", chosen.id));
        let (script, size) = match self.parse(&path, &chosen).await {
            Ok(parsed) => parsed,
            Err(problem) => return Err(NoVersion::Invalid(InvalidFile { path, problem })),
        };
        let (pretty, pretty_left) = match self.settings.variants() {
            [Variant::Pretty, ..] => match self.pretty(&chosen.stored).await {
                Ok(pretty) => (Some(pretty), None),
                Err(reason) => (None, Some(reason)),
            },
            _ => (None, None),
        };
        let (pretty, pretty_script) = pretty.unzip();
        let object = self.object(Variant::Minified, chosen, live, size);
        let scripts: Vec<_> = pretty_script.flatten().into_iter().chain(script).collect();
        Ok(Choice {
            container: Container {
                name: self.name.clone(),
                objects: pretty.into_iter().chain([object]).collect(),
                // It need not be of this pipeline's commit.
                warnings: validate::warnings(self.name, &scripts, &Build::default()),
                script: scripts.into_iter().next_back(),
            },
            live: live_content,
            shown,
            unshown,
            reason,
            is_suspended,
            pretty_left,
        })
    }

    /// The version with this ID. No listing is needed.
    async fn named(&self, id: &str) -> Result<Found, NoVersion> {
        let (client, key) = (&self.aws.s3, self.key(Variant::Minified));
        let live = versions::get_live(client, self.settings, &key, self.deadline);
        let (chosen, live) = join(self.read(&key, id, None), live).await;
        let chosen = chosen.map_err(|error| match error.code.as_deref() {
            Some("NoSuchVersion" | "NoSuchKey" | "InvalidArgument" | "MethodNotAllowed") => {
                NoVersion::NoSuchVersion(id.to_owned())
            }
            _ => NoVersion::Aws(error),
        })?;
        let (live, live_content) = match live {
            Ok((output, body)) => {
                let id = output.version_id().map(str::to_owned);
                let stored = stored_of_get(&output);
                let served = self.served(&key, id.as_deref(), &stored, body);
                ((id, output.e_tag().map(str::to_owned)), Some(served))
            }
            // Without permission to list the bucket, S3 denies what does not exist. If it does, it is not replaced.
            Err(error) if is_absent(&error) => ((None, None), None),
            Err(error) => return Err(NoVersion::Aws(error)),
        };
        let is_suspended = live.0.as_deref() == Some(NULL_VERSION);
        Ok(Found {
            chosen,
            live,
            live_content,
            shown: Vec::new(),
            unshown: 0,
            reason: Reason::Named,
            is_suspended,
        })
    }

    /// The newest version of a build, or else the one before the live one.
    async fn listed(&self, build: Option<u64>) -> Result<Found, NoVersion> {
        let key = self.key(Variant::Minified);
        let list = versions::list(&self.aws.s3, self.settings, &key, MAX_LISTED, self.deadline);
        let Versions { list, has_more } = list.await?;
        let Some(live) = list.first() else {
            return Err(NoVersion::NothingStored);
        };
        let mut looked = BTreeMap::new();
        let read_live = async {
            if live.is_delete_marker {
                return Ok(None);
            }
            let read = self.read(&key, &live.id, live.modified).await;
            read.map(Some)
        };
        let others = self.look(&key, &list, 1..LOOKED_AT_ONCE, &mut looked);
        let (live_read, others) = join(read_live, others).await;
        others?;
        let live_read = match live_read {
            Ok(live_read) => live_read,
            // It may be whatever broke the site, such as something that is too large. Whether it was put back is in its metadata.
            Err(error) => {
                let denied = error.kind == AwsErrorKind::AccessDenied;
                let looking = self.look(&key, &list, [0], &mut looked);
                if denied || looking.await.is_err() {
                    return Err(error.into());
                }
                None
            }
        };
        if let Some(live_read) = &live_read {
            looked.insert(0, live_read.stored.clone());
        }
        let (at, reason, chosen) = match build {
            Some(number) => {
                let at = self
                    .of_build(number, &key, &list, has_more, &mut looked)
                    .await?;
                (at, Reason::Named, None)
            }
            None => {
                let live = (looked.get(&0), live_read.as_ref());
                self.previous(&key, &list, live).await?
            }
        };
        let chosen = match (chosen, at, live_read.as_ref()) {
            (Some(chosen), ..) => chosen,
            (None, 0, Some(live)) => Read {
                id: live.id.clone(),
                modified: live.modified,
                stored: live.stored.clone(),
                served: live.served.clone(),
            },
            _ => self.read(&key, &list[at].id, list[at].modified).await?,
        };
        let is_suspended = live.id == NULL_VERSION;
        let (live_id, live_etag) = (live.id.clone(), live.etag.clone());
        let shown: BTreeSet<usize> = (0..list.len().min(LOOKED_AT_ONCE)).chain([at]).collect();
        let unshown = list.len() - shown.len();
        let shown = shown.into_iter().map(|number| Shown {
            version: list[number].clone(),
            stored: looked.remove(&number),
            is_chosen: number == at,
        });
        Ok(Found {
            shown: shown.collect(),
            unshown,
            live: (Some(live_id), live_etag),
            live_content: live_read.map(|live| live.served),
            chosen,
            reason,
            is_suspended,
        })
    }

    /// Looks at these versions that are not yet looked at, at the same time.
    async fn look(
        &self,
        key: &ObjectKey,
        list: &[Version],
        which: impl IntoIterator<Item = usize>,
        looked: &mut BTreeMap<usize, Stored>,
    ) -> Result<(), AwsError> {
        let is_new = |number: &usize| {
            let version = list.get(*number);
            version.is_some_and(|it| !it.is_delete_marker) && !looked.contains_key(number)
        };
        let which: Vec<usize> = which.into_iter().filter(is_new).collect();
        let heads = which.iter().map(async |&number| {
            let (client, id) = (&self.aws.s3, &list[number].id);
            versions::head(client, self.settings, key, id, self.deadline).await
        });
        for (number, head) in which.iter().zip(join_all(heads).await) {
            match head {
                Ok(head) => {
                    looked.insert(*number, stored_of_head(&head));
                }
                // A lifecycle rule may have removed it since.
                Err(error) if error.kind == AwsErrorKind::NoSuchKey => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The number of the newest version of a build.
    async fn of_build(
        &self,
        number: u64,
        key: &ObjectKey,
        list: &[Version],
        has_more: bool,
        looked: &mut BTreeMap<usize, Stored>,
    ) -> Result<usize, NoVersion> {
        let end = list.len().min(MAX_LOOKED_AT);
        for start in (0..end).step_by(LOOKED_AT_ONCE) {
            let batch = start..(start + LOOKED_AT_ONCE).min(end);
            self.look(key, list, batch.clone(), looked).await?;
            let is_of_build = |at: &usize| {
                looked
                    .get(at)
                    .is_some_and(|it| it.build_number() == Some(number))
            };
            if let Some(at) = batch.into_iter().find(is_of_build) {
                return Ok(at);
            }
        }
        let has_more = has_more || list.len() > end;
        Err(NoVersion::NoSuchBuild(number, end, has_more))
    }

    /// The number of the newest version before the live one that has other content, why it is chosen, and it if it was read.
    async fn previous(
        &self,
        key: &ObjectKey,
        list: &[Version],
        (live_stored, live): (Option<&Stored>, Option<&Read>),
    ) -> Result<(usize, Reason, Option<Read>), NoVersion> {
        let (start, reason) = match live_stored {
            None if list[0].is_delete_marker => (1, Reason::BeforeDeletion),
            Some(live) if live.is_restored_by(&self.settings.build) => {
                return Ok((0, Reason::SameRun, None));
            }
            Some(live) => match live.restored_from() {
                None => (1, Reason::BeforeLive),
                Some(from) => match list.iter().position(|it| it.id == from) {
                    Some(at) => (at + 1, Reason::BeforeRestored),
                    None => return Err(NoVersion::NothingBeforeRestored(from.to_owned())),
                },
            },
            None => (1, Reason::BeforeLive),
        };
        let earlier = list.iter().enumerate().skip(start);
        let earlier = earlier.filter(|(_, it)| !it.is_delete_marker);
        let mut earlier = earlier.peekable();
        if earlier.peek().is_none() {
            return Err(match live_stored.and_then(Stored::restored_from) {
                Some(from) => NoVersion::NothingBeforeRestored(from.to_owned()),
                None if list[0].id == NULL_VERSION => NoVersion::NotVersioned,
                None => NoVersion::OnlyVersion,
            });
        }
        let live_text = live.map(|live| live.served.text());
        let others = earlier.filter(|(_, it)| it.etag.is_none() || it.etag != list[0].etag);
        for (at, version) in others.take(MAX_READ) {
            let read = match self.read(key, &version.id, version.modified).await {
                Err(error) if error.code.as_deref() == Some("NoSuchVersion") => continue,
                read => read?,
            };
            // `ONLY_NEWER` stores the same script in other bytes, and a customer managed key gives the same bytes other ETags.
            let is_same = match (&live_text, read.served.text()) {
                (Some(Ok(live)), Ok(text)) => *live == text,
                _ => live.is_some_and(|live| live.served.body == read.served.body),
            };
            if !is_same {
                return Ok((at, reason, Some(read)));
            }
        }
        Err(NoVersion::SameContent)
    }

    /// `NAME.pretty.js` of the same build as the chosen version of `NAME.js`.
    async fn pretty(
        &self,
        chosen: &Stored,
    ) -> Result<(Object, Option<crate::mojito::script::Script>), PrettyLeft> {
        let key = self.key(Variant::Pretty);
        let list = versions::list(&self.aws.s3, self.settings, &key, MAX_LISTED, self.deadline);
        let list = list.await.map_err(PrettyLeft::Aws)?.list;
        let mut looked = BTreeMap::new();
        let end = list.len().min(MAX_LOOKED_AT);
        for start in (0..end).step_by(LOOKED_AT_ONCE) {
            let batch = start..(start + LOOKED_AT_ONCE).min(end);
            let looking = self.look(&key, &list, batch.clone(), &mut looked);
            looking.await.map_err(PrettyLeft::Aws)?;
            let is_same = |at: &usize| {
                let stored = looked.get(at);
                stored.is_some_and(|it| it.is_of_same_build(chosen, Object::CALLER_REFERENCE))
            };
            let Some(at) = batch.into_iter().find(is_same) else {
                continue;
            };
            let read = self.read(&key, &list[at].id, list[at].modified).await;
            let read = read.map_err(PrettyLeft::Aws)?;
            let uri = s3_uri(&self.settings.target.bucket, &key);
            let path = PathBuf::from(format!("{uri}?versionId={}", read.id));
            let parsed = self.parse(&path, &read).await;
            let (script, size) = parsed.map_err(PrettyLeft::Invalid)?;
            let live = (Some(list[0].id.clone()), list[0].etag.clone());
            return Ok((self.object(Variant::Pretty, read, live, size), script));
        }
        Err(PrettyLeft::NoneOfBuild)
    }

    async fn read(
        &self,
        key: &ObjectKey,
        id: &str,
        modified: Option<std::time::SystemTime>,
    ) -> Result<Read, AwsError> {
        let read = versions::get(&self.aws.s3, self.settings, key, id, self.deadline);
        let (output, body) = read.await?;
        let stored = stored_of_get(&output);
        let of_output = output.last_modified().copied();
        let of_output = of_output.and_then(|time| time.try_into().ok());
        Ok(Read {
            id: id.to_owned(),
            modified: modified.or(of_output),
            served: self.served(key, Some(id), &stored, body),
            stored,
        })
    }

    fn served(
        &self,
        key: &ObjectKey,
        id: Option<&str>,
        stored: &Stored,
        body: Bytes,
    ) -> ServedContainer {
        let uri = s3_uri(&self.settings.target.bucket, key);
        let uri = match id {
            Some(id) => format!("{uri}?versionId={id}"),
            None => uri,
        };
        let headers = [
            ("content-type", &stored.content_type),
            ("content-encoding", &stored.content_encoding),
            ("cache-control", &stored.cache_control),
        ];
        let headers = headers.into_iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.to_owned(), value.as_deref()?)));
        let metadata = stored.metadata.iter();
        let metadata = metadata.map(|(name, value)| (format!("x-amz-meta-{name}"), value.as_str()));
        let headers: Vec<(String, &str)> = headers.chain(metadata).collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
        ServedContainer::new(&uri, headers, body, MAX_FILE)
    }

    /// The script if `VALIDATE` is on, and the size before compression. Parsing may take seconds.
    async fn parse(
        &self,
        path: &std::path::Path,
        read: &Read,
    ) -> Result<(Option<crate::mojito::script::Script>, ByteSize), String> {
        let (served, name, path) = (read.served.clone(), self.name.clone(), path.to_owned());
        let validates = self.settings.validate;
        let parse = move || {
            let text = served.text();
            let size = text.as_ref().map_or(served.body.len(), String::len);
            let script = match (validates, text) {
                (false, _) => None,
                (true, Ok(text)) => Some(validate::validate(&path, &text, &name)?),
                (true, Err(problem)) => return Err(problem),
            };
            Ok((script, ByteSize(size as u64)))
        };
        self.parsers.run(parse).await
    }

    fn object(&self, variant: Variant, read: Read, live: Live, size: ByteSize) -> Object {
        let target = &self.settings.target;
        let body = read.body();
        let restored = Restored::new(
            read.stored,
            &read.id,
            read.modified,
            live,
            &self.settings.build,
        );
        let prefixes = (&target.prefix, &target.cdn_prefix);
        Object::restored(self.name, variant, prefixes, size, body, restored)
    }
}

fn is_absent(error: &AwsError) -> bool {
    matches!(
        error.kind,
        AwsErrorKind::NoSuchKey | AwsErrorKind::AccessDenied
    )
}
