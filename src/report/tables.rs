//! Tables for the log: a container's experiments, and what a publish would do.

use std::fmt::Write as _;

use super::console::{Row, Style};
use crate::common::byte_size::ByteSize;
use crate::common::layout::{columns, cut};
use crate::container::object::{Container, Object};
use crate::mojito::experiment::{describe_recipes, BuildInfo, Experiment, Percent, Traffic};
use crate::mojito::script::Script;
use crate::publish::plan::Plan;
use crate::settings::names::s3_uri;
use crate::settings::pipeline::short;

/// The width of the bar that shows a share.
const BAR: usize = 10;

/// How many rows the tables of all containers have together. The result has all.
const MAX_ROWS: usize = 40;
/// How many rows each table may have, however many containers there are.
const MIN_ROWS: usize = 4;
/// How wide the last cell of a row may be, such as one that names all recipes.
pub(super) const MAX_LAST_CELL: usize = 160;
/// Above this many containers, the log has counts instead of a line for each.
pub(crate) const MAX_LISTED: usize = 10;

/// A heading, and a row for each of the first experiments: the ones with most visitors first.
pub(crate) fn experiments(
    container: &Container,
    script: &Script,
    containers: usize,
) -> (String, Vec<Row>) {
    let mut experiments: Vec<&Experiment> = script.experiments.iter().collect();
    let order = |experiment: &Experiment| appearance(&experiment.traffic).0;
    experiments.sort_by(|one, other| order(one).total_cmp(&order(other)));
    let listed = &experiments[..experiments.len().min(max_rows(containers))];
    let shares = listed.iter().map(|it| share(&it.traffic).0.len());
    let widest = shares.max().unwrap_or_default();
    let row = |experiment: &&Experiment| {
        let (share, bar) = share(&experiment.traffic);
        vec![
            appearance(&experiment.traffic).1.to_owned(),
            bar,
            format!("{share:>widest$}"),
            experiment.id.clone(),
            experiment.name.clone(),
            recipes(experiment),
        ]
    };
    let cells: Vec<Vec<String>> = listed.iter().map(row).collect();
    let styles = listed.iter().map(|it| appearance(&it.traffic).2);
    let unlisted = experiments.len() - listed.len();
    let mut heading = format!(
        "container {}: {}",
        container.name,
        counted(script, &experiments)
    );
    if let Some(built) = script.build_info.as_ref().and_then(built) {
        let _ = write!(heading, "\n{built}");
    }
    (heading, rows(cells, styles, unlisted))
}

/// How many rows a table has, one of so many.
pub(super) fn max_rows(tables: usize) -> usize {
    (MAX_ROWS / tables.clamp(1, MAX_LISTED)).max(MIN_ROWS)
}

/// `built 2026-11-24 05:00 UTC from commit 1f2e3d4 with Mojito 2.7.1`. `None` if nothing of it is known.
fn built(info: &BuildInfo) -> Option<String> {
    let commit = info.commit.as_deref().map(short);
    let mojito = info.mojito_version.as_ref();
    let parts = [
        info.built_at(),
        commit.map(|commit| format!("from commit {commit}")),
        mojito.map(|version| format!("with Mojito {version}")),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| format!("built {}", known.join(" ")))
}

/// `2 live, 1 staged`, and how many cannot be read, which may hide others.
fn counted(script: &Script, experiments: &[&Experiment]) -> String {
    let state = |experiment: &Experiment| appearance(&experiment.traffic).1;
    let alike = experiments.chunk_by(|one, other| state(one) == state(other));
    let counts = alike.map(|alike| format!("{} {}", alike.len(), state(alike[0])));
    let unreadable = Some(script.unreadable).filter(|number| *number > 0);
    let unreadable = unreadable.map(|number| format!("{number} unreadable"));
    let counts: Vec<String> = counts.chain(unreadable).collect();
    match &counts[..] {
        [] if script.defines_add_test => "no experiments".to_owned(),
        [] => "no experiments found".to_owned(),
        counts => counts.join(", "),
    }
}

/// The place in the order, the word and the style of an experiment with this traffic.
fn appearance(traffic: &Traffic) -> (f64, &'static str, Style) {
    match traffic {
        Traffic::Live { share } => (1.0 - share, "live", Style::Good),
        Traffic::Diverted { .. } => (2.0, "diverted", Style::Notable),
        Traffic::Dynamic => (3.0, "computed", Style::Notable),
        Traffic::Staged => (4.0, "staged", Style::Plain),
        Traffic::Broken { .. } => (5.0, "broken", Style::Bad),
    }
}

