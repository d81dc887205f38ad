//! A shipped program is made of the product alone: no crate and no feature that is only for tests.
//!
//! Cargo unifies the features of all packages that it builds together, so what a test needs can get into a program by the
//! choice of packages on the command line. What counts is therefore what was compiled, and not what manifests say.

use anyhow::ensure;

use crate::cargo::Built;
use crate::tidy;

/// Refuses a program that was compiled with what is for tests.
pub(crate) fn require(built: &Built) -> anyhow::Result<()> {
    let problems: Vec<String> = built
        .packages
        .iter()
        .filter_map(|(package, features)| problem(package, features))
        .collect();
    ensure!(
        problems.is_empty(),
        "{} is not of the product alone: {}",
        built.program,
        problems.join("; ")
    );
    Ok(())
}

/// None of our crates has a feature that the product needs: each that there is, is for tests.
fn problem(package: &str, features: &[String]) -> Option<String> {
    match tidy::is_shipped(package)? {
        false => Some(format!("it has {package}, which is for development only")),
        true if features.is_empty() => None,
        true => Some(format!(
            "{package} has the feature {}, which is for tests",
            features.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn with(package: &str, features: &[&str]) -> anyhow::Result<()> {
        let features = features.iter().map(|&feature| feature.to_owned()).collect();
        require(&Built {
            program: "target/clusterctl".into(),
            packages: BTreeMap::from([(package.to_owned(), features)]),
        })
    }

    #[test]
    fn a_program_with_a_crate_for_development_in_it_is_refused() {
        with("serde", &["derive"]).unwrap();
        with("services", &[]).unwrap();
        for package in ["fakes", "cases", "simulation"] {
            let error = with(package, &[]).unwrap_err().to_string();
            assert!(
                error.contains(&format!("it has {package}, which is for development only")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_program_with_a_feature_for_tests_is_refused() {
        let error = with("services", &["doubles"]).unwrap_err().to_string();
        assert!(
            error.contains("services has the feature doubles, which is for tests"),
            "{error}"
        );
    }
}
