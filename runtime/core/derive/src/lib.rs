//! `derive(Data)` for Anabranch: structs, tuple structs, enums, also generic ones.
//!
//! `Data` also wants `Clone`, `PartialEq`, `Eq`, `PartialOrd`, `Ord`, `Hash` and `Debug`, all derived, so that erased
//! values compare as typed ones do. Generated code names the runtime as `::anabranch`; within the
//! workspace, `#[data(crate = anabranch_core)]` names it otherwise.

mod expand;

/// Derives `Data` for a struct or an enum whose fields are all `Data`.
#[proc_macro_derive(Data, attributes(data))]
pub fn derive_data(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
