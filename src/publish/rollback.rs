//! Chooses the version of each container that a rollback puts back, and reads it. From then on, a rollback is a publish of what
//! was read.
//!
//! The version is the newest one before the live one that has other content. If the live one was itself put back, the choice
//! goes on before the version that it is a copy of, since what it replaced is what nobody wants back. Only a re-run of the
//! same pipeline run finishes what that run began.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::{join, join3};
use futures_util::stream::{self, StreamExt};
use tokio::time::{timeout, Instant};

use super::choice::{Choice, NoVersion, NotChosen, PrettyLeft, Reason, Shown};
use super::history::{uri_of_version, History, Read, Source, LOOKED_AT_ONCE};
use super::parsers::Parsers;
use crate::aws::error::AwsError;
use crate::aws::error_kind::AwsErrorKind;
use crate::aws::preconnect::Wanted;
use crate::aws::versions::{self, stored_of_get, NULL_VERSION};
use crate::aws::Aws;
use crate::common::byte_size::ByteSize;
use crate::container::object::{Container, Object};
use crate::container::served::ServedContainer;
use crate::container::stored::{Restored, Stored};
use crate::container::{validate, InvalidFile};
use crate::mojito::script::Script;
use crate::settings::names::{s3_uri, ContainerName, ObjectKey, Variant};
use crate::settings::pipeline::Build;
use crate::settings::rollback_to::RollbackTo;
use crate::settings::Settings;

/// How many containers are chosen for at the same time.
const MAX_CONCURRENT: usize = 8;

/// How many versions with the content of the live one are read before one with other content.
const MAX_READ: usize = 20;

/// How long looking at versions that are only shown may take.
const SHOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long listing, looking and reading may take for a container.
const CHOICE_TIMEOUT: Duration = Duration::from_mins(2);

