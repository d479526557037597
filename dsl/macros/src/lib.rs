//! The `protocol!` macro of Anabranch. All work is done by `anabranch-dsl`.

use proc_macro::TokenStream;

/// A distributed protocol as dataflow rules, compiled to a module of its name. See the language reference.
#[proc_macro]
pub fn protocol(input: TokenStream) -> TokenStream {
    anabranch_dsl::codegen::protocol(input.into()).into()
}
