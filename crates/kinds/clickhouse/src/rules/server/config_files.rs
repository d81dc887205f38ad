//! The files under config.d and users.d that a host needs.

use formats::xml;
use plan::{Refusal, Unknown};
use protocol::facts::FileQuery;
use protocol::{DirectoryState, FileState, Operation, Text};
use types::HostName;

use super::config_xml::root;
use super::own_file::OwnFile;
use super::shape::{Shape, at};
use super::{files, macros};
use crate::observe::server::queries;
use crate::observe::view::{Member, View};
use crate::rules::coordination::ids::Ids;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::file_change::Stop;
use crate::settings::Settings;
use kit::{Cx, QUICK, Task, action};

/// The part of the task that writes the users.
pub(crate) const USERS: &str = "users";

/// The tasks that write a host's files.
pub(crate) fn tasks(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Vec<Task>, Stop> {
    let (view, settings) = (quorum.view, quorum.view.settings);
    let root = root(view, host)?;
    if let Some(refusal) = view.member(host).and_then(|member| macros::refusal(view, member)) {
        return Err(refusal.into());
    }
    if let Some(refusal) = view
        .member(host)
        .and_then(|member| several_shards(settings, member))
    {
        return Err(refusal.into());
    }
    let files = [
        (
            "clusters",
            files::clusters(settings, root),
            Shape::clusters(settings),
        ),
        (
            "macros",
            files::macros(settings, root, host),
            Shape::macros(settings, host),
        ),
        ("keeper", keeper(quorum, host)?, Shape::keeper()),
        (
            "settings",
            files::listen(settings, root, host, interserver(view, host)?.as_deref()),
            Shape::settings(),
        ),
    ];
    let mut tasks = Vec::new();
    tasks.extend(make_directory(view, host, &settings.config_d())?);
    for (name, text, shape) in files {
        let query = queries::config_file(settings, name);
        let file = OwnFile {
            query: &query,
            text,
            shape,
            owner: None,
        };
        tasks.extend(file.plan(view, host, cx)?.map(|task| task.part(name)));
    }
    if let Some(query) = queries::users_file(settings)
        && !is_user_known(view, host, &query)?
    {
        tasks.extend(make_directory(view, host, &settings.users_d())?);
        let file = OwnFile {
            query: &query,
            text: files::users(settings, root),
            shape: Shape::users(settings),
            owner: settings.password.as_ref().map(|_| "clickhouse"),
        };
        tasks.extend(file.plan(view, host, cx)?.map(|task| task.part(USERS)));
    }
    Ok(tasks)
}

/// The name that others fetch a host's data from: the one that our file has; else the host's, where its server is not of the
/// cluster yet. What a cluster replicates by is left as it is.
fn interserver(view: &View<'_>, host: &HostName) -> Result<Option<String>, Unknown> {
    let settings = view.settings;
    let file = view
        .facts
        .get(host, &queries::config_file(settings, "settings"))?;
    let ours = file.text().and_then(|text| xml::parse(text.as_str()).ok());
    if let Some(ours) = ours {
        return Ok(ours.text_at(&[files::INTERSERVER]).map(str::to_owned));
    }
    let merged = view.member(host).and_then(|member| member.merged.as_ref());
    let never_ran = || {
        let file = view.facts.get(host, &queries::merged_config(settings));
        file.is_ok_and(|file| file.state() == FileState::Absent)
    };
    let is_new = merged.map_or_else(never_ran, |merged| {
        let cluster = format!("remote_servers/{}", settings.cluster);
        at(merged, &cluster).is_none() && merged.child(files::INTERSERVER).is_none()
    });
    Ok(is_new.then(|| host.to_string()))
}

/// Whether our file would only repeat what another one says: it does not exist, and the server lets the user in with the
/// password.
fn is_user_known(view: &View<'_>, host: &HostName, query: &FileQuery) -> Result<bool, Unknown> {
    let is_absent = view.facts.get(host, query)?.state() == FileState::Absent;
    let live = view.member(host).and_then(|member| member.server.up());
    let is_let_in = live.is_some_and(|live| live.at.account.is_some());
    Ok(is_absent && is_let_in && !view.settings.restrict_default_user)
}

/// The task that writes the file of a Keeper that is departing. It learns of the joining ones as well: it may be the leader,
/// which takes them in when its own file names them.
pub(crate) fn keeper_task(quorum: &Quorum<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Stop> {
    let query = queries::config_file(quorum.view.settings, "keeper");
    let file = OwnFile {
        query: &query,
        text: keeper(quorum, host)?,
        shape: Shape::keeper(),
        owner: None,
    };
    let task = file.plan(quorum.view, host, cx)?;
    Ok(task.map(|task| task.part("keeper")))
}

/// The text of keeper.xml as it should be.
pub(crate) fn keeper(quorum: &Quorum<'_>, host: &HostName) -> Result<Text, Stop> {
    let root = root(quorum.view, host)?;
    let ids = Ids::find(quorum.view, &quorum.membership.voters)?;
    Ok(files::keeper(
        quorum.view.settings,
        &quorum.membership,
        root,
        host,
        &ids,
        quorum
            .view
            .member(host)
            .and_then(|member| member.on_disk.as_ref()),
    ))
}

/// One shard is what the files here can say: a cluster that has more would lose all but one.
fn several_shards(settings: &Settings, member: &Member<'_>) -> Option<Refusal> {
    let cluster = &settings.cluster;
    let merged = at(member.merged.as_ref()?, &format!("remote_servers/{cluster}"));
    let shards = merged.map_or(0, |cluster| cluster.all("shard").count());
    let host = member.host;
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!("its cluster {cluster} has {shards} shards, and a service has one"),
        "clusters of several shards are not supported: name another cluster, or leave this one out of the inventory",
    );
    (shards > 1).then(|| refusal.on(host))
}

fn make_directory(view: &View<'_>, host: &HostName, path: &str) -> Result<Option<Task>, Unknown> {
    if view.facts.get(host, &queries::directory(path))?.meta().is_some() {
        return Ok(None);
    }
    let operation = Operation::MakeDirectory {
        path: path.to_owned(),
        mode: 0o755,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was: DirectoryState::Absent,
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let task = Task::new(
        host,
        format!("make {path}"),
        "it is missing",
        action(operation, QUICK),
    );
    Ok(Some(task.part(format!("dir.{name}"))))
}
