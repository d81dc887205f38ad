//! A file that is managed as a whole: written only where it says something else to the server, and never over what is of
//! others.

use formats::mark;
use formats::xml::{self, Element};
use plan::Refusal;
use protocol::Text;
use protocol::facts::{FileFact, FileQuery};
use types::HostName;

use super::shape::{Shape, at};
use crate::observe::server::queries;
use crate::observe::view::View;
use crate::rules::file_change::{FileChange, Stop};
use crate::settings::Settings;
use kit::{Cx, Task};

/// The consent to lose what others wrote into a file of ours.
const CONSENT: &str = "clickhouse.overwrite";

/// A file of ours as it should be.
pub(crate) struct OwnFile<'a> {
    pub(crate) query: &'a FileQuery,
    pub(crate) text: Text,
    pub(crate) shape: Shape,
    /// The server's user, where the file has a password: it belongs to that user then, and no other reads it.
    pub(crate) owner: Option<&'a str>,
}

impl OwnFile<'_> {
    /// The task that writes it; `None` where it says the same already, or the server has the same from other files.
    pub(crate) fn plan(self, view: &View<'_>, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Stop> {
        let fact = view.facts.get(host, self.query)?;
        let found = fact.text().map(Text::as_str);
        if found.is_some_and(|found| says_the_same(view.settings, found, self.text.as_str())) {
            return Ok(self.access(host, fact));
        }
        if let Ok(wanted) = xml::parse(self.text.as_str()) {
            match found.map(xml::parse) {
                Some(Ok(found)) => self.spare_others(host, &found, &wanted, cx)?,
                None if self.is_said_elsewhere(view, host, &wanted)? => return Ok(None),
                // The server starts with none that is no XML: there is nothing in it to lose.
                Some(Err(_)) | None => {}
            }
        }
        let reason = if fact.meta().is_some() {
            "its content differs"
        } else {
            "it is missing"
        };
        Ok(Some(self.write(host, fact, reason.to_owned())))
    }

    /// Refuses to lose what others wrote into it.
    fn spare_others(
        &self,
        host: &HostName,
        found: &Element,
        wanted: &Element,
        cx: &Cx<'_>,
    ) -> Result<(), Stop> {
        let Some(foreign) = self
            .shape
            .foreign(found, wanted)
            .filter(|_| !cx.is_allowed(CONSENT, host))
        else {
            return Ok(());
        };
        let path = &self.query.path;
        let refusal = Refusal::new(
            format!("{path} is not changed on {host}"),
            format!("{foreign} in it is not of the inventory, and would be lost"),
            "move it into another file of the same folder; or allow that it is overwritten",
        );
        Err(refusal.on(host).unless_allowed(CONSENT, host).into())
    }

    /// Whether the server has from other files all that this one is to say. Where those say something else, ours would be
    /// merged with it, which is refused.
    fn is_said_elsewhere(&self, view: &View<'_>, host: &HostName, wanted: &Element) -> Result<bool, Stop> {
        let Some(merged) = view.member(host).and_then(|member| member.merged.as_ref()) else {
            return Ok(false);
        };
        let settings = view.settings;
        let given = |root: &Element| named(settings, self.shape.given_in(root)).sorted();
        let (has, wants) = (given(merged), given(wanted));
        if has.children == wants.children {
            return Ok(true);
        }
        let differs = |path: &&String| {
            let has = all(&has, path);
            !has.is_empty() && has != all(&wants, path) && !is_packaged(view, host, path)
        };
        let Some(path) = self.shape.exclusive.iter().find(differs) else {
            return Ok(false);
        };
        let refusal = Refusal::new(
            format!("{} is not created on {host}", self.query.path),
            format!("another file of the server has <{path}> with other values, and the two would be mixed"),
            format!(
                "give the inventory the values that are in force; or move <{path}> from that file into this one"
            ),
        );
        Err(refusal.on(host).into())
    }

    /// The task that gives the file its access; `None` where it has it. A file without a password may be readable by others
    /// as long as the server can read it.
    fn access(self, host: &HostName, fact: &FileFact) -> Option<Task> {
        let meta = fact.meta()?;
        let is = format!("it is {:04o} {}:{}", meta.mode, meta.owner, meta.group);
        let reason = match self.owner {
            None => {
                let is_readable =
                    meta.mode & 0o004 != 0 || (meta.owner == "clickhouse" && meta.mode & 0o400 != 0);
                let is_writable = meta.mode & 0o022 != 0;
                (!is_readable || is_writable).then_some(is)
            }
            Some(owner) => {
                let is_right = meta.mode == 0o640 && meta.owner == owner && meta.group == owner;
                (!is_right).then(|| format!("{is} instead of 0640 {owner}:{owner}"))
            }
        };
        reason.map(|reason| self.write(host, fact, reason))
    }

    fn write(self, host: &HostName, fact: &FileFact, reason: String) -> Task {
        let (mode, owner) = self.owner.map_or((0o644, "root"), |owner| (0o640, owner));
        let verb = if fact.meta().is_some() { "change" } else { "create" };
        let change = FileChange {
            path: &self.query.path,
            before: fact.text().cloned(),
            after: self.text,
            was: fact.state(),
            mode,
            owner,
            group: owner,
        };
        change.task(host, verb, reason)
    }
}

/// Whether two texts of a file say the same to the server: elements in any order, and hosts under any of their names.
pub(crate) fn says_the_same(settings: &Settings, found: &str, wanted: &str) -> bool {
    let read = |text| xml::parse(text).map(|root| named(settings, root).sorted());
    found == wanted
        || (mark::read(found) == mark::read(wanted)
            && matches!((read(found), read(wanted)), (Ok(found), Ok(wanted)) if found == wanted))
}

/// A configuration with the inventory's names of the hosts in it.
fn named(settings: &Settings, mut root: Element) -> Element {
    if ["host", "hostname"].contains(&root.name.as_str()) {
        root.text = settings.canonical(&root.text);
    }
    root.children = root
        .children
        .into_iter()
        .map(|child| named(settings, child))
        .collect();
    root
}

/// The elements at a path: of a list, all of them.
fn all(root: &Element, path: &str) -> Vec<Element> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = if above.is_empty() {
        Some(root)
    } else {
        at(root, above)
    };
    parent
        .into_iter()
        .flat_map(|parent| parent.all(name))
        .cloned()
        .collect()
}

/// Whether elements of the merged configuration are those of the package's own config.xml, which a file under config.d
/// takes the place of.
fn is_packaged(view: &View<'_>, host: &HostName, path: &str) -> bool {
    let fact = view.facts.get(host, &queries::config(view.settings)).ok();
    let packaged = fact
        .and_then(FileFact::text)
        .and_then(|text| xml::parse(text.as_str()).ok());
    let merged = view.member(host).and_then(|member| member.merged.as_ref());
    packaged
        .zip(merged)
        .is_some_and(|(packaged, merged)| all(&packaged, path) == all(merged, path))
}