/// The same for all containers. What is not read by then is an error, so nothing is put back.
const CHOICES_TIMEOUT: Duration = Duration::from_mins(10);

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
    let end = Instant::now() + CHOICES_TIMEOUT;
    let of_container = async |name: &ContainerName| {
        let choosing = Choosing::new(aws, settings, parsers, name, end);
        choosing.choose().await.map_err(|reason| NotChosen {
            uri: s3_uri(&settings.target.bucket, &choosing.key),
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

/// The ID of the version of a container that a rollback would put back.
pub(super) async fn chosen(
    aws: &Aws,
    settings: &Settings,
    parsers: &Parsers,
    name: &ContainerName,
) -> Result<String, NoVersion> {
    let end = Instant::now() + CHOICE_TIMEOUT;
    let choosing = Choosing::new(aws, settings, parsers, name, end);
    Ok(choosing.listed(None).await?.chosen.id)
}

/// The choice for a container.
struct Choosing<'a> {
    source: Source<'a>,
    parsers: &'a Parsers,
    name: &'a ContainerName,
    key: ObjectKey,
    pretty_key: ObjectKey,
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
}

/// A version by its number in the list, and what was read of it, if it was.
struct Picked {
    at: usize,
    reason: Reason,
    read: Option<Read>,
}

impl<'a> Choosing<'a> {
    fn new(
        aws: &'a Aws,
        settings: &'a Settings,
        parsers: &'a Parsers,
        name: &'a ContainerName,
        end: Instant,
    ) -> Self {
        let key =
            |variant: Variant| ObjectKey::new(&settings.target.prefix, &variant.file_name(name));
        Self {
            source: Source {
                aws,
                settings,
                deadline: end.min(Instant::now() + CHOICE_TIMEOUT),
            },
            parsers,
            name,
            key: key(Variant::Minified),
            pretty_key: key(Variant::Pretty),
        }
    }

    async fn choose(&self) -> Result<Choice, NoVersion> {
        let settings = self.source.settings;
        let Found {
            chosen,
            live,
            live_content,
            shown,
            unshown,
            reason,
        } = match &settings.rollback {
            Some(RollbackTo::Version(id)) => self.named(id).await?,
            Some(RollbackTo::Build(number)) => self.listed(Some(*number)).await?,
            Some(RollbackTo::Previous) | None => self.listed(None).await?,
        };
        let path = PathBuf::from(uri_of_version(settings, &self.key, Some(&chosen.id)));
        let parsed = self.parse(&path, &chosen).await;
        let invalid = |problem| {
            NoVersion::Invalid(InvalidFile {
                path,
                problem,
                line: None,
                place: None,
            })
        };
        let (script, size) = parsed.map_err(invalid)?;
        let (pretty, pretty_left) = match settings.variants() {
            [Variant::Pretty, ..] => match self.pretty(&chosen.stored).await {
                Ok(pretty) => (Some(pretty), None),
                Err(reason) => (None, Some(reason)),
            },
            _ => (None, None),
        };
        let (pretty, pretty_script) = pretty.unzip();
        let is_suspended = live.0.as_deref() == Some(NULL_VERSION);
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
        let Source {
            aws,
            settings,
            deadline,
        } = self.source;
        let live = versions::get_live(&aws.s3, settings, &self.key, deadline);
        let (chosen, live) = join(self.source.read(&self.key, id, None), live).await;
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
                let served = self.source.served(&self.key, id.as_deref(), &stored, body);
                ((id, output.e_tag().map(str::to_owned)), Some(served))
            }
            // Without permission to list the bucket, S3 denies what does not exist. If it does, it is not replaced.
            Err(error) if is_absent(&error) => ((None, None), None),
            Err(error) => return Err(NoVersion::Aws(error)),
        };
        Ok(Found {
            chosen,
            live,
            live_content,
            shown: Vec::new(),
            unshown: 0,
            reason: Reason::Named,
        })
    }

    /// The newest version of a build, or else the one before the live one.
    async fn listed(&self, build: Option<u64>) -> Result<Found, NoVersion> {
        let mut history = self.source.history(&self.key).await?;
        let Some(live) = history.list.first().cloned() else {
            return Err(NoVersion::NothingStored);
        };
        // Most often, it is the version that is put back.
        let likely = (1..history.list.len()).find(|at| {
            let version = &history.list[*at];
            build.is_none() && !version.is_delete_marker && version.etag != live.etag
        });
        let read = async |at: Option<usize>| match at {
            Some(at) => Some(history.read(at).await),
            None => None,
        };
        let live_at = (!live.is_delete_marker).then_some(0);
        // They are only shown, unless a build is looked for, which then looks at them again.
        let others = history.look((1..LOOKED_AT_ONCE).filter(|at| Some(*at) != likely));
        let others = timeout(SHOWN_TIMEOUT, others);
        let (live_read, likely_read, others) = join3(read(live_at), read(likely), others).await;
        history.remember(others.ok().and_then(Result::ok).into_iter().flatten());
        let likely_read = likely_read.transpose().ok().flatten();
        let live_read = match live_read {
            Some(Ok(live_read)) => Some(live_read),
            // It may be whatever broke the site, such as something that is too large. Whether it was put back is in its metadata.
            Some(Err(error)) => {
                let denied = error.kind == AwsErrorKind::AccessDenied;
                let Some(found) = history.look([0]).await.ok().filter(|_| !denied) else {
                    return Err(error.into());
                };
                history.remember(found);
                None
            }
            None => None,
        };
        let known = [(Some(0), &live_read), (likely, &likely_read)];
        let known = known.into_iter();
        history.remember(known.filter_map(|(at, read)| Some((at?, read.as_ref()?.stored.clone()))));
        let picked = if let Some(build) = build {
            of_build(build, &mut history).await?
        } else {
            let likely = likely.zip(likely_read);
            self.previous(&history, live_read.as_ref(), likely).await?
        };
        let chosen = match picked.read {
            Some(read) => read,
            None => history.read(picked.at).await?,
        };
        let (shown, unshown) = history.shown(picked.at);
        Ok(Found {
            shown,
            unshown,
            live: (Some(live.id), live.etag),
            live_content: live_read.map(|live| live.served),
            chosen,
            reason: picked.reason,
        })
    }

    /// The newest version before the live one that has other content.
    async fn previous(
        &self,
        history: &History<'_>,
        live: Option<&Read>,
        mut likely: Option<(usize, Read)>,
    ) -> Result<Picked, NoVersion> {
        let list = &history.list;
        let restored_from = history.stored(0).and_then(Stored::restored_from);
        let (start, reason) = match (history.stored(0), restored_from) {
            (Some(stored), _) if stored.is_restored_by(&self.source.settings.build) => {
                return Ok(Picked {
                    at: 0,
                    reason: Reason::SameRun,
                    read: None,
                });
            }
            (_, Some(from)) => match list.iter().position(|it| it.id == from) {
                Some(at) => (at + 1, Reason::BeforeRestored),
                None => return Err(NoVersion::NothingBeforeRestored(from.to_owned())),
            },
            _ if list[0].is_delete_marker => (1, Reason::BeforeDeletion),
            _ => (1, Reason::BeforeLive),
        };
        let mut earlier = (start..list.len()).filter(|at| !list[*at].is_delete_marker);
        let mut earlier = earlier.by_ref().peekable();
        if earlier.peek().is_none() {
            return Err(match restored_from {
                Some(from) => NoVersion::NothingBeforeRestored(from.to_owned()),
                None if list[0].id == NULL_VERSION => NoVersion::NotVersioned,
                None => NoVersion::OnlyVersion,
            });
        }
        let others = earlier.filter(|at| list[*at].etag != list[0].etag);
        for at in others.take(MAX_READ) {
            let read = match likely.take_if(|(likely, _)| *likely == at) {
                Some((_, read)) => read,
                None => match history.read(at).await {
                    Err(error) if error.code.as_deref() == Some("NoSuchVersion") => continue,
                    read => read?,
                },
            };
            if !live.is_some_and(|live| has_same_content(&live.served, &read.served)) {
                return Ok(Picked {
                    at,
                    reason,
                    read: Some(read),
                });
            }
        }
        Err(NoVersion::SameContent)
    }

    /// `NAME.pretty.js` of the same build as the chosen version of `NAME.js`.
    async fn pretty(&self, chosen: &Stored) -> Result<(Object, Option<Script>), PrettyLeft> {
        let mut history = self.source.history(&self.pretty_key).await?;
        let is_same = |it: &Stored| it.is_of_same_build(chosen, Object::CALLER_REFERENCE);
        let Some(at) = history.find(is_same).await? else {
            return Err(PrettyLeft::NoneOfBuild);
        };
        let read = history.read(at).await?;
        let uri = uri_of_version(self.source.settings, &self.pretty_key, Some(&read.id));
        let parsed = self.parse(Path::new(&uri), &read).await;
        let (script, size) = parsed.map_err(PrettyLeft::Invalid)?;
        let live = &history.list[0];
        let live = (Some(live.id.clone()), live.etag.clone());
        Ok((self.object(Variant::Pretty, read, live, size), script))
    }

    /// The script if `VALIDATE` is on, and the size before compression. Parsing may take seconds.
    async fn parse(&self, path: &Path, read: &Read) -> Result<(Option<Script>, ByteSize), String> {
        let (served, name, path) = (read.served.clone(), self.name.clone(), path.to_owned());
        let validates = self.source.settings.validate;
        let parse = move || {
            let text = served.text();
            let size = text.as_ref().map_or(served.body.len(), String::len);
            let script = match (validates, text) {
                (false, _) => None,
                (true, text) => {
                    let script = validate::validate(&path, &text?, &name);
                    Some(script.map_err(|problem| problem.text)?)
                }
            };
            Ok((script, ByteSize(size as u64)))
        };
        self.parsers.run(parse).await
    }

    fn object(&self, variant: Variant, read: Read, live: Live, size: ByteSize) -> Object {
        let Settings { target, build, .. } = self.source.settings;
        let restored = Restored::new(read.stored, &read.id, read.modified, live, build);
        let prefixes = (&target.prefix, &target.cdn_prefix);
        Object::restored(
            self.name,
            variant,
            prefixes,
            size,
            read.served.body,
            restored,
        )
    }
}

/// The newest version of a build.
async fn of_build(build: u64, history: &mut History<'_>) -> Result<Picked, NoVersion> {
    let found = history.find(|it| it.build_number() == Some(build)).await?;
    let at = found.ok_or(NoVersion::NoSuchBuild {
        build,
        looked_at: history.searched(),
        has_more: history.has_unsearched(),
    })?;
    Ok(Picked {
        at,
        reason: Reason::Named,
        read: None,
    })
}

/// `ONLY_NEWER` stores the same script in other bytes, and a customer managed key gives the same bytes other `ETag`s.
fn has_same_content(one: &ServedContainer, other: &ServedContainer) -> bool {
    match (one.text(), other.text()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.body == other.body,
    }
}

fn is_absent(error: &AwsError) -> bool {
    matches!(
        error.kind,
        AwsErrorKind::NoSuchKey | AwsErrorKind::AccessDenied
    )
}
