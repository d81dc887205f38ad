//! Rules: every kind is registered, and nobody else knows a kind by its name.

use std::collections::BTreeMap;

use quote::ToTokens as _;

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

/// A kind that is implemented somewhere.
struct Kind<'a> {
    /// The folder that it is in.
    folder: String,
    /// The type that implements it.
    type_name: String,
    /// What it answers to.
    name: Option<String>,
    source: &'a Source,
    line: usize,
}

/// Finds kinds that nobody can use.
pub(crate) fn check_registered(tree: &Tree) -> Vec<Problem> {
    let list = registered(tree);
    let mut problems = Vec::new();
    for kind in kinds(tree) {
        let path = format!("{}::{}", kind.folder, kind.type_name);
        if !list.iter().any(|found| found.ends_with(&path)) {
            problems.push(Problem {
                line: kind.line,
                what: format!("the kind {} is not in KINDS", kind.type_name),
                why: "a kind that is not registered cannot be used (docs/architecture.md, invariant 3)",
                resolve: format!("add &{path} to KINDS in {REGISTRY}"),
                ..Problem::at(kind.source)
            });
        }
    }
    problems
}

/// Finds those who ask for a kind by its name.
pub(crate) fn check_names(tree: &Tree) -> Vec<Problem> {
    let names: BTreeMap<String, String> = kinds(tree)
        .into_iter()
        .filter_map(|kind| Some((kind.name?, kind.folder)))
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
            let Some(folder) = names.get(name) else { continue };
            if ALSO_WORDS.contains(&text.as_str()) {
                continue;
            }
            let is_step = text[name.len()..]
                .strip_prefix('.')
                .is_some_and(|step| is_step(tree, folder, step));
            if (text == name || is_step) && !source.path.starts_with(&format!("{HOME}{folder}/")) {
                problems.push(Problem {
                    line,
                    what: format!("{} knows the kind {name}: {text:?}", source.krate),
                    why: "what is particular to a service stands in its crate only, so that a new kind is one \
                          crate and two lines (docs/architecture.md, invariant 3)",
                    resolve: format!(
                        "ask the kind through the traits Kind and Service; what they lack, add there and answer in \
                         {HOME}{folder}/"
                    ),
                    ..Problem::at(source)
                });
            }
        }
    }
    problems
}

/// Whether a kind's sources have a step of that name.
fn is_step(tree: &Tree, folder: &str, step: &str) -> bool {
    let home = format!("{HOME}{folder}/src/lib.rs");
    let Some(syntax) = tree
        .sources
        .iter()
        .find(|source| source.path == home)
        .and_then(|source| source.syntax.as_ref().ok())
    else {
        return false;
    };
    syntax
        .items
        .iter()
        .filter_map(kind_impl)
        .any(|block| texts(block, "steps").iter().any(|text| text == step))
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
        for block in code::shipped(syntax).items.iter().filter_map(kind_impl) {
            let name = texts(block, "name").into_iter().next();
            found.push(Kind {
                folder: folder.to_owned(),
                type_name: block.self_ty.to_token_stream().to_string(),
                name,
                source,
                line: block.impl_token.span.start().line,
            });
        }
    }
    found
}

fn kind_impl(item: &syn::Item) -> Option<&syn::ItemImpl> {
    let syn::Item::Impl(block) = item else { return None };
    let (path, _) = block.trait_.as_ref()?;
    (path.segments.last()?.ident == "Kind").then_some(block)
}

/// The strings in a function of a block.
fn texts(block: &syn::ItemImpl, name: &str) -> Vec<String> {
    let found = block.items.iter().find_map(|item| match item {
        syn::ImplItem::Fn(function) if function.sig.ident == name => Some(function),
        _ => None,
    });
    found
        .map(|function| code::texts(&function.block))
        .unwrap_or_default()
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
        let kind = "impl Kind for Store {\n fn name(&self) -> &'static str { \"store\" }\n \
                    fn steps(&self) -> &'static [&'static str] { &[\"join\"] }\n}";
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
        assert_eq!(check_registered(&tree("&store::Store")), []);
        let [problem] = check_registered(&tree("&other::Store")).try_into().unwrap();
        assert_eq!(problem.file, "crates/kinds/store/src/lib.rs");
        assert!(problem.resolve.contains("&store::Store"), "{}", problem.resolve);
    }

    #[test]
    fn a_kinds_name_is_for_its_folder() {
        let text = "fn f(k: &str) {\n match k { \"store\" => {} _ => {} }\n assert!(k == \"store.join\");\n \
                    g(\"store.conf\", \"stores\");\n}\n#[cfg(test)] mod tests { const K: &str = \"store\"; }";
        let tree = tree("&store::Store")
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
