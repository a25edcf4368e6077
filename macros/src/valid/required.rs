//! What has no default.

use crate::{ast::Item, attr::Options, errors::Errors};

const REQUIRED: [(&str, &str); 4] = [
    ("name", "name = \"billing.charge-card\""),
    ("source", "source = \"orders.placed\""),
    ("group", "group = \"billing\""),
    ("dead_letter", "dead_letter = \"orders.placed.dead\""),
];

/// Says at once all that is missing.
pub(super) fn check(item: &Item, options: &Options, errors: &mut Errors) {
    let missing: Vec<_> =
        REQUIRED.iter().filter(|(name, _)| !options.said.contains(name)).collect();
    if missing.is_empty() || options.is_unread {
        return;
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| format!("`{name}`")).collect();
    let examples: Vec<_> = missing.iter().map(|(_, example)| *example).collect();
    let (are, examples) = (if names.len() == 1 { "is" } else { "are" }, examples.join(", "));
    let names = names.join(", ");
    match item.attributes.first() {
        Some(attribute) => {
            errors.at(attribute.path(), format!("{names} {are} missing: add `{examples}`"));
        }
        None => {
            let message = format!("{names} {are} missing: add `#[consumer({examples})]`");
            errors.at(&item.ident, message);
        }
    }
}
