//! The databases and tables of a server, with the statements that make them again.

use std::collections::BTreeMap;

/// A server's databases and tables, but for its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Schema {
    /// Databases and their engines.
    pub(crate) databases: BTreeMap<String, String>,
    /// Tables and views by database and name.
    pub(crate) tables: BTreeMap<(String, String), Table>,
}

/// A table or a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    engine: String,
    /// The statement that makes it; `None` where it stays on the host.
    statement: Option<String>,
}

impl Schema {
    /// Reads the rows of [`super::queries::schema`], which come in any order.
    pub(crate) fn read(rows: Vec<Vec<String>>) -> Self {
        let mut schema = Self::default();
        for row in rows {
            let Ok([sort, database, name, engine, statement]) = <[String; 5]>::try_from(row) else {
                continue;
            };
            if sort == "database" {
                schema.databases.insert(database, engine);
            } else {
                let statement = Some(statement).filter(|text| !text.is_empty());
                schema
                    .tables
                    .insert((database, name), Table { engine, statement });
            }
        }
        schema
    }
}

impl Table {
    /// Whether its data is replicated.
    pub(crate) fn is_replicated(&self) -> bool {
        self.engine.starts_with("Replicated")
    }

    /// The statement that makes a table which is the same on two servers; `None` where the two differ, or stay on their
    /// hosts. A table that was made on each server by itself has a UUID of its own there, which means nothing as long as
    /// its path has none.
    pub(crate) fn shared(&self, other: &Self) -> Option<Self> {
        let (one, two) = (self.statement.as_ref()?, other.statement.as_ref()?);
        if one == two {
            return Some(self.clone());
        }
        let statement = without_uuids(one);
        let is_same = statement == without_uuids(two) && !one.contains("{uuid}");
        is_same.then(|| Self {
            engine: self.engine.clone(),
            statement: Some(statement),
        })
    }

    /// The same, where its statement is not known.
    pub(crate) fn without_statement(&self) -> Self {
        Self {
            statement: None,
            ..self.clone()
        }
    }

    /// The statement that makes it where it does not exist; `None` where there is none, or of a sort that is not known.
    pub(crate) fn idempotent(&self) -> Option<String> {
        let statement = self.statement.as_ref()?;
        let sorts = ["CREATE TABLE ", "CREATE VIEW ", "CREATE MATERIALIZED VIEW "];
        sorts.into_iter().find_map(|sort| {
            let rest = statement.strip_prefix(sort)?;
            Some(format!("{sort}IF NOT EXISTS {}", rest.trim_end()))
        })
    }
}

/// Database and table in one word.
pub(crate) fn full_name((database, table): &(String, String)) -> String {
    format!("{database}.{table}")
}

/// A statement without `UUID '...'` and `TO INNER UUID '...'`.
fn without_uuids(statement: &str) -> String {
    let mut text = statement.to_owned();
    for word in [" TO INNER UUID '", " UUID '"] {
        while let Some((before, rest)) = text.split_once(word) {
            let after = rest.split_once('\'').map_or("", |(_, after)| after);
            text = format!("{before}{after}");
        }
    }
    text
}