/// The share of the visitors, as text and as a bar. Both are empty if there is none to show.
fn share(traffic: &Traffic) -> (String, String) {
    let (share, text) = match traffic {
        Traffic::Live { share } => (*share, Percent(*share).to_string()),
        Traffic::Diverted { .. } => (1.0, "all".to_owned()),
        Traffic::Staged | Traffic::Dynamic | Traffic::Broken { .. } => return Default::default(),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to 10"
    )]
    let filled = (share * BAR as f64).round() as usize;
    // The bar is empty only at 0%, and full only at 100%.
    let filled = filled.clamp(usize::from(share > 0.0), BAR - usize::from(share < 1.0));
    (text, "█".repeat(filled) + &"░".repeat(BAR - filled))
}

fn recipes(experiment: &Experiment) -> String {
    match &experiment.traffic {
        Traffic::Diverted { recipe } => format!("→ {}", experiment.recipe_name(recipe)),
        Traffic::Dynamic => "only running the container would show who has it".to_owned(),
        Traffic::Broken { reason } => format!("does not run: {reason}"),
        Traffic::Live { .. } | Traffic::Staged => describe_recipes(&experiment.recipes),
    }
}

/// What a publish would do: keys with their sizes, the headers and the invalidations.
pub(crate) fn plan(plan: &Plan) -> Vec<String> {
    let settings = &plan.settings;
    let upload = |object: &Object| {
        let address = s3_uri(&settings.target.bucket, &object.key);
        let (size, compressed) = (object.size, object.compressed_size());
        format!("would upload {address}: {size}, {compressed} compressed")
    };
    let uploads = plan.objects().map(upload);
    let mut lines = first_lines(uploads, "(N more files)");
    lines.push("each with".to_owned());
    lines.push(format!("  Content-Type: {}", Object::CONTENT_TYPE));
    lines.push(format!("  Content-Encoding: {}", Object::CONTENT_ENCODING));
    lines.push(format!("  Cache-Control: {}", settings.cache_control));
    lines.extend(settings.acl.as_ref().map(|acl| format!("  ACL: {acl}")));
    let mut metadata: Vec<_> = settings.build.metadata().into_iter().collect();
    metadata.sort_unstable();
    lines.extend(
        metadata
            .into_iter()
            .map(|(name, value)| format!("  x-amz-meta-{name}: {value}")),
    );
    let (first, others) = match settings.distributions.split_at_checked(MAX_LISTED) {
        Some((first, others)) => (first, others.len()),
        None => (&settings.distributions[..], 0),
    };
    for distribution in first {
        lines.push(format!("would invalidate in {distribution}:"));
        let paths = plan.objects().map(|object| &object.cdn_path);
        let paths = first_lines(paths, "(N more paths)").into_iter();
        lines.extend(paths.map(|path| format!("  {path}")));
    }
    if others > 0 {
        lines.push(format!("and the same in {others} more distributions"));
    }
    let sizes = plan.objects().map(|object| object.compressed_size().0);
    let total = sizes.sum();
    lines.push(format!("{} in all", ByteSize(total)));
    lines
}

/// The first of many lines, up to twice `MAX_LISTED`, as a container has two files. `more` is the line for the others; its `N`
/// stands for their number.
fn first_lines(lines: impl Iterator<Item = impl ToString>, more: &str) -> Vec<String> {
    let mut lines = lines.fuse();
    let first = lines.by_ref().take(2 * MAX_LISTED);
    let mut first: Vec<String> = first.map(|line| line.to_string()).collect();
    let others = lines.count();
    if others > 0 {
        first.push(more.replacen('N', &others.to_string(), 1));
    }
    first
}

/// The rows, and one that counts those that are not listed.
pub(super) fn rows(
    mut cells: Vec<Vec<String>>,
    styles: impl Iterator<Item = Style>,
    unlisted: usize,
) -> Vec<Row> {
    for last in cells.iter_mut().filter_map(|row| row.last_mut()) {
        *last = cut(last, MAX_LAST_CELL);
    }
    let row = |((text, cells), style): ((String, &Vec<String>), Style)| Row {
        style,
        styled_bytes: cells[0].len(),
        text,
    };
    let rows = columns(&cells).into_iter().zip(&cells).zip(styles).map(row);
    let more = (unlisted > 0).then(|| Row {
        style: Style::Plain,
        styled_bytes: 0,
        text: format!("({unlisted} more)"),
    });
    rows.chain(more).collect()
}
