//! The attribute `#[test]` of tenure-harness: registers a function under its name. `#[ignore = "why"]` below it works
//! as with libtest.

use proc_macro::{TokenStream, TokenTree};

/// Registers the function as a test of this program.
#[proc_macro_attribute]
pub fn test(_: TokenStream, function: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut ignored = String::from("None");
    let mut name = None;
    let mut tokens = function.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let (TokenTree::Punct(mark), Some(TokenTree::Group(group))) = (&token, tokens.peek())
            && mark.as_char() == '#'
            && let Some(why) = ignore(group.stream())
        {
            ignored = format!("Some({why})");
            tokens.next();
            continue;
        }
        if let (TokenTree::Ident(word), Some(TokenTree::Ident(next))) = (&token, tokens.peek())
            && word.to_string() == "fn"
            && name.is_none()
        {
            name = Some(next.to_string());
        }
        kept.push(token);
    }
    let name = name.expect("#[test] stands above a function");
    let registered = format!(
        "const _: () = {{
            #[used]
            #[unsafe(link_section = \"tenure_tests\")]
            static TEST: ::tenure_harness::Test =
                ::tenure_harness::Test {{ name: concat!(module_path!(), \"::{name}\"), ignored: {ignored}, run: {name} }};
        }};"
    );
    let mut all: TokenStream = kept.into_iter().collect();
    all.extend(registered.parse::<TokenStream>().expect("this is Rust"));
    all
}

/// The reason of an attribute `ignore`, as Rust writes the text.
fn ignore(attribute: TokenStream) -> Option<String> {
    let mut tokens = attribute.into_iter();
    match tokens.next() {
        Some(TokenTree::Ident(word)) if word.to_string() == "ignore" => {}
        _ => return None,
    }
    Some(tokens.nth(1).map_or("\"no reason given\"".to_owned(), |why| why.to_string()))
}
