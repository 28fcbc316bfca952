//! `cargo xtask www`.

use std::path::PathBuf;

use crate::run::run;
use crate::{Error, age, in_repository, node, npm, size};

/// Where the page's files are.
const PAGE: &str = "www";
/// What of it browsers load, and `kwik` has inside.
const DIST: &str = "www/dist";

/// Builds the page, and before it the npm package that it uses, if that is out of date.
pub(crate) fn build() -> Result<(), Error> {
    let page = in_repository(PAGE);
    if npm::is_outdated()? {
        npm::build()?;
    }
    node::install_dependencies(&page)?;
    run(node::npm(&page)?.args(["run", "--silent", "build"]))?;
    size::print(&in_repository(DIST))
}

/// Whether the page is missing, or older than what it is made of.
pub(crate) fn is_outdated() -> Result<bool, Error> {
    let mut sources: Vec<PathBuf> = npm::sources();
    sources.push(in_repository(PAGE));
    age::is_older(&in_repository(DIST).join("index.html"), &sources)
}
