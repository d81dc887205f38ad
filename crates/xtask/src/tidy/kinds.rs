//! Rules: every kind is registered, and nobody else knows a kind by its name.

use std::collections::BTreeMap;

use super::code::{self, Word};
use super::map::{self, Nature};
use super::problem::Problem;
use super::tree::{Part, Source, Tree};

/// Where the kinds are: a crate each.
const HOME: &str = "crates/kinds/";
/// Where they are registered.
const REGISTRY: &str = "crates/services/src/lib.rs";

/// Names of kinds that are words of their own too: the runbook calls its clusters, users and masters `altcraft`.
const ALSO_WORDS: [&str; 1] = ["altcraft"];

/// The one file of an application that says which kinds it is made to use: main.json has a block for each, by name.
const USES: [&str; 1] = ["crates/kinds/altcraft/src/settings/find_uses.rs"];

/// Describes servers' files: their owners, packages and units bear the server's name, which is the kind's too.
const OF_SERVERS: &str = "formats";

/// A kind's table.
struct Kind<'a> {
    /// The crate that it is in.
    folder: String,
    /// What it answers to.
    name: Option<String>,
    /// The names of its steps.
    steps: Vec<String>,
    source: &'a Source,
    line: usize,
}

/// Finds kinds that nobody can use.
pub(crate) fn check_registered(tree: &Tree) -> Vec<Problem> {
    let list = registered(tree);
    let mut problems = Vec::new();
    for kind in kinds(tree) {
        let path = format!("{}::KIND", kind.folder);
        if !list.iter().any(|found| found.ends_with(&path)) {
            problems.push(Problem {
                line: kind.line,
                what: format!("the kind {} is not in KINDS", kind.folder),
                why: "a kind that is not registered cannot be used (docs/architecture.md, invariant 3)",
                resolve: format!("add {path} to KINDS in {REGISTRY}"),
                ..Problem::at(kind.source)
            });
        }
    }
    problems
}

/// Finds those who ask for a kind by its name.
pub(crate) fn check_names(tree: &Tree) -> Vec<Problem> {
    let kinds: BTreeMap<String, Kind<'_>> = kinds(tree)
        .into_iter()
        .filter_map(|kind| Some((kind.name.clone()?, kind)))
        .collect();
    let mut problems = Vec::new();
    for source in tree.of_part(Part::Product) {
        let Ok(syntax) = &source.syntax else { continue };
        let may_know = map::nature(&source.krate) == Nature::Development
            || source.krate == OF_SERVERS
            || USES.contains(&source.path.as_str());
        if may_know {
            continue;
        }
        for (line, word) in code::words(&code::shipped(syntax)) {
            let Word::Text(text) = word else { continue };
            // `kind = "x"`, and the step kinds `x.step`.
            let name = text.split('.').next().unwrap_or_default();
            let Some(Kind { folder, steps, .. }) = kinds.get(name) else {
                continue;
            };
            if ALSO_WORDS.contains(&text.as_str()) {
                continue;
            }
            let is_step = text[name.len()..]
                .strip_prefix('.')
                .is_some_and(|step| steps.iter().any(|known| known == step));
            if (text == name || is_step) && !source.path.starts_with(&format!("{HOME}{folder}/")) {
                problems.push(Problem {
                    line,
                    what: format!("{} knows the kind {name}: {text:?}", source.krate),
                    why: "what is particular to a service stands in its crate only, so that a new kind changes \
                          no other code (docs/architecture.md, invariant 3)",
                    resolve: format!(
                        "ask the kind through the traits Kind and Service; what they lack, add to them and to \
                         KindTable, and answer in {HOME}{folder}/"
                    ),
                    ..Problem::at(source)
                });
            }
        }
    }
    problems
}

fn kinds(tree: &Tree) -> Vec<Kind<'_>> {
    let mut found = Vec::new();
    for source in tree.sources.iter().filter(|source| source.part != Part::Test) {
        let (Some((folder, _)), Ok(syntax)) = (
            source
                .path
                .strip_prefix(HOME)
                .and_then(|rest| rest.split_once('/')),
            &source.syntax,
        ) else {
            continue;
        };
        for table in code::shipped(syntax).items.iter().filter_map(kind_table) {
            found.push(Kind {
                folder: folder.to_owned(),
                name: texts(table, "name").into_iter().next(),
                steps: texts(table, "steps"),
                source,
                line: table.brace_token.span.open().start().line,
            });
        }
    }
    found
}

/// The value of a `static` that is a kind's table.
fn kind_table(item: &syn::Item) -> Option<&syn::ExprStruct> {
    let syn::Item::Static(item) = item else {
        return None;
    };
    let syn::Expr::Struct(table) = &*item.expr else {
        return None;
    };
    (table.path.segments.last()?.ident == "KindTable").then_some(table)
}

/// The strings in a field of a table.
fn texts(table: &syn::ExprStruct, name: &str) -> Vec<String> {
    let is_it = |field: &&syn::FieldValue| matches!(&field.member, syn::Member::Named(own) if own == name);
    let field = table.fields.iter().find(is_it);
    field.map(|field| code::texts(&field.expr)).unwrap_or_default()
}

/// The paths in `KINDS`.
fn registered(tree: &Tree) -> Vec<String> {
    let Some(syntax) = tree
        .sources
        .iter()
        .find(|source| source.path == REGISTRY)
        .and_then(|source| source.syntax.as_ref().ok())
    else {
        return Vec::new();
    };
    let mut file = syntax.clone();
    // Only the list, but with the imports that its names may come from.
    file.items.retain(|item| match item {
        syn::Item::Static(item) => item.ident == "KINDS",
        syn::Item::Use(_) => true,
        _ => false,
    });
    code::words(&file)
        .into_iter()
        .filter_map(|(_, word)| match word {
            Word::Path(path) => Some(path),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(list: &str) -> Tree {
        let kind = "pub const KIND: &dyn Kind = &TABLE;\nstatic TABLE: KindTable<Settings> = KindTable {\n\
                    name: \"store\",\nsteps: Steps::new(&[(\"join\", join::plan)]),\n};";
        Tree::default()
            .with_crate("services", &[])
            .with_source(
                "crates/services/src/lib.rs",
                &format!("pub static KINDS: Kinds = Kinds::new(&[{list}]);"),
            )
            .with_crate("kinds/store", &[])
            .with_source("crates/kinds/store/src/lib.rs", kind)
    }

    #[test]
    fn a_kind_that_is_not_in_the_list_is_found() {
        assert_eq!(check_registered(&tree("store::KIND")), []);
        let [problem] = check_registered(&tree("other::KIND")).try_into().unwrap();
        assert_eq!(problem.file, "crates/kinds/store/src/lib.rs");
        assert!(problem.resolve.contains("store::KIND"), "{}", problem.resolve);
    }

    #[test]
    fn a_kinds_name_is_for_its_folder() {
        let text = "fn f(k: &str) {\n match k { \"store\" => {} _ => {} }\n assert!(k == \"store.join\");\n \
                    g(\"store.conf\", \"stores\");\n}\n#[cfg(test)] mod tests { const K: &str = \"store\"; }";
        let tree = tree("store::KIND")
            .with_crate("planner", &[])
            .with_source("crates/planner/src/lib.rs", text)
            .with_crate("lab", &[])
            .with_source("crates/lab/src/lib.rs", text);
        let found: Vec<(String, usize)> = check_names(&tree)
            .into_iter()
            .map(|problem| (problem.file, problem.line))
            .collect();
        let planner = |line| ("crates/planner/src/lib.rs".to_owned(), line);
        assert_eq!(found, [planner(2), planner(3)]);
    }
}
