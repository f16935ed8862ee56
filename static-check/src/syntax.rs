//! Parts of C's grammar: children, declarators, and the types that they declare.

use tree_sitter::Node;

/// A local variable's type.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// The name of the type, without pointers.
    pub base: String,
    pub pointers: usize,
    pub is_array: bool,
}

/// The named children, without comments.
pub(crate) fn children(node: Node) -> Vec<Node> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// The declarators of a declaration.
pub(crate) fn declarators(declaration: Node) -> Vec<Node> {
    let mut cursor = declaration.walk();
    declaration.children_by_field_name("declarator", &mut cursor).collect()
}

/// The identifier that a declarator declares.
pub(crate) fn declared_name(declarator: Node) -> Option<Node> {
    match declarator.kind() {
        "identifier" => Some(declarator),
        _ => {
            let inner = declarator.child_by_field_name("declarator").or_else(|| {
                children(declarator)
                    .into_iter()
                    .find(|child| child.kind() == "identifier" || child.kind().ends_with("_declarator"))
            })?;
            declared_name(inner)
        }
    }
}

/// Whether the declarator declares a function.
pub(crate) fn is_function(declarator: Node) -> bool {
    match declarator.kind() {
        "function_declarator" => {
            declarator.child_by_field_name("declarator").is_some_and(|inner| inner.kind() == "identifier")
        }
        "pointer_declarator" | "attributed_declarator" => children(declarator).into_iter().any(is_function),
        _ => false,
    }
}

/// The type of a declarator.
pub(crate) fn local_of(base: &str, declarator: Node) -> Local {
    let base = base.trim_start_matches("struct ").trim();
    let mut local = Local { base: base.to_owned(), pointers: 0, is_array: false };
    let mut node = Some(declarator);
    while let Some(part) = node {
        match part.kind() {
            "pointer_declarator" => local.pointers += 1,
            "array_declarator" => local.is_array = true,
            // A pointer to a function is nothing that is followed.
            "function_declarator" => local.is_array = true,
            _ => {}
        }
        node = part.child_by_field_name("declarator").or_else(|| {
            children(part)
                .into_iter()
                .find(|child| child.kind().ends_with("_declarator") && child.kind() != "init_declarator")
        });
    }
    local
}
